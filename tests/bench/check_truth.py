#!/usr/bin/env python3
"""Compares flow records with the generator's truth: addresses, bytes, frames and name of every flow, and the sums of the stats record.

Usage: check_truth.py TRUTH.tsv RECORDS.json [STATS.json...]. Exit 1 when anything differs. STATS are records of further runs without flow
records: their sums must be the same."""
import csv
import ipaddress
import json
import sys

APPS = {"tls13": "tls", "tls12": "tls", "quic": "quic", "http": "http", "dns": "dns"}
SOURCES = {"tls13": "tls_sni", "tls12": "tls_sni", "quic": "quic_sni", "http": "http_host"}
SHOWN = 20


def server_address(name):
    """The last four bytes of the address that the generator's flows to a name go to."""
    h = 2166136261
    for c in name.encode():
        h = (h ^ c) * 16777619 & 0xFFFFFFFF
    h ^= h >> 15
    return bytes((198, 18 + (h >> 16 & 1), h >> 8 & 255, h & 255))


def read_truth(path):
    flows, up, down = {}, 0, 0
    with open(path, newline="") as f:
        for r in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
            key = (r["proto"].upper(), r["src"], int(r["sport"]), r["dst"], int(r["dport"]))
            numbers = tuple(int(r[k]) for k in ("acked_up", "acked_down", "packets_up", "packets_down", "wire_up", "wire_down"))
            flows[key] = (r["app"], r["name"], numbers)
            up, down = up + numbers[0], down + numbers[1]
    return flows, (up, down)


def right_name(app, name, rec):
    ours, source = rec["leaktap"].get("name"), rec["leaktap"].get("name_source")
    if name != "-":
        return ours == name and source == SOURCES[app]
    if not ours:
        return True
    # nothing in the flow says it, but DNS may have: then it must be the name of the address
    address = ipaddress.ip_address(rec["dest_ip"]).packed
    tail = address[-4:] if len(address) == 4 else address[4 + 8:]
    return source == "dns_answer" and tail == server_address(ours)


def differences(truth, rec):
    key = (rec["proto"], rec["src_ip"], rec["src_port"], rec["dest_ip"], rec["dest_port"])
    want = truth.pop(key, None)
    if want is None:
        return [f"{key}: not a flow of the generator, or told twice"]
    app, name, numbers = want
    flow, ours = rec["flow"], rec["leaktap"]
    got = (ours["bytes_up"], ours["bytes_down"], flow["pkts_toserver"], flow["pkts_toclient"], flow["bytes_toserver"], flow["bytes_toclient"])
    out = []
    if got != numbers:
        out.append(f"{key}: bytes, frames, frame bytes {got}, truth {numbers}")
    if not right_name(app, name, rec):
        out.append(f"{key}: name {ours.get('name')} ({ours.get('name_source')}), truth {name}")
    if app in APPS and rec.get("app_proto") != APPS[app]:
        out.append(f"{key}: app_proto {rec.get('app_proto')}, truth {APPS[app]}")
    return out


def stats_bytes(rec):
    by_outcome = rec["leaktap"]["join"]["bytes"].values()
    return sum(b["up"] for b in by_outcome), sum(b["down"] for b in by_outcome)


def check_records(truth, path, sums):
    wrong, last = [], None
    with open(path) as f:
        for line in f:
            rec = json.loads(line)
            if rec["event_type"] == "flow":
                wrong += differences(truth, rec)
            elif rec["event_type"] == "stats":
                last = rec
    wrong += [f"{key}: no record" for key in truth]
    return wrong + check_stats(last, path, sums)


def check_stats(last, path, sums):
    if last is None:
        return [f"{path}: no stats record"]
    got = stats_bytes(last)
    return [] if got == sums else [f"{path}: stats say {got} bytes, truth {sums}"]


def last_stats(path):
    last = None
    with open(path) as f:
        for line in f:
            if '"event_type":"stats"' in line:
                last = json.loads(line)
    return last


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    truth, sums = read_truth(sys.argv[1])
    n = len(truth)
    wrong = check_records(truth, sys.argv[2], sums)
    for path in sys.argv[3:]:
        wrong += check_stats(last_stats(path), path, sums)
    for line in wrong[:SHOWN]:
        print(line)
    print(f"{sys.argv[2]}: {n} flows, {len(wrong)} differences")
    sys.exit(1 if wrong else 0)


main()
