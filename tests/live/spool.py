"""The feed of a sensor with a spool (STATE_DIRECTORY set): Redis stands still, then dies and forgets; the sensor is killed while Redis is away.
The stream holds every line the sensor wrote to its file, in order. LEAKTAP_LONG=1: the outage lasts a minute."""
import json
import os
import pathlib
import signal
import subprocess
import time

import lab
from lab import Lab, Sensor, equal, expect, step, wait_for

STREAM = "leaktap:feed"
OUTAGE_S = 60 if lab.LONG else 10


class Redis:
    def __init__(self, folder):
        self.folder, self.socket = folder, folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self):
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder),
                                         "--save", "", "--appendonly", "yes"], stdout=subprocess.DEVNULL)
        wait_for("redis-server", lambda: self.socket.exists() and self.ask("PING") == "PONG")

    def ask(self, *argv):
        done = subprocess.run(["redis-cli", "-s", str(self.socket), "--json", *map(str, argv)], capture_output=True, text=True,
                              timeout=60)
        try:
            return json.loads(done.stdout)
        except ValueError: # an error, such as LOADING
            return None

    def kill(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def lines(self):
        return [fields[1] for _, fields in self.ask("XRANGE", STREAM, "-", "+") or []]


def fed(sensor):
    text = pathlib.Path(sensor.out).read_text()
    text = text[:text.rfind("\n") + 1]
    return [line for line in text.splitlines() if json.loads(line)["event_type"] != "stats"]


def traffic(net, seconds, at_least=1):
    """Small uploads for so long; their ports."""
    ports, end = [], time.monotonic() + seconds
    while time.monotonic() < end or len(ports) < at_least:
        ports.append(net.upload(70000 + 100 * len(ports) % 5000))
        net.received(ports[-1])
    return ports


def ended(sensor, ports):
    """The last of them is told for the last time: no traffic any more, the file is at rest."""
    sensor.wait_record("the end of the last flow", "flow", lambda r: r.get("src_port") == ports[-1] and r["flow"]["reason"] == "fin")


def compare(redis, sensor, ports):
    """No traffic any more: file and stream come to rest with the same lines in the same order."""
    ended(sensor, ports)
    def same():
        got = redis.lines()
        return len(got) > 0 and got == fed(sensor)
    try:
        wait_for("stream and file to be equal", same)
    except AssertionError as e:
        got, wanted = redis.lines(), fed(sensor)
        at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
        raise AssertionError(f"{e}: {len(got)} lines in the stream, {len(wanted)} in the file, the first difference is line {at}")


def stands_still(net, redis, sensor):
    traffic(net, 1)
    wait_for("the feed", lambda: len(redis.lines()) > 0)
    redis.process.send_signal(signal.SIGSTOP)
    traffic(net, OUTAGE_S, at_least=5)
    redis.process.send_signal(signal.SIGCONT)
    compare(redis, sensor, traffic(net, 1))


def dies_and_forgets(net, redis, sensor):
    """An older snapshot comes back: half of the stream and the position as it was then."""
    ended(sensor, traffic(net, 2))
    saved = len(redis.lines())
    redis.ask("SAVE")
    traffic(net, 2)
    wait_for("lines after the snapshot", lambda: len(redis.lines()) > saved)
    redis.kill()
    for f in (redis.folder / "appendonlydir").iterdir():
        f.unlink()
    (redis.folder / "appendonlydir").rmdir()
    base = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(redis.socket), "--dir", str(redis.folder), "--save", "",
                             "--appendonly", "no"], stdout=subprocess.DEVNULL)
    redis.process = base
    wait_for("redis-server", lambda: redis.ask("PING") == "PONG")
    expect(len(redis.lines()) >= saved > 0, "the snapshot was not loaded")
    compare(redis, sensor, traffic(net, 1))


def spooled(state, line):
    return any(line.encode() in f.read_bytes() for f in state.rglob("*") if f.is_file())


def one_after_the_other(redis, killed, second):
    """The killed sensor's file lacks what it had not written out yet; its spool does not."""
    got, first, last = redis.lines(), fed(killed), fed(second)
    equal("lines that came twice", len(got) - len(set(got)), 0)
    expect(got[:len(first)] == first, "a line of the killed sensor is missing or out of place")
    expect(got[len(got) - len(last):] == last, "a line of the second sensor is missing or out of place")
    expect(len(first) + len(last) <= len(got), "the files hold more than the stream")


def test(leaktap):
    lab.need_tools("redis-server", "redis-cli")
    net = Lab()
    state = net.dir / "state"
    state.mkdir()
    os.environ["STATE_DIRECTORY"] = str(state)
    net.serve()
    redis = Redis(net.dir)
    try:
        sensor = Sensor(net, leaktap, "tap", "to_client", "--redis", redis.url, name="one")
        step(stands_still, net, redis, sensor)
        step(dies_and_forgets, net, redis, sensor)
        # The server stands still, the sensor is killed: what it had told is shipped by the next one.
        redis.process.send_signal(signal.SIGSTOP)
        ended(sensor, traffic(net, 2))
        wait_for("the spool to hold what the file holds", lambda: spooled(state, fed(sensor)[-1]))
        sensor.process.kill()
        sensor.process.wait()
        redis.process.send_signal(signal.SIGCONT)
        second = Sensor(net, leaktap, "tap", "to_client", "--redis", redis.url, name="two")
        ended(second, traffic(net, 1))
        stats = second.wait_record("statistics", "stats")
        equal("lost", stats["leaktap"]["feed"]["lost"], 0)
        second.stop()
        step(one_after_the_other, redis, sensor, second)
    finally:
        redis.kill()
        net.close()


if __name__ == "__main__":
    lab.main(test)
