#!/usr/bin/env python3
"""Uploads by real clients: names and acknowledged bytes equal truth.tsv (tshark), also where a quarter of the packets was lost; hostile captures neither
crash nor hang. Usage: captures.py LEAKTAP"""
import csv
import sys

import shared


def check(row, leaktap, folder):
    recs = shared.flows(shared.records(leaktap, [folder / row["file"]]))
    found = [r for r in recs if r["src_ip"] == row["client"] and r.get("src_port") == int(row["cport"]) and r["dest_ip"] == row["server"]]
    if len(found) != 1:
        return [f"{row['file']}: {len(found)} flows for the row"]
    ours, tcp = found[0]["leaktap"], row["proto"] == "tcp"
    want = {"name": row["sni"], "bytes_up": int(row["acked_up" if tcp else "unique_up"]), "bytes_down": int(row["acked_down" if tcp else "unique_down"]),
            "basis_up": "ack" if tcp else "udp_payload", "name_source": "tls_sni" if tcp else "quic_sni"}
    bad = [f"{row['file']}: {k} is {ours.get(k)!r}, truth {v!r}" for k, v in want.items() if ours.get(k) != v]
    if tcp and ours["bytes_up"] - ours["gap_up"] + ours["unacked_up"] != int(row["unique_up"]):
        bad.append(f"{row['file']}: acknowledged - gap + unacked is not the {row['unique_up']} captured bytes")
    print(f"{row['file']}: {ours.get('name')} up {ours['bytes_up']} (gap {ours['gap_up']}) down {ours['bytes_down']}: {'ok' if not bad else 'WRONG'}")
    return bad


def main():
    leaktap, folder = sys.argv[1], shared.need("captures")
    bad = []
    with open(folder / "truth.tsv", newline="") as f:
        for row in csv.DictReader(f, delimiter="\t"):
            bad += check(row, leaktap, folder)
    for hostile in sorted(shared.need("hostile").glob("*.pcap")):
        recs = shared.records(leaktap, [hostile])
        print(f"{hostile.name}: survived, {len(recs)} records")
        if not recs:
            bad.append(f"{hostile.name}: nothing was told")
    print("\n".join(bad))
    sys.exit(1 if bad else 0)


main()
