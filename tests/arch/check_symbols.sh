#!/bin/sh
# Nothing of ours may be interposed by, or interpose, a library: leaktap exports no symbol, and none of our global names is also defined by a
# library it loads. Usage: check_symbols.sh PROGRAM
set -eu
program=$1
exported=$(nm -D --defined-only "$program" | awk '$2 ~ /[TDBRVW]/ {print $3}' | grep -vE '^(__asan|__ubsan|__sanitizer|__lsan|__tsan|__interceptor|_+$|__|_init|_fini|_end|_edata|_IO|data_start|stdout|stderr|environ|optarg|optind|opterr|optopt)' | grep -vE '^(main|in6addr)' || true)
ours=$(nm --defined-only "$program" | awk '$2 ~ /[TDBR]/ {print $3}' | sort -u)
[ -n "$ours" ] || { echo "no symbols in $program"; exit 1; }
bad=0
for lib in $(ldd "$program" | awk '/ndpi|pcap|hiredis|jansson|cyaml|libcsv/ {print $3}'); do
	theirs=$(nm -D --defined-only "$lib" | awk '{print $3}' | sed 's/@.*//' | sort -u)
	both=$(printf '%s\n' "$ours" | comm -12 - /dev/stdin 2>/dev/null <<EOF || true
$theirs
EOF
)
	[ -z "$both" ] || { echo "$lib also defines: $both"; bad=1; }
done
case $program in
*asan* | *tsan* | *fuzz*) ;; # the sanitizer's own symbols are exported there
*) [ -z "$exported" ] || { echo "exported: $exported"; bad=1; } ;;
esac
exit $bad
