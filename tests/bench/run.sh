#!/bin/sh
# The benchmark: generates the three workloads with their truth, runs leaktap, a bare libpcap loop (the yardstick) and what is installed of
# ndpiReader, suricata and softflowd over them, prints a table of ratios, and compares every name and every byte with the truth. Fails only
# on wrong results.
#
#   tests/bench/run.sh [--install]      --install: apt-get what building and measuring needs; otherwise nothing is installed
#
# BENCH_MIXED_PACKETS (3000000), BENCH_SMALL_PACKETS (10000000), BENCH_MANY_FLOWS (2200000), BENCH_SEED (1): sizes; about 9 GB of files
# BENCH_DIR: where the workloads go and stay; default: a temporary folder that is removed
# BENCH_RUNS (5): rounds that count, after one that does not
# BENCH_PEERS ("ndpiReader softflowd suricata"): others to run where installed; tshark may be added
# BENCH_BUILD (build/bench): folder to build in
# BENCH_SLOPE=0: without instructions per packet (valgrind)
set -eu
cd "$(dirname "$0")/../.."

if [ "${1:-}" = --install ]; then
	. deploy/packages.sh
	# shellcheck disable=SC2086 # a list of names
	need_packages "build leaktap" $build_packages
	need_packages "measure it" python3 valgrind libndpi-bin softflowd
fi

build=${BENCH_BUILD:-build/bench}
log="${TMPDIR:-/tmp}/leaktap-bench.$$"
if ! { cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DLEAKTAP_TESTS=ON -DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON &&
	ninja -C "$build" leaktap bench_yardstick bench_genload; } >"$log" 2>&1; then
	cat "$log"
	rm -f "$log"
	exit 1
fi
rm -f "$log"

if [ -n "${BENCH_DIR:-}" ]; then
	loads=$BENCH_DIR
	mkdir -p "$loads"
else
	loads=$(mktemp -d "${TMPDIR:-/tmp}/leaktap-loads.XXXXXX")
	trap 'rm -rf "$loads"' EXIT
	trap 'exit 1' HUP INT TERM
fi

# generate NAME OPTION SIZE: unless it is there from an earlier run
generate() {
	mark="$loads/$1.made" want="$2 $3 --seed ${BENCH_SEED:-1}"
	[ -f "$mark" ] && [ "$(cat "$mark")" = "$want" ] && return
	rm -f "$mark"
	"$build/bench_genload" "$1" "$loads/$1.pcap" "$loads/$1.tsv" "$2" "$3" --seed "${BENCH_SEED:-1}"
	echo "$want" >"$mark"
}
generate mixed --packets "${BENCH_MIXED_PACKETS:-3000000}"
generate small --packets "${BENCH_SMALL_PACKETS:-10000000}"
generate many --flows "${BENCH_MANY_FLOWS:-2200000}"

model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
echo "$(date +%F), $(nproc) CPUs, ${model:-unknown CPU}, kernel $(uname -r), $(${CC:-cc} --version | head -n 1)"
status=0
python3 tests/bench/measure.py "$build" "$loads" "${BENCH_RUNS:-5}" || status=1

if [ "${BENCH_SLOPE:-1}" != 0 ] && command -v valgrind >/dev/null; then
	printf '\ninstructions per packet (callgrind, the slope between two sizes):\n'
	for name in mixed small many; do
		printf '%-8s%s\n' "$name" "$(sh tests/bench/slope.sh "$build" "$name")"
	done
fi
[ "$status" -eq 0 ] && echo "every name and byte as generated" || echo "WRONG RESULTS, see above"
exit "$status"
