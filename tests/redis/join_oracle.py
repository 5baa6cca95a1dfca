#!/usr/bin/env python3
"""The join script against a brute-force oracle, in a redis-server of its own: random worlds delivered in random order with duplicates,
retries and gaps. With --mutants also each of the mutants that the tests must catch.

usage: join_oracle.py [--seeds N] [--first N] [--mutants]   (from the root of the repository)"""

import argparse
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import defaultdict

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import join_world as jw

TAG = "007"
FILES = ["cell.lua", "cell_resolve.lua", "cell_merge.lua"]


class Redis:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(path)
        self.f = self.s.makefile("rb")

    def __call__(self, *args):
        out = [b"*%d\r\n" % len(args)]
        for a in args:
            a = a if isinstance(a, bytes) else str(a).encode()
            out.append(b"$%d\r\n%s\r\n" % (len(a), a))
        self.s.sendall(b"".join(out))
        r = self.read()
        if isinstance(r, Exception):
            raise r
        return r

    def read(self):
        line = self.f.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            n = int(rest)
            if n < 0:
                return None
            data = self.f.read(n + 2)
            return data[:-2]
        return [self.read() for _ in range(int(rest))]


class Server:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="leaktap-oracle-")
        path = os.path.join(self.dir, "s")
        self.p = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
                                   "--dir", self.dir, "--hash-max-listpack-value", "1024"], stdout=subprocess.DEVNULL)
        for _ in range(3000):
            try:
                self.r = Redis(path)
                break
            except OSError:
                time.sleep(0.02)

    def stop(self):
        self.p.send_signal(signal.SIGKILL)
        self.p.wait()
        shutil.rmtree(self.dir)


# ---- packing, by the description in cell.h ----

def remote_bytes(remote):
    ip, port = remote
    if len(ip) == 4:
        return ip + struct.pack(">H", port)
    return ip[-4:] + struct.pack(">H", port)  # any 48-bit name does


def field(x):
    head = bytes([0, x.proto]) + struct.pack(">H", x.lport)
    if jw.serves(x.lport, x.remote):
        return b"s" + head + remote_bytes(x.remote) + x.ip
    return b"p" + head + x.ip


def record(kind, t, f):
    return kind + b"%02x" % (sum(f) % 32) + struct.pack(">IB", t // jw.BUCKET, len(f)) + f


def tail(e):
    return (struct.pack(">Q", e.stop) if e.stop else b"") + (struct.pack(">Q", e.last) if e.last else b"")


def flags(e):
    return (1 if e.cal else 0) | (2 if e.found else 0) | (8 if e.stop else 0) | (16 if e.last else 0)


def pack_event(e):
    remote = e.remote is not None and not jw.serves(e.lport, e.remote)
    return record(b"E", e.t, field(e)) + e.id + e.p + struct.pack(">IB", e.t % jw.BUCKET, flags(e) | (4 if remote else 0)) + (
        remote_bytes(e.remote) if remote else b"") + tail(e)


def pack_report(e):
    f = b"d" + bytes([0, e.proto]) + remote_bytes(e.remote) + e.ip
    return record(b"D", e.t, f) + e.p + struct.pack(">BI", flags(e), e.t % jw.BUCKET) + e.id + tail(e)


def pack_flow(f, tap, updates):
    source, fid, start, last, mid, _ = tap
    base = start // jw.BUCKET
    fl = (1 if mid else 0) | (2 if f.seek else 0) | (4 if f.side else 0)
    out = record(b"F", start, field(f)) + struct.pack(">BIIHHQ", fl, start % jw.BUCKET, (last - base * jw.BUCKET) // 1000, f.service,
                                                      source, fid) + remote_bytes(f.remote) + struct.pack(">H", len(updates))
    for at, up, down in updates:
        out += struct.pack(">h", at - base * 6) + struct.pack(">Q", up)[2:] + struct.pack(">Q", down)[2:]
    return out


def unpack_changes(b):
    at = 0
    while at < len(b):
        source, fid, side, ver, grade, key, cause, rivals, svc, up, down, start = struct.unpack_from(">HQBIcBBBHQQQ", b, at)
        at += struct.calcsize(">HQBIcBBBHQQQ")
        n = b[at]
        who = [b[at + 1 + 8 * i:at + 9 + 8 * i] for i in range(n)]
        at += 1 + 8 * n
        n = b[at]
        at += 1 + 12 * n
        yield source, fid, side, ver, grade.decode(), key, cause, rivals, set(who), (up, down)


# ---- one run ----

class Mismatch(Exception):
    pass


def deliveries(world, rng):
    """Per source a list of records in random order, some twice."""
    lists = {1: [], 2: []}
    for e in world.events:
        lists[rng.choice([1, 2])].append((pack_event(e), None))
    for e in world.reports:
        lists[rng.choice([1, 2])].append((pack_report(e), None))
    for f in world.flows:
        for tap in f.taps:
            ups = list(tap[5])
            parts = []
            while ups:  # cumulative records, split anywhere
                n = rng.randrange(1, len(ups) + 1)
                parts.append(ups[:n])
                ups = ups[n:]
            for part in parts:
                lists[tap[0]].append((pack_flow(f, tap, part), (id(f), part)))
    for source, records in lists.items():
        records += [r for r in records if rng.random() < 0.3]
        rng.shuffle(records)
    return lists


def read_rollups(r):
    rows = {}
    for key in r("KEYS", "leaktap:{%s}:r:*" % TAG):
        at = int(key.rsplit(b":", 1)[1])
        flat = r("HGETALL", key)
        for name, value in zip(flat[::2], flat[1::2]):
            p, svc, grade, side, zone = struct.unpack(">8sHcBB", name)
            rows[(at, p, svc, grade.decode(), side)] = tuple(int(x) for x in value.split(b","))
    return rows


def conserve(r, seen):
    """What the sensors told so far is what the rows add up to."""
    told = [0, 0]
    for parts in seen.values():
        for i in range(2):
            told[i] += max(p[i + 1] for part in parts for p in part)
    rows = read_rollups(r).values()
    have = [sum(v[i] for v in rows) for i in range(2)]
    if have != told:
        raise Mismatch("conservation: rows %s, sensors %s" % (have, told))


def run(r, sha, seed, plain=False):
    rng = random.Random(seed * 7919 + 1)
    world = jw.World(seed, plain)
    r("FLUSHALL")
    lists, seqs, seen = deliveries(world, rng), {1: 0, 2: 0}, defaultdict(list)
    size, latest, sent = rng.choice([1, 2, 4, 16]), {}, []

    def call(source, seq, records):
        reply = r("EVALSHA", sha, 1, "leaktap:{%s}:hw:s%d" % (TAG, source), seq, "", 7200, 172800, 100000, *records)
        return reply

    while lists[1] or lists[2]:
        source = rng.choice([s for s in lists if lists[s]])
        batch, lists[source] = lists[source][:size], lists[source][size:]
        records = [b[0] for b in batch]
        if rng.random() < 0.1 and call(source, seqs[source] + 2, records)[0] != b"GAP":
            raise Mismatch("a gap was accepted")
        seqs[source] += 1
        reply = call(source, seqs[source], records)
        if reply[0] != b"OK":
            raise Mismatch("refused: %s" % reply[:2])
        for _, flow in batch:
            if flow:
                seen[flow[0]].append(flow[1])
        sent.append((source, seqs[source], records))
        if rng.random() < 0.2:
            again = rng.choice(sent)
            if call(*again)[0] != b"DUP":
                raise Mismatch("a duplicate was taken")
        conserve(r, seen)
    for _, fields in r("XRANGE", "leaktap:{%s}:out" % TAG, "-", "+") if r("EXISTS", "leaktap:{%s}:out" % TAG) else []:
        for source, fid, side, ver, *rest in unpack_changes(fields[1]):
            if ver <= latest.get((source, fid, side), (0,))[0]:
                raise Mismatch("version went back")
            latest[(source, fid, side)] = (ver, rest)
    owners = world.owners()
    for f in world.flows:
        grade, key, cause, who = owners[id(f)]
        want = (grade, key, cause, who)
        for tap in f.taps:
            got = latest.get((tap[0], tap[1], f.side))
            if not got:
                raise Mismatch("flow %d never told" % tap[1])
            g, k, c, rivals, p, _ = got[1]
            if (g, k, c, p) != want or rivals != max(0, len(who) - 1):
                raise Mismatch("flow %d: %s, oracle %s" % (tap[1], got, want))
    want, have = jw.rollups(world.flows, owners), read_rollups(r)
    if want != have:
        raise Mismatch("rollups: %s\noracle %s" % (sorted(have.items()), sorted(want.items())))
    return len(world.flows), len(world.events) + len(world.reports)


def hot_key(r, sha, processes, flows, events):
    """More events on one 5-tuple than a cell keeps: which of them are turned away decides nothing. Returns the flows' (grade, cause)."""
    r("FLUSHALL")
    rng, seq, s = random.Random(7), 0, jw.S
    common = {"ip": bytes([10, 0, 0, 1]), "lport": 443, "remote": (bytes([20, 0, 0, 1]), 50000), "proto": 6}
    made = []
    for i in range(flows):
        start = jw.BASE + i * 1500 * s // flows
        made.append(jw.Flow(side=0, service=0, taps=[(1, i + 1, start, start + s, False, [(start // (300 * s), 10, 10)])], **common))
    records = [pack_flow(f, f.taps[0], f.taps[0][5]) for f in made]
    records += [pack_event(jw.Event(p=struct.pack(">Q", 1 + i % processes), id=struct.pack(">I", rng.getrandbits(32)),
                                    t=jw.BASE + i * 1500 * s // events, cal=True, **common)) for i in range(events)]
    while records:
        seq += 1
        r("EVALSHA", sha, 1, "leaktap:{%s}:hw:s1" % TAG, seq, "", 7200, 172800, 100000, *records[:32])
        records = records[32:]
    latest = {}
    for _, fields in r("XRANGE", "leaktap:{%s}:out" % TAG, "-", "+"):
        for _, fid, _, _, grade, _, cause, *_ in unpack_changes(fields[1]):
            latest[fid] = (grade, cause)
    return set(latest.values())


def hot_keys(r, sha):
    began = time.time()
    if hot_key(r, sha, 2, 50, 4000) != {("D", 13)}:
        raise Mismatch("a full cell of two processes: not all of its flows are ambiguous")
    got = hot_key(r, sha, 1, 50, 4000)
    if not got <= {("A", 0), ("B", 9), ("C", 9)}:
        raise Mismatch("a full cell of one process: %s" % got)
    if time.time() - began > 30:
        raise Mismatch("full cells: %.0f s" % (time.time() - began))


# Each must be caught. Text in the script -> text of the mutant; the first five as page "join" names them.
MUTANTS = {
    "neighbour bucket not read at an edge": [("if f.start + EDGE >= (bucket + 1) * BUCKET then want(bucket + 1) end", ""),
                                             ("if f.start - EDGE < bucket * BUCKET then want(bucket - 1) end", "")],
    "flow identity not merged across a bucket border": [
        ("if after < SAME_FLOW then look(cell_at(cell.bucket - 1, cell.sub, cell.field)) end", ""),
        ("if after + SAME_FLOW >= BUCKET then look(cell_at(cell.bucket + 1, cell.sub, cell.field)) end", "")],
    "first match instead of nearest": [("if #list > 1 then table.sort(list, nearer) end", "")],
    "counters added instead of maximum taken": [("l[2], l[3], known = math.max(l[2], n[2]), math.max(l[3], n[3]), true",
                                                 "l[2], l[3], known = l[2] + n[2], l[3] + n[3], true")],
    "start not the minimum of two taps": [("f.start, f.last = math.min(f.start, new.start), math.max(f.last, new.last)",
                                           "f.last = math.max(f.last, new.last)")],
    "a rival ignored": [("if not seen[c.e.p] and (all or c.d - best.d <= RIVAL) then", "if i == 1 or (all and not seen[c.e.p]) then")],
    "calibrated window wrong by 1 ms": [("local CALIBRATED = 60e6", "local CALIBRATED = 60e6 + 1000")],
    "window before wrong by 1 ms": [("local BEFORE, AFTER = 65e6, 15e6", "local BEFORE, AFTER = 65e6 - 1000, 15e6")],
    "window after wrong by 1 ms": [("local BEFORE, AFTER = 65e6, 15e6", "local BEFORE, AFTER = 65e6, 15e6 + 1000")],
    "close window wrong by 1 ms": [("local CLOSE = 2e6", "local CLOSE = 2e6 - 1000")],
    "rival window wrong by 1 ms": [("local RIVAL = 10e6", "local RIVAL = 10e6 - 1000")],
    "port window wrong by 1 ms": [("PORT_UNCALIBRATED = 2e6, 5e6", "PORT_UNCALIBRATED = 2e6, 5e6 + 1000")],
    "batch accepted when seq > hw + 1": [("if seq > high + 1 and not forced then return {'GAP', high} end", "")],
    "reused port ignored": [("o.p ~= e.p and not o.found and o.t > e.t", "false")],
    "ended process still owns": [("return e.stop and e.stop < f.start", "return false")],
    "ended process still owns what is seen to begin": [("e.stop + CLOSE < f.start", "false")],
    "one event serves two uses of a 5-tuple": [("return e.calibrated and used_elsewhere(f, e, cell, -d, d)", "return false")],
    "one uncalibrated event serves two uses": [("if doubtful and #list == 1 then return end", "")],
    "nearest of two uses by an unknown clock": [("choose(list, doubtful and not calibrated)", "choose(list, false)")],
    "a port's event serves another remote": [("and not has_flow(e, cell)", "")],
    "tries of one connect wrong by 1 us": [("f.start - SAME_FLOW - 1)", "f.start - SAME_FLOW)")],
    "whoever comes later is no rival": [("elseif math.abs(e.t - f.start) <= lifetime and not stopped(f, e) then",
                                         "elseif e.t <= f.start and f.start - e.t <= lifetime and not stopped(f, e) then")],
    "inferred without an earlier connection": [("or earlier and inferred", "or inferred")],
    "a new flow does not move its neighbours' events": [(
        "if after < 2 * EDGE then touch_cell(cell_at(home.bucket - 1, base.sub, base.field), new.start) end", "")],
}


def script_text(mutant=None, small=False):
    text = "".join(open(os.path.join("detect/attrib", f)).read() for f in FILES)
    for old, new in mutant or []:
        if text.count(old) != 1:
            sys.exit("mutant's text is not there once: %r" % old)
        text = text.replace(old, new)
    if small:  # cells that overflow at once
        text = text.replace("MAX_FLOWS, MAX_REFS, MAX_SAME, MAX_LOOK_BACK = 200, 200, 200, 2000, 48",
                            "MAX_FLOWS, MAX_REFS, MAX_SAME, MAX_LOOK_BACK = 200, 1, 200, 2000, 48")
        assert "= 200, 1, 200" in text
    return text


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seeds", type=int, default=200)
    ap.add_argument("--first", type=int, default=0)
    ap.add_argument("--mutants", action="store_true")
    args = ap.parse_args()
    if not shutil.which("redis-server"):
        print("SKIPPED: redis-server is not installed")
        return 77
    server = Server()
    try:
        r, flows, events, began = server.r, 0, 0, time.time()
        hot_keys(r, r("SCRIPT", "LOAD", script_text()))
        for small in (False, True):
            sha = r("SCRIPT", "LOAD", script_text(small=small))
            for seed in range(args.first, args.first + args.seeds):
                try:
                    f, e = run(r, sha, seed, small)
                    flows, events = flows + f, events + e
                except (Mismatch, RuntimeError) as why:
                    print("seed %d%s: %s" % (seed, " (small cells)" if small else "", why))
                    return 1
        print("%d worlds, %d flows, %d events: the script and the oracle agree (%.1f s)" % (2 * args.seeds, flows, events,
                                                                                        time.time() - began))
        survived = 0
        if args.mutants:
            try:
                hot_keys(r, r("SCRIPT", "LOAD", script_text([("if full then several, one = of_sample(f, events) end", "")])))
                survived += 1
                print("mutant a full cell's sample taken for all SURVIVED")
            except Mismatch:
                print("mutant a full cell's sample taken for all caught")
        for name, change in MUTANTS.items() if args.mutants else []:
            sha, caught = r("SCRIPT", "LOAD", script_text(change)), None
            for seed in range(args.first, args.first + 4 * args.seeds):
                try:
                    run(r, sha, seed)
                except (Mismatch, RuntimeError):
                    caught = seed - args.first + 1
                    break
            survived += caught is None
            print("mutant %-50s %s" % (name, "caught by world %d" % caught if caught else "SURVIVED"))
        return 1 if survived else 0
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
