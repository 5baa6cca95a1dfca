"""Random small worlds of flows and endpoint events, and who owns what in them by brute force.

The oracle knows nothing of cells, buckets of 30 minutes, neighbours or batches: it looks at all events for each flow and applies the
table of the outcomes. Times are microseconds."""

import random
import struct
from collections import defaultdict

S = 1_000_000
BUCKET = 1800 * S
LIFETIME = 4 * BUCKET
BASE = 950_000 * BUCKET


class Event:
    def __init__(self, **kw):
        self.found = False
        self.stop = 0
        self.last = 0
        self.remote = None
        self.__dict__.update(kw)


class Flow:
    """One connection; taps: list of (source, flow id, start, last, midstream, updates [(ledger bucket, up, down)])."""

    def __init__(self, **kw):
        self.seek = False
        self.__dict__.update(kw)

    @property
    def start(self):
        return min(t[2] for t in self.taps)

    @property
    def last(self):
        return max(t[3] for t in self.taps) // 1000 * 1000  # a flow's end is known to the millisecond

    @property
    def midstream(self):
        return all(t[4] for t in self.taps)


def serves(lport, remote):
    return remote is not None and (lport < 1024 or lport <= remote[1])


# ---- the oracle ----

def sees(f, e):
    if (e.proto, e.ip, e.lport) != (f.proto, f.ip, f.lport):
        return False
    if serves(f.lport, f.remote):
        return e.remote == f.remote
    return not serves(e.lport, e.remote)


def gone(f, e):
    return e.stop and e.stop < f.start


def allowed(f, e):
    d = e.t - f.start
    if f.midstream:
        return d <= (2 * S if e.cal else 15 * S) and d >= -LIFETIME and not gone(f, e)
    if e.cal and e.stop and e.stop + 2 * S < f.start:
        return False
    return in_time(f, e)


def in_time(f, e):
    d = e.t - f.start
    return abs(d) <= 60 * S if e.cal else -65 * S <= d <= 15 * S


def other_uses(f, e, flows):
    """Connections on the same 5-tuple, seen from their start, that are no try of the same connect and in time for the event."""
    if f.midstream or f.proto != 6:
        return []
    return [g for g in flows if (g.proto, g.ip, g.lport, g.remote, g.side) == (f.proto, f.ip, f.lport, f.remote, f.side) and
            not g.midstream and abs(g.start - f.start) > 3 * S and in_time(g, e)]


def taken(f, e, flows):
    return e.cal and any(abs(e.t - g.start) <= abs(e.t - f.start) for g in other_uses(f, e, flows))


def has_flow(e, flows):
    return any((g.proto, g.ip, g.lport, g.remote) == (e.proto, e.ip, e.lport, e.remote) and in_time(g, e) for g in flows)


def ended(f, e, around):
    if not f.midstream and e.cal and abs(e.t - f.start) <= 2 * S:
        return False
    for o in around:
        if o.found or o.p == e.p or not e.t < o.t <= f.start:
            continue
        if o.remote == f.remote and o.t - e.t <= 10 * S:
            continue
        return True
    return False


def owner(f, events, reports, flows):
    """(grade, key, cause, principals)"""
    around = [e for e in events if sees(f, e)]
    same = [e for e in around if e.remote == f.remote and not e.found and allowed(f, e) and
            not ended(f, e, around) and not taken(f, e, flows)]
    doubtful = any(not e.cal and other_uses(f, e, flows) for e in same)
    if doubtful and len(same) == 1:
        same = []  # one event, two connections that it may mean
    far = (lambda e: f.start - e.t) if f.midstream else (lambda e: abs(e.t - f.start))
    if same:
        nearest = min(far(e) for e in same)
        rivals = {e.p for e in same if far(e) - nearest <= 10 * S or (doubtful and not any(o.cal for o in same))}
        if len(rivals) > 1:
            return ("D", 1, 13, rivals)
        p = rivals.pop()
        mine = [e for e in same if e.p == p]
        if not f.midstream and any(e.cal and abs(e.t - f.start) <= 2 * S for e in mine):
            return ("A", 1, 0, {p})
        if f.midstream:
            return ("B", 1, 3, {p})
        best = min(mine, key=lambda e: (far(e), e.id))
        return ("B", 1, 9 if best.cal else 8, {p})
    scans = set()
    for e in around:
        if e.found and e.remote == f.remote and not gone(f, e):
            before = LIFETIME if f.midstream else 2 * S if e.cal else 65 * S
            if f.start - before <= e.t <= f.last + (2 * S if e.cal else 15 * S):
                scans.add(e.p)
    if scans:
        return ("C", 1, 9, scans) if len(scans) == 1 else ("D", 1, 13, scans)
    if not f.midstream:
        port = {e.p for e in around if not e.found and e.remote != f.remote and
                abs(e.t - f.start) <= (2 * S if e.cal else 5 * S) and not has_flow(e, flows)}
        if port:
            return ("C", 2, 10, port) if len(port) == 1 else ("D", 2, 13, port)
    if f.seek:
        mine = [e for e in reports if (e.proto, e.ip, e.remote) == (f.proto, f.ip, f.remote)]
        told = set()
        for e in mine:
            before, after = (2 * S, 2 * S) if e.cal else (65 * S, 15 * S)
            if e.last and e.t - after <= f.start <= e.last + before:
                told.add(e.p)
        if told:
            return ("C", 3, 11, told) if len(told) == 1 else ("D", 3, 13, told)
        kept = {}  # one connect per process and half hour
        for e in mine:
            if not e.last:
                k = (e.p, e.t // BUCKET)
                if k not in kept or rank(e) < rank(kept[k]):
                    kept[k] = e
        other = [e for e in kept.values() if abs(e.t - f.start) <= LIFETIME and not gone(f, e)]
        earlier = any(e.t - (2 * S if e.cal else 15 * S) <= f.start for e in other)
        other = {e.p for e in other}
        if other and earlier:
            return ("C", 4, 12, other) if len(other) == 1 else ("D", 4, 13, other)
    return ("U", 0, 0, set())


def rank(e):
    flags = (1 if e.cal else 0) | (8 if e.stop else 0)
    return (e.stop == 0, flags, e.t, e.id, e.stop)


def rollups(flows, owners):
    rows = defaultdict(lambda: [0, 0, 0])
    for f in flows:
        grade, _, _, who = owners[id(f)]
        p = min(who) if grade in "ABC" and who else b"\0" * 8
        ledger = defaultdict(lambda: [0, 0])
        for t in f.taps:
            for at, up, down in t[5]:
                ledger[at][0] = max(ledger[at][0], up)
                ledger[at][1] = max(ledger[at][1], down)
        u = d = 0
        for i, at in enumerate(sorted(ledger)):
            nu, nd = max(u, ledger[at][0]), max(d, ledger[at][1])
            row = rows[(at, p, f.service, grade, f.side)]
            row[0] += nu - u
            row[1] += nd - d
            row[2] += i == 0
            u, d = nu, nd
    return {k: tuple(v) for k, v in rows.items() if any(v)}


# ---- worlds ----

EDGES = [-65 * S, -60 * S, -15 * S, -10 * S, -5 * S, -3 * S, -2 * S, 0, 2 * S, 3 * S, 5 * S, 10 * S, 15 * S, 60 * S]


def near(rng, t):
    """A time near t, as a rule exactly on the edge of some window, or 1 ms or 1 us beside it."""
    kind = rng.random()
    if kind < 0.6:
        return t + rng.choice(EDGES) + rng.choice([0, 0, -1000, 1000, -1, 1])
    if kind < 0.75:
        return t + rng.choice(EDGES) + rng.choice(EDGES)
    if kind < 0.9:
        return t + rng.randrange(-90 * S, 90 * S)
    return t + rng.randrange(-2 * 3600 * S, 30 * S)


class World:
    """plain: one remote a port, so that it does not matter which flows a full cell turns away."""

    def __init__(self, seed, plain=False):
        rng = self.rng = random.Random(seed)
        self.plain = plain
        self.flows, self.events, self.reports = [], [], []
        ips = [bytes([10, 0, 0, rng.randrange(1, 3)])]
        if rng.random() < 0.2:
            ips.append(bytes(15) + bytes([9]))
        ports = rng.sample([50000, 50001, 40000, 443, 5353], rng.randrange(1, 3))
        remotes = [(bytes([20, 0, 0, i]), rng.choice([443, 53, 5353])) for i in range(1 if plain else rng.randrange(1, 3))]
        procs = [struct.pack(">Q", rng.getrandbits(64) | 1) for _ in range(rng.randrange(1, 4))]
        used = defaultdict(list)
        ids = iter(rng.sample(range(1, 1 << 32), 400))
        for _ in range(rng.randrange(1, 7)):
            ip, lport = rng.choice(ips), rng.choice(ports)
            remote = rng.choice(remotes)
            if len(ip) == 16:
                remote = (bytes(14) + bytes([8, remote[0][3]]), remote[1])
            start = BASE + rng.choice([rng.randrange(0, 4 * BUCKET), rng.randrange(1, 4) * BUCKET + rng.choice(
                [0, -1, 1, 1000, -1000, -3 * S, 3 * S, -2 * S, 2 * S, -65 * S, -60 * S, 15 * S, 60 * S, 1 * S, -1 * S])])
            key, side = (ip, lport, remote), rng.randrange(2)
            if any(abs(start - o) < 10 * S for o in used[key]):
                continue
            used[key].append(start)
            self.flows.append(self.flow(ip, lport, remote, side, start, ids))
            if rng.random() < 0.3:
                self.use_again(self.flows[-1], used[key], ids)
        for f in self.flows:
            for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])):
                self.events.append(self.event(f, rng.choice(procs), remotes, next(ids)))
            if rng.random() < 0.3:
                for _ in range(rng.randrange(1, 3)):
                    self.reports.append(self.report(f, rng.choice(procs), next(ids)))

    def use_again(self, f, used, ids):
        """The same 5-tuple soon after; below 10 s by one tap alone, for two taps' flows that close would be one."""
        rng = self.rng
        gap = rng.choice([3 * S, 3 * S + 1, 4 * S, 10 * S, 20 * S, 30 * S, 60 * S, 62 * S, 80 * S, 120 * S, 130 * S])
        if any(abs(f.start + gap - o) < 10 * S for o in used if o != f.start):
            return
        if gap < 10 * S:
            f.taps = f.taps[:1]
        g = self.flow(f.ip, f.lport, f.remote, f.side, f.start + gap, ids)
        if gap < 10 * S:
            g.taps = g.taps[:1]
        g.proto = f.proto
        used.append(g.start)
        self.flows.append(g)

    def flow(self, ip, lport, remote, side, start, ids):
        rng = self.rng
        length = rng.choice([0, 1 * S, 100 * S, 1000 * S, 4000 * S])
        taps, mid = [], rng.random() < 0.25
        for source in rng.choice([[1], [1], [1, 2]]):
            jitter = 0 if not taps else rng.choice([0, 1000, 3 * S, -3 * S, 1 * S, -2 * S, 2_999_000])
            begin = start + jitter
            first = begin // (300 * S)
            updates, up, down = [], 0, 0
            for at in range(first, (begin + length) // (300 * S) + 1):
                up, down = up + rng.randrange(0, 5000), down + rng.randrange(0, 5000)
                updates.append((at, up, down))
            if rng.random() < 0.3 and len(updates) > 1:
                updates.pop(0)
            taps.append((source, next(ids), begin, begin + length, mid and (source == 1 or rng.random() < 0.5), updates))
        return Flow(ip=ip, lport=lport, remote=remote, proto=rng.choice([6, 6, 6, 17]), side=side, taps=taps,
                    service=rng.randrange(0, 3), seek=rng.random() < 0.4)

    def event(self, f, p, remotes, number):
        rng = self.rng
        remote = f.remote
        if rng.random() < 0.2 and not self.plain:
            remote = rng.choice([None] + [r for r in remotes if len(r[0]) == len(f.remote[0])])
        base = rng.choice([t[2] for t in f.taps])
        if self.events and rng.random() < 0.3:
            base = rng.choice(self.events).t
        e = Event(ip=f.ip, lport=f.lport, remote=remote, proto=f.proto, p=p, id=struct.pack(">I", number), t=near(rng, base),
                  cal=rng.random() < 0.5, found=rng.random() < 0.1)
        if e.found and remote is not None:
            e.t = min(near(rng, rng.choice([f.start, f.last])), f.start + 80 * 60 * S)
        if rng.random() < 0.15:
            e.stop = e.t + rng.choice([1 * S, 30 * S, 600 * S])
        return e

    def report(self, f, p, number):
        rng = self.rng
        e = Event(ip=f.ip, lport=0, remote=f.remote, proto=f.proto, p=p, id=struct.pack(">I", number), t=near(rng, f.start),
                  cal=rng.random() < 0.5)
        if rng.random() < 0.5:
            e.t -= rng.choice([0, 600 * S, 3000 * S])
            e.last = e.t + rng.choice([1 * S, 3000 * S, 3600 * S])
        elif rng.random() < 0.2:
            e.stop = e.t + rng.choice([1 * S, 600 * S])
        return e

    def owners(self):
        return {id(f): owner(f, self.events, self.reports, self.flows) for f in self.flows}
