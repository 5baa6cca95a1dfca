#!/usr/bin/env python3
"""Rows of the page on bytes that only the whole program can show: frames of every odd size and link type (A42), the datagram that hangs Debian's nDPI, in
fragments (A43), checksums (A04, A05). The captures are written here, by hand. Usage: wire.py LEAKTAP"""
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time

import shared

T0 = 1_772_442_862
ETHERNET = bytes.fromhex("020000000002020000000001")
# link type -> what stands before an IPv4 packet
LINKS = {
    1: ETHERNET + b"\x08\x00", 0: struct.pack("<I", 2), 108: struct.pack(">I", 2), 12: b"", 101: b"", 228: b"", 9: b"\x00\x21", 50: b"\xff\x03\x00\x21",
    113: struct.pack(">HHH8sH", 0, 1, 6, bytes(8), 0x0800), 276: struct.pack(">HHIHBB8s", 0x0800, 0, 1, 1, 0, 6, bytes(8)),
}
REFUSED = {105: "IEEE802_11", 127: "IEEE802_11_RADIO", 189: "USB_LINUX", 143: "DOCSIS"}


def pcap(path, link, frames):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link))
        for i, frame in enumerate(frames):
            f.write(struct.pack("<IIII", T0 + i // 1000, i % 1000 * 1000, len(frame), len(frame)) + frame)


def total(data):
    data += b"\0" * (len(data) % 2)
    x = sum(struct.unpack(f">{len(data) // 2}H", data))
    while x >> 16:
        x = (x & 0xFFFF) + (x >> 16)
    return x


def ipv4(src, dst, proto, payload, ident=0, frag=0x4000):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, frag, 64, proto, 0, socket.inet_aton(src), socket.inet_aton(dst))
    return head[:10] + struct.pack(">H", 0xFFFF ^ total(head)) + head[12:] + payload


def tcp(up, seq, ack, flags, payload=b"", checksum=None):
    src, dst = ("10.0.0.1", "192.0.2.9") if up else ("192.0.2.9", "10.0.0.1")
    sport, dport = (50000, 443) if up else (443, 50000)
    head = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 64000, 0, 0)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack(">HH", 6, len(head) + len(payload))
    right = 0xFFFF ^ total(pseudo + head + payload)
    return ipv4(src, dst, 6, head[:16] + struct.pack(">H", right if checksum is None else checksum) + head[18:] + payload)


def upload(n, checksum=None):
    """A connection that sends n bytes up; checksum: what the client's segments carry."""
    yield tcp(True, 999, 0, 2, checksum=checksum)
    yield tcp(False, 8999, 1000, 18)
    yield tcp(True, 1000, 9000, 16, checksum=checksum)
    for at in range(0, n, 1000):
        some = min(1000, n - at)
        yield tcp(True, 1000 + at, 9000, 24, bytes(some), checksum)
        yield tcp(False, 9000, 1000 + at + some, 16)
    yield tcp(True, 1000 + n, 9000, 17, checksum=checksum)
    yield tcp(False, 9000, 1001 + n, 17)
    yield tcp(True, 1001 + n, 9001, 16, checksum=checksum)


class Wire:
    def __init__(self, leaktap, folder):
        self.leaktap, self.path, self.bad = leaktap, pathlib.Path(folder) / "x.pcap", []
        self.n = 0

    def expect(self, what, got, want):
        self.n += 1
        ok = got == want
        print(f"{what}: {got if ok else f'{got!r}, expected {want!r}'}")
        if not ok:
            self.bad.append(what)

    def replay(self, link, frames, options=()):
        pcap(self.path, link, frames)
        recs = shared.records(self.leaktap, [self.path], options=list(options))
        return [(r["leaktap"]["bytes_up"], sorted(r["leaktap"]["flags"])) for r in shared.flows(recs)], [r for r in recs if r["event_type"] == "stats"][-1]

    def links(self):
        for link, before in LINKS.items():
            flows, _ = self.replay(link, [before + p for p in upload(2500)])
            self.expect(f"link type {link}", flows, [(2500, [])])
        for link, name in REFUSED.items():
            pcap(self.path, link, [bytes(60)])
            done = subprocess.run([self.leaktap, "-r", str(self.path), "-o", "-", "-q"], capture_output=True, text=True, timeout=60)
            self.expect(f"link type {link} refused", (done.returncode, name in done.stderr), (2, True))

    def odd_frames(self):
        frames = [(ETHERNET + b"\x08\x00")[:n] for n in range(14)]
        frames += [ETHERNET + struct.pack(">H", t) + bytes(46) for t in (0x0806, 0x88CC, 0x1234, 0x8999)]
        jumbo = [ETHERNET + b"\x08\x00" + p for p in (*upload(0), tcp(True, 1000, 9000, 24, bytes(8946)), tcp(False, 9000, 9946, 16))]
        flows, stats = self.replay(1, frames + jumbo)
        self.expect("a jumbo frame of 9,000 bytes after frames of 0 to 13 bytes and unknown types", flows[0][0], 8946)
        packets = sum(v["packets"] for v in stats["leaktap"]["decode"].values()) if "leaktap" in stats else None
        if packets is not None:
            self.expect("every frame has a row", packets, len(frames) + len(jumbo))

    def dns_hang(self):
        """65,421 bytes of DNS that keep nDPI 4.2 busy for minutes when it is given them whole."""
        dns = struct.pack(">HHHHHH", 1, 0x8180, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF) + b"\xc0\x0c" * ((65421 - 12) // 2)
        udp = struct.pack(">HHHH", 53, 40000, 8 + len(dns), 0) + dns
        frames = [ETHERNET + b"\x08\x00" + ipv4("192.0.2.53", "10.0.0.1", 17, udp[at:at + 1480], 77, at // 8 | (0x2000 if at + 1480 < len(udp) else 0))
                  for at in range(0, len(udp), 1480)]
        begin = time.monotonic()
        flows, _ = self.replay(1, frames * 20)
        took = time.monotonic() - begin
        self.expect("65,421 bytes of DNS in fragments, 20 times: quick", took < 20, True)
        self.expect("... counted", len(flows), 1)

    def checksums(self):
        for options, checksum, want in (((), 0xFFFF, []), (("-k",), 0xFFFF, ["bad_checksum", "csum_offload"]), (("-k",), None, [])):
            flows, _ = self.replay(1, [ETHERNET + b"\x08\x00" + p for p in upload(20000, checksum)], options)
            self.expect(f"checksums {checksum} {' '.join(options)}", [(b, [f for f in flags if "checksum" in f or "csum" in f]) for b, flags in flows],
                        [(20000, want)])


def main():
    with tempfile.TemporaryDirectory() as folder:
        wire = Wire(sys.argv[1], folder)
        wire.links()
        wire.odd_frames()
        wire.dns_hang()
        wire.checksums()
    print(f"{wire.n} checks, {len(wire.bad)} wrong")
    sys.exit(f"WRONG: {', '.join(wire.bad)}" if wire.bad else 0)


main()
