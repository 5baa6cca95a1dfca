#!/usr/bin/env python3
"""Acknowledged and captured bytes of every TCP flow in the captures of names/, counted by a reader of its own from tshark's fields under the rules of the page on
bytes. Flows that differ on purpose are listed one by one, with the reason, in bytes.expected. LEAKTAP_BYTES_STRIDE=n takes every n-th capture.
Usage: bytes_names.py LEAKTAP [-v] [PART OF A CAPTURE'S PATH]"""
import collections
import os
import pathlib
import shutil
import subprocess
import sys

import shared

FIELDS = ("frame.protocols ip.src ipv6.src ip.dst ipv6.dst tcp.srcport tcp.dstport tcp.stream tcp.seq_raw tcp.ack_raw tcp.len tcp.flags tcp.window_size_value "
          "tcp.options.wscale.shift").split()
FIN, SYN, RST, ACK = 1, 2, 4, 16
SLACK = 65536


class Direction:
    """What one side sent, and how much of it the other acknowledged. Positions count from the first byte of the stream."""

    def __init__(self):
        self.base = self.edge = self.scale = None
        self.syn = self.answered = self.guessed = False
        self.others = set()  # starts that a second SYN of this side named
        self.acked, self.fins, self.pieces, self.packets = 0, [], [], 0

    def position(self, seq):
        near = max(self.acked, max((e for _, e in self.pieces[-1:]), default=0))
        return near + ((seq - self.base - near + 2**31) % 2**32 - 2**31)

    def top(self):
        return max((e for _, e in self.pieces), default=0)

    def sent(self, seq, n, flags):
        self.packets += 1
        if flags & SYN:
            if self.syn and self.base != (seq + 1) % 2**32:
                self.others.add((seq + 1) % 2**32)
                return
            if not self.syn and self.base is not None and self.position(seq + 1) > 0:
                return
            if not self.syn:
                self.rebase((seq + 1) % 2**32)
            self.syn = True
            seq += 1
        elif self.base is None or (self.guessed and self.packets == 1):
            self.rebase(seq)
        at = self.position(seq)
        if flags & RST:
            return
        limit = 2**31 if self.edge is None else 2 * max(self.edge, self.top(), self.acked) - self.acked + SLACK
        if n and at + n > 0 and (at <= self.top() or at < limit):
            self.pieces.append((max(at, 0), at + n))
        if flags & FIN and 0 <= at + n:
            self.fins.append(at + n)

    def rebase(self, base):
        by = 0 if self.base is None else self.position(base)
        self.base, self.acked, self.guessed = base, max(self.acked - by, 0), False
        self.edge = None if self.edge is None else self.edge - by
        self.pieces = [(s - by, e - by) for s, e in self.pieces]

    def acknowledged(self, ack, window, scaled):
        self.answered = True
        if self.base is None:
            self.base, self.guessed = ack, True
        if ack in self.others and not self.pieces and not self.acked:
            self.base = ack  # the receiver says which of several answers it took
        if not (self.syn or self.pieces or self.fins or self.acked) and self.packets and ack == (self.base + 1) % 2**32:
            self.base = ack  # all that was seen of the sender is a keep-alive, whose number is one below the stream's next byte
        at, fin = self.position(ack), 1 if self.fins else 0
        advertised = self.top() if self.edge is None else max(self.edge, self.top())
        if at > self.acked and at <= advertised + fin:
            self.acked = at
        if at <= self.acked:
            self.edge = max(self.edge or 0, at + window * (1 if not scaled else 2 ** (14 if self.scale is None else self.scale)))

    def counted(self):
        """acknowledged (None where the receiver is never seen), captured"""
        fin = max((f for f in self.fins if f <= self.acked), default=None)
        acked = self.acked - (1 if fin is not None and self.acked == fin + 1 else 0)
        limit = max((f for f in self.fins if self.acked <= f + 1), default=None)  # what was acknowledged past it refutes a FIN
        unique = end = 0
        for s, e in sorted(self.pieces):
            e = e if limit is None else min(e, limit)
            s = max(s, end)
            if e > s:
                unique, end = unique + e - s, e
        return (acked if self.answered else None), unique


class Stream:
    def __init__(self, a, b):
        self.ends, self.dirs, self.first_flags = (a, b), (Direction(), Direction()), None

    def add(self, v, src):
        flags, d = int(v["tcp.flags"], 16), 0 if src == self.ends[0] else 1
        sender, receiver = self.dirs[d], self.dirs[1 - d]
        if self.first_flags is None:
            self.first_flags = flags
        if flags & SYN:
            shift = v["tcp.options.wscale.shift"]
            receiver.scale = min(int(shift), 14) if shift else 0
            if not shift:
                sender.scale = 0
            elif flags & ACK and sender.syn and sender.scale == 0:
                receiver.scale = 0
        sender.sent(int(v["tcp.seq_raw"]), int(v["tcp.len"]), flags)
        if flags & ACK and not flags & RST:
            receiver.acknowledged(int(v["tcp.ack_raw"]), int(v["tcp.window_size_value"]), not flags & SYN)

    def key(self):
        return min(self.ends), max(self.ends)

    def counts(self):
        """bytes and captured bytes of either end"""
        out = {}
        for end, d in zip(self.ends, self.dirs):
            acked, unique = d.counted()
            visible = self.dirs[1 - self.ends.index(end)].packets > 0
            out[end] = (acked or 0 if visible else unique, unique)
        return out


def truth(capture):
    cmd = ["tshark", "-r", str(capture), "-o", "tcp.relative_sequence_numbers:FALSE", "-Y", "tcp && !icmp && !icmpv6", "-T", "fields", "-E", "occurrence=l"]
    done = subprocess.run(cmd + [x for f in FIELDS for x in ("-e", f)], capture_output=True, text=True, timeout=300)
    streams = {}
    for line in done.stdout.splitlines():
        v = dict(zip(FIELDS, line.split("\t")))
        if not v["tcp.seq_raw"] or not v["tcp.len"] or not v["tcp.window_size_value"]:
            continue  # cut inside the TCP header
        inner = [x for x in v["frame.protocols"].split(":") if x in ("ip", "ipv6")][-1]
        src, dst = ((v[f"{inner}.{k}"], int(v[f"tcp.{k}port"])) for k in ("src", "dst"))
        stream = streams.setdefault(v["tcp.stream"], Stream(src, dst))
        if src in stream.ends:
            stream.add(v, src)
    by_key = collections.defaultdict(list)
    for s in streams.values():
        by_key[s.key()].append(s.counts())
    return by_key


def told(leaktap, capture):
    by_key = collections.defaultdict(list)
    for r in shared.flows(shared.records(leaktap, [capture], codes=(0, 3))):
        if r["proto"] != "TCP":
            continue
        ours, src, dst = r["leaktap"], (r["src_ip"], r["src_port"]), (r["dest_ip"], r["dest_port"])
        by_key[min(src, dst), max(src, dst)].append({
            src: (ours["bytes_up"], ours["bytes_up"] - ours["gap_up"] + ours["unacked_up"]),
            dst: (ours["bytes_down"], ours["bytes_down"] - ours["gap_down"] + ours["unacked_down"])})
    return by_key


def explained():
    rows = {}
    for line in pathlib.Path(__file__).with_name("bytes.expected").read_text().splitlines():
        if line and not line.startswith("#"):
            capture, flow, truth_text, ours_text, reason = line.split("\t")
            rows[capture, flow, truth_text, ours_text] = reason
    return rows


def text(counts, key):
    """acknowledged/captured of the lower end, then of the higher one; flows of the same ends after each other"""
    return " ".join("/".join(str(x) for end in key for x in c.get(end, (0, 0))) for c in counts) or "-"


def compare(leaktap, folder, capture):
    name, ours, theirs = str(capture.relative_to(folder)), told(leaktap, capture), truth(capture)
    for key in sorted(set(ours) | set(theirs)):
        a, b = text(theirs.get(key, []), key), text(ours.get(key, []), key)
        yield a == b, (name, "-".join(f"{ip}:{port}" for ip, port in key), a, b)


def main():
    leaktap, folder = sys.argv[1], shared.need("names")
    if not shutil.which("tshark"):
        print("SKIPPED: no tshark")
        sys.exit(77)
    verbose, only = "-v" in sys.argv, [a for a in sys.argv[2:] if a != "-v"]
    stride = int(os.environ.get("LEAKTAP_BYTES_STRIDE", "1"))
    captures = [p for p in sorted(folder.rglob("*.pcap*")) if not only or only[0] in str(p)][::stride]
    known, used, wrong, equal = explained(), set(), [], 0
    for capture in captures:
        for same, row in compare(leaktap, folder, capture):
            equal += same
            if not same and row in known:
                used.add(row)
            elif not same:
                wrong.append(row)
    print(f"{len(captures)} captures, {equal} TCP flows equal, {len(used)} explained, {len(wrong)} wrong")
    for row in wrong if verbose else wrong[:60]:
        print("\t".join(row))
    stale = set(known) - used if not only and stride == 1 else set()
    for row in sorted(stale):
        print("no longer differs, take it out of bytes.expected:", *row)
    sys.exit(1 if wrong or stale or not equal else 0)


main()
