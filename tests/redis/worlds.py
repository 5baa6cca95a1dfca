#!/usr/bin/env python3
"""The property test of the join against the real program: random worlds are written as captures and endpoint logs, delivered to leaktap in
random order with retries, kills and restarts, and its records, the rollups in Redis, the output stream replayed and the bytes of the
wire are compared with a brute-force oracle.

usage: worlds.py LEAKTAP [--seeds N] [--first N] [--jobs N] [--keep]   (from the root of the repository)

A third of the worlds is told to one process (capture and events), half of these with a redis-server of the process's own, the others twice
with a shared one. The rest is told to several: `leaktap ingest` for parts of the events, `leaktap -r` for each tap, in any order or at
once, some killed in mid-run and started again."""

import argparse
import calendar
import json
import multiprocessing
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import join_oracle as jo
import world_wire as ww
from world_gen import World
from world_truth import Truth

Mismatch = jo.Mismatch
TIMEOUT_S = 60
SOURCES = ["tap0", "tap1"]


def expect(good, *why):
    if not good:
        raise Mismatch(" ".join(str(w) for w in why))


def microseconds(text):
    whole, rest = text[:19], text[19:]
    fraction = rest[1:].split("+")[0].split("Z")[0] if rest.startswith(".") else ""
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1_000_000 + int((fraction + "000000")[:6])


# ---- delivery ----

class Case:
    """One world in a directory of its own, and how it is told to the program."""

    def __init__(self, seed, leaktap, server):
        self.rng = random.Random(seed * 31 + 5)
        self.kind = "alone" if self.rng.random() < 0.33 else "together"
        self.world, self.leaktap, self.server = World(seed, self.kind == "alone"), leaktap, server
        self.dir = tempfile.mkdtemp(prefix="leaktap-world-")
        self.url = "unix://" + os.path.join(server.dir, "s")
        self.env = dict(os.environ, TMPDIR=self.dir)
        self.kills = self.runs = 0
        self.taps = {t.number for c in self.world.connections for t in c.taps}
        for n in self.taps:
            ww.write_pcap(self.path("tap%d.pcap" % n),
                          ww.with_time([p for c in self.world.connections for t in c.taps if t.number == n for p in t.packets]))
            with open(self.path("tap%d.yaml" % n), "w") as f:
                f.write("sensor: tap%d\n" % n)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write_events(self, name, chosen=lambda _: True):
        w = self.world
        lines = [ww.line(e) for e in w.events + w.copies if chosen(e)] + [ww.life_line(x) for x in w.lives if chosen(x)]
        self.rng.shuffle(lines)
        with open(self.path(name), "w") as f:
            f.write("".join(one + "\n" for one in lines))
        return self.path(name)

    def start(self, *args):
        self.runs += 1
        return subprocess.Popen([self.leaktap, *args], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self.env)

    def finish(self, p, args):
        _, err = p.communicate(timeout=TIMEOUT_S)
        expect(p.returncode == 0, "exit", p.returncode, "of", args, err.decode(errors="replace")[-2000:])

    def run(self, *args):
        self.finish(self.start(*args), args)

    def replay_args(self, tap, out, *more):
        return ["-q", "-c", self.path("tap%d.yaml" % tap), "-r", self.path("tap%d.pcap" % tap), "--join", "all", "-o", self.path(out),
                *more]

    def records(self, name):
        with open(self.path(name)) as f:
            return [json.loads(one) for one in f]

    # One process has both sides.

    def alone(self):
        rng, shared = self.rng, self.rng.random() < 0.5
        files = [self.write_events("events.ndjson")]
        if rng.random() < 0.3:
            devices = set(rng.sample(self.world.devices, 1))
            files = [self.write_events("a.ndjson", lambda e: e.device in devices),
                     self.write_events("b.ndjson", lambda e: e.device not in devices)]
        rng.shuffle(files)
        more = [word for f in files for word in ("--endpoint", f)] + (["--redis", self.url] if shared else [])
        self.run(*self.replay_args(0, "0.ndjson", *more))
        truth = Truth(self.world, {0}, True)
        self.check_records(truth, 0, "0.ndjson", True)
        if not shared:
            return
        self.check_redis(truth, {0})
        self.run(*self.replay_args(0, "again.ndjson", *more))
        with open(self.path("0.ndjson"), "rb") as a, open(self.path("again.ndjson"), "rb") as b:
            expect(a.read() == b.read(), "the same replay again tells something else")
        self.check_redis(truth, {0})

    # Several processes share one Redis.

    def jobs(self):
        n = self.rng.randrange(1, 4)
        part = {d: self.rng.randrange(n) for d in self.world.devices}
        out = []
        for k in range(n):
            path = self.write_events("part%d.ndjson" % k, lambda e, k=k: part[e.device] == k)
            with open(self.path("in%d.yaml" % k), "w") as f:
                f.write("sensor: in%d\n" % k)
            out.append(["ingest", "-q", "-c", self.path("in%d.yaml" % k), "--redis", self.url, path])
        out += [self.replay_args(t, "first%d.ndjson" % t, "--redis", self.url) for t in self.taps]
        return out

    def together(self):
        rng, jobs = self.rng, self.jobs()
        rng.shuffle(jobs)
        todo = list(jobs) + [job for job in jobs if rng.random() < 0.15]
        while todo:
            batch = [todo.pop(0) for _ in range(min(len(todo), rng.choice([1, 1, 2, 4])))]
            running = []
            for job in batch:
                running.append((self.start(*job), job))
            for p, job in running:
                if rng.random() < 0.2:
                    time.sleep(rng.random() * 0.06)
                    p.kill()
                    p.communicate()
                    self.kills += 1
                    todo.insert(rng.randrange(len(todo) + 1), job)
                else:
                    self.finish(p, job)
        truth = Truth(self.world, self.taps, False)
        self.check_redis(truth, self.taps, told=False)
        for t in self.taps:
            self.run(*self.replay_args(t, "%d.ndjson" % t, "--redis", self.url))
            self.check_records(truth, t, "%d.ndjson" % t, False)
        self.check_redis(truth, self.taps)

    # ---- comparing ----

    def check_records(self, truth, tap, name, both_sides):
        rows, sums = {}, [0, 0]
        for r in self.records(name):
            if r["event_type"] != "flow":
                continue
            key = (r["src_ip"], r["src_port"], r["dest_ip"], r["dest_port"], r["proto"], microseconds(r["flow"]["start"]))
            expect(key not in rows, "two rows of one flow", key)
            rows[key] = r
            sums = [sums[0] + r["leaktap"]["bytes_up"], sums[1] + r["leaktap"]["bytes_down"]]
        self.ids = getattr(self, "ids", {})
        wire = [0, 0]
        for c in self.world.connections:
            for t in c.taps:
                if t.number == tap:
                    self.check_flow(truth, c, t, rows, both_sides)
                    wire = [wire[0] + t.up, wire[1] + t.down]
        expect(not rows, "flows that nobody made:", list(rows))
        expect(wire == sums, "conservation: rows", sums, "wire", wire)

    def check_flow(self, truth, c, t, rows, both_sides):
        (src, sport), (dst, dport) = c.client, c.server
        key = (ww.address(src), sport, ww.address(dst), dport, "TCP" if c.proto == 6 else "UDP", t.start)
        expect(key in rows, "no row for", key, "there are", sorted(k for k in rows if k[:4] == key[:4]))
        r = rows.pop(key)
        l = r["leaktap"]
        self.ids[(t.number, r["flow_id"])] = c
        expect((l["bytes_up"], l["bytes_down"]) == (t.up, t.down), key, "bytes", (l["bytes_up"], l["bytes_down"]), "wire", (t.up, t.down))
        self.check_side(key, l, truth, c, 0, both_sides)
        reports = c.devices[1] and (self.known(c.devices[1]) if both_sides else truth.row(c, 1)[1] != "U")
        expect(("dest" in l) == bool(reports), key, "dest", l.get("dest"), "expected" if reports else "not expected")
        if reports:
            self.check_side(key + ("dest",), l["dest"], truth, c, 1, both_sides)

    def known(self, device):
        return any(e.device is device for e in self.world.events)

    def check_side(self, key, told, truth, c, side, both_sides):
        outcome, grade, causes, evidence, who = truth.row(c, side)
        if grade == "U" and both_sides and side == 0 and not (c.devices[0] and self.known(c.devices[0])):
            causes = {"no_event"}
        have = (told["outcome"], told["grade"])
        expect(have == (outcome, grade), key, have, told.get("cause"), "oracle", (outcome, grade), causes)
        expect(told.get("cause") in causes, key, "cause", told.get("cause"), "oracle", causes)
        named = [told["process"]] if "process" in told else told.get("candidates", [])
        have = sorted((p.get("device"), p.get("pid"), p.get("name")) for p in named)
        want = sorted((p.device.name, p.pid, p.name) for p in self.processes() if p.key in who)
        expect(have == want, key, "processes", have, "oracle", want)
        expect(told.get("rivals", 0) == max(0, len(who) - 1), key, "rivals", told.get("rivals"), "oracle", len(who) - 1)
        proofs = told.get("evidence", [])
        expect(all(p["key"] == evidence for p in proofs), key, "evidence", proofs, "oracle", evidence)
        expect(grade == "U" or not both_sides or proofs, key, "no evidence")

    def processes(self):
        return [p for d in self.world.devices for p in d.processes]

    def check_redis(self, truth, taps, told=True):
        have, want = self.read_rollups(), truth.rollups()
        if have != want:
            more = sorted((k, v) for k, v in have.items() if want.get(k) != v)
            less = sorted((k, v) for k, v in want.items() if have.get(k) != v)
            raise Mismatch("rollups: %s\noracle: %s" % (more, less))
        if told:
            self.check_stream(truth, taps)

    def read_rollups(self):
        r, rows = self.server.r, {}
        for key in r("KEYS", "leaktap:{*}:r:*"):
            at = int(key.rsplit(b":", 1)[1])
            flat = r("HGETALL", key)
            for name, value in zip(flat[::2], flat[1::2]):
                p, service, grade, side, _ = struct.unpack(">8sHcBB", name)
                row = (at, self.named(p), service, grade.decode(), side)
                was = rows.get(row, (0, 0, 0))
                rows[row] = tuple(int(x) + w for x, w in zip(value.split(b","), was))
        return rows

    def named(self, principal):
        """The process by what the dictionary in Redis says of that number."""
        if principal == b"\0" * 8:
            return principal
        fields = {}
        for day in (int(time.time()) // 86400, int(time.time()) // 86400 - 1):
            for letter in b"bd":
                v = self.server.r("HGET", "leaktap:{%03d}:n:%d" % (principal[7], day), principal + bytes([letter]))
                if v:
                    fields.setdefault(letter, v)
        expect(len(fields) == 2, "a process without a name in Redis:", principal.hex())
        pid, device = int(fields[ord("b")].split()[0]), fields[ord("d")].decode()
        keys = [p.key for p in self.processes() if (p.pid, p.device.name) == (pid, device)]
        expect(len(keys) == 1, "nobody's process in Redis:", fields)
        return keys[0]

    def check_stream(self, truth, taps):
        """The output stream replayed: versions grow, the last word is the oracle's."""
        latest, names = {}, {jo_source(SOURCES[t]): t for t in taps}
        for key in self.server.r("KEYS", "leaktap:{*}:out"):
            for _, fields in self.server.r("XRANGE", key, "-", "+"):
                for source, fid, side, ver, grade, k, _, _, who in (change[:9] for change in jo.unpack_changes(fields[1])):
                    was = latest.get((source, fid, side))
                    expect(not was or ver >= was[0], "a version went back:", fid, side)
                    expect(not was or ver > was[0] or was[1:] == (grade, k, who), "one version, two answers:", fid, side)
                    latest[(source, fid, side)] = (ver, grade, k, who)
        seen = set()
        for (source, fid, side), (_, grade, _, who) in latest.items():
            expect(source in names or not names, "a source that nobody is:", source)
            c = self.ids.get((names[source], fid))
            expect(c, "a flow that nobody made:", fid)
            want = truth.row(c, side)
            expect((grade, {self.named(p) for p in who}) == (want[1], set(want[4])), "stream:", fid, side, grade, "oracle", want)
            seen.add((names[source], id(c), side))
        want = {(t.number, id(c), side) for c in self.world.connections for t in c.taps if t.number in taps
                for side in (0, 1) if side == 0 or c.devices[1]}
        expect(want == seen, "flows in the stream:", len(seen), "oracle", len(want))


def jo_source(name):
    return SOURCE_IDS[name]


SOURCE_IDS = {}


def learn_sources(server, leaktap):
    """The 16-bit numbers of the taps' names, from what the program itself writes for one flow of each."""
    for number, name in enumerate(SOURCES):
        server.r("FLUSHALL")
        with tempfile.TemporaryDirectory(prefix="leaktap-world-") as where:
            wire = ww.Udp((bytes([10, 0, 0, 1]), 50000), (bytes([203, 0, 113, 9]), 443), 0)
            wire.data(1_750_000_000 * ww.S, 0, b"x")
            ww.write_pcap(where + "/p", [(t, data) for t, data, _ in wire.packets])
            with open(where + "/y", "w") as f:
                f.write("sensor: %s\n" % name)
            subprocess.run([leaktap, "-q", "-c", where + "/y", "-r", where + "/p", "--join", "all", "-o", where + "/o", "--redis",
                            "unix://" + os.path.join(server.dir, "s")], check=True, stderr=subprocess.PIPE)
        key, = server.r("KEYS", "leaktap:{*}:out")
        (_, fields), = server.r("XRANGE", key, "-", "+")
        SOURCE_IDS[name] = next(jo.unpack_changes(fields[1]))[0]


# ---- running ----

SERVER = None  # of this worker


class Borrowed:
    """A worker's connection to a server that the main process started and will stop."""

    def __init__(self, directory):
        self.dir = directory
        self.r = jo.Redis(os.path.join(directory, "s"))


def take_server(directories, leaktap):
    global SERVER
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    SERVER = Borrowed(directories.get())
    learn_sources(SERVER, leaktap)


def one_world(seed, leaktap, keep):
    """(what was wrong or "", kind, flows, events, runs, kills)"""
    server = SERVER
    server.r("FLUSHALL")
    case = Case(seed, leaktap, server)
    kind, why = case.kind, ""
    try:
        getattr(case, kind)()
    except (Mismatch, subprocess.TimeoutExpired, RuntimeError) as e:
        why = "%s: %s" % (kind, e)
    if keep and why:
        why += "\nkept in " + case.dir
    else:
        shutil.rmtree(case.dir)
    w = case.world
    return why, kind, len(w.connections), len(w.events), case.runs, case.kills


def work(args):
    seed, leaktap, keep = args
    return (seed,) + one_world(seed, leaktap, keep)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("leaktap")
    ap.add_argument("--seeds", type=int, default=40)
    ap.add_argument("--first", type=int, default=None, help="of the clock unless given")
    ap.add_argument("--jobs", type=int, default=6, help="at once; most of the time is spent waiting")
    ap.add_argument("--keep", action="store_true", help="keep the files of a world that failed")
    args = ap.parse_args()
    if not shutil.which("redis-server"):
        print("SKIPPED: redis-server is not installed")
        return 77
    first = args.first if args.first is not None else int(time.time()) % 10_000_000
    fixed = [] if args.first is not None else list(range(min(args.seeds // 2, 1000)))
    seeds = fixed + [first + k for k in range(args.seeds - len(fixed))]
    print("worlds: %d fixed seeds and %d from %d on" % (len(fixed), args.seeds - len(fixed), first), flush=True)
    began, sums, bad = time.time(), defaultdict(int), 0
    leaktap = os.path.abspath(args.leaktap)
    servers = [jo.Server() for _ in range(args.jobs)]
    directories = multiprocessing.Queue()
    for s in servers:
        directories.put(s.dir)
    pool = ProcessPoolExecutor(args.jobs, initializer=take_server, initargs=(directories, leaktap))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of finally: the servers go too
    try:
        for seed, why, kind, flows, events, runs, kills in pool.map(work, [(s, leaktap, args.keep) for s in seeds]):
            for name, n in (("flows", flows), ("events", events), ("runs", runs), ("kills", kills), (kind, 1)):
                sums[name] += n
            done = sums["alone"] + sums["together"]
            if done % 100 == 0:
                print("%d done, %d differ (%.0f s)" % (done, bad, time.time() - began), flush=True)
            if why:
                bad += 1
                print("seed %d: %s\nrepeat: python3 tests/redis/worlds.py %s --seeds 1 --first %d --keep" % (
                    seed, why[:3000], args.leaktap, seed), flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
        for s in servers:
            s.stop()
    print("%d worlds (%d told to one process, %d to several), %d flows, %d events, %d runs of leaktap, %d killed: %d differ (%.0f s)" % (
        len(seeds), sums["alone"], sums["together"], sums["flows"], sums["events"], sums["runs"], sums["kills"], bad, time.time() - began))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
