#!/usr/bin/env python3
"""SNI of every flow of truth.tsv (tshark over public test suites and the synthetic edge cases). Rows where our answer differs on purpose are listed one by
one, with the reason, in names.expected. Usage: names.py LEAKTAP [-v]"""
import collections
import csv
import pathlib
import sys

import shared


def explained():
    rows = {}
    path = pathlib.Path(__file__).with_name("names.expected")
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            capture, src, sport, sni, reason = line.split("\t")
            rows[capture, src, sport, sni] = reason
    return rows


def names_of(record):
    tls, ours = record.get("tls", {}), record["leaktap"]
    return {n for n in (tls.get("sni"), ours.get("name"), *ours.get("name_candidates", [])) if n}


def normal(name):
    return name.lower().removesuffix(".")


def main():
    leaktap, folder = sys.argv[1], shared.need("names")
    verbose = "-v" in sys.argv
    by_capture, known = collections.defaultdict(list), explained()
    with open(folder / "truth.tsv", newline="") as f:
        for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
            by_capture[row["capture"]].append(row)
    tally, wrong, used = collections.Counter(), [], set()
    for capture, rows in sorted(by_capture.items()):
        recs = shared.flows(shared.records(leaktap, [folder / capture], codes=(0, 3)))
        by_flow = collections.defaultdict(set)
        for r in recs:
            for a, b in (("src", "dest"), ("dest", "src")):
                by_flow[r[f"{a}_ip"], str(r.get(f"{a}_port", "")), r[f"{b}_ip"], str(r.get(f"{b}_port", ""))] |= names_of(r)
        for row in rows:
            got = by_flow.get((row["src"], row["sport"], row["dst"], row["dport"]), set())
            kind = row["kind"] + ("/udp" if row["proto"] == "udp" else "/tcp")
            ok = normal(row["sni"]) in {normal(g) for g in got}
            key = (capture, row["src"], row["sport"], row["sni"])
            if not ok and key in known:
                used.add(key)
                tally[kind, "explained"] += 1
                continue
            tally[kind, "right" if ok else "wrong"] += 1
            if not ok:
                wrong.append(f"{capture}\t{row['src']}\t{row['sport']}\t{row['sni']}\tgot {sorted(got)} (layers {row['ip_layers']}, segments {row['ch_segments']})")
    for (kind, verdict), n in sorted(tally.items()):
        print(f"{kind:12} {verdict:10} {n}")
    unused = set(known) - used
    print("\n".join(wrong if verbose or len(wrong) < 40 else wrong[:40]))
    for key in sorted(unused):
        print("no longer differs, take it out of names.expected:", *key)
    sys.exit(1 if wrong or unused else 0)


main()
