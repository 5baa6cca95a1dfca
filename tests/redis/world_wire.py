"""What a random world leaves behind: packets as a capture (raw IP) and endpoint events as lines of Defender, Sysmon and Security logs.

Times are whole microseconds. Every byte that a receiver acknowledged is known from how the packets are made."""

import json
import socket
import struct
from datetime import datetime, timedelta, timezone

S = 1_000_000
MS = 1000
HOUR = 3600 * S  # a report is written at the end of the hour that it tells of
LINKTYPE_RAW = 101
FIN, SYN, PSH, ACK = 1, 2, 8, 16
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def address(ip):
    return socket.inet_ntop(socket.AF_INET if len(ip) == 4 else socket.AF_INET6, ip)


def stamp(us, digits=6):
    t = EPOCH + timedelta(microseconds=us)
    return t.strftime("%Y-%m-%dT%H:%M:%S.") + ("%06d" % t.microsecond)[:digits] + "Z"


# ---- packets ----

def ip_packet(src, dst, proto, body):
    if len(src) == 4:
        return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0x4000, 64, proto, 0, src, dst) + body
    return struct.pack(">IHBB16s16s", 6 << 28, len(body), proto, 64, src, dst) + body


def hello(name):
    """A ClientHello with that server name and nothing unusual."""
    host = name.encode()
    sni = struct.pack(">HHHBH", 0, len(host) + 5, len(host) + 3, 0, len(host)) + host
    versions = bytes.fromhex("002b0003020304")
    groups = bytes.fromhex("000a00040002001d")
    extensions = sni + versions + groups
    body = (b"\x03\x03" + bytes(range(32)) + b"\x00" + struct.pack(">H", 4) + bytes.fromhex("13011302") + b"\x01\x00" +
            struct.pack(">H", len(extensions)) + extensions)
    shake = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack(">H", len(shake)) + shake


class Tcp:
    """One connection: packets in order of time. Data is acknowledged a millisecond later unless it is said not to be."""

    def __init__(self, client, server, isn):
        self.ends = (client, server)
        self.seq = [isn & 0xffffffff, (isn * 7 + 99) & 0xffffffff]
        self.packets = []  # (time, bytes, handshake?)

    def send(self, t, way, flags, data=b"", handshake=False):
        (src, sport), (dst, dport) = self.ends[way], self.ends[1 - way]
        ack = self.seq[1 - way] if flags & ACK else 0
        head = struct.pack(">HHIIBBHHH", sport, dport, self.seq[way], ack, 0x50, flags, 65535, 0, 0)
        self.packets.append((t, ip_packet(src, dst, 6, head + data), handshake))
        self.seq[way] = (self.seq[way] + len(data) + (1 if flags & (SYN | FIN) else 0)) & 0xffffffff

    def open(self, t):
        self.send(t, 0, SYN, handshake=True)
        self.send(t + MS, 1, SYN | ACK, handshake=True)
        self.send(t + 2 * MS, 0, ACK, handshake=True)

    def data(self, t, way, payload, acked=True):
        self.send(t, way, PSH | ACK, payload)
        if acked:
            self.send(t + MS, 1 - way, ACK)

    def close(self, t):
        self.send(t, 0, FIN | ACK)
        self.send(t + MS, 1, FIN | ACK)
        self.send(t + 2 * MS, 0, ACK)


class Udp:
    def __init__(self, client, server, isn):
        self.ends = (client, server)
        self.packets = []

    def open(self, t):
        pass

    def data(self, t, way, payload, acked=True):
        (src, sport), (dst, dport) = self.ends[way], self.ends[1 - way]
        self.packets.append((t, ip_packet(src, dst, 17, struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload), False))

    def close(self, t):
        pass


def with_time(packets):
    """Something goes over any wire every few minutes; a capture in which time leaps is another test's business."""
    begin, end = min(t for t, _ in packets), max(t for t, _ in packets)
    other = b"\x50" + bytes(27)  # no IP: a frame that is not a flow's
    return packets + [(t, other) for t in range(begin + 1, end, 300 * S)]


def write_pcap(path, packets):
    out = [struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, LINKTYPE_RAW)]
    for t, data in sorted(packets, key=lambda p: p[0]):
        out.append(struct.pack("<IIII", t // S, t % S, len(data), len(data)) + data)
    with open(path, "wb") as f:
        f.write(b"".join(out))


# ---- events ----

PROTOCOLS = {6: "Tcp", 17: "Udp"}


def mde_head(device, number, t, action):
    return {"Timestamp": stamp(t), "DeviceId": device.id, "DeviceName": device.name, "ReportId": number, "ActionType": action}


def mde_process(p):
    return {"InitiatingProcessFileName": p.name, "InitiatingProcessId": p.pid, "InitiatingProcessCreationTime": stamp(p.start),
            "InitiatingProcessFolderPath": "c:\\tools\\" + p.name, "InitiatingProcessAccountName": "user"}


def mde(e):
    action = {"connect": "ConnectionSuccess", "accept": "InboundConnectionAccepted", "found": "ConnectionFound",
              "report": "ConnectionSuccessAggregatedReport"}[e.kind]
    row = mde_head(e.device, e.number, e.raw + (HOUR if e.kind == "report" else 0), action)
    row.update(mde_process(e.process))
    row.update({"LocalIP": address(e.ip), "Protocol": PROTOCOLS[e.proto]})
    if e.kind != "report":
        row["LocalPort"] = e.lport
    if e.remote:
        row.update({"RemoteIP": address(e.remote[0]), "RemotePort": e.remote[1]})
    return row


def sysmon_guid(device, start):
    seconds = start // S
    return "{%s-%04x-%04x-0000-%012x}" % (device.id[:8], seconds & 0xffff, seconds >> 16, start % (1 << 48))


def windows_stamp(us):
    return stamp(us, 3)[:-1].replace("T", " ")


def ends(e, inbound):
    own, far = (address(e.ip), e.lport), (address(e.remote[0]), e.remote[1])
    return far + own if inbound else own + far


def sysmon(e):
    inbound = e.kind == "accept"
    src, sport, dst, dport = ends(e, inbound)
    return {"EventID": 3, "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": e.device.name, "EventRecordID": e.number,
            "TimeCreated": stamp(e.raw + S, 3), "UtcTime": windows_stamp(e.raw), "ProcessGuid": sysmon_guid(e.device, e.process.start),
            "ProcessId": str(e.process.pid), "Image": "C:\\tools\\" + e.process.name, "User": "lab\\user",
            "Protocol": PROTOCOLS[e.proto].lower(), "Initiated": "false" if inbound else "true", "SourceIp": src,
            "SourcePort": str(sport), "DestinationIp": dst, "DestinationPort": str(dport)}


def security(e):
    inbound = e.kind == "accept"
    src, sport, dst, dport = ends(e, inbound)
    return {"EventID": 5156, "Channel": "Security", "Computer": e.device.name, "EventRecordID": e.number,
            "TimeCreated": stamp(e.raw, 3), "ProcessID": str(e.process.pid),
            "Application": "\\device\\harddiskvolume2\\tools\\" + e.process.name, "Protocol": str(e.proto),
            "Direction": "%%14592" if inbound else "%%14593", "SourceAddress": src, "SourcePort": str(sport), "DestAddress": dst,
            "DestPort": str(dport)}


FORMATS = {"mde": mde, "sysmon": sysmon, "security": security}


def line(e):
    return json.dumps(FORMATS[e.device.source](e), separators=(",", ":"))


def life_line(x):
    """A sign of life that is no connection: a program was started that nobody asks about."""
    d = x.device
    if d.source == "mde":
        row = mde_head(d, x.number, x.t + d.skew, "ProcessCreated")
        row.update({"FileName": "idle.exe", "ProcessId": 77, "ProcessCreationTime": stamp(x.t + d.skew),
                    "InitiatingProcessFileName": "init.exe", "InitiatingProcessId": 8})
    elif d.source == "sysmon":  # its other clock follows the wall
        row = {"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": d.name, "EventRecordID": x.number,
               "TimeCreated": stamp(x.t, 3), "UtcTime": windows_stamp(x.t), "ProcessGuid": sysmon_guid(d, x.t), "ProcessId": "77",
               "Image": "C:\\tools\\idle.exe", "User": "lab\\user"}
    else:
        row = {"EventID": 4688, "Channel": "Security", "Computer": d.name, "EventRecordID": x.number,
               "TimeCreated": stamp(x.t + d.skew, 3), "NewProcessName": "C:\\tools\\idle.exe", "NewProcessId": "0x4d"}
    return json.dumps(row, separators=(",", ":"))
