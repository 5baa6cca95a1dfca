"""Live truth: uploads of many sizes over IPv4 and IPv6, TLS 1.2 and 1.3. The headline equals what the receiver's kernel counted
(tcpi_bytes_received less the FIN), to the byte; also when every frame is captured twice. LEAKTAP_LONG=1: up to 1 GiB, at least 50
uploads at each tap. QUIC: truth_quic.py."""
import lab
from lab import Lab, Sensor, equal, expect, step

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SHORT = [1, 300, 1447, 16384, 65537, MIB, 64 * MIB]
SIZES = [1, 2, 255, 256, 300, 999, 1000, 1447, 1448, 1449, 4095, 16383, 16384, 16385, 65535, 65536, 65537, 200 * KIB, MIB, 5 * MIB + 1,
         16 * MIB, 64 * MIB, 65 * MIB + 7, 256 * MIB, GIB]
WAYS = [(4, "1.2"), (4, "1.3"), (6, "1.2"), (6, "1.3")]


def plan():
    """(size, family, tls): the long form has each size twice and all four ways of the middle ones."""
    if not lab.LONG:
        return [(n, *WAYS[i % 4]) for i, n in enumerate(SHORT)] + [(300, *w) for w in WAYS]
    rows = [(n, *WAYS[(i + k) % 4]) for k in (0, 3) for i, n in enumerate(SIZES)]
    return rows + [(n, *w) for n in (300, 65537) for w in WAYS]


def check(records, truth, size, family, tls, twice):
    what = f"{size} bytes, IPv{family}, TLS {tls}"
    flow = lab.last_of(records, truth["port"])
    lt = flow["leaktap"]
    equal(f"{what}: bytes_up", lt["bytes_up"], truth["bytes"])
    equal(f"{what}: bytes_up_min", lt["bytes_up_min"], truth["bytes"])
    equal(f"{what}: basis_up", lt["basis_up"], "ack")
    equal(f"{what}: what the receiver read", truth["read"], truth["bytes"])
    equal(f"{what}: TLS", flow["tls"]["version"], f"TLS {tls}")
    equal(f"{what}: name", lt["name"], lab.HOST)
    if truth["sent_acked"] and not truth["reset"]:
        equal(f"{what}: bytes_down", lt["bytes_down"], truth["sent"])
    rows = [r["leaktap"] for r in records if r["event_type"] == "flow" and r["flow_id"] == flow["flow_id"]]
    equal(f"{what}: deltas", sum(r["delta_up"] for r in rows), truth["bytes"])
    equal(f"{what}: minutes", sum(m[1] for r in rows for m in r["minutes"]), truth["bytes"])
    equal(f"{what}: flow records' seq", [r["seq"] for r in rows], list(range(1, len(rows) + 1)))
    frames = flow["flow"]["bytes_toserver"]
    expect(not twice or frames > 2 * size, f"{what}: {frames} frame bytes: not every frame was captured twice")
    return lt["app_up"] - size if "app_up" in lt else None


def run(net, leaktap, iface, twice):
    sensor = Sensor(net, leaktap, "tap", iface, name=iface.replace("_", "-"), config="")
    truths = []
    for size, family, tls in plan():
        truths.append((net.received(net.upload(size, family, tls)), size, family, tls))
    last = truths[-1][0]["port"]
    sensor.wait_record("the last flow", "flow", lambda r: r.get("src_port") == last)
    records = sensor.stop()
    equal("uploads told apart", len({t["port"] for t, *_ in truths}), len(truths))
    extra = [check(records, *row, twice) for row in truths]
    drops = [r for r in records if r["event_type"] == "stats"][-1]["leaktap"]["input"]["kernel_drops"]
    known = sorted(e for e in extra if e is not None)
    shown = f"{known[0]}..{known[-1]}" if known else "unknown"
    print(f"live truth {iface}: {len(truths)} uploads, {sum(s for _, s, *_ in truths)} bytes, all exact; {drops} frames dropped; "
          f"app bytes beside the body {shown}")


def test(leaktap):
    net = Lab()
    net.serve()
    step(run, net, leaktap, "to_client", False)
    step(run, net, leaktap, "any", True)
    net.close()


lab.main(test)
