#!/usr/bin/env python3
"""evsets.py EVPRINT [SHARED]: what evparse makes of real logs, row by row, against this script's own reading of the same rows and
against truth.csv, which was made from packets. Exit 77 where the logs are absent."""
import csv
import glob
import ipaddress
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timezone

COLUMNS = ("line kind source clock flags time logged received device proto lip lport rip rport path pid uid domain user id "
           "cmdline parent ppid file dns").split()
SYSMON = {1: "proc_start", 5: "proc_end", 11: "file_create", 22: "dns", 23: "file_delete", 26: "file_delete"}
SECURITY = {4624: "logon", 4688: "proc_start", 4689: "proc_end"}
failures = 0


def wrong(*words):
    global failures
    failures += 1
    if failures < 40:
        print("WRONG", *words)


def evprint(program, path, *options):
    out = subprocess.run([program, *options, path], capture_output=True, text=True, check=False)
    if out.returncode != 0:
        wrong(path, "exit", out.returncode, out.stderr[-300:])
    events, notes = {}, []
    for row in out.stdout.splitlines():
        if row.startswith("#note"):
            notes.append(row.split("\t")[1:])
        elif not row.startswith("#"):
            event = dict(zip(COLUMNS, row.split("\t")))
            events[int(event["line"])] = event
    return events, notes


def ip(text):
    address = ipaddress.ip_address(text.split("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def ns(text):
    """Of the stamps these logs hold, read as UTC."""
    text = text.rstrip("Z").replace("T", " ")
    whole, _, fraction = text.partition(".")
    seconds = int(datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp())
    return seconds * 10**9 + int((fraction + "000000000")[:9] or 0)


def fields_of(row):
    """The event's own fields, whatever holds them, and its id."""
    data, event = dict(row), row.get("EventID")
    message = row.get("SyslogMessage", "")
    xml = message if message.startswith("<Event>") else row.get("EventData") or ""
    if isinstance(xml, str) and xml.startswith("<"):
        for name, value in re.findall(r'<Data Name="([^"]*)">([^<]*)</Data>', xml):
            for entity, plain in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
                value = value.replace(entity, plain)
            data[name] = value
    elif isinstance(xml, str) and xml.startswith("{"):
        data.update(json.loads(xml))
    found = re.search(r"<EventID>(\d+)</EventID>", message)
    if found:
        event = int(found.group(1))
    sysmon = "Sysmon" in str(row.get("Channel", "")) or "Linux-Sysmon" in message
    return data, event, sysmon


def expected(row):
    data, event, sysmon = fields_of(row)
    want = {"kind": (SYSMON if sysmon else SECURITY).get(event, "other")}
    if sysmon and event == 3:
        out = str(data["Initiated"]).lower() == "true"
        source, destination = (ip(data["SourceIp"]), int(data["SourcePort"])), (ip(data["DestinationIp"]), int(data["DestinationPort"]))
        if not source[1] or not destination[1]:
            return {"refused": "port_zero"}
        want.update(kind="connect" if out else "accept", proto={"tcp": "6", "udp": "17"}[data["Protocol"]])
        ends(want, source if out else destination, destination if out else source)
    if not sysmon and event in (5156, 5157, 5158) and data["Protocol"] in ("6", "17"):
        inbound = data.get("Direction") == "%%14592"
        source = (ip(data["SourceAddress"]), int(data["SourcePort"]))
        want.update(kind={5157: "failed", 5158: "listen"}.get(event, "accept" if inbound else "connect"), proto=data["Protocol"])
        if event == 5158:
            ends(want, source, ("", 0))
        else:
            destination = (ip(data["DestAddress"]), int(data["DestPort"]))
            ends(want, destination if inbound else source, source if inbound else destination)
        want["path"] = data["Application"]
        want["pid"] = data.get("ProcessID") or data.get("ProcessId")
    if sysmon and want["kind"] != "other":
        image = data["Image"].replace("&lt;", "<").replace("&gt;", ">")
        guid = data["ProcessGuid"]
        want.update(path="" if image == "-" else image, pid=data.get("ProcessId", "0"), uid="" if set(guid) <= set("{}-0") else guid)
        want["time"] = str(ns(data["UtcTime"]))
    if event == 4688 and not sysmon:
        want.update(path=data["NewProcessName"], pid=str(int(data["NewProcessId"], 16)), ppid=str(int(data["ProcessId"], 16)))
    if not sysmon and "EventTime" in row and "EventReceivedTime" in row:
        way = ns(row["@timestamp"]) - ns(row["EventReceivedTime"])
        want["time"] = str(ns(row["EventTime"]) + way // (900 * 10**9) * 900 * 10**9)
    want["device"] = row.get("Computer") or row.get("Hostname")
    return want


def ends(want, local, remote):
    want.update(lip=local[0], lport=str(local[1]), rip=remote[0], rport=str(remote[1]))


def check_file(program, path):
    events, notes = evprint(program, path)
    refused = {int(re.search(r":(\d+): ", text).group(1)): why for why, text in notes}
    n = 0
    for n, text in enumerate(open(path, encoding="utf-8"), 1):
        want = expected(json.loads(text))
        if "refused" in want:
            if refused.pop(n, None) != want["refused"]:
                wrong(path, n, "not refused as", want["refused"])
            continue
        got = events.get(n)
        if not got:
            wrong(path, n, "no event", refused.get(n))
            continue
        for key, value in want.items():
            if got[key] != str(value):
                wrong(path, n, key, "got", got[key], "want", value)
    for line, why in refused.items():
        wrong(path, line, "refused", why)
    if len(events) + len(notes) != n:
        wrong(path, "rows", n, "events", len(events), "notes", len(notes))
    odd, _ = evprint(program, path, "-c", "7")
    if odd != events:
        wrong(path, "differs when fed seven bytes at a time")
    return events, n


def check_truth(path, events):
    """Every flow side whose owner was found in the log must be among our events with that owner."""
    by_tuple = {}
    for event in events.values():
        if event["kind"] in ("connect", "accept"):
            key = (event["device"].lower(), event["proto"], *sorted([(event["lip"], event["lport"]), (event["rip"], event["rport"])]))
            by_tuple.setdefault(key, []).append(event)
    n = 0
    for side in csv.DictReader(open(path, encoding="utf-8")):
        if not side["image"] or not side["pid"]:
            continue
        pair = sorted([(ip(side["local_ip"]), side["local_port"]), (ip(side["remote_ip"]), side["remote_port"])])
        found = by_tuple.get((side["host"].lower(), {"tcp": "6", "udp": "17"}[side["proto"]], *pair), [])
        name = re.split(r"[\\/]", side["image"].replace("&lt;", "<").replace("&gt;", ">"))[-1].lower()
        n += 1
        if not any(re.split(r"[\\/]", e["path"])[-1].lower() == name and e["pid"] == side["pid"] for e in found):
            wrong(path, side["host"], pair, side["image"], side["pid"], "among", [(e["path"], e["pid"]) for e in found][:3])
        stamp = side["sysmon3_utctime"]
        if stamp and not any(int(e["time"]) == ns(stamp) for e in found):
            wrong(path, side["host"], pair, "no event at", stamp)
    return n


def main():
    shared = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("LEAKTAP_SHARED", "../shared")
    logs = sorted(glob.glob(shared + "/data/join/sets/*/events.jsonl")) + sorted(glob.glob(shared + "/data/join/vmconnection/*.json"))
    if not logs:
        print("SKIPPED: no real logs under", shared + "/data/join")
        return 77
    rows = sides = 0
    for path in logs:
        events, n = check_file(sys.argv[1], path)
        rows += n
        truth = os.path.join(os.path.dirname(path), "truth.csv")
        if os.path.exists(truth):
            sides += check_truth(truth, events)
    print(len(logs), "logs,", rows, "rows,", sides, "owned flow sides,", failures, "wrong")
    return 1 if failures else 0


sys.exit(main())
