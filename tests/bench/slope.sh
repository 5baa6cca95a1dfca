#!/bin/sh
# Instructions that leaktap runs per packet of a generated workload: the slope between two sizes, so that start-up cancels. Counted by
# callgrind, so the same on a busy machine as on an idle one.
#
#   slope.sh BUILD WORKLOAD [CALLGRIND_OUT]     BUILD holds leaktap and bench_genload; prints one number
set -eu
build=$1 workload=$2 keep=${3:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/leaktap-slope.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# count SIZE: prints packets and instructions
count() {
	packets=$("$build/bench_genload" "$workload" "$work/c.pcap" "$work/c.tsv" --packets "$1" | sed 's/^[^:]*: \([0-9]*\) packets.*/\1/')
	valgrind -q --tool=callgrind --callgrind-out-file="$work/out" "$build/leaktap" -r "$work/c.pcap" --records alert,stats \
		-o /dev/null -q >&2
	echo "$packets $(sed -n 's/^summary: //p;s/^totals: //p' "$work/out" | head -n 1)"
}
small=$(count 30000)
large=$(count 120000)
[ -z "$keep" ] || cp "$work/out" "$keep"
echo "$small $large" | awk '{ printf "%.0f\n", ($4 - $2) / ($3 - $1) }'
