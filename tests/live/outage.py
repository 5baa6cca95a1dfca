"""The join of a live sensor with a spool (STATE_DIRECTORY set) while Redis stands still, and while the sensor and Redis are killed.

A generator sends flows at a fixed rate and writes down what it sent and when. What counts is Redis at the end: its rollups, and the out
streams replayed. LEAKTAP_LONG=1: Redis stands still for 10 minutes, 20 kills.

usage: outage.py LEAKTAP [stands_still] [killed]; outage.py --load FILE RATE KIND (inside a namespace, until SIGTERM)"""
import json
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import time

import lab
from lab import Lab, Sensor, equal, expect, step, wait_for
from spool import Redis

RATE = int(os.environ.get("LEAKTAP_FLOWS_S", "300"))
STOPPED_S = int(os.environ.get("LEAKTAP_STOPPED_S", "600" if lab.LONG else "15"))
KILLS = 20 if lab.LONG else 3
SIZES = 60000
BACKOFF_S = 7 # before Redis is asked again, and until the statistics say so
SAFE_S = 6   # after a flow's last packet it has ended, was told and is on disk
CONFIG = "  idle_udp_s: 2\njoin:\n  cell_ttl_s: 7200\n"


# ---- the generator ----

def checksum(data):
    s = sum(struct.unpack(f">{len(data) // 2}H", data))
    s = (s & 0xffff) + (s >> 16)
    return ~(s + (s >> 16)) & 0xffff


def frame(a, aport, b, bport, payload):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + payload, 1, 0, 64, 17, 0, a, b)
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return (b"\x02\0\0\0\0\2\x02\0\0\0\0\1\x08\0" + head + struct.pack(">HHHH", aport, bport, 8 + payload, 0) + bytes(payload))


def exchange(raw, i, a, b, port):
    """Two packets up, one down."""
    up, down = 2 + i % 1300, 1 + i % 700
    raw.send(frame(a, port, b, 5000, up // 2))
    raw.send(frame(a, port, b, 5000, up - up // 2))
    raw.send(frame(b, 5000, a, port, down))
    return up, down


def single(raw, i, a, b, port):
    """One packet of a size that no other flow has: it is there or it is not."""
    raw.send(frame(a, port, b, 5000, 1 + i))
    return 1 + i, 0


def load(path, rate, kind):
    going = True

    def end(*_):
        nonlocal going
        going = False
    signal.signal(signal.SIGTERM, end)
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("eth0", 0))
    began, i = time.time(), 0
    with open(path, "w", buffering=1 << 16) as log:
        while going and (kind == exchange or i < SIZES):
            due = min(int((time.time() - began) * rate), i + rate, i + SIZES if kind == exchange else SIZES)
            while i < due:
                port = 20000 + (i >> 14) % 40000
                up, down = kind(raw, i, bytes([10, 78, i >> 8 & 63, i & 255]), b"\x0a\x4d\0\2", port)
                log.write(f"{time.time():.3f} {up} {down}\n")
                i += 1
            time.sleep(0.005)
    while going:
        time.sleep(0.1)


class Load:
    def __init__(self, net, kind, rate):
        self.path = net.dir / f"{kind}.sent"
        self.process = net.start("client", sys.executable, pathlib.Path(__file__), "--load", self.path, rate, kind)
        wait_for("the generator", lambda: self.path.exists() and self.path.stat().st_size)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        rows = [line.split() for line in self.path.read_text().splitlines()]
        return [(float(t), int(up), int(down)) for t, up, down in rows]


# ---- what Redis has ----

def connect(redis):
    sys.path.insert(0, str(lab.ROOT / "tests/redis"))
    import join_oracle
    return join_oracle.Redis(str(redis.socket)), join_oracle.unpack_changes


def rollups(redis):
    """Bytes up and down of the initiators' side."""
    r, _ = connect(redis)
    up = down = 0
    for key in r("KEYS", "leaktap:{*}:r:*"):
        flat = r("HGETALL", key)
        for name, value in zip(flat[::2], flat[1::2]):
            if name[11] == 0:
                one = [int(n) for n in value.split(b",")]
                up, down = up + one[0], down + one[1]
    return up, down


def streamed(redis):
    """The out streams replayed: the last version of every flow, initiators' side."""
    r, unpack = connect(redis)
    last = {}
    for key in r("KEYS", "leaktap:{*}:out"):
        for _, fields in r("XRANGE", key, "-", "+"):
            for source, fid, side, ver, *rest in unpack(fields[1]):
                if side == 0 and last.get((source, fid), (0,))[0] <= ver:
                    last[source, fid] = (ver, rest)
    return [rest[-1] for _, rest in last.values()]


def stats(sensor):
    rows = sensor.records("stats")
    return rows[-1] if rows else None


def waiting(sensor):
    row = stats(sensor)
    return row["leaktap"]["join"]["waiting_bytes"] if row else None


def drops(sensor):
    return stats(sensor)["stats"]["capture"]["kernel_drops"]


def resident_kib(sensor):
    for pid in [sensor.process.pid]:
        for line in open(f"/proc/{pid}/status"):
            if line.startswith("VmRSS"):
                return int(line.split()[1])
    return 0


def start(net, leaktap, redis, name):
    return Sensor(net, leaktap, "tap", "to_client", "--redis", redis.url, "--join", "all", "--records", "stats", "udp", "port", "5000",
                  name=name, config=CONFIG)


# ---- scenes ----

def stands_still(net, leaktap, redis):
    sensor = start(net, leaktap, redis, "still")
    generator = Load(net, "exchange", RATE)
    time.sleep(8)
    wait_for("the first statistics", lambda: stats(sensor))
    before, resident = drops(sensor), resident_kib(sensor)
    redis.process.send_signal(signal.SIGSTOP)
    time.sleep(STOPPED_S)
    held, during = waiting(sensor), resident_kib(sensor)
    redis.process.send_signal(signal.SIGCONT)
    began = time.monotonic()
    steady = RATE * 2 * 100  # what is under way in a second of the load
    try:
        wait_for("the join to catch up", lambda: waiting(sensor) < steady, STOPPED_S / 3 + BACKOFF_S)
    except AssertionError as e:
        raise AssertionError(f"{e}: {[r['leaktap']['join']['waiting_bytes'] for r in sensor.records('stats')]} bytes waited\n{sensor.log.read_text()}")
    took = time.monotonic() - began
    sent = generator.stop()
    time.sleep(SAFE_S)
    wait_for("the join to come to rest", lambda: waiting(sensor) == 0, 60)
    rows = sensor.stop()
    last = rows[-1]
    equal("packets that the kernel dropped", (before, last["stats"]["capture"]["kernel_drops"]), (0, 0))
    equal("batches lost", (last["leaktap"]["join"]["spool_dropped"], last["leaktap"]["join"]["batches_forced"]), (0, 0))
    wanted = sum(up for _, up, _ in sent), sum(down for _, _, down in sent)
    equal("bytes in the rollups", rollups(redis), wanted)
    expect(held > STOPPED_S * RATE * 10, f"only {held} bytes waited: the test does not test")
    # Without any outage the bounded tables of flows and hosts fill at 0.4 to 0.7 MiB/s; what waits must not come on top without bound.
    expect(during - resident < (96 + 0.7 * STOPPED_S) * 1024, f"memory grew from {resident} to {during} KiB")
    print(f"stopped {STOPPED_S} s at {RATE} flows/s: {len(sent)} flows, {len(sent) * 3} packets, 0 dropped, {held >> 20} MiB waited, memory {resident >> 10} -> "
          f"{during >> 10} MiB, caught up in {took:.1f} s ({STOPPED_S / max(took, 0.1):.0f} x), 0 bytes off", flush=True)


def killed(net, leaktap, redis):
    """Every third time Redis dies too, every third time it stands still when the sensor dies."""
    rng = random.Random(int(os.environ.get("LEAKTAP_SEED", "1")))
    net.ip("client", "link", "set", "eth0", "mtu", "65535")
    net.ip("tap", "link", "set", "to_client", "mtu", "65535")
    generator, alive = Load(net, "single", min(RATE, 200)), []
    for i in range(KILLS + 1):
        sensor = start(net, leaktap, redis, f"kill{i}")
        from_s = time.time() + 0.5
        time.sleep(SAFE_S + rng.uniform(1, 3))
        if i == KILLS:
            break
        if i % 3 == 1:
            redis.process.send_signal(signal.SIGSTOP)
            time.sleep(rng.uniform(0.2, 2))
        alive.append((from_s, time.time() - SAFE_S))
        sensor.process.kill()
        sensor.process.wait()
        if i % 3 == 2:
            redis.kill()
            redis.start()
        redis.process.send_signal(signal.SIGCONT)
    sent = generator.stop()
    alive.append((from_s, time.time()))
    time.sleep(SAFE_S)
    wait_for("the join to come to rest", lambda: waiting(sensor) == 0, 60)
    sensor.stop()
    compare(redis, sent, alive)


def compare(redis, sent, alive):
    known = {(up, down) for _, up, down in sent}
    equal("pairs sent twice", len(sent) - len(known), 0)
    got = streamed(redis)
    must = {(up, down) for t, up, down in sent if any(a <= t <= b for a, b in alive)}
    missing = must - set(got)
    where = [(round(b - a, 1), sum(a <= t <= b and (up, down) in missing for t, up, down in sent), sum(a <= t <= b for t, _, _ in sent)) for a, b in alive]
    equal(f"flows that are missing, in (seconds, missing, sent) {where}", len(missing), 0)
    equal("flows that came twice", len(got) - len(set(got)), 0)
    equal("flows that nobody sent", [x for x in got if x not in known], [])
    equal("rollups less the streams", rollups(redis), (sum(x[0] for x in got), sum(x[1] for x in got)))
    expect(len(must) > 100, "hardly any flow: the test does not test")
    print(f"killed {KILLS} times at {min(RATE, 200)} flows/s: {len(must)} flows had to be there, {len(got)} are, each once, 0 bytes off", flush=True)


def test(leaktap):
    lab.need_tools("redis-server", "redis-cli")
    net = Lab()
    try:
        for scene in (stands_still, killed):
            if not sys.argv[2:] or scene.__name__ in sys.argv[2:]:
                alone(scene, net, leaktap)
    finally:
        net.close()


def alone(scene, net, leaktap):
    """With a Redis and a spool of its own: what one scene's spool still keeps would be told to the next one's empty Redis."""
    folder = net.dir / scene.__name__
    folder.mkdir()
    os.environ["STATE_DIRECTORY"] = str(folder)
    redis = Redis(folder)
    try:
        step(scene, net, leaktap, redis)
    finally:
        redis.kill()


if __name__ == "__main__":
    if sys.argv[1] == "--load":
        load(sys.argv[2], int(sys.argv[3]), {"exchange": exchange, "single": single}[sys.argv[4]])
    else:
        lab.main(test)
