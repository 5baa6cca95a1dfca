#!/bin/sh
# The arrow rule and the one-door rule: a file includes only its own rank or lower, and a third-party library only behind its door.
set -eu
cd "$(dirname "$0")/../.."
bad=0
complain() { echo "$*"; bad=1; }

rank()
{
	case $1 in
	detect/app/*) echo 6 ;;
	detect/sinks/*) echo 5 ;;
	detect/attrib/*) echo 3 ;;
	detect/*) echo 4 ;;
	dissect/*) echo 2 ;;
	capture/base/*) echo 0 ;;
	capture/*) echo 1 ;;
	*) echo 9 ;;
	esac
}

# header pattern, then the files that may include it
door()
{
	case $1 in
	pcap.h | pcap/*) echo "capture/source_live.c capture/bpf.c capture/linktype.c" ;;
	zlib.h | zstd.h) echo "capture/zfile.c" ;;
	librdkafka/*) echo "capture/evkafka.c" ;;
	hiredis*) echo "capture/base/redis.c" ;;
	ndpi*) echo "dissect/appid.c" ;;
	openssl/*) echo "dissect/crypt.c detect/sinks/digest.c" ;;
	jansson.h) echo "dissect/jsondoc.c" ;;
	csv.h) echo "dissect/csvrows.c" ;;
	cyaml/* | yaml.h) echo "detect/app/config.c" ;;
	*) echo any ;;
	esac
}

files=$(find capture dissect detect -name '*.[ch]' | sort)
for f in $files; do
	own=$(rank "$f")
	for inc in $(sed -n 's/^#include "\(.*\)"/\1/p' "$f"); do
		case $inc in
		*/*) [ "$(rank "$inc")" -le "$own" ] || complain "$f includes $inc, which is above it" ;;
		*) complain "$f includes \"$inc\" without its path from the root" ;;
		esac
	done
	for inc in $(sed -n 's/^#include <\(.*\)>/\1/p' "$f"); do
		allowed=$(door "$inc")
		[ "$allowed" = any ] && continue
		case " $allowed " in
		*" $f "*) ;;
		*) complain "$f includes <$inc>; its door is $allowed" ;;
		esac
	done
done
[ -n "$files" ] || complain "no source files found"
exit $bad
