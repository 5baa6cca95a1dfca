#!/bin/sh
# Instructions per packet must not grow unseen: compares each workload's with tests/bench/instructions.expected. The margin of 15 % is for
# other versions of libc and libcrypto. A build without sanitizers is made for it. Exit 77: valgrind is missing, a skip.
#
#   callgrind_gate.sh BUILD      BUILD: folder to build in; --write after it: write the file anew
set -eu
cd "$(dirname "$0")/../.."
build=$1
expected=tests/bench/instructions.expected
command -v valgrind >/dev/null || { echo "SKIPPED: valgrind is not installed"; exit 77; }
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
ninja -C "$build" leaktap bench_genload >"$build.log" 2>&1 || { tail -n 20 "$build.log"; exit 1; }

if [ "${2:-}" = --write ]; then
	{
		echo "# instructions per packet by tests/bench/slope.sh: workload, number"
		for name in mixed small many; do
			echo "$name $(sh tests/bench/slope.sh "$build" "$name")"
		done
	} >"$expected"
	exit 0
fi

status=0
while read -r name want; do
	case $name in '#'*) continue ;; esac
	got=$(sh tests/bench/slope.sh "$build" "$name")
	echo "$name: $got instructions per packet, expected $want"
	if [ "$got" -gt $((want * 115 / 100)) ]; then
		echo "FAILED: $name costs more than 15 % above what is expected"
		status=1
	elif [ "$got" -lt $((want * 85 / 100)) ]; then
		echo "$name has become cheaper: write the new number down (callgrind_gate.sh BUILD --write)"
	fi
done <"$expected"
exit "$status"
