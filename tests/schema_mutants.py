#!/usr/bin/env python3
"""Records of real runs are valid, in every way the schemas and schema_check.py know, and each of many small falsehoods is found.
Usage: schema_mutants.py LEAKTAP. Exit 77: no jsonschema."""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

import schema_check

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCHEMAS = schema_check.validators()


def replay(leaktap, out, captures, events):
    cmd = [leaktap, "-q", "--join", "all", "-o", out, "-r", captures] + (["--endpoint", events] if events else [])
    done = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, timeout=300)
    if done.returncode:
        sys.exit(f"leaktap: exit {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in out.read_text().splitlines()]


def faults(path, records=None):
    if records is not None:
        path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return list(schema_check.check_file(path, SCHEMAS, False))


def put(record, path, value):
    *way, last = path.split(".")
    for word in way:
        record = record[int(word)] if isinstance(record, list) else record[word]
    if isinstance(record, list):
        record[int(last)] = value
    elif value is None:
        del record[last]
    else:
        record[last] = value


# (event type, path, new value; None removes)
MUTANTS = [
    ("flow", "timestamp", "2026-03-02T09:14:22Z"), ("flow", "timestamp", "2026-02-30T09:14:22.000000+00:00"), ("flow", "event_type", "flows"),
    ("flow", "flow_id", 9007199254740992), ("flow", "flow_id", "1"), ("flow", "community_id", "1:short"), ("flow", "community_id", None),
    ("flow", "src_ip", "300.1.1.1"), ("flow", "src_port", None), ("flow", "dest_port", 65536), ("flow", "proto", "tcp"), ("flow", "extra", 1),
    ("flow", "flow.age", 99), ("flow", "flow.age", 0.5), ("flow", "flow.reason", "done"), ("flow", "flow.start", None), ("flow", "tls.version", "TLS 9"),
    ("flow", "tls.ja3.hash", "xyz"), ("flow", "tls.extra", 1), ("flow", "leaktap.bytes_up", 1), ("flow", "leaktap.bytes_up", -1),
    ("flow", "leaktap.bytes_up_min", 10**9), ("flow", "leaktap.bytes_down_max", 0), ("flow", "leaktap.delta_up", 1), ("flow", "leaktap.minutes", []),
    ("flow", "leaktap.minutes.0.0", "2026-03-02T09:14:30Z"), ("flow", "leaktap.minutes.0.1", 3), ("flow", "leaktap.seq", 2), ("flow", "leaktap.seq", 0),
    ("flow", "leaktap.outcome", None), ("flow", "leaktap.outcome", "unattributed"), ("flow", "leaktap.outcome", "ambiguous"), ("flow", "leaktap.grade", "D"),
    ("flow", "leaktap.grade", "E"), ("flow", "leaktap.process", None), ("flow", "leaktap.process.pid", 0), ("flow", "leaktap.process.command_line", ""),
    ("flow", "leaktap.name_source", None), ("flow", "leaktap.name_source", "ech_outer"), ("flow", "leaktap.name_source", "none"),
    ("flow", "leaktap.role", None), ("flow", "leaktap.direction", "up"), ("flow", "leaktap.flags", ["new_flag"]), ("flow", "leaktap.basis_up", "guess"),
    ("flow", "leaktap.app_up", None), ("flow", "leaktap.evidence.0.delta_ms", "1"), ("flow", "leaktap.evidence.0.source", "edr"),
    ("alert", "alert.severity", 4), ("alert", "alert.signature_id", 1002), ("alert", "alert.signature_id", 9), ("alert", "leaktap.finding.id", "1"),
    ("alert", "leaktap.finding.sentence", None), ("alert", "leaktap.finding.flows", [1]), ("alert", "leaktap.finding.flows_total", 0),
    ("alert", "leaktap.finding.timeline.0.t", "2026-03-02T23:59:59.000000+00:00"), ("alert", "leaktap.finding.timeline.0.kind", "x"),
    ("alert", "leaktap.finding.first", "2026-03-02T23:59:59.000000+00:00"), ("alert", "alert.metadata.mitre_technique_id", ["1567"]),
    ("alert", "leaktap.delta_up", 1), ("stats", "leaktap.join.bytes.attributed.up", 0), ("stats", "leaktap.join.unattributed.no_event", {"up": 1, "down": 0}),
    ("stats", "leaktap.table.flows_new", None), ("stats", "leaktap.last", "yes"), ("stats", "leaktap.events.refused.strange", 1), ("stats", "stats", None),
]


def survivors(records, path):
    for kind, where, value in MUTANTS:
        mutant = copy.deepcopy(records)
        victim = next(r for r in mutant if r["event_type"] == kind and (kind != "flow" or "account" in r["leaktap"]))
        put(victim, where, value)
        if not faults(path, mutant):
            yield f"{kind} {where} = {value!r} was not found"
    twice = records + [next(r for r in records if r["event_type"] == "flow")]
    if not faults(path, twice):
        yield "a flow told twice was not found"
    for text in ("", "{}\n", "[1]\n", "not json\n", json.dumps(records[0]), '{"event_type":"flow","event_type":"flow"}\n'):
        path.write_text(text)
        if not faults(path):
            yield f"{text[:40]!r} was not found"


def main():
    with tempfile.TemporaryDirectory() as tmp:
        out = pathlib.Path(tmp) / "records.json"
        for captures, events in (("tests/golden/hostile.pcap", "tests/golden/hostile.ndjson"), ("pcaps/captures", None), ("pcaps/captures", "pcaps/events")):
            records = replay(sys.argv[1], out, ROOT / captures, events and ROOT / events)
            for line, fault in faults(out):
                sys.exit(f"{captures}: record {line}: {fault}")
        small = [r for r in records if r["event_type"] != "flow" or "account" in r["leaktap"]]
        bad = list(survivors(with_sums(small), out))
    print("\n".join(bad) or f"{len(records)} records valid, {len(MUTANTS) + 7} falsehoods found")
    sys.exit(1 if bad else 0)


def with_sums(records):
    """The stats record made to fit the flows that were picked, so that only the mutation is wrong."""
    records = copy.deepcopy(records)
    join = next(r for r in records if r["event_type"] == "stats")["leaktap"]["join"]
    for d in ("up", "down"):
        for outcome in join["bytes"]:
            join["bytes"][outcome][d] = sum(r["leaktap"][f"bytes_{d}"] for r in records if r["event_type"] == "flow" and r["leaktap"]["outcome"] == outcome)
    join["unattributed"] = {}
    return records


main()
