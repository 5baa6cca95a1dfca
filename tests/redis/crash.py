#!/usr/bin/env python3
"""Servers and feeders that die in mid-run, against real redis-servers: each trial must end with exactly the rollups that a brute-force
oracle derives from the whole world. LEAKTAP_LONG=1 runs the long form.

usage: crash.py JOIN_FEED [--only NAME] [--trials N] [--seed N]   (from the root of the repository)"""

import argparse
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import join_oracle as jo
import join_world as jw

RATE = 6000


class Server:
    """A redis-server with an append-only file, at a Unix socket or (for clusters) a port."""

    def __init__(self, folder, name, *options, port=0):
        self.dir = os.path.join(folder, name)
        os.makedirs(self.dir, exist_ok=True)
        self.path, self.port, self.options = os.path.join(self.dir, "s"), port, options
        self.p = None
        self.start()

    def start(self, *more):
        self.p = subprocess.Popen(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.path, "--save", "",
                                   "--appendonly", "yes", "--appendfsync", "everysec", "--dir", self.dir, "--maxmemory-policy",
                                   "noeviction", "--hash-max-listpack-value", "1024", *self.options, *more],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(6000):
            try:
                self.r = jo.Redis(self.path)
                self.r("PING")
                return
            except (OSError, RuntimeError):
                time.sleep(0.01)
        raise RuntimeError("the redis-server does not start")

    def kill(self):
        self.p.send_signal(signal.SIGKILL)
        self.p.wait()

    def cut(self, rng):
        """The power fails: the tail of the log never reached the disk."""
        folder = os.path.join(self.dir, "appendonlydir")
        parts = sorted((f for f in os.listdir(folder) if f.endswith(".incr.aof")), key=lambda f: int(f.split(".")[-3]))
        path = os.path.join(folder, parts[-1])
        size = os.path.getsize(path)
        with open(path, "r+b") as f:
            f.truncate(max(0, size - rng.randrange(1, 120_000)))

    def repair(self):
        """As deploy/redis/README.md has it: before the start, so that no half transaction stays in the log."""
        folder = os.path.join(self.dir, "appendonlydir")
        for f in os.listdir(folder):
            if f.endswith(".manifest"):
                subprocess.run(["redis-check-aof", "--fix", os.path.join(folder, f)], input=b"y\n", stdout=subprocess.DEVNULL)


class World:
    """Many small worlds side by side, each with addresses of its own; two sources deliver them."""

    def __init__(self, seed, n, folder):
        rng = random.Random(seed)
        self.worlds, lists = [], {1: [], 2: []}
        for i in range(n):
            world = jw.World(seed * 100_000 + i)
            for x in world.flows + world.events + world.reports:
                x.ip = x.ip[:-3] + bytes([i >> 8 & 255, i & 255]) + x.ip[-1:]
            self.worlds.append(world)
            for source, records in jo.deliveries(world, rng).items():
                lists[source] += [(sum(world.flows[0].ip[-3:-1]) % 24 * 10 + 7, r[0]) for r in records]
        self.files, self.records = {}, 0
        for source, records in lists.items():
            rng.shuffle(records)
            self.files[source] = os.path.join(folder, "source%d" % source)
            with open(self.files[source], "wb") as f:
                for tag, r in records:
                    f.write(bytes([tag]) + struct.pack(">H", len(r)) + r)
            self.records += len(records)

    def stream(self):
        """What the last version of every flow must say: grade, key, cause and processes."""
        wanted = {}
        for w in self.worlds:
            owners = w.owners()
            for f in w.flows:
                for tap in f.taps:
                    wanted[tap[0], tap[1], f.side] = owners[id(f)]
        return wanted

    def rollups(self):
        sums = {}
        for w in self.worlds:
            for k, v in jw.rollups(w.flows, w.owners()).items():
                sums[k] = tuple(a + b for a, b in zip(sums.get(k, (0, 0, 0)), v))
        return sums


def read_rollups(servers):
    rows = {}
    for r in servers:
        for key in r("KEYS", "leaktap:{*}:r:*"):
            at, flat = int(key.rsplit(b":", 1)[1]), r("HGETALL", key)
            for name, value in zip(flat[::2], flat[1::2]):
                p, svc, grade, side, _ = struct.unpack(">8sHcBB", name)
                k = (at, p, svc, grade.decode(), side)
                rows[k] = tuple(a + int(b) for a, b in zip(rows.get(k, (0, 0, 0)), value.split(b",")))
    return rows


def read_streams(servers):
    """The out streams replayed: the last version of each flow of each source."""
    last = {}
    for r in servers:
        for key in r("KEYS", "leaktap:{*}:out"):
            for _, fields in r("XRANGE", key, "-", "+"):
                for source, fid, side, ver, *rest in jo.unpack_changes(fields[1]):
                    if ver >= last.get((source, fid, side), (0,))[0]:
                        last[source, fid, side] = (ver, rest)
    return last


class Trial:
    def __init__(self, feed, seed, folder, n):
        self.feed, self.rng, self.folder = feed, random.Random(seed), folder
        self.world = World(seed, n, folder)
        self.span = self.world.records / 2 / RATE
        self.feeders = {}

    def start(self, url, source):
        self.feeders[source] = subprocess.Popen([self.feed, url, "s%d" % source, self.world.files[source], str(RATE)],
                                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def start_all(self, url):
        self.url = url
        for source in self.world.files:
            self.start(url, source)

    def pause(self, part=0.5):
        time.sleep(self.span * part * self.rng.uniform(0.6, 1))

    def finish(self, servers):
        said = []
        for p in self.feeders.values():
            out, _ = p.communicate(timeout=300)
            said.append(out.strip())
            if p.returncode:
                return "a feeder failed: " + out
        want, have = self.world.rollups(), read_rollups(servers)
        self.gaps = sum(int(re.search(r"gaps (\d+)", s).group(1)) for s in said)
        self.moved = sum(int(re.search(r"moved (\d+)", s).group(1)) for s in said)
        off = sum(abs(want.get(k, (0, 0, 0))[i] - have.get(k, (0, 0, 0))[i]) for k in want.keys() | have.keys() for i in (0, 1))
        forced = [s for s in said if " forced 0 " not in s]
        if want != have or forced:
            return "%d bytes off; %s" % (off, said)
        told, wanted = read_streams(servers), self.world.stream()
        wrong = [k for k, (grade, key, cause, who) in wanted.items()
                 if k not in told or (told[k][1][0], told[k][1][1], told[k][1][2], told[k][1][4]) != (grade, key, cause, who)]
        if wrong or len(told) != len(wanted):
            return "the streams tell %d flows of %d, %d of them wrong, such as %s: %s, oracle %s; %s" % (
                len(told), len(wanted), len(wrong), wrong[:1], [told.get(k) for k in wrong[:1]], [wanted[k] for k in wrong[:1]], said)


def kill(t):
    s = Server(t.folder, "a")
    t.start_all("unix://" + s.path)
    t.pause()
    s.kill()
    s.start()
    return s, [s]


def power(t):
    s = Server(t.folder, "a")
    t.start_all("unix://" + s.path)
    for _ in range(2):
        t.pause(0.4)
        s.kill()
        s.cut(t.rng)
        s.repair()
        s.start()
    return s, [s]


def stop(t):
    s = Server(t.folder, "a")
    t.start_all("unix://" + s.path)
    t.pause()
    s.p.send_signal(signal.SIGSTOP)
    time.sleep(6 if t.long else 1)
    s.p.send_signal(signal.SIGCONT)
    return s, [s]


def memory(t):
    s = Server(t.folder, "a")
    t.start_all("unix://" + s.path)
    t.pause(0.3)
    s.r("CONFIG", "SET", "maxmemory", str(int(re.search(rb"used_memory:(\d+)", s.r("INFO", "memory")).group(1)) + 1000))
    t.pause(0.5)
    s.r("CONFIG", "SET", "maxmemory", "0")
    return s, [s]


def feeder(t):
    s = Server(t.folder, "a")
    t.start_all("unix://" + s.path)
    t.pause()
    t.feeders[1].send_signal(signal.SIGKILL)
    t.feeders[1].communicate()
    t.start(t.url, 1)
    return s, [s]


def failover(t):
    a, b = Server(t.folder, "a", port=free_port()), Server(t.folder, "b", port=free_port())
    b.r("REPLICAOF", "127.0.0.1", str(a.port))
    while b"master_link_status:up" not in b.r("INFO", "replication"):
        time.sleep(0.05)
    link = os.path.join(t.folder, "now")
    os.symlink(a.path, link)
    t.start_all("unix://" + link)
    t.pause()
    b.p.send_signal(signal.SIGSTOP)  # the replica lags
    time.sleep(0.3)
    a.kill()
    b.p.send_signal(signal.SIGCONT)
    b.r("REPLICAOF", "NO", "ONE")
    os.symlink(b.path, link + "2")
    os.replace(link + "2", link)
    return b, [a, b]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1] % 20000 + 20000 if s.getsockname()[1] > 50000 else s.getsockname()[1]


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc


def make_cluster(t):
    nodes = [Server(t.folder, "n%d" % i, "--cluster-enabled", "yes", "--cluster-node-timeout", "15000", port=free_port()) for i in range(3)]
    for i, n in enumerate(nodes):
        n.r("CLUSTER", "ADDSLOTSRANGE", str(i * 16384 // 3), str((i + 1) * 16384 // 3 - 1))
        n.r("CLUSTER", "SET-CONFIG-EPOCH", str(i + 1))
        n.id = n.r("CLUSTER", "MYID")
    for n in nodes[1:]:
        nodes[0].r("CLUSTER", "MEET", "127.0.0.1", str(n.port))
    while any(b"cluster_state:ok" not in n.r("CLUSTER", "INFO") or len(n.r("CLUSTER", "SLOTS")) < 3 for n in nodes):
        time.sleep(0.05)
    return nodes


def move_slot(slot, a, b):
    """As redis-cli does it, while others write."""
    b.r("CLUSTER", "SETSLOT", str(slot), "IMPORTING", a.id)
    a.r("CLUSTER", "SETSLOT", str(slot), "MIGRATING", b.id)
    while True:
        keys = a.r("CLUSTER", "GETKEYSINSLOT", str(slot), "10")
        if not keys:
            break
        a.r("MIGRATE", "127.0.0.1", str(b.port), "", "0", "60000", "KEYS", *keys)
        time.sleep(0.002)
    b.r("CLUSTER", "SETSLOT", str(slot), "NODE", b.id)
    a.r("CLUSTER", "SETSLOT", str(slot), "NODE", b.id)


def reshard(t):
    nodes = make_cluster(t)
    t.start_all("cluster://127.0.0.1:%d" % nodes[0].port)
    t.pause(0.2)
    for tag in t.rng.sample([i * 10 + 7 for i in range(24)], 16 if t.long else 8):
        slot = crc16(b"%03d" % tag) % 16384
        owner = slot * 3 // 16384
        owner = next(i for i in range(3) if i * 16384 // 3 <= slot < (i + 1) * 16384 // 3)
        move_slot(slot, nodes[owner], nodes[(owner + 1 + t.rng.randrange(2)) % 3])
    return nodes, nodes


def shards(t):
    """Independent servers by tag range; one of them dies."""
    servers = [Server(t.folder, "n%d" % i) for i in range(3)]
    t.start_all(",".join("unix://" + s.path for s in servers))
    t.pause()
    servers[1].kill()
    servers[1].start()
    return servers, servers


def acl(t):
    """The commands that deploy/redis/leaktap.acl allows are enough."""
    s = Server(t.folder, "a", port=free_port())
    with open("deploy/redis/leaktap.acl") as f:
        user = next(line for line in f if line.startswith("user leaktap ")).split()[1:]
    s.r("ACL", "SETUSER", *user)
    t.start_all("redis://leaktap:change-this@127.0.0.1:%d" % s.port)
    for forbidden in (("KEYS", "*"), ("FLUSHALL",), ("EVAL", "return 1", "0"), ("CONFIG", "GET", "dir"), ("GET", "other")):
        r = jo.Redis(s.path)
        r("AUTH", "leaktap", "change-this")
        try:
            r(*forbidden)
            raise SystemExit("the ACL lets %s through" % forbidden[0])
        except RuntimeError as why:
            assert "NOPERM" in str(why), why
    return s, [s]


SCENES = {"acl": acl, "kill": kill, "power": power, "stop": stop, "memory": memory, "feeder": feeder, "failover": failover, "reshard": reshard,
          "shards": shards}
LONG = {"acl": 1, "kill": 20, "power": 20, "stop": 3, "memory": 5, "feeder": 20, "failover": 20, "reshard": 5, "shards": 5}


def run(feed, name, seed, long):
    folder = tempfile.mkdtemp(prefix="leaktap-crash-")
    trial = Trial(feed, seed, folder, 1500 if long else 500)
    trial.long = long
    started = []
    try:
        answering, started = SCENES[name](trial)
        wrong = trial.finish([s.r for s in (answering if isinstance(answering, list) else [answering])])
        return wrong, trial
    finally:
        for p in trial.feeders.values():
            if p.poll() is None:
                p.kill()
                p.communicate()
        for s in started:
            if s.p.poll() is None:
                s.kill()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("feed")
    ap.add_argument("--only", action="append")
    ap.add_argument("--trials", type=int)
    ap.add_argument("--seed", type=int, default=int(os.environ.get("LEAKTAP_SEED", "1")))
    args = ap.parse_args()
    long = os.environ.get("LEAKTAP_LONG") == "1"
    if not shutil.which("redis-server"):
        print("SKIPPED: redis-server is not installed")
        return 77
    bad = 0
    for name in args.only or SCENES:
        began, failed, gaps, moved = time.time(), 0, 0, 0
        trials = args.trials or (LONG[name] if long else 1)
        for i in range(trials):
            wrong, trial = run(args.feed, name, args.seed + i, long)
            if wrong:
                failed += 1
                print("%s, seed %d: %s" % (name, args.seed + i, wrong[:2000]))
            else:
                gaps, moved = gaps + trial.gaps, moved + trial.moved
        bad += failed
        print("%-10s %d of %d trials equal to the oracle, %d records each, %d gaps, %d moves (%.1f s)" %
              (name, trials - failed, trials, trial.world.records, gaps, moved, time.time() - began), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
