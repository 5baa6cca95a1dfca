#!/usr/bin/env python3
"""The bundled captures against their expected findings, whose bytes were counted by tshark and whose owners are the scenario's.
Usage: pcaps.py LEAKTAP"""
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2] / "pcaps"


def replay(leaktap, case):
    with tempfile.TemporaryDirectory() as tmp:
        out = pathlib.Path(tmp) / "records.json"
        cmd = [leaktap, "-r", str(ROOT / "captures" / f"{case}.pcapng.zst"), "--endpoint", str(ROOT / "events" / f"{case}.ndjson"), "-o", str(out), "-q"]
        done = subprocess.run(cmd, capture_output=True, text=True, timeout=300)
        if done.returncode:
            sys.exit(f"{case}: exit {done.returncode}: {done.stderr}")
        return [json.loads(line) for line in out.read_text().splitlines()]


def seen_of(record):
    ours = record["leaktap"]
    process = ours.get("process", {})
    seen = {"src_ip": record["src_ip"], "src_port": record["src_port"], "dest_ip": record["dest_ip"], "process": process.get("name"), "pid": process.get("pid"),
            "device": process.get("device")}
    for key in ("bytes_up", "bytes_down", "name", "name_source", "direction", "service", "account", "role", "catalogue"):
        seen[key] = ours.get(key)
    return seen


def differences(case, what, want, got):
    return [f"{case}: {what}: {k} is {got.get(k)!r}, expected {v!r}" for k, v in want.items() if got.get(k) != v]


def check_flows(case, expected, records):
    flows = {(r["src_ip"], r.get("src_port"), r["dest_ip"]): r for r in records if r["event_type"] == "flow"}
    for want in expected["flows"]:
        record = flows.get((want["src_ip"], want["src_port"], want["dest_ip"]))
        if record is None:
            yield f"{case}: no flow {want['src_ip']}:{want['src_port']} -> {want['dest_ip']}"
            continue
        yield from differences(case, f"flow to {want['name']}", want, seen_of(record))
        ours = record["leaktap"]
        if want.get("role") == "telemetry" and not (ours.get("catalogue") and ours.get("explanation")):
            yield f"{case}: telemetry flow to {want['name']} is not explained by a catalogue row"


def check_findings(case, expected, records):
    alerts = [r for r in records if r["event_type"] == "alert"]
    if len(alerts) != len(expected["findings"]):
        yield f"{case}: {len(alerts)} findings, expected {len(expected['findings'])}"
        return
    for want, alert in zip(expected["findings"], alerts):
        seen = seen_of(alert)
        seen["rules"] = alert["leaktap"]["finding"]["rules"]
        seen["severity"] = alert["alert"]["severity"]
        seen["techniques"] = sorted(alert["alert"]["metadata"]["mitre_technique_id"])
        yield from differences(case, "finding", want, seen)


def main():
    leaktap = sys.argv[1]
    cases = sorted(p.stem for p in (ROOT / "expected").glob("*.json"))
    if not cases:
        sys.exit("no expected findings found")
    wrong = []
    for case in cases:
        expected = json.loads((ROOT / "expected" / f"{case}.json").read_text())
        records = replay(leaktap, case)
        bad = [*check_flows(case, expected, records), *check_findings(case, expected, records)]
        print(f"{case}: {len(expected['flows'])} flows, {len(expected['findings'])} findings: {'ok' if not bad else 'WRONG'}")
        wrong += bad
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


main()
