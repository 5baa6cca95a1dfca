"""Live truth for QUIC: HTTP/3 uploads of many sizes over IPv4 and IPv6, QUIC v1 and v2 (draft), with Retry, key update, a client that
migrates and a NAT that rebinds. The headline equals the payload of the distinct datagrams that reached the receiver, to the byte; also
when every frame is captured twice. LEAKTAP_LONG=1: up to 1 GiB, at least 50 uploads at each tap.

The receiver's word is that of a packet socket of its own (datagrams.py), and counts only if the kernels agree: as many datagrams as the
client's says it sent, and as the server's says came in. Client and server are ngtcp2's examples (Debian: ngtcp2-client,
ngtcp2-server)."""
import json
import os
import pathlib
import signal
import sys

import lab
from lab import Lab, Sensor, equal, expect, step, wait_for

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
HTTPS, RETRY = 443, 8443  # the server on the latter sends Retry first
V1, V2 = "v1", "v2draft"
SHORT = [1, 300, 1200, 16384, 65537, MIB, 12 * MIB]
SIZES = [1, 2, 255, 300, 1000, 1199, 1200, 1201, 4095, 16383, 16384, 16385, 65535, 65537, 200 * KIB, MIB, 5 * MIB + 1, 16 * MIB, 64 * MIB,
         128 * MIB + 7]
WAYS = [(4, V1, HTTPS), (6, V1, HTTPS), (4, V2, HTTPS), (6, V1, RETRY)]
# After 1 s, when the connection is on another port, the body is sent: every byte of it is the later flow's. "during": in the midst.
MOVES = {"migrates": ["--change-local-addr=300ms", "--delay-stream=1s"],
         "is rebound": ["--change-local-addr=300ms", "--nat-rebinding", "--delay-stream=1s"],
         "migrates during": ["--change-local-addr=20ms"]}
KEY_UPDATE = ["--key-update=10ms"]
# The name goes into the ClientHello only if it is what the client was told to reach; ip netns exec has made the mounts private.
WITH_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


def plan():
    """(size, way, move or None)"""
    moves = [(n, way, move) for move in MOVES for n, way in ((300, WAYS[0]), (12 * MIB, WAYS[1])) if n > 300 or move != "migrates during"]
    if not lab.LONG:
        return [(n, WAYS[i % 4], None) for i, n in enumerate(SHORT)] + [(300, w, None) for w in WAYS] + moves
    rows = [(n, WAYS[(i + k) % 4], None) for k in (0, 1) for i, n in enumerate(SIZES)]
    return rows + [(n, w, None) for n in (300, 65537) for w in WAYS] + moves + [(GIB, WAYS[0], None)]


class Receiver:
    """The HTTP/3 servers, and what one upload brought them."""

    def __init__(self, net):
        self.net = net
        self.rounds = 0
        # /proc/PID/net is that of the process's namespace.
        self.pids = {where: net.start(where, "sleep", "infinity").pid for where in ("client", "server")}
        crt, key = net.certificate()
        web = net.dir / "web"
        web.mkdir()
        for port, options in ((HTTPS, []), (RETRY, ["--validate-addr"])):
            for name, address in net.addresses.items():
                log = open(net.dir / f"server-{port}-{name}.log", "w")
                net.start("server", "gtlsserver", "-q", *options, "--timeout=600s", "--max-dyn-length=1M", "-d", web, address, str(port), key, crt,
                          stdout=log, stderr=log)
        for table in ("udp", "udp6"):
            wait_for(f"the servers, {table}", lambda: self.listening(table) == {HTTPS, RETRY})

    def listening(self, table):
        rows = self.proc("server", table)[1:]
        return {int(row.split()[1].rsplit(":", 1)[1], 16) for row in rows}

    def proc(self, where, table):
        return pathlib.Path(f"/proc/{self.pids[where]}/net/{table}").read_text().splitlines()

    def datagrams(self, where, family):
        """(sent, arrived) as the kernel of that namespace counts them."""
        if family == 6:
            row = {k[4:]: int(v) for k, v in map(str.split, self.proc(where, "snmp6")) if k.startswith("Udp6")}
        else:
            lines = [s.split()[1:] for s in self.proc(where, "snmp") if s.startswith("Udp:")]
            row = dict(zip(lines[0], map(int, lines[1])))
        return row["OutDatagrams"], row["InDatagrams"] + row["InErrors"] + row["NoPorts"]

    def count(self, port, family, client):
        """Runs client() and returns what arrived and what was sent, by the client's port; None if not all that was sent arrived."""
        self.rounds += 1
        out = self.net.dir / f"datagrams-{self.rounds}.json"
        out.write_text("")
        counter = self.net.start("server", sys.executable, lab.HERE / "datagrams.py", "eth0", str(port), out)
        wait_for("the counter", lambda: out.read_text().startswith("{"))
        sent0, came0 = self.datagrams("client", family)[0], self.datagrams("server", family)[1]
        client()
        sent = self.datagrams("client", family)[0] - sent0
        arrived = lambda: self.datagrams("server", family)[1] - came0
        try:
            wait_for("the datagrams at the server", lambda: arrived() >= sent, 10)
        except AssertionError as e:
            print(f"{e}: {arrived()} of {sent}", flush=True)
            return None
        counter.send_signal(signal.SIGTERM)
        equal("the counter's end", counter.wait(60), 0)
        truth = json.loads(out.read_text().splitlines()[1])
        equal("frames the counter was not given", truth["lost"], 0)
        equal("datagrams, counted and in the kernel's words", sum(n for n, _ in truth["in"].values()), sent)
        return truth


def upload(net, receiver, size, way, move):
    """gtlsclient PUTs size bytes; what the receiver says of it. A try in which the lab itself lost a datagram is not a truth."""
    family, version, port = way
    options = [*(MOVES[move] if move else KEY_UPDATE), "--no-pmtud"]
    hosts = net.dir / "hosts"
    hosts.write_text(f"{net.addresses[family]} {lab.HOST}\n")

    def client():
        done = net.inside("client", "sh", "-c", WITH_HOSTS, hosts, "gtlsclient", "-q", "-m", "PUT", "-d", net.body(size), "-v", version,
                          "--handshake-timeout=60s", "--timeout=120s", "--exit-on-all-streams-close", *options, lab.HOST, str(port),
                          f"https://{lab.HOST}/2/files/upload", timeout=300)
        expect(not done.stderr, f"gtlsclient: {done.stderr}")

    for _ in range(3):
        truth = receiver.count(port, family, client)
        if truth:
            break
    expect(truth, "datagrams were lost inside the lab in three tries")
    wanted = 2 if move else 1
    equal(f"{size} bytes, the client {move}: ports it sent from", len(truth["in"]), wanted)
    expect(sum(n for _, n in truth["in"].values()) >= size, f"{size} bytes: less than the body arrived: the test does not test")
    return truth


def check(records, truth, size, way, move, twice):
    family, version, port = way
    what = f"{size} bytes, IPv{family}, QUIC {version}, port {port}{', the client ' + move if move else ''}"
    for peer, (_, wanted) in truth["in"].items():
        rows = [r for r in records if r["event_type"] == "flow" and r.get("src_port") == int(peer) and r.get("dest_port") == port]
        equal(f"{what}: flows from port {peer}", len({r["flow_id"] for r in rows}), 1)
        flow = max(rows, key=lambda r: r["leaktap"]["seq"])
        lt = flow["leaktap"]
        equal(f"{what}: bytes_up", lt["bytes_up"], wanted)
        equal(f"{what}: bytes_up_min", lt["bytes_up_min"], wanted)
        equal(f"{what}: basis_up", lt["basis_up"], "udp_payload")
        equal(f"{what}: bytes_down", lt["bytes_down"], truth["out"].get(peer, [0, 0])[1])
        equal(f"{what}: name", lt.get("name"), lab.HOST)
        equal(f"{what}: migrated", "migrated" in lt["flags"], bool(move))
        equal(f"{what}: deltas", sum(r["leaktap"]["delta_up"] for r in rows), wanted)
        equal(f"{what}: minutes", sum(m[1] for r in rows for m in r["leaktap"]["minutes"]), wanted)
        frames = flow["flow"]["bytes_toserver"]
        expect(not twice or frames > 2 * wanted, f"{what}: {frames} frame bytes: not every frame was captured twice")


def run(net, leaktap, receiver, iface, twice):
    # A frame the sensor did not see is missed for good, no acknowledgement tells of it: so the ring holds an upload.
    ring_mib = 1024 if lab.LONG else 128
    sensor = Sensor(net, leaktap, "tap", iface, name=f"quic-{iface}".replace("_", "-"), ring_mib=ring_mib)
    rows = [row for row in plan() if not twice or row[0] < GIB]  # the largest, three times over, is more than the ring
    truths = [(upload(net, receiver, *row), *row) for row in rows]
    ports = [(peer, way[2]) for truth, _, way, _ in truths for peer in truth["in"]]
    equal("uploads told apart", len(set(ports)), len(ports))
    sensor.wait_record("the last flow", "flow", lambda r: str(r.get("src_port")) == ports[-1][0])
    records = sensor.stop()
    stats = [r for r in records if r["event_type"] == "stats"][-1]["leaktap"]
    equal("frames the sensor lost", stats["input"]["kernel_drops"], 0)
    for row in truths:
        check(records, *row, twice)
    total = sum(n for truth, *_ in truths for _, n in truth["in"].values())
    print(f"live truth QUIC {iface}: {len(truths)} uploads, {sum(s for _, s, *_ in truths)} bytes in {total} bytes of datagrams, all exact; "
          f"{len(ports) - len(truths)} connections moved; 0 frames dropped")


def test(leaktap):
    net = Lab()
    lab.need_tools("gtlsclient", "gtlsserver")
    receiver = Receiver(net)
    step(run, net, leaktap, receiver, "to_client", False)
    step(run, net, leaktap, receiver, "any", True)
    net.close()


os.environ["PATH"] += ":/usr/sbin:/sbin"
lab.main(test)
