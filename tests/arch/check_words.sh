#!/bin/sh
# Functions that have no place here, and files that grew past their limit.
set -eu
cd "$(dirname "$0")/../.."
bad=0
complain() { echo "$*"; bad=1; }

for word in strcpy strcat sprintf vsprintf gets atoi atol atof strtok alloca abort; do
	hits=$(grep -nE "(^|[^_[:alnum:]])$word[[:space:]]*\(" -r capture dissect detect --include='*.c' --include='*.h' | grep -v '^\S*:[0-9]*:[[:space:]]*\*' || true)
	[ -z "$hits" ] || complain "$word is not used here: $hits"
done
hits=$(grep -nE '(^|[^_[:alnum:]])_?exit[[:space:]]*\(' -r capture dissect detect --include='*.c' | grep -v 'detect/app/main.c\|detect/attrib/server.c' || true)
[ -z "$hits" ] || complain "exit belongs to main.c (and the forked child in server.c): $hits"

for f in $(find capture dissect detect -name '*.[ch]'); do
	lines=$(wc -l <"$f")
	[ "$lines" -le 500 ] || complain "$f has $lines lines; the limit is 500"
done
grep -q 'int main' detect/app/main.c || complain "detect/app/main.c has no main: is this the right tree?"
exit $bad
