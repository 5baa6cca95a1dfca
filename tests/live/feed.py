"""The feed into a Redis of the user's: what a consumer group reads from the stream and what a client pops from the list is what the file
holds, line for line. feed.py LEAKTAP replay: a replay; no root needed. feed.py LEAKTAP outage: a live capture while Redis stands still."""
import collections
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import lab
from lab import equal, expect, step, wait_for

STREAM, LIST, CHANNEL = "leaktap:feed", "sensor:records", "sensor:live"


class Redis:
    def __init__(self, folder):
        lab.need_tools("redis-server", "redis-cli")
        self.socket = pathlib.Path(folder) / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", "",
                                         "--appendonly", "no", "--dir", str(folder)], stdout=subprocess.DEVNULL)
        wait_for("redis-server", lambda: self.socket.exists() and self.cli("PING") == "PONG")

    def cli(self, *argv):
        done = subprocess.run(["redis-cli", "-s", str(self.socket), "--json", *map(str, argv)], capture_output=True, text=True,
                              timeout=60)
        expect(done.returncode == 0, f"redis-cli {argv}: {done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def group(self, consumers):
        """All lines of the stream, read by so many consumers of one group in turn, each acknowledged."""
        lines, empty = [], 0
        for turn in range(1 << 20):
            if empty == consumers:
                return lines
            got = self.cli("XREADGROUP", "GROUP", "soc", f"c{turn % consumers}", "COUNT", 7, "STREAMS", STREAM, ">")
            entries = got[STREAM] if got else []
            empty = 0 if entries else empty + 1
            for entry, fields in entries:
                equal("fields of an entry", fields[::2], ["json"])
                lines.append((entry, fields[1]))
            if entries:
                equal("acknowledged", self.cli("XACK", STREAM, "soc", *[e for e, _ in entries]), len(entries))
        raise AssertionError("the stream does not end")

    def popped(self):
        lines = []
        while True:
            got = self.cli("LPOP", LIST, 50)
            if not got:
                return lines
            lines += got

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


def fed_lines(path):
    """The lines of the file that belong into the feed: all but statistics."""
    return [line for line in pathlib.Path(path).read_text().splitlines() if json.loads(line)["event_type"] != "stats"]


def check_feed(redis, path, kinds):
    lines = fed_lines(path)
    expect(len(lines) > 0, "nothing was told: the test does not test")
    equal("kinds of records", {json.loads(line)["event_type"] for line in lines}, kinds)
    stream = redis.group(3)
    equal("number of stream entries", len(stream), len(lines))
    for i, (_, line) in enumerate(stream):
        equal(f"stream entry {i}", line, lines[i])
    order = [tuple(map(int, entry.split("-"))) for entry, _ in stream]
    expect(order == sorted(set(order)), "stream ids do not grow")
    equal("pending entries of the group", redis.cli("XPENDING", STREAM, "soc")[0], 0)
    equal("list", redis.popped(), lines)
    return lines


def subscriber(redis, folder):
    out = open(pathlib.Path(folder) / "published", "w+")
    p = subprocess.Popen(["redis-cli", "-s", str(redis.socket), "SUBSCRIBE", CHANNEL], stdout=out)
    wait_for("the subscription", lambda: redis.cli("PUBSUB", "NUMSUB", CHANNEL)[1] == 1)
    return p, out


def published(out):
    out.flush()
    rows = pathlib.Path(out.name).read_text().splitlines()
    return [rows[i + 2] for i in range(0, len(rows) - 2, 3) if rows[i] == "message"]


def replay(leaktap, folder):
    redis = Redis(folder)
    try:
        redis.cli("XGROUP", "CREATE", STREAM, "soc", "$", "MKSTREAM")
        reader, out = subscriber(redis, folder)
        conf = pathlib.Path(folder) / "leaktap.yaml"
        conf.write_text(f"sensor: lab\nfeed:\n  list: {LIST}\n  channel: {CHANNEL}\n")
        records = pathlib.Path(folder) / "records.json"
        argv = [leaktap, "-c", conf, "--redis", redis.url, "-o", records, "-q"]
        for name in ("dropbox_put_50mb", "lab_tls12", "werfault"):
            argv += ["-r", lab.ROOT / f"pcaps/captures/{name}.pcapng.zst", "--endpoint", lab.ROOT / f"pcaps/events/{name}.ndjson"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
        equal(f"exit code ({done.stderr})", done.returncode, 0)
        lab.validate(records)
        lines = check_feed(redis, records, {"flow", "alert"})
        wait_for("all messages on the channel", lambda: published(out) == lines)
        reader.kill()
        reader.wait()
    finally:
        redis.stop()


def uploads(net, n):
    return [net.received(net.upload(70000 + 100 * i)) for i in range(n)]


def standstill(leaktap, folder):
    net = lab.Lab()
    net.serve()
    redis = Redis(folder)
    try:
        redis.cli("XGROUP", "CREATE", STREAM, "soc", "$", "MKSTREAM")
        sensor = lab.Sensor(net, leaktap, "tap", "to_client", "--redis", redis.url, config=f"feed:\n  list: {LIST}\n")
        truth = uploads(net, 3)
        wait_for("records in Redis", lambda: redis.cli("XLEN", STREAM) > 0)
        redis.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        truth += uploads(net, 12)
        truth.append(net.received(net.upload(10 << 20)))
        last = truth[-1]["port"]
        sensor.wait_record("a flow of the outage in the file", "flow", lambda r: r.get("src_port") == last)
        time.sleep(max(0.0, 6.0 - (time.monotonic() - began)))
        redis.process.send_signal(signal.SIGCONT)
        truth += uploads(net, 3)
        wait_for("the feed to come back", lambda: redis.cli("XLEN", STREAM) >= len(truth))
        records = sensor.stop()
        for t in truth:
            flow = lab.last_of(records, t["port"])
            equal(f"bytes of port {t['port']}", flow["leaktap"]["bytes_up"], t["bytes"])
        stats = [r for r in records if r["event_type"] == "stats"][-1]["leaktap"]
        equal("drops, lost records, lost lines", (stats["input"]["kernel_drops"], stats["input"]["records_lost"],
                                                  stats["feed"]["lost"]), (0, 0, 0))
        check_feed(redis, sensor.out, {"flow", "alert"})
        ends = collections.Counter(r["flow_id"] for r in records if r["event_type"] == "flow" and r["flow"]["reason"] == "fin")
        equal("flows told twice", [f for f, n in ends.items() if n > 1], [])
    finally:
        redis.stop()
        net.close()


def test(leaktap):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lt-feed-"))
    try:
        step({"replay": replay, "outage": standstill}[sys.argv[2]], leaktap, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


lab.main(test)
