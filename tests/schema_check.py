#!/usr/bin/env python3
"""Holds records against deploy/schema and against what the schemas cannot say: bounds of the byte counts, deltas that add up to the last totals, minutes
that add up to the deltas, times in order. Usage: schema_check.py [--partial] FILE... ; exit 1 and one line for each fault with file and line number.
--partial: a flow's records may begin in the middle (a feed, a live file that was rotated). Exit 77: no jsonschema."""
import argparse
import datetime
import json
import pathlib
import sys

try:
    import jsonschema
except ImportError:
    print("SKIPPED: python3-jsonschema is not installed")
    sys.exit(77)

SCHEMAS = pathlib.Path(__file__).resolve().parents[1] / "deploy" / "schema"
TYPES = ("flow", "alert", "attribution", "stats")
MAX_FAULTS = 50


def validators():
    """One per event_type; alert, attribution and stats borrow definitions from flow."""
    schemas = {t: json.loads((SCHEMAS / f"{t}.schema.json").read_text()) for t in TYPES}
    checker = jsonschema.FormatChecker(["ipv4", "ipv6"])
    cls = jsonschema.Draft202012Validator
    for schema in schemas.values():
        cls.check_schema(schema)
    try:
        from referencing import Registry, Resource
        registry = Registry().with_resources((s["$id"], Resource.from_contents(s)) for s in schemas.values())
        return {t: cls(s, registry=registry, format_checker=checker) for t, s in schemas.items()}
    except ImportError:
        store = {s["$id"]: s for s in schemas.values()}
        return {t: cls(s, resolver=jsonschema.RefResolver(s["$id"], s, store=store), format_checker=checker) for t, s in schemas.items()}


def no_repeats(pairs):
    keys = [k for k, _ in pairs]
    for k in keys:
        if keys.count(k) > 1:
            raise ValueError(f"member {k!r} twice")
    return dict(pairs)


def no_constants(text):
    raise ValueError(f"{text} is not JSON")


def parse_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def bounds(ours):
    for d in ("up", "down"):
        low, mid, high = (ours[f"bytes_{d}{x}"] for x in ("_min", "", "_max"))
        if not low <= mid <= high:
            yield f"bytes_{d}: {low} <= {mid} <= {high} does not hold"


def times(record):
    parse_time(record["timestamp"])
    start, end = (parse_time(record["flow"][k]) for k in ("start", "end"))
    if start > end:
        yield "flow ends before it starts"
    us = (end - start) // datetime.timedelta(microseconds=1)
    if record["flow"]["age"] not in ((us - 1) // 1000000, us // 1000000):  # age is of nanoseconds
        yield f"age {record['flow']['age']} is not the time between start and end"


class Flows:
    """What the flow records of a run say together."""

    def __init__(self, partial):
        self.partial, self.sums, self.seq, self.last = partial, {}, {}, {}

    def add(self, record):
        ours, fid = record["leaktap"], record["flow_id"]
        for d, at in (("up", 1), ("down", 2)):
            by_minute = sum(m[at] for m in ours["minutes"])
            if by_minute != ours[f"delta_{d}"]:
                yield f"flow {fid}: minutes {d} add up to {by_minute}, delta is {ours[f'delta_{d}']}"
        starts = [m[0] for m in ours["minutes"]]
        if starts != sorted(set(starts)):
            yield f"flow {fid}: minutes are not in order"
        if fid in self.last and self.last[fid]["flow"]["reason"] != "update":
            yield f"flow {fid}: a record after its last"
        expected = self.seq.get(fid, ours["seq"] - 1 if self.partial else 0) + 1
        if ours["seq"] != expected:
            yield f"flow {fid}: seq {ours['seq']}, expected {expected}"
        if fid not in self.sums:
            before = [ours["bytes_up"] - ours["delta_up"], ours["bytes_down"] - ours["delta_down"]] if self.partial and ours["seq"] > 1 else [0, 0]
            self.sums[fid] = before
        total = self.sums[fid]
        total[0] += ours["delta_up"]
        total[1] += ours["delta_down"]
        if total != [ours["bytes_up"], ours["bytes_down"]]:
            yield f"flow {fid}: deltas add up to {total}, totals are {[ours['bytes_up'], ours['bytes_down']]}"
        self.seq[fid], self.last[fid] = ours["seq"], record

    def against_stats(self, stats):
        """Where a file holds a whole run: every byte of every flow in exactly one row of the join."""
        join = stats["leaktap"]["join"]
        for d in ("up", "down"):
            told = sum(r["leaktap"][f"bytes_{d}"] for r in self.last.values())
            rows = sum(p[d] for p in join["bytes"].values())
            if told != rows:
                yield f"flows hold {told} bytes {d}, the rows of the join {rows}"
            causes = sum(p[d] for p in join["unattributed"].values())
            if causes != join["bytes"]["unattributed"][d]:
                yield f"causes hold {causes} bytes {d}, unattributed {join['bytes']['unattributed'][d]}"


def alert_faults(record):
    f = record["leaktap"]["finding"]
    if record["alert"]["signature_id"] != f["rules"][0]:
        yield "the alert is not of its gravest rule"
    if record["flow_id"] not in f["flows"] and f["flows_total"] == len(f["flows"]):
        yield "the alert's flow is none of the finding's"
    if f["flows_total"] < len(f["flows"]):
        yield "more flows listed than there are"
    if parse_time(f["first"]) > parse_time(f["last"]):
        yield "the finding ends before it begins"
    stamps = [t["t"] for t in f["timeline"]]
    if stamps != sorted(stamps):
        yield "the timeline is not in order"


class Versions:
    """A revision has a higher version than what it revises."""

    def __init__(self):
        self.of = {}

    def add(self, key, version):
        if version <= self.of.get(key, 0) and key[0] == "alert":
            yield f"finding {key[1]}: version {version} after {self.of[key]}"
        self.of[key] = max(version, self.of.get(key, 0))


def check_record(record, schemas, flows, versions):
    kind = record.get("event_type") if isinstance(record, dict) else None
    if kind not in schemas:
        yield f"event_type is {kind!r}"
        return
    faults = sorted(schemas[kind].iter_errors(record), key=lambda e: list(map(str, e.absolute_path)))
    for e in faults:
        yield f"{kind}: {'.'.join(map(str, e.absolute_path)) or '(record)'}: {e.message[:300]}"
    if faults or kind == "stats":
        return
    yield from bounds(record["leaktap"])
    yield from times(record)
    if kind == "flow":
        yield from flows.add(record)
    if kind == "alert":
        yield from alert_faults(record)
        yield from versions.add(("alert", record["leaktap"]["finding"]["id"]), record["leaktap"]["version"])


def check_file(path, schemas, partial):
    flows, versions, last_stats, n = Flows(partial), Versions(), None, 0
    with open(path, "rb") as lines:
        for n, line in enumerate(lines, 1):
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("no line end")
                record = json.loads(line.decode("utf-8"), object_pairs_hook=no_repeats, parse_constant=no_constants)
            except ValueError as e:
                yield n, f"not a line of JSON: {e}"
                continue
            try:
                for fault in check_record(record, schemas, flows, versions):
                    yield n, fault
            except ValueError as e:  # a time that fits the pattern and is none
                yield n, str(e)
            if isinstance(record, dict) and record.get("event_type") == "stats":
                last_stats = (n, record)
    if last_stats and last_stats[1]["leaktap"]["last"] and not partial and flows.last:
        for fault in flows.against_stats(last_stats[1]):
            yield last_stats[0], fault
    if not n:
        yield 0, "no records"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--partial", action="store_true")
    ap.add_argument("files", nargs="+")
    args = ap.parse_args()
    schemas, bad = validators(), 0
    for path in args.files:
        for line, fault in check_file(path, schemas, args.partial):
            bad += 1
            if bad <= MAX_FAULTS:
                print(f"{path}:{line}: {fault}")
    if bad > MAX_FAULTS:
        print(f"and {bad - MAX_FAULTS} more")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
