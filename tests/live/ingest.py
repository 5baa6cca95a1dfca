"""Two processes and one Redis: leaktap ingest feeds endpoint events, a live sensor without any joins them. Events before their flow and after
it, an ingester that is killed, files that rotate, a Redis list and a stream as sources."""
import datetime
import json
import os
import signal
import subprocess

import lab
from lab import Lab, Sensor, equal, expect, step, wait_for

MIB = 1 << 20
DEVICE = "ws-0417"


def stamp():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def row(port, time, pid):
    """A row of Defender's DeviceNetworkEvents: what the endpoint says of one connection."""
    return json.dumps({
        "Timestamp": time, "DeviceId": "e8b910cee443bf8761bfc8739c60230897da1ea5", "DeviceName": DEVICE, "ReportId": 100000 + port,
        "ActionType": "ConnectionSuccess", "Protocol": "Tcp", "LocalIP": "10.77.0.1", "LocalPort": port, "RemoteIP": "10.77.0.2",
        "RemotePort": 443, "RemoteUrl": lab.HOST, "InitiatingProcessFileName": "rclone.exe", "InitiatingProcessId": pid,
        "InitiatingProcessFolderPath": "c:\\tools\\rclone.exe", "InitiatingProcessCommandLine": f"rclone copy c:\\data\\{pid} dropbox:",
        "InitiatingProcessCreationTime": time, "InitiatingProcessAccountName": "employee", "InitiatingProcessAccountDomain": "corp",
        "InitiatingProcessParentFileName": "explorer.exe", "InitiatingProcessParentId": 2204})


class Redis:
    def __init__(self, net):
        self.net = net
        self.socket = net.dir / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self):
        p = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.net.dir), "--save", "",
                              "--appendonly", "yes"], stdout=subprocess.DEVNULL)
        self.process = p
        self.net.processes.append(p)
        wait_for("redis-server", lambda: self.socket.exists() and self.cli("PING", check=False) == "PONG")

    def cli(self, *argv, check=True):
        done = lab.run("redis-cli", "-s", self.socket, *argv, check=check)
        return done.stdout.strip()


class Ingester:
    def __init__(self, net, leaktap, redis, name, *sources):
        self.net, self.log = net, net.dir / f"{name}.log"
        state = net.dir / f"{name}.state"
        state.mkdir(exist_ok=True)
        yaml = net.dir / f"{name}.yaml"
        yaml.write_text(f"sensor: {name}\n")
        env = dict(os.environ, STATE_DIRECTORY=str(state))
        self.process = subprocess.Popen([leaktap, "ingest", "--redis", redis.url, "-c", yaml, *map(str, sources)], env=env,
                                        stdout=subprocess.DEVNULL, stderr=open(self.log, "a"))
        net.processes.append(self.process)

    def stop(self, sig=signal.SIGTERM, code=0):
        self.process.send_signal(sig)
        equal(f"exit code ({self.log.read_text()})", self.process.wait(lab.PATIENCE_S), code)


def upload_from(net, port, n=10 * MIB):
    net.inside("client", "curl", "-sS", "--fail", "--http1.1", "--cacert", net.certificate()[0], "--local-port", str(port),
               "--resolve", f"{lab.HOST}:443:10.77.0.2", "-T", net.body(n), "-o", os.devnull, f"https://{lab.HOST}/2/files/upload",
               timeout=120)
    return net.received(port)


def write(path, *lines):
    with open(path, "a") as f:
        for line in lines:
            f.write(line + "\n")


def of_port(port):
    return lambda r: r.get("src_port") == port


def owned(port):
    return lambda r: r.get("src_port") == port and r["leaktap"]["outcome"] == "attributed"


def check_owner(record, pid):
    lt = record["leaktap"]
    p = lt["process"]
    expect(lt["grade"] in "AB", f"grade {lt['grade']}")
    equal("process", (p["name"], p["pid"], p["device"], p["user"], p["command_line"]),
          ("rclone.exe", pid, DEVICE, "employee", f"rclone copy c:\\data\\{pid} dropbox:"))
    equal("parent", (p["parent"]["name"], p["parent"]["pid"]), ("explorer.exe", 2204))


def flow_ended(sensor, port):
    return sensor.wait_record("the flow's end", "flow", lambda r: of_port(port)(r) and r["flow"]["reason"] == "fin")


def events_in_redis(redis):
    keys = [k for k in redis.cli("KEYS", "leaktap:*:c:*").splitlines() if k]
    return sum(int(redis.cli("HLEN", k)) for k in keys)


def event_first(net, sensor, redis, folder):
    port = 41001
    before = events_in_redis(redis)
    write(folder / "mde.json", row(port, stamp(), 7001))
    wait_for("the event in Redis", lambda: events_in_redis(redis) > before)
    truth = upload_from(net, port)
    found = wait_for("the owner", lambda: next((r for r in sensor.records() if owned(port)(r)), None))
    check_owner(found, 7001)
    flow_ended(sensor, port)
    equal("bytes", lab.last_of(sensor.records(), port)["leaktap"]["bytes_up"], truth["bytes"])


def flow_first(net, sensor, folder):
    port, at = 41002, stamp()
    upload_from(net, port)
    expect(flow_ended(sensor, port)["leaktap"]["outcome"] == "unattributed", "owned before the event")
    write(folder / "mde.json", row(port, at, 7002))
    check_owner(sensor.wait_record("the attribution", "attribution", owned(port)), 7002)
    again = sensor.wait_record("the revised alert", "alert",
                               lambda r: of_port(port)(r) and r["leaktap"]["finding"]["verdict"] == "upload_by_process")
    check_owner(again, 7002)


def rotation(net, sensor, folder):
    """Lines written to the old name's file after the rename, and to the new file, both count."""
    ports, at = (41003, 41004), stamp()
    for port in ports:
        upload_from(net, port)
        flow_ended(sensor, port)
    with open(folder / "mde.json", "a") as old:
        os.rename(folder / "mde.json", folder / "mde.json.1")
        write(folder / "mde.json", row(ports[0], at, 7003))
        old.write(row(ports[1], at, 7004) + "\n")
    for port, pid in zip(ports, (7003, 7004)):
        check_owner(sensor.wait_record("the attribution", "attribution", owned(port)), pid)


def killed(net, leaktap, sensor, redis, ingester, folder):
    """kill -9; what comes meanwhile is read by the next one, and nothing is told twice."""
    port, at = 41005, stamp()
    ingester.process.kill()
    ingester.process.wait()
    upload_from(net, port)
    flow_ended(sensor, port)
    write(folder / "mde.json", row(port, at, 7005))
    told = len(sensor.records("attribution"))
    ingester = Ingester(net, leaktap, redis, "feeder", folder)
    check_owner(sensor.wait_record("the attribution", "attribution", owned(port)), 7005)
    equal("attributions", len(sensor.records("attribution")), told + 1)
    return ingester


def queues(net, leaktap, sensor, redis):
    """A list and a stream; an ingester killed between taking and storing leaves nothing behind unread."""
    ports, at = (41006, 41007, 41008), stamp()
    for port in ports:
        upload_from(net, port)
        flow_ended(sensor, port)
    redis.cli("RPUSH", "events", row(ports[0], at, 7006))
    redis.cli("RPUSH", "events:leaktap:queues", row(ports[1], at, 7007))  # what a killed one had taken
    redis.cli("XADD", "wire", "*", "json", row(ports[2], at, 7008))
    second = Ingester(net, leaktap, redis, "queues", "redis-list:events", "redis-stream:wire")
    for port, pid in zip(ports, (7006, 7007, 7008)):
        check_owner(sensor.wait_record("the attribution", "attribution", owned(port)), pid)
    wait_for("the items to be acknowledged", lambda: redis.cli("LLEN", "events:leaktap:queues") == "0" and
             redis.cli("XPENDING", "wire", "leaktap").splitlines()[0] == "0")
    second.stop()


def redis_away(net, sensor, redis, folder):
    """Redis is killed and comes back: events that came meanwhile are joined."""
    port, at = 41009, stamp()
    upload_from(net, port)
    flow_ended(sensor, port)
    wait_for("AOF", lambda: "aof_pending_bio_fsync:0" in redis.cli("INFO", "persistence"))
    redis.process.kill()
    redis.process.wait()
    write(folder / "mde.json", row(port, at, 7009))
    redis.start()
    check_owner(sensor.wait_record("the attribution", "attribution", owned(port)), 7009)


def ends_by_itself(net, leaktap, redis):
    """Plain files and standard input end; what is no event is told by the exit code."""
    port = 41020
    good = net.dir / "one.json"
    write(good, row(port, stamp(), 7020))
    base = [leaktap, "ingest", "--redis", redis.url, "--no-progress"]
    done = subprocess.run([*base, good], capture_output=True, text=True, timeout=60)
    equal("exit code", done.returncode, 0)
    expect("1 read" in done.stderr, done.stderr)
    done = subprocess.run([*base, "-"], input=row(port, stamp(), 7021) + "\n{broken\n", capture_output=True, text=True, timeout=60)
    equal("exit code of a damaged input", done.returncode, 3)
    done = subprocess.run([*base, net.dir / "missing"], capture_output=True, text=True, timeout=60)
    equal("exit code without the file", done.returncode, 1)
    done = subprocess.run([leaktap, "ingest", good], capture_output=True, text=True, timeout=60)
    equal("exit code without Redis", done.returncode, 2)
    done = subprocess.run([leaktap, "ingest", "--redis", f"unix://{net.dir}/no.sock", good], capture_output=True, text=True, timeout=60)
    equal("exit code when Redis is not there", done.returncode, 1)


def second_instance(net, leaktap, redis, folder):
    twin = Ingester(net, leaktap, redis, "feeder", folder)
    equal("exit code of a second instance", twin.process.wait(lab.PATIENCE_S), 75)


def test(leaktap):
    lab.need_tools("redis-server", "redis-cli")
    net = Lab()
    net.serve()
    redis = Redis(net)
    folder = net.dir / "events"
    folder.mkdir()
    sensor = Sensor(net, leaktap, "tap", "to_client", "--redis", redis.url, name="sensor")
    ingester = Ingester(net, leaktap, redis, "feeder", folder)
    step(event_first, net, sensor, redis, folder)
    step(flow_first, net, sensor, folder)
    step(rotation, net, sensor, folder)
    step(second_instance, net, leaktap, redis, folder)
    ingester = killed(net, leaktap, sensor, redis, ingester, folder)
    print("killed: good", flush=True)
    step(queues, net, leaktap, sensor, redis)
    step(redis_away, net, sensor, redis, folder)
    step(ends_by_itself, net, leaktap, redis)
    ingester.stop()
    sensor.stop()
    net.close()


lab.main(test)
