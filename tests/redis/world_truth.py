"""Who owns what in a world of world_gen.py, by brute force from the page's table: for each connection and side all events are looked at.
The table itself is join_world.owner, which the join script's own test uses too."""

import join_world as jw
import world_wire as ww

S = ww.S
SILENCE, MINUTE = 900 * S, 60 * S
KEYS = ["", "5tuple", "ip_port", "aggregated", "destination"]
CAUSES = {0: None, 3: "connect_before_capture", 8: "uncalibrated_clock", 9: "time_apart", 10: "remote_missing",
          11: "aggregated_report", 12: "dedup_inferred", 13: "rivals"}
OUTCOMES = {"A": "attributed", "B": "attributed", "C": "attributed", "D": "ambiguous", "U": "unattributed"}
HOUR = 3600 * S


class Truth:
    """taps: numbers of the taps that told; clocks: whether the device's clocks were measured (one process had both sides)."""

    def __init__(self, world, taps, clocks):
        self.world, self.clocks = world, clocks
        self.near, self.reports = {}, {}
        for e in world.events:
            self.take(e)
        self.flows, self.owners = [], {}
        for c in world.connections:
            seen = [t for t in c.taps if t.number in taps]
            for side in (0, 1):
                if seen and (side == 0 or c.devices[1]):
                    self.flow(c, side, seen)
        ports = {}
        for f in self.flows:
            ports.setdefault((f.ip, f.lport), []).append(f)
        for f in self.flows:
            own = (f.ip, f.lport)
            self.owners[id(f)] = jw.owner(f, self.near.get(own, []), self.reports.get((f.ip, f.remote), []), ports[own])

    def take(self, e):
        measured = self.clocks and e.device.calibrated
        t = e.t if measured else e.raw
        x = jw.Event(ip=e.ip, lport=e.lport, remote=e.remote, proto=e.proto, p=e.process.key, id=e.number.to_bytes(4, "big"), t=t,
                     cal=measured, found=e.kind == "found", last=t + HOUR if e.kind == "report" else 0)
        if e.kind != "report":
            self.near.setdefault((e.ip, e.lport), []).append(x)
        if e.remote and e.device.source == "mde":
            self.reports.setdefault((e.ip, e.remote), []).append(x)

    def flow(self, c, side, seen):
        own, far = (c.client, c.server) if side == 0 else (c.server, c.client)
        f = jw.Flow(ip=own[0], lport=own[1], remote=far, proto=c.proto, side=side, service=0, connection=c,
                    taps=[(t.number, 0, t.start, t.last, t.midstream, t.ledger) for t in seen])
        f.seek = not f.midstream
        self.flows.append(f)
        c.owned = getattr(c, "owned", {})
        c.owned[side] = f

    def row(self, c, side):
        """(outcome, grade, possible causes, key, processes) of one side."""
        f = c.owned[side]
        grade, key, cause, who = self.owners[id(f)]
        causes = {CAUSES[cause]} if grade != "U" else self.why(f, c.devices[side])
        return OUTCOMES[grade], grade, causes, KEYS[key], who

    def why(self, f, device):
        if not device or not self.clocks:
            return {"no_event"}
        if f.midstream:
            return {"connect_before_capture"}
        skew = device.skew
        times = [e.raw - skew for e in self.world.events if e.device is device] + \
                [x.t for x in self.world.lives if x.device is device]
        ends = [e.raw - skew + HOUR for e in self.world.events if e.device is device and e.kind == "report"]

        def heard(reach, times):
            return any(f.start - reach <= t <= f.last + reach for t in times)
        # The page leaves open to how many seconds a silence is measured, and at which end of its hour a report is heard.
        answers = {heard(SILENCE, times), heard(SILENCE + MINUTE, times), heard(SILENCE, times + ends)}
        return {"no_event" if a else "endpoint_silent" for a in answers}

    def rollups(self):
        return jw.rollups(self.flows, self.owners)
