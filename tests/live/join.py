"""Live uploads and endpoint events through FIFOs and standard input: an event that is there before its flow, one that comes after it has been
told, several sources at once, writers that come and go."""
import datetime
import json
import os
import subprocess

import lab
from lab import Lab, Sensor, equal, expect, step

MIB = 1 << 20
DEVICE = "ws-0417"


def stamp(seconds_ago=0.0):
    t = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds_ago)
    return t.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def connect_event(port, time, pid, image="rclone.exe", report=None):
    """A row of Defender's DeviceNetworkEvents: what the endpoint says of one connection."""
    return {"Timestamp": time, "DeviceId": "e8b910cee443bf8761bfc8739c60230897da1ea5", "DeviceName": DEVICE,
            "ReportId": report or 100000 + port, "ActionType": "ConnectionSuccess", "Protocol": "Tcp", "LocalIP": "10.77.0.1",
            "LocalPort": port, "RemoteIP": "10.77.0.2", "RemotePort": 443, "LocalIPType": "Private",
            "RemoteIPType": "Private", "RemoteUrl": lab.HOST, "InitiatingProcessFileName": image,
            "InitiatingProcessId": pid, "InitiatingProcessFolderPath": f"c:\\tools\\{image}",
            "InitiatingProcessCommandLine": f"{image} copy c:\\data dropbox:", "InitiatingProcessCreationTime": time,
            "InitiatingProcessAccountName": "employee", "InitiatingProcessAccountDomain": "corp",
            "InitiatingProcessParentFileName": "explorer.exe", "InitiatingProcessParentId": 2204}


class Fifo:
    def __init__(self, path):
        self.path = path
        os.mkfifo(path)
        self.writer = None

    def write(self, *rows):
        if not self.writer:
            self.writer = open(self.path, "w", buffering=1)
        for row in rows:
            self.writer.write((row if isinstance(row, str) else json.dumps(row)) + "\n")

    def hang_up(self):
        self.writer.close()
        self.writer = None


def upload_from(net, port, n=10 * MIB):
    net.inside("client", "curl", "-sS", "--fail", "--http1.1", "--cacert", net.certificate()[0], "--local-port", str(port),
               "--resolve", f"{lab.HOST}:443:10.77.0.2", "-T", net.body(n), "-o", os.devnull, f"https://{lab.HOST}/2/files/upload",
               timeout=120)
    return net.received(port)


def of_port(port):
    return lambda r: r.get("src_port") == port


def check_owner(record, pid, grades="AB"):
    lt = record["leaktap"]
    equal("outcome", lt["outcome"], "attributed")
    expect(lt["grade"] in grades, f"grade {lt['grade']}")
    equal("process", (lt["process"]["name"], lt["process"]["pid"], lt["process"]["device"]), ("rclone.exe", pid, DEVICE))
    equal("evidence", [(e["source"], e["key"]) for e in lt["evidence"]], [("mde", "5tuple")])


def event_before_flow(net, sensor, fifo):
    """The evidence is there when the flow ends: its first record names the process, and so does the alert's first version."""
    port = 40001
    fifo.write(connect_event(port, stamp(), 4188))
    truth = upload_from(net, port)
    # On a slow machine the upload lasts, and the finding is told and told again while it runs.
    whole = sensor.wait_record("the alert with every byte", "alert", lambda r: of_port(port)(r) and r["leaktap"]["bytes_up"] >= truth["bytes"])
    equal("bytes", whole["leaktap"]["bytes_up"], truth["bytes"])
    alert = next(r for r in sensor.records("alert") if of_port(port)(r))
    check_owner(alert, 4188)
    equal("version", alert["leaktap"]["version"], 1)
    equal("verdict", alert["leaktap"]["finding"]["verdict"], "upload_by_process")
    equal("flow ids", len({r["flow_id"] for r in sensor.records("flow") if r.get("src_port") == port}), 1)
    check_owner(lab.last_of(sensor.records(), port), 4188)
    equal("attribution records of what was known at once",
          [r for r in sensor.records("attribution") if r.get("src_port") == port], [])


def event_after_flow(net, sensor, fifo):
    """Flow and alert are told without an owner; the event arrives: an attribution record, and the same finding again."""
    port = 40002
    at = stamp()
    truth = upload_from(net, port)
    flow = sensor.wait_record("the flow's end", "flow", lambda r: of_port(port)(r) and r["flow"]["reason"] == "fin")
    equal("outcome and cause before", (flow["leaktap"]["outcome"], flow["leaktap"]["cause"]), ("unattributed", "late"))
    first = sensor.wait_record("the alert", "alert", of_port(port))
    equal("verdict before", first["leaktap"]["finding"]["verdict"], "upload_unattributed")
    fifo.write(connect_event(port, at, 5200))
    change = sensor.wait_record("the attribution", "attribution", of_port(port))
    check_owner(change, 5200)
    equal("flow_id", change["flow_id"], flow["flow_id"])
    expect(change["leaktap"]["version"] > flow["leaktap"]["version"], "the attribution's version is not higher")
    equal("bytes of the attribution", change["leaktap"]["bytes_up"], truth["bytes"])
    again = sensor.wait_record("the revised alert", "alert",
                               lambda r: of_port(port)(r) and r["leaktap"]["finding"]["verdict"] == "upload_by_process")
    equal("finding", again["leaktap"]["finding"]["id"], first["leaktap"]["finding"]["id"])
    equal("version", again["leaktap"]["version"], first["leaktap"]["version"] + 1)
    check_owner(again, 5200)


def writers_come_and_go(net, sensor, fifo):
    """A writer that hangs up ends its document, not the source; one that writes garbage costs its row only."""
    fifo.hang_up()
    port = 40003
    at = stamp()
    upload_from(net, port)
    sensor.wait_record("the flow's end", "flow", lambda r: of_port(port)(r) and r["flow"]["reason"] == "fin")
    fifo.write("{this is no row}", connect_event(port, at, 5300))
    check_owner(sensor.wait_record("the attribution", "attribution", of_port(port)), 5300)
    expect("line" in sensor.log.read_text() or ":1" in sensor.log.read_text(), "the bad row was not named")


def other_source(net, sensor, fifo):
    """The second source is read although the first stays open."""
    port = 40004
    at = stamp()
    upload_from(net, port)
    sensor.wait_record("the flow's end", "flow", lambda r: of_port(port)(r) and r["flow"]["reason"] == "fin")
    fifo.write(connect_event(port, at, 5400))
    check_owner(sensor.wait_record("the attribution", "attribution", of_port(port)), 5400)


def two_claim_it(net, sensor, fifo):
    """A second process with the same evidence: ambiguous, the bytes are nobody's, both are named."""
    port = 40005
    at = stamp()
    upload_from(net, port)
    sensor.wait_record("the flow's end", "flow", lambda r: of_port(port)(r) and r["flow"]["reason"] == "fin")
    fifo.write(connect_event(port, at, 5500))
    first = sensor.wait_record("the attribution", "attribution", of_port(port))
    check_owner(first, 5500)
    fifo.write(connect_event(port, at, 5501, image="winscp.exe", report=7))
    change = sensor.wait_record("the second attribution", "attribution",
                                lambda r: of_port(port)(r) and r["leaktap"]["outcome"] == "ambiguous")
    equal("candidates", sorted(p["pid"] for p in change["leaktap"]["candidates"]), [5500, 5501])
    expect(change["leaktap"]["version"] > first["leaktap"]["version"], "the version is not higher")


def at_the_end(net, sensor, fifo):
    """Flows and an event are still on their way when SIGTERM comes: all are told, joined where there is evidence."""
    port, nobodys = 40006, 40007
    fifo.write(connect_event(port, stamp(), 5600))
    upload_from(net, port)
    truth = upload_from(net, nobodys, 70000)
    records = sensor.stop(3)  # a row was refused: the input was partly unreadable
    check_owner(lab.last_word(records, port), 5600)
    flow = lab.last_of(records, nobodys)["leaktap"]
    equal("without an event", (flow["outcome"], flow["cause"], flow["bytes_up"]), ("unattributed", "late", truth["bytes"]))
    stats = [r for r in records if r["event_type"] == "stats"][-1]["leaktap"]
    equal("rows read", stats["events"]["rows"], 8)
    equal("rows refused", sum(stats["events"]["refused"].values()), 1)
    equal("outcomes", stats["join"]["flows"]["attributed"], 5)
    equal("ambiguous", stats["join"]["flows"]["ambiguous"], 1)


def versions_grow(records):
    seen = {}
    for r in records:
        if r["event_type"] in ("flow", "attribution"):
            now = (r["leaktap"]["seq"], r["leaktap"]["version"])
            before = seen.get(r["flow_id"], (0, 0))
            expect(now > before, f"flow {r['flow_id']}: (seq, version) {now} after {before}")
            seen[r["flow_id"]] = now


def through_standard_input(net, leaktap):
    sensor = Sensor(net, leaktap, "tap", "to_client", "--endpoint", "-", name="stdin", stdin=subprocess.PIPE)
    port = 40010
    at = stamp()
    upload_from(net, port)
    sensor.wait_record("the flow's end", "flow", lambda r: of_port(port)(r) and r["flow"]["reason"] == "fin")
    sensor.process.stdin.write((json.dumps(connect_event(port, at, 6000)) + "\n").encode())
    sensor.process.stdin.close()
    check_owner(sensor.wait_record("the attribution", "attribution", of_port(port)), 6000)
    sensor.stop()
    equal("left behind", sensor.leftovers(), [])


def test(leaktap):
    lab.need_tools("redis-server")
    net = Lab()
    net.serve()
    one, two = Fifo(net.dir / "one"), Fifo(net.dir / "two")
    sensor = Sensor(net, leaktap, "tap", "to_client", "--endpoint", one.path, "--endpoint", two.path, name="fifo")
    step(event_before_flow, net, sensor, one)
    step(event_after_flow, net, sensor, one)
    step(writers_come_and_go, net, sensor, one)
    step(other_source, net, sensor, two)
    step(two_claim_it, net, sensor, two)
    step(at_the_end, net, sensor, two)
    step(versions_grow, sensor.records())
    equal("left behind", sensor.leftovers(), [])
    step(through_standard_input, net, leaktap)
    net.close()


lab.main(test)
