#!/usr/bin/env python3
"""tests/wire_rows.md: every row is there once, and every test it names exists in the file it names."""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
ROWS = [f"A{i:02}" for i in range(1, 44)] + [f"P{i}" for i in (*range(1, 19), 27)] + [f"G{i:02}" for i in range(1, 7)]
NAMED = re.compile(r"(?P<file>[\w/]+\.(?:c|py)): (?P<test>\w+)")


def defines(file, test, cache={}):
    path = TESTS / (file if "/" in file else f"unit/{file}")
    if path not in cache:
        cache[path] = path.read_text() if path.exists() else ""
    if file.endswith(".py"):
        return re.search(rf"^\s*def {test}\(", cache[path], re.M)
    return re.search(rf"^static void {test}\(", cache[path], re.M) and len(re.findall(rf"\b{test}\b", cache[path])) > 1  # defined and run


def main():
    bad, seen, named = [], [], 0
    for number, line in enumerate((TESTS / "wire_rows.md").read_text().splitlines(), 1):
        cells = [c.strip() for c in line.strip("|").split("|")] if line.startswith("|") else []
        if len(cells) < 3 or set(cells[0]) <= set("-") or cells[0] in ("row", "table"):
            continue
        tests = NAMED.findall(cells[-1])
        named += len(tests)
        if not tests:
            bad.append(f"line {number}: {cells[0]} names no test")
        bad += [f"line {number}: {cells[0]}: no test {t} in {f}" for f, t in tests if not defines(f, t)]
        if re.fullmatch(r"[APG]\d+", cells[0]):
            seen.append(cells[0])
    bad += [f"no row {r}" for r in ROWS if r not in seen] + [f"row {r} more than once or unknown" for r in seen if seen.count(r) > 1 or r not in ROWS]
    print("\n".join(bad) or f"{len(seen)} rows, {named} tests named")
    sys.exit(1 if bad else 0)


main()
