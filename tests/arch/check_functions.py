#!/usr/bin/env python3
"""No function of ours is longer than 80 lines. A function's body is what lies between a line "{" and a line "}" at the left margin."""
import pathlib
import sys

LIMIT = 80
root = pathlib.Path(__file__).resolve().parents[2]
bad = seen = 0
for path in sorted(p for d in ("capture", "dissect", "detect") for p in (root / d).rglob("*.c")):
    start = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            seen += 1
            if number - start > LIMIT:
                print(f"{path.relative_to(root)}:{start}: {number - start} lines")
                bad += 1
            start = None
if not seen:
    sys.exit("no functions found")
print(f"{seen} functions, {bad} too long")
sys.exit(1 if bad else 0)
