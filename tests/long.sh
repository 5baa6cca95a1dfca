#!/bin/sh
# The long forms of the tests, by one command: long.sh wire|join|all. Every part appends a line to tests/ledger.tsv: time, commit, part, figures, seconds,
# result. Safe to repeat. Output is in build/long/.
#   LEAKTAP_SCHEDULES=n   TCP schedules of the property test (100,000)
#   LEAKTAP_SEED=n        their first seed (of the clock)
#   LEAKTAP_SPLITS=n      random splits for each hello (10,000)
#   LEAKTAP_WORLDS=n      random worlds for the join (1,000)
#   LEAKTAP_FUZZ_S=n      CPU seconds for each fuzz target (60)
#   LEAKTAP_PARTS="a b"   only these parts
#   LEAKTAP_BUILD=dir     a build that is there already, instead of the asan preset
set -eu
cd "$(dirname "$0")/.."
. deploy/packages.sh
what=${1:-}
case $what in
wire | join | all) ;;
*) echo "usage: $0 wire|join|all" >&2; exit 2 ;;
esac
ledger=tests/ledger.tsv logs=build/long failed=0 build=${LEAKTAP_BUILD:-build/asan}
commit=$(git rev-parse --short HEAD 2>/dev/null || echo none)
[ -z "$(git status --porcelain -- . ":!$ledger" 2>/dev/null)" ] || commit=$commit+
mkdir -p "$logs"
[ -s "$ledger" ] || printf 'time\tcommit\tpart\tfigures\tseconds\tresult\n' >"$ledger"

wanted()
{
	[ -z "${LEAKTAP_PARTS:-}" ] && return 0
	case " $LEAKTAP_PARTS " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

record() # part figures seconds result
{
	printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$commit" "$1" "$2" "$3" "$4" | tee -a "$ledger"
	case $4 in ok | skipped) ;; *) failed=1 ;; esac
}

# part NAME FIGURES COMMAND...: FIGURES picks the lines of the output that are the result (extended regular expression)
part()
{
	name=$1 figures=$2
	shift 2
	wanted "$name" || wanted "${name%%_*}" || return 0
	begin=$(date +%s) status=0
	"$@" >"$logs/$name.log" 2>&1 || status=$?
	case $status in
	0) result=ok ;;
	77) result=skipped ;;
	*) result="failed ($status), see $logs/$name.log" ;;
	esac
	record "$name" "$(grep -E "$figures" "$logs/$name.log" | tail -n 4 | tr '\t\n' '  ' | cut -c1-300)" $(($(date +%s) - begin)) "$result"
}

wire_parts()
{
	# Each run takes other schedules, and says which.
	part schedules '^schedules|holes' env LEAKTAP_SCHEDULES="${LEAKTAP_SCHEDULES:-100000}" \
		LEAKTAP_SEED="${LEAKTAP_SEED:-$(date +%s)}" "$build/test_tcpacct_property"
	part splits 'hellos|splits|PASSED|random' env LEAKTAP_SPLITS="${LEAKTAP_SPLITS:-10000}" LEAKTAP_QUIC_STEP=1 "$build/test_hello_split"
	part names '(right|wrong|explained) ' python3 tests/accept/names.py "$build/leaktap"
	part captures ': (ok|WRONG|survived)' python3 tests/accept/captures.py "$build/leaktap"
	part bytes_names 'captures,' python3 tests/accept/bytes_names.py "$build/leaktap"
	part wire_rows 'checks, ' python3 tests/accept/wire.py "$build/leaktap"
	part decode_tshark 'frames|equal|differ' sh tests/decode_tshark.sh "$build/decode_dump"
	if [ -f tests/live/truth.py ]; then
		part live 'live truth|SKIP|exact' env LEAKTAP_LONG=1 python3 tests/live/truth.py "$build/leaktap"
		part live_quic 'live truth|SKIP|exact' env LEAKTAP_LONG=1 python3 tests/live/truth_quic.py "$build/leaktap"
	fi
	thread_parts
	fuzz_parts
}

join_parts()
{
	part join '^(total|A or B)' python3 tests/accept/join.py "$build/leaktap"
	part vmconnection 'connections' python3 tests/accept/vmconnection.py "$build/leaktap"
	worlds_part
	part redis 'tests (passed|failed)' ctest --test-dir "$build" -R '^redis' --no-tests=ignore
	for scene in acl kill power stop memory feeder failover reshard shards; do
		part "crash_$scene" 'trials' env LEAKTAP_LONG=1 python3 tests/redis/crash.py "$build/join_feed" --only "$scene"
	done
	for scene in stands_still killed; do
		part "outage_$scene" '^(stopped|killed) |SKIP|FAILED' env LEAKTAP_LONG=1 python3 tests/live/outage.py "$build/leaktap" "$scene"
	done
}

# Thousands of runs of the program: without sanitizers, as it is in production.
worlds_part()
{
	wanted worlds || return 0
	if ! { cmake --preset release && cmake --build --preset release --target leaktap; } >"$logs/release_build.log" 2>&1; then
		record worlds "" 0 "failed (build), see $logs/release_build.log"
		return 0
	fi
	part worlds ' worlds ' python3 tests/redis/worlds.py build/release/leaktap --seeds "${LEAKTAP_WORLDS:-1000}" \
		--first "${LEAKTAP_SEED:-$(date +%s)}"
}

# What runs on more than one thread, under ThreadSanitizer: units, and the program itself in replays with events and join, live, fed by others.
# Not evkafka: librdkafka begins its threads with thrd_create, which the sanitizer does not know, so it crashes.
thread_parts()
{
	case " ${LEAKTAP_PARTS:-threads} " in *" threads"*) ;; *) return 0 ;; esac
	export TSAN_OPTIONS=halt_on_error=1
	threaded='ring|attrib|join_spool|evsource|evredis|evfollow|source_file|source_live|zfile|worker|feeder|sink_feed|spool|server|teller'
	tests=$(sed -nE "s/^leaktap_unit\\(($threaded) .*/test_\\1/p" tests/unit/CMakeLists.txt)
	# shellcheck disable=SC2086 # a list of names
	if ! { cmake --preset tsan && cmake --build --preset tsan --target leaktap $tests; } >"$logs/tsan_build.log" 2>&1; then
		record threads "" 0 "failed (build), see $logs/tsan_build.log"
		return 0
	fi
	part threads 'tests (passed|failed)' ctest --preset tsan -R "^unit\\.($threaded)\$"
	part threads_accept 'tests (passed|failed)' ctest --preset tsan -R '^accept\.(pcaps|join)$'
	part threads_replay 'good|FAILED' python3 tests/live/feed.py build/tsan/leaktap replay
	for live in upload join ingest spool; do
		part "threads_$live" 'good|FAILED|SKIP' python3 "tests/live/$live.py" build/tsan/leaktap
	done
}

fuzz_parts()
{
	case " ${LEAKTAP_PARTS:-fuzz} " in *" fuzz"*) ;; *) return 0 ;; esac
	command -v clang-14 >/dev/null || need_packages "fuzz" clang-14 libclang-rt-14-dev
	mkdir -p build/fuzz
	targets=$(sed -n 's/^leaktap_fuzz(\([a-z0-9_]*\) .*/\1/p' tests/fuzz/CMakeLists.txt)
	# shellcheck disable=SC2046 # a list of names
	if ! { cmake --preset fuzz && cmake --build --preset fuzz --target $(echo "$targets" | sed 's/^/fuzz_/'); } >"$logs/fuzz_build.log" 2>&1; then
		record fuzz "" 0 "failed (build), see $logs/fuzz_build.log"
		return 0
	fi
	for target in $targets; do
		wanted fuzz || wanted "fuzz_$target" || continue
		fuzz_target "$target"
	done
}

# Sets used_cpu_s: user and system time of the children so far. Not in a subshell, which would begin at nothing.
children_cpu_s()
{
	times >"$logs/times.$$"
	used_cpu_s=$(sed -n '2{s/[ms]/ /g;p}' "$logs/times.$$" | awk '{printf "%d", $1 * 60 + $2 + $3 * 60 + $4}')
}

# In slices of five minutes by the clock, until the CPU time is spent: on a busy machine these differ. What earlier runs found is kept and begun with.
fuzz_target()
{
	children_cpu_s
	begin=$(date +%s) begin_cpu_s=$used_cpu_s result=ok cpu_s=0 executed=0 log="$logs/fuzz_$1.log"
	mkdir -p "build/fuzz/corpus/$1"
	while [ "$cpu_s" -lt "${LEAKTAP_FUZZ_S:-60}" ]; do
		left=$((${LEAKTAP_FUZZ_S:-60} - cpu_s))
		[ "$left" -le 300 ] || left=300
		"build/fuzz/fuzz_$1" -max_total_time="$left" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
			-artifact_prefix="$logs/fuzz_$1-" "build/fuzz/corpus/$1" "tests/fuzz/corpus/$1" >"$log" 2>&1 ||
			{ result="failed, see $log"; break; }
		executed=$((executed + $(sed -n 's/^stat::number_of_executed_units: *//p' "$log")))
		children_cpu_s
		cpu_s=$((used_cpu_s - begin_cpu_s))
	done
	record "fuzz_$1" "CPU $cpu_s s, $executed runs, $(sed -n 's/.*DONE *\(cov: [0-9]* ft: [0-9]* corp: [0-9]*\).*/\1/p' "$log" | tail -n 1)" \
		$(($(date +%s) - begin)) "$result"
}

case ${LEAKTAP_BUILD:+there}${LEAKTAP_PARTS:-any} in
there* | fuzz* | threads*) ;;
*) build_preset asan ;;
esac
[ "$what" = join ] || wire_parts
[ "$what" = wire ] || join_parts
[ "$failed" = 0 ] || echo "something failed; see $ledger" >&2
exit "$failed"
