#!/usr/bin/env python3
"""Real captures with real Sysmon and Security events of the same runs: every flow-side that truth.csv attributes goes to that process or honestly to D or U;
none to a wrong one; sides the truth leaves open are given to nobody the truth would not know of. Usage: join.py LEAKTAP [-v]"""
import collections
import csv
import datetime
import ipaddress
import sys

import shared


def base(path):
    return path.replace("/", "\\").rsplit("\\", 1)[-1].lower()


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def sides(recs):
    """(proto, local ip, local port, remote ip, remote port) -> [(start, owner object, flow record)]"""
    out = collections.defaultdict(list)
    for r in recs:
        if "src_port" not in r:
            continue
        src, dst = (str(ipaddress.ip_address(r[k])) for k in ("src_ip", "dest_ip"))
        start, ours = when(r["flow"]["start"]), r["leaktap"]
        out[r["proto"].lower(), src, r["src_port"], dst, r["dest_port"]].append((start, ours, r))
        out[r["proto"].lower(), dst, r["dest_port"], src, r["src_port"]].append((start, ours.get("dest"), r))
    return out


def judge(row, owner, connect_seen):
    attributed = row["status"].startswith("attributed")
    if owner is None or owner["outcome"] != "attributed":
        grade = "-" if owner is None else owner["grade"]
        return ("open " if attributed and connect_seen else "none ") + grade
    process = owner["process"]
    if not attributed:
        return "extra " + owner["grade"]
    # Sysmon's "<unknown process>" is a name nobody has; the Security log of the same pid says which process it was.
    same = base(process.get("path") or process.get("name") or "") == base(row["image"]) or "unknown process" in row["image"]
    other_pid = row["pid"] and row["pid"] != "0" and process.get("pid") and int(row["pid"]) != process["pid"]
    return ("right " if same and not other_pid else "WRONG ") + owner["grade"]


def check_set(folder, leaktap, verbose):
    captures = sorted(p for p in folder.iterdir() if p.suffix in (".cap", ".pcap", ".pcapng"))
    by_side = sides(shared.flows(shared.records(leaktap, captures, [folder / "events.jsonl"], ["--join", "all"], codes=(0, 3))))
    tally, notes = collections.Counter(), []
    with open(folder / "truth.csv", newline="") as f:
        for row in csv.DictReader(f):
            key = (row["proto"], str(ipaddress.ip_address(row["local_ip"])), int(row["local_port"]), str(ipaddress.ip_address(row["remote_ip"])), int(row["remote_port"]))
            found = by_side.get(key)
            if not found:
                # Rows that stand for the quoted header of an ICMP error are no flows of ours.
                tally["missing" if row["status"] == "attributed" else "quoted"] += 1
                if row["status"] == "attributed":
                    notes.append(f"no flow for {key}")
                continue
            start, owner, record = min(found, key=lambda x: abs(x[0] - when(row["flow_start_utc"])))
            verdict = judge(row, owner, row["has_syn"] == "1" or row["proto"] == "udp")
            tally[verdict] += 1
            if verdict.startswith(("WRONG", "open", "extra")) and (verbose or not verdict.startswith("open")):
                who = owner and owner.get("process", {}).get("name")
                notes.append(f"{verdict} {key} truth {row['status']} {base(row['image'])} {row['pid']}, told {who} {owner and owner.get('process', {}).get('pid')} "
                             f"cause {owner and owner.get('cause')} deltas sysmon {row['sysmon3_delta_ms']} sec {row['sec5156_delta_ms']} "
                             f"evidence {owner and owner.get('evidence')}")
    return tally, notes


def main():
    leaktap, verbose, total, wrong = sys.argv[1], "-v" in sys.argv, collections.Counter(), False
    for folder in sorted(shared.need("join", "sets").iterdir()):
        tally, notes = check_set(folder, leaktap, verbose)
        total.update(tally)
        print(f"{folder.name[:60]:60} " + ", ".join(f"{k} {v}" for k, v in sorted(tally.items())))
        for n in notes:
            print("   ", n)
        wrong |= any(k.startswith("WRONG") or k == "missing" for k in tally)
    print("total:", ", ".join(f"{k} {v}" for k, v in sorted(total.items())))
    good = sum(v for k, v in total.items() if k in ("right A", "right B"))
    asked = good + sum(v for k, v in total.items() if k.startswith(("right C", "right D", "open", "WRONG")))
    print(f"A or B: {good} of {asked} sides whose connect was seen and that have an event ({100 * good / asked:.1f} %)")
    sys.exit(1 if wrong else 0)


main()
