#!/usr/bin/env python3
"""Bytes per process as an endpoint agent counted them (VMConnection: sent and received per connection) against ours from the capture of the same minutes, and
the owner of each flow from the syslog of the Linux Sysmon that ran there. Usage: vmconnection.py LEAKTAP"""
import json
import sys

import shared

SET = "log4shell_cve2021_44228_jndi_reference_2022-05-11181020"
# Whole minutes of other traffic of the agent, not in the capture.
NOT_CAPTURED = {"127.0.0.1"}


def agent_rows(folder):
    for line in (folder / f"vminsights_vmconnection_{SET}.json").read_text().splitlines():
        row = json.loads(line)
        if row.get("Type") == "VMConnection" and row["SourceIp"] not in NOT_CAPTURED:
            yield row


def base(process):
    return (process.get("path") or process.get("name") or "").rsplit("/", 1)[-1]


def check(row, flows):
    inbound = row["Direction"] == "inbound"
    found = [r for r in flows if (r["src_ip"], r["dest_ip"], r["dest_port"]) == (row["SourceIp"], row["DestinationIp"], row["DestinationPort"])]
    if len(found) != 1:
        return [f"{row['ProcessName']} {row['DestinationIp']}:{row['DestinationPort']}: {len(found)} flows"]
    ours = found[0]["leaktap"]
    # The agent counts from where its host stands: what it sent is what flows down where it answered.
    sent, received = (ours["bytes_down"], ours["bytes_up"]) if inbound else (ours["bytes_up"], ours["bytes_down"])
    bad = []
    if (sent, received) != (row["BytesSent"], row["BytesReceived"]):
        bad.append(f"sent {sent}, received {received}, the agent has {row['BytesSent']}, {row['BytesReceived']}")
    # Sysmon for Linux tells of connects only; the answering side has no event here.
    if not inbound:
        if ours["outcome"] != "attributed" or base(ours["process"]) != row["ProcessName"]:
            bad.append(f"owner {ours['outcome']} {ours.get('cause')} {ours.get('process')}, the agent has {row['ProcessName']}")
        elif ours["grade"] not in "AB":
            bad.append(f"grade {ours['grade']}")
    who = f"{base(ours['process'])} pid {ours['process'].get('pid')} grade {ours['grade']}" if "process" in ours else ours["outcome"]
    print(f"{row['Direction']:8} {row['ProcessName']:5} {row['SourceIp']} -> {row['DestinationIp']}:{row['DestinationPort']} sent {sent} received {received}, {who}: "
          f"{'ok' if not bad else 'WRONG'}")
    return [f"{row['ProcessName']} {row['DestinationIp']}:{row['DestinationPort']}: {b}" for b in bad]


def main():
    leaktap, folder = sys.argv[1], shared.need("join", "vmconnection")
    recs = shared.records(leaktap, [folder / f"pcap_{SET}.pcap"], [folder / f"syslog_sysmon_{SET}.json"], ["--join", "all"], codes=(0, 3))
    flows, bad, rows = shared.flows(recs), [], 0
    for row in agent_rows(folder):
        rows += 1
        bad += check(row, flows)
    print("\n".join([*bad, f"{rows} connections, {len(bad)} differences"]))
    sys.exit(1 if bad or rows != 4 else 0)


main()
