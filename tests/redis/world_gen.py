"""Random small worlds for the whole program: devices with clocks, processes, connections seen by one or two taps, endpoint events with their
gaps, copies and reports. Everything that the program has to find out is written down here as it is made.

Where the page leaves room (which of two estimates a clock without samples gets, a silence of 15 or of 16 minutes) no world goes."""

import random
import struct
from collections import defaultdict

import world_wire as ww

S, MS = ww.S, ww.MS
BUCKET, LEDGER = 1800 * S, 300 * S
BASE = 984_100 * BUCKET  # in 2026
SAME_FLOW, REPEAT = 3 * S, 2 * S
MIN_PAIRS, FINE_PAIRS = 3, 15
BEAT = 15 * S  # between two connections that tell a clock
EDGES = [-65 * S, -60 * S, -15 * S, -10 * S, -5 * S, -3 * S, -2 * S, 0, 2 * S, 3 * S, 5 * S, 10 * S, 15 * S, 60 * S]
SMALL_SKEWS = [0, 0, 0, 3_300 * MS, -63 * S]
SKEWS = [0, 0, 3_300 * MS, -63 * S, 400 * S, 1800 * S + 2 * S, -4 * 3600 * S - 660 * MS]


class Item:
    def __init__(self, **kw):
        self.__dict__.update(kw)


class Unfit(Exception):
    """The world needs something that the page does not say."""


class World:
    """measured: one process will see packets and events, so clocks can be told exactly; else no clock is, and skews are small."""

    def __init__(self, seed, measured):
        self.measured = measured
        for attempt in range(100):
            self.rng = random.Random(seed * 1000 + attempt)
            try:
                self.make(seed)
                return
            except Unfit:
                continue
        raise RuntimeError("no world for seed %d" % seed)

    def make(self, seed):
        rng = self.rng
        self.seed, self.numbers = seed, iter(range(1, 1 << 20))
        self.connections, self.events, self.lives = [], [], []
        self.two_taps = rng.random() < 0.5
        self.remotes = [(bytes([203, 0, 113, i]), rng.choice([443, 443, 8443])) for i in range(1, 1 + rng.randrange(1, 4))]
        self.devices = [self.device(i, i == 0 and rng.random() < 0.8) for i in range(rng.randrange(2, 6))]
        self.silent = [bytes([10, 9, 0, 1])] if rng.random() < 0.3 else []
        for d in self.devices:
            for _ in range(rng.randrange(1, 7) if d.calibrated else rng.randrange(1, 4)):
                self.connection(d)
        for ip in self.silent:
            self.connection(None, ip)
        for c in self.connections:
            for side in (0, 1):
                self.tell(c, side)
        for d in self.devices:
            if self.measured:
                self.beat(d) if d.calibrated else self.keep_loose(d)
            for _ in range(rng.randrange(0, 3)):
                self.lives.append(Item(device=d, t=BASE + rng.randrange(0, 4 * BUCKET), number=next(self.numbers)))
        self.copies = [e for e in self.events if rng.random() < 0.2]

    def device(self, i, calibrated):
        rng = self.rng
        ip = bytes([10, 1, rng.randrange(4), 10 + i])
        if rng.random() < 0.2:
            ip = b"\xfd" + bytes(14) + bytes([10 + i])
        d = Item(name="dev%d.lab.example" % i, id="%040x" % (rng.getrandbits(150) + i), ip=ip, calibrated=calibrated,
                 source=rng.choice(["mde", "mde", "sysmon", "security"]), skew=rng.choice(SKEWS if self.measured else SMALL_SKEWS) if calibrated else 0)
        d.processes = [Item(device=d, name="prog%d.exe" % k, pid=1000 + 4 * k + 400 * i,
                            start=BASE - rng.randrange(6, 9) * 3600 * S - rng.randrange(3600) * S,
                            key=struct.pack(">Q", rng.getrandbits(63) | 1)) for k in range(rng.randrange(1, 4))]
        d.ports = [49152 + rng.randrange(16000) for _ in range(2)]
        d.centre = BASE + rng.randrange(1, 4) * BUCKET
        return d

    # ---- connections ----

    def start_of(self, d):
        rng = self.rng
        edge = rng.choice([0, -MS, MS, -3 * S, 3 * S, -2 * S, 2 * S, -65 * S, -60 * S, 15 * S, 60 * S, S, -S])
        if d is None or rng.random() < 0.7:
            return (d.centre if d else BASE + BUCKET) + edge
        if d.calibrated:
            return d.centre + rng.randrange(-300_000, 300_000) * MS
        return BASE + rng.randrange(0, 4 * BUCKET // MS) * MS

    def connection(self, d, ip=None):
        rng = self.rng
        others = [o for o in self.devices if d and o is not d and len(o.ip) == len(d.ip)]
        if others and rng.random() < 0.25:
            server = (rng.choice(others).ip, rng.choice([445, 5985, 443]))
        else:
            server = rng.choice(self.remotes)
            if d and len(d.ip) == 16:
                server = (bytes.fromhex("20010db8") + bytes(11) + server[0][3:], server[1])
        client = (d.ip if d else ip, rng.choice(d.ports) if d else 50000)
        proto = 17 if rng.random() < 0.2 and not (d and d.source == "sysmon") and len(server[0]) == 4 and server[1] != 445 else 6
        start = self.start_of(d)
        length = rng.choice([0, S, 20 * S, 90 * S, 400 * S, 1000 * S, 4000 * S]) if proto == 6 else rng.choice([0, S, 20 * S])
        steps = self.steps(start, length, proto)
        last = steps[-1][0] + 10 * S
        apart = 400 * S if proto == 17 else 10 * S
        if any(c.client == client and c.server == server and c.proto == proto and start < c.last + apart and c.start < last + apart
               for c in self.connections):
            return
        # A tuple that is used again without a connect to be seen: packets alone do not tell the two apart.
        before = [o for o in self.connections if (o.client, o.server, o.proto) == (client, server, proto)]
        if any(t.midstream for o in before for t in o.taps):
            return
        hidden = proto == 6 and not before
        c = Item(client=client, server=server, proto=proto, start=start, last=last, steps=steps, isn=rng.getrandbits(32),
                 devices=(d, next((o for o in self.devices if o.ip == server[0]), None)))
        c.midstream = hidden and rng.random() < 0.25
        c.taps = [self.tap(c, 0, 0, c.midstream)]
        if self.two_taps and rng.random() < 0.6:
            shift = rng.choice([0, MS, -MS, S, -2 * S, 2999 * MS, 3 * S, -3 * S])
            c.taps.append(self.tap(c, 1, shift, c.midstream or (hidden and rng.random() < 0.2 and abs(shift) < 2 * S)))
        self.connections.append(c)

    def steps(self, start, length, proto):
        """(time, way, payload, acknowledged), the first one the client's; none next to the turn of a minute."""
        rng = self.rng
        times = [start + 10 * MS]
        while times[-1] + 600 * S < start + length:
            times.append(times[-1] + rng.randrange(60_000, 590_000) * MS)
        times += [start + 20 * MS + rng.randrange(0, length // MS + 1) * MS for _ in range(rng.randrange(0, 4))]
        if proto == 6:
            times.append(start + length + 40 * MS)
        out, at = [], 0
        for k, t in enumerate(sorted(times)):
            t = max(t, at)
            if t % (60 * S) > 59_900 * MS:
                t += 200 * MS
            at = t + 5 * MS
            size = rng.choice([1, 100, 517, 1400]) if k == 0 else rng.choice([0, 1, 20, 300, 1400])
            out.append((t, 0 if k == 0 else rng.randrange(2), bytes([rng.choice([0x41, 0x7e])]) * max(size, 1), True))
        if rng.random() < 0.3 and proto == 6:
            out[0] = out[0][:2] + (ww.hello("files%d.example.org" % rng.randrange(9)), True)
        return out

    def tap(self, c, number, shift, midstream):
        """What one tap saw: shifted by its clock, without the connect or without the end."""
        rng = self.rng
        steps = c.steps
        whole = number == 0 or rng.random() < 0.6 or len(steps) < 2
        if not whole:
            steps = steps[:rng.randrange(1, len(steps))]
        wire = (ww.Tcp if c.proto == 6 else ww.Udp)(c.client, c.server, c.isn)
        wire.open(c.start)
        for t, way, payload, acked in steps:
            wire.data(t, way, payload, acked)
        if whole:
            wire.close(c.last - 9 * S)
        packets = [(t + shift, data) for t, data, shake in wire.packets if not (midstream and shake)]
        ledger, up, down = {}, 0, 0
        for t, way, payload, _ in steps:
            up, down = up + (0 if way else len(payload)), down + (len(payload) if way else 0)
            at = t + shift + (MS if c.proto == 6 else 0)
            if at % (60 * S) < MS:
                raise Unfit
            ledger[at // LEDGER] = (up, down)
        return Item(number=number, packets=packets, start=packets[0][0], last=packets[-1][0], midstream=midstream, up=up, down=down,
                    ledger=[(b,) + ledger[b] for b in sorted(ledger)])

    # ---- events ----

    def near(self, t):
        rng = self.rng
        kind = rng.random()
        if kind < 0.6:
            return t + rng.choice(EDGES) + rng.choice([0, 0, -MS, MS, -1, 1])
        if kind < 0.75:
            return t + rng.choice(EDGES) + rng.choice(EDGES)
        if kind < 0.9:
            return t + rng.randrange(-90_000, 90_000) * MS
        return t + rng.randrange(-7200_000, 30_000) * MS

    def add_event(self, d, kind, process, local, remote, proto, t):
        if d.source != "mde":
            t = t // MS * MS
        self.events.append(Item(device=d, kind=kind, process=process, ip=local[0], lport=local[1], remote=remote, proto=proto, t=t,
                                raw=t + d.skew, number=next(self.numbers)))

    def tell(self, c, side):
        rng, d = self.rng, c.devices[side]
        if not d:
            return
        local, remote = (c.client, c.server) if side == 0 else (c.server, c.client)
        for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])):
            kind, to = "accept" if side else "connect", remote
            if side == 0 and rng.random() < 0.2:
                same = [r for r in self.remotes if len(r[0]) == len(local[0])]
                to = rng.choice(same + ([None] if d.source == "mde" else [])) if same or d.source == "mde" else remote
            elif d.source == "mde" and rng.random() < 0.1:
                kind = "found"
            base = c.start
            mine = [e for e in self.events if e.device is d]
            if mine and rng.random() < 0.2:
                base = rng.choice(mine).t
            process, t = rng.choice(d.processes), self.near(base)
            self.add_event(d, kind, process, local, to, c.proto, t)
            if rng.random() < 0.15:  # told again, as another event
                self.add_event(d, kind, process, local, to, c.proto, t + rng.choice([MS, 500 * MS, S, 2 * S, 2001 * MS]))
        if d.source == "mde" and side == 0 and rng.random() < 0.25:
            begin = self.near(c.start) - rng.choice([0, 600 * S, 3000 * S, 3600 * S])
            self.add_event(d, "report", rng.choice(d.processes), local, remote, c.proto, begin)

    # ---- clocks ----

    def pairs(self, d):
        """The page's samples of a clock: (event, packet, unambiguous)."""
        flows, events = defaultdict(list), defaultdict(list)
        for c in self.connections:
            for side in (0, 1):
                if c.devices[side] is d and not c.taps[0].midstream:
                    far = c.server if side == 0 else c.client
                    flows[(c.client if side == 0 else c.server, far, c.proto)].append(c.taps[0].start)
        for e in self.events:
            if e.device is d and e.kind in ("connect", "accept") and e.remote:
                events[((e.ip, e.lport), e.remote, e.proto)].append(e.raw)
        out = []
        for key, starts in flows.items():
            starts, raws = distinct(starts, SAME_FLOW), distinct(events[key], REPEAT)
            sure = len(starts) == 1 and len(raws) == 1 and key[2] == 6
            out += [(r, s, sure) for r in raws for s in starts]
        return out

    def keep_loose(self, d):
        """Too few samples for any estimate."""
        while len(self.pairs(d)) >= MIN_PAIRS:
            mine = [e for e in self.events if e.device is d and e.kind in ("connect", "accept") and e.remote]
            self.events.remove(self.rng.choice(mine))

    def beat(self, d):
        """Connections that tell the clock exactly, dense enough for every estimate to be exactly the skew."""
        wanted = set()
        for e in self.events:
            if e.device is d:
                wanted |= {k for k in range((e.t - 200 * S) // BEAT, (e.t + 200 * S) // BEAT)}
        if not wanted:
            wanted = {d.centre // BEAT + k for k in range(20)}
        port = 20000
        for k in sorted(wanted):
            port += 1
            start = k * BEAT + 5 * S
            steps = [(start + 10 * MS, 0, b"beat", True)]
            server = (bytes([198, 51, 100, 7]) if len(d.ip) == 4 else bytes.fromhex("20010db8") + bytes(12), 443)
            c = Item(client=(d.ip, port), server=server, proto=6, start=start, last=start + 10 * S, steps=steps, isn=k,
                     devices=(d, None), midstream=False)
            c.taps = [self.tap(c, 0, 0, False)]
            self.connections.append(c)
            self.add_event(d, "connect", d.processes[0], c.client, server, 6, start)
        fine = sorted((r, r - s == d.skew) for r, s, sure in self.pairs(d) if sure)
        for i in range(len(fine) - 2):
            if not any(exact for _, exact in fine[i:i + 3]):
                raise Unfit
        for e in self.events:
            if e.device is d:
                nearest = sorted(fine, key=lambda p: abs(p[0] - e.raw))[:FINE_PAIRS + 1]
                if len(nearest) <= FINE_PAIRS or sum(exact for _, exact in nearest) < 12:
                    raise Unfit


def distinct(times, gap):
    out = []
    for t in sorted(times):
        if not out or t - out[-1] > gap:
            out.append(t)
    return out
