"""A live upload between two namespaces: the finding is told while leaktap runs, with exactly the bytes the receiver acknowledged; then
SIGTERM, SIGKILL, and an interface that disappears."""
import json
import os
import signal
import subprocess
import sys
import time

import lab
from lab import Lab, Sensor, equal, expect, step

EVENTS = lab.ROOT / "pcaps/events/dropbox_put_50mb.ndjson"  # any events: they make the join, and so the private server, run


def check_flow(record, truth):
    lt = record["leaktap"]
    equal("bytes_up", lt["bytes_up"], truth["bytes"])
    equal("what the receiver read", truth["read"], truth["bytes"])
    equal("basis_up", lt["basis_up"], "ack")
    equal("name", lt["name"], lab.HOST)
    if truth["sent_acked"] and not truth["reset"]:
        equal("bytes_down", lt["bytes_down"], truth["sent"])


def finding_while_it_runs(net, leaktap, where, iface, offload):
    net.offload(offload)
    name = f"{where}-{'gso' if offload else 'plain'}"
    sensor = Sensor(net, leaktap, where, iface, name=name)
    truth = net.received(net.upload(10_000_000))
    alert = sensor.wait_record("the alert with every byte", "alert", lambda r: r["leaktap"]["bytes_up"] >= truth["bytes"])
    equal("signature_id", alert["alert"]["signature_id"], 1001)
    equal("alert's bytes_up", alert["leaktap"]["bytes_up"], truth["bytes"])
    equal("alert's service", alert["leaktap"]["service"], "dropbox")
    flow = sensor.wait_record("the flow's end", "flow", lambda r: r["flow"]["reason"] == "fin")
    check_flow(flow, truth)
    gso = "super_packet" in flow["leaktap"]["flags"]
    expect(gso or not offload or where == "tap", "with offload on no super-packet was seen: the test does not test")
    expect(offload or not gso, "super-packets with offload off: the test does not test")
    records = sensor.stop()
    equal("findings told", len({r["leaktap"]["finding"]["id"] for r in records if r["event_type"] == "alert"}), 1)
    stats = [r for r in records if r["event_type"] == "stats"][-1]["leaktap"]
    expect(stats["last"], "the last stats record does not say so")
    equal("kernel drops", stats["input"]["kernel_drops"], 0)
    equal("flow records lost", stats["input"]["records_lost"], 0)


def sigterm_tells_open_flows(net, leaktap):
    """The client is still connected when the sensor is told to stop: every flow is told, the private server goes."""
    sensor = Sensor(net, leaktap, "client", "eth0", "--endpoint", EVENTS, name="sigterm")
    expect(sensor.leftovers(), "no private server: the test does not test")
    idle = [net.start("client", sys.executable, "-c", HOLD_OPEN, net.addresses[4], str(i)) for i in range(20)]
    seen = lambda: sensor.records("stats") and sensor.records("stats")[-1]["leaktap"]["table"]["flows_active"]
    lab.wait_for("20 open flows", lambda: (seen() or 0) >= 20)
    records = sensor.stop()
    told = {r["src_port"]: r for r in records if r["event_type"] == "flow" and r.get("dest_port") == 443}
    equal("flows told", len(told), 20)
    equal("reasons", {r["flow"]["reason"] for r in told.values()}, {"shutdown"})
    equal("bytes of the flows", sorted(r["leaktap"]["bytes_up"] for r in told.values()), sorted(100 + i for i in range(20)))
    equal("left behind", sensor.leftovers(), [])
    for p in idle:
        p.kill()


# The TLS receiver sees garbage and answers with an alert, but the bytes are acknowledged; the socket stays open.
HOLD_OPEN = "import socket,sys,time;s=socket.create_connection((sys.argv[1],443));s.sendall(bytes([22,3,1,64,0])+b'x'*(95+int(sys.argv[2])));time.sleep(600)"


def sigterm_tells_many(net, leaktap):
    """More open flows at the end than the way to the judge has room for, and nobody reads what it writes for a while: the capture is over,
    so the worker waits, and none is lost. SIGUSR1 asks for statistics."""
    per_source, sources = 45000, (65534, 65535)
    conf = net.dir / "many.yaml"
    conf.write_text("live:\n  update_s: 600\n  ring_mib: 256\n")
    log = net.dir / "many.log"
    p = net.start("client", leaktap, "-i", "eth0", "-c", conf, "-o", "-", "udp", stdout=subprocess.PIPE, stderr=open(log, "w"), text=True)
    lab.wait_for("the capture to begin", lambda: "capturing on" in log.read_text())
    for source in sources:
        net.inside("client", sys.executable, "-c", SPRAY, net.addresses[4], str(source), str(per_source))
    active, end = 0, time.monotonic() + lab.PATIENCE_S
    while active < per_source * len(sources):
        expect(time.monotonic() < end, f"{active} flows only")
        p.send_signal(signal.SIGUSR1)
        time.sleep(0.2)
        record = {"event_type": ""}
        while record["event_type"] != "stats":
            record = json.loads(p.stdout.readline())
        active = record["leaktap"]["table"]["flows_active"]
    p.terminate()
    time.sleep(3)
    records = [json.loads(line) for line in p.stdout]
    equal("exit code", p.wait(60), 0)
    last = records[-1]["leaktap"]
    equal("frames dropped, records lost", (last["input"]["kernel_drops"], last["input"]["records_lost"]), (0, 0))
    told = sorted((r["src_port"], r["dest_port"]) for r in records if r["event_type"] == "flow" and r["flow"]["reason"] == "shutdown" and
                  r.get("src_port") in sources)
    equal("each flow is told once", told == [(s, d) for s in sources for d in range(1, per_source + 1)], True)


# One datagram to each port: that many flows.
SPRAY = """import socket,sys,time
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.bind(("",int(sys.argv[2])))
for port in range(1,int(sys.argv[3])+1):
    try:s.sendto(b"x"*99,(sys.argv[1],port))
    except ConnectionRefusedError:s.sendto(b"x"*99,(sys.argv[1],port))
    if port%1000==0:time.sleep(.01)"""


def sigkill_leaves_nothing(net, leaktap):
    sensor = Sensor(net, leaktap, "client", "eth0", "--endpoint", EVENTS, name="sigkill")
    expect(sensor.leftovers(), "no private server: the test does not test")
    sensor.process.send_signal(signal.SIGKILL)
    sensor.process.wait(lab.PATIENCE_S)
    lab.wait_for("the private server to go", lambda: not sensor.leftovers())


def interface_disappears(net, leaktap):
    net.ip("tap", "link", "add", "gone0", "type", "veth", "peer", "name", "gone1")
    net.ip("tap", "link", "set", "gone0", "up")
    sensor = Sensor(net, leaktap, "tap", "gone0", "-i", "to_client", name="gone")
    net.upload(5000)
    net.ip("tap", "link", "del", "gone0")
    records = sensor.ended(75)
    expect("disappeared" in sensor.log.read_text(), f"the log does not name the cause: {sensor.log.read_text()}")
    expect([r for r in records if r["event_type"] == "flow" and r.get("dest_port") == 443],
           "the other interface's flow was not told")
    expect(records[-1]["leaktap"]["last"], "no last stats record")


def early_sigterm(net, leaktap):
    """A signal at any moment of the start ends in a clean exit, or is not caught yet; nothing is left behind."""
    for i, delay in enumerate((0.0, 0.02, 0.05, 0.1, 0.2, 0.4)):
        p_tmp = net.dir / f"early{i}"
        p_tmp.mkdir()
        p = net.start("client", leaktap, "-i", "eth0", "--endpoint", EVENTS, "-o", net.dir / f"early{i}.json",
                      env=dict(os.environ, TMPDIR=str(p_tmp)), stderr=subprocess.DEVNULL,
                      stdout=subprocess.DEVNULL)
        time.sleep(delay)
        p.terminate()
        expect(p.wait(lab.PATIENCE_S) in (0, -signal.SIGTERM), f"exit {p.returncode} after a signal at {delay} s")
        lab.wait_for("nothing left", lambda: not list(p_tmp.iterdir()))


def test(leaktap):
    lab.need_tools("ethtool", "redis-server")
    net = Lab()
    net.serve()
    for offload in (True, False):
        step(finding_while_it_runs, net, leaktap, "client", "eth0", offload)
        step(finding_while_it_runs, net, leaktap, "tap", "to_client", offload)
    step(sigterm_tells_open_flows, net, leaktap)
    step(sigterm_tells_many, net, leaktap)
    step(sigkill_leaves_nothing, net, leaktap)
    step(interface_disappears, net, leaktap)
    step(early_sigterm, net, leaktap)
    net.close()


lab.main(test)
