"""The command line as a user meets it: exit codes, what is said where, and that the same inputs give the same bytes. No root needed.
Usage: cli.py LEAKTAP"""
import gzip
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
CAPTURES, EVENTS = ROOT / "pcaps/captures", ROOT / "pcaps/events"
SCENARIOS = ["dns_named", "dropbox_put_50mb", "dropbox_telemetry", "lab_tls12", "lab_tls13", "ms_telemetry", "werfault"]
NO_ZONE = ('Timestamp,DeviceName,ActionType,LocalIP,LocalPort,RemoteIP,RemotePort,Protocol,InitiatingProcessFileName,'
           'InitiatingProcessId\n"3/2/2026, 9:14:22.226 AM",ws-0417,ConnectionSuccess,10.20.4.17,52178,20.60.133.132,443,Tcp,a.exe,5\n')


def equal(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, expected {wanted!r}")


class Case:
    """A folder of its own with the lab capture as lab.pcapng, and leaktap run in it."""

    def __init__(self, leaktap, folder):
        self.leaktap, self.folder = leaktap, folder
        self.capture = folder / "lab.pcapng"
        zst = CAPTURES / "lab_tls12.pcapng.zst"
        self.capture.write_bytes(subprocess.run(["zstd", "-dcq", str(zst)], capture_output=True, check=True).stdout)
        self.events = EVENTS / "lab_tls12.ndjson"

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return name

    def run(self, *argv, stdin=None, prefix=(), env=None):
        return subprocess.run([*prefix, str(self.leaktap), *map(str, argv)], cwd=self.folder, capture_output=True, timeout=300,
                              stdin=stdin or subprocess.DEVNULL, env=dict(os.environ, **(env or {})))

    def refused(self, argv, code, said, **options):
        """Ends with that code, says that (a regular expression) on standard error, and nothing on standard output."""
        done = self.run(*argv, **options)
        err = done.stderr.decode()
        where = f"leaktap {' '.join(map(str, argv))}"
        equal(f"{where}: exit code ({err})", done.returncode, code)
        if not re.search(said, err):
            raise AssertionError(f"{where}: says {err!r}, expected /{said}/")
        equal(f"{where}: standard output", done.stdout, b"")
        if argv:
            equal(f"{where}: lines of standard error", len(err.splitlines()), 1)

    def records(self, *argv, code=0, said="", **options):
        """Ends with that code; the records it wrote to -o."""
        out = self.folder / "records.json"
        out.unlink(missing_ok=True)
        done = self.run(*argv, "-o", out.name, "-q", **options)
        err = done.stderr.decode()
        equal(f"leaktap {' '.join(map(str, argv))}: exit code ({err})", done.returncode, code)
        if not re.search(said, err):
            raise AssertionError(f"says {err!r}, expected /{said}/")
        if "--format" not in argv:
            checked = subprocess.run([sys.executable, str(ROOT / "tests/schema_check.py"), "--partial", str(out)], capture_output=True, text=True)
            equal(f"schema ({checked.stdout})", checked.returncode in (0, 77), True)
        return [json.loads(line) for line in out.read_text().splitlines()]


def kinds(records):
    return {r["event_type"] for r in records}


def usage(c):
    c.refused([], 2, r"leaktap -r traffic\.pcapng")
    c.refused(["--bogus"], 2, "unknown option --bogus; leaktap --help")
    c.refused(["-z"], 2, "unknown option -z")
    c.refused(["-r"], 2, "-r needs a value")
    c.refused(["-q"], 2, "nothing to read: give -r FILE or -i IFACE")
    c.refused(["lab.pcapng"], 2, r"'lab\.pcapng' is a file; did you mean -r lab\.pcapng\?")
    c.refused(["-r", "lab.pcapng", "lab.pcapng"], 2, r"did you mean -r")
    c.refused(["-r", "lab.pcapng", "-i", "lo"], 2, "give one of them")
    c.refused(["-r", "lab.pcapng", "--records", "flow,foo"], 2, "'foo' is none of flow, alert, attribution, stats")
    c.refused(["-r", "lab.pcapng", "--records", ""], 2, "--records needs at least one")
    c.refused(["-r", "lab.pcapng", "--format", "cef", "--records", "stats"], 2, "format cef has no stats records")
    c.refused(["-r", "lab.pcapng", "--format", "xml"], 2, "give one of eve, ecs, ocsf, cef")
    c.refused(["-r", "lab.pcapng", "--fail-on", "never"], 2, "give one of high, medium, low")
    c.refused(["-r", "lab.pcapng", "--join", "some"], 2, "give one of matter, all")
    c.refused(["-r", "-", "--endpoint", "-"], 2, "can be read once only")
    c.refused(["-r", "lab.pcapng", "--at", "2026-03-02T09:14:22Z"], 2, "belong to leaktap hunt")
    c.refused(["-r", "lab.pcapng", "--redis", "http://x"], 2, "redis")
    c.refused(["-r", "lab.pcapng", "--tz", "Nowhere/Else"], 2, "Nowhere/Else")
    c.refused(["-r", "lab.pcapng", "-o", "x.out", "--report", "x.out"], 2, "records and report cannot both go to x.out")
    c.refused(["-r", "lab.pcapng", "-o", "./x.out", "--report", c.write("x.out", "")], 2, "records and report cannot both go to x.out")
    (c.folder / "link.json").symlink_to("elsewhere.json")
    c.refused(["-r", "lab.pcapng", "-o", "link.json"], 1, r"link\.json: a symbolic link is not followed")
    for argv, text in ((["--help"], b"leaktap -r FILE"), (["--version"], b"leaktap ")):
        done = c.run(*argv)
        equal(f"{argv}: exit code and standard error", (done.returncode, done.stderr), (0, b""))
        equal(f"{argv}: says so", text in done.stdout, True)


def inputs_that_are_none(c):
    c.refused(["-r", "nosuch.pcap"], 1, r"nosuch\.pcap: No such file")
    c.refused(["-r", c.write("empty.pcap", "")], 2, r"empty\.pcap: is empty")
    c.refused(["-r", c.write("text.pcap", "this is no capture, only text that is long enough\n")], 2, r"text\.pcap: ")
    c.refused(["-r", "/dev/null"], 2, "device or socket")
    # The header of a capture, then nothing a record could be: no answer, not even "no finding".
    header = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
    (c.folder / "rubble.pcap").write_bytes(header + b"\xff" * 64)
    c.refused(["-r", "rubble.pcap", "-o", "x.json", "--no-progress"], 2, r"rubble\.pcap: bad record at byte 24")
    c.refused(["-r", "lab.pcapng", "tcp prot 443"], 2, 'filter "tcp prot 443"')
    c.refused(["-r", "lab.pcapng", "-o", "nosuch/x.json", "-q"], 1, "nosuch/x.json: No such file")
    c.refused(["-r", "lab.pcapng", "--endpoint", "nosuch.json"], 1, r"nosuch\.json: No such file")
    (c.folder / "nothing").mkdir()
    c.refused(["-r", "nothing"], 1, "nothing: no files")


def configuration(c):
    c.refused(["-T", "-c", c.write("key.yaml", "sensor: x\nlive:\n  nosuch: 3\n")], 2, r"key\.yaml:3:3: .*nosuch")
    c.refused(["-r", "lab.pcapng", "-c", "key.yaml"], 2, r"key\.yaml:3:3: .*nosuch")
    c.refused(["-T", "-c", c.write("type.yaml", "live:\n  update_s: often\n")], 2, r"type\.yaml:2:13: .*'often'.*update_s")
    c.refused(["-T", "-c", c.write("range.yaml", "live:\n  update_s: 99999\n")], 2, r"range\.yaml: live\.update_s: 99999 is not in 1\.\.3600")
    c.refused(["-T", "-c", c.write("twice.yaml", "sensor: a\nsensor: b\n")], 2, r"twice\.yaml:.*sensor")
    c.refused(["-T", "-c", c.write("torn.yaml", "live: [\n")], 2, r"torn\.yaml:")
    c.refused(["-T", "-c", "nosuch.yaml"], 2, r"nosuch\.yaml")
    c.refused(["-T", "-c", c.write("list.yaml", "catalogue:\n  files: [nosuch.tsv]\n")], 2, r"nosuch\.tsv")
    c.refused(["-T", "-c", c.write("zone.yaml", "timezone: Nowhere/Else\n")], 2, "Nowhere/Else")
    for good in (c.write("none.yaml", ""), ROOT / "deploy/leaktap.yaml"):
        done = c.run("-T", "-c", good)
        equal(f"-T {good}: exit code ({done.stderr.decode()})", done.returncode, 0)
        equal(f"-T {good}: says so", b"configuration good" in done.stdout, True)
    named = c.records("-r", "lab.pcapng", "-c", c.write("sensor.yaml", "sensor: tap7\nzone: 3\n"))
    equal("sensor and zone", {(r["leaktap"]["sensor"], r["leaktap"]["zone"]) for r in named}, {("tap7", 3)})


def alone(c):
    """leaktap -r x.pcap: no configuration, no Redis, no root; NDJSON where no terminal reads it."""
    done = c.run("-r", "lab.pcapng", env={"PATH": "/nonexistent", "HOME": "/nonexistent"})
    equal(f"exit code ({done.stderr.decode()})", done.returncode, 0)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    equal("kinds", kinds(rows), {"flow", "stats"})
    equal("causes", {r["leaktap"]["cause"] for r in rows if r["event_type"] == "flow"}, {"no_endpoint_input"})
    equal("summary on standard error", b"findings  0" in done.stderr, True)
    quiet = c.run("-r", "lab.pcapng", "-q")
    equal("-q: standard error", quiet.stderr, b"")
    equal("-q: standard output", quiet.stdout, done.stdout)
    rest = [p.name for p in c.folder.iterdir()]
    equal("files made", rest, ["lab.pcapng"])


def ways_in(c):
    """Standard input, gzip, zstd, a pipe, a directory: the same records."""
    plain = c.records("-r", "lab.pcapng")
    (c.folder / "lab.pcapng.gz").write_bytes(gzip.compress(c.capture.read_bytes()))
    (c.folder / "named.wrong").write_bytes((CAPTURES / "lab_tls12.pcapng.zst").read_bytes())
    (c.folder / "dir").mkdir()
    shutil.copy(c.capture, c.folder / "dir/a.pcapng")
    for name in ("lab.pcapng.gz", "named.wrong", "dir"):
        equal(name, c.records("-r", name), plain)
    with open(c.capture, "rb") as f:
        equal("standard input", c.records("-r", "-", stdin=f), plain)
    cat = subprocess.Popen(["cat", str(c.folder / "lab.pcapng.gz")], stdout=subprocess.PIPE)
    equal("a pipe", c.records("-r", "-", stdin=cat.stdout), plain)
    cat.stdout.close()
    cat.wait()
    with open(c.events, "rb") as f:
        joined = c.records("-r", "lab.pcapng", "--endpoint", "-", stdin=f)
    equal("events on standard input", joined, c.records("-r", "lab.pcapng", "--endpoint", c.events))
    equal("filter", {r["dest_port"] for r in c.records("-r", "lab.pcapng", "udp", "port", "53") if "dest_port" in r}, {53})


def cut_short(c):
    """Every complete packet counts; exit 3 and a line that says where."""
    whole = c.records("-r", "lab.pcapng")[-1]["stats"]["decoder"]["pkts"]
    n = len(c.capture.read_bytes())
    for part in (n // 3, n - 1):
        (c.folder / "cut.pcapng").write_bytes(c.capture.read_bytes()[:part])
        records = c.records("-r", "cut.pcapng", code=3, said=r"cut\.pcapng: cut short at byte \d+ after \d+ packets")
        packets = records[-1]["stats"]["decoder"]["pkts"]
        equal("packets of a part", 0 < packets < whole, True)
        tshark = shutil.which("tshark") and subprocess.run(["tshark", "-r", str(c.folder / "cut.pcapng"), "-T", "fields", "-e",
                                                            "frame.number"], capture_output=True, text=True, cwd=c.folder,
                                                           env=dict(os.environ, HOME=str(c.folder)))
        if tshark and tshark.stdout:  # it refuses to work for some users
            equal("packets that tshark finds", len(tshark.stdout.splitlines()), packets)
    (c.folder / "both").mkdir()
    shutil.copy(c.capture, c.folder / "both/a.pcapng")
    shutil.copy(c.folder / "cut.pcapng", c.folder / "both/b.pcapng")
    (c.folder / "both/c.pcapng").write_text("no capture at all, but long enough to be asked")
    records = c.records("-r", "both", code=3, said=r"c\.pcapng")
    equal("packets of the others", records[-1]["stats"]["decoder"]["pkts"], whole + packets)


def what_is_recorded(c):
    """--records and --format change what is written, never what is found: findings, exit code and the other records stay."""
    argv = ["-r", "lab.pcapng", "--endpoint", c.events, "--fail-on", "high"]
    whole = c.records(*argv, code=10)
    equal("kinds", kinds(whole), {"flow", "alert", "stats"})
    for choice in ("flow", "alert", "stats", "alert,stats", "flow,alert,attribution,stats"):
        part = c.records(*argv, "--records", choice, code=10)
        equal(f"--records {choice}", part, [r for r in whole if r["event_type"] in choice.split(",")])
    for name in ("ecs", "ocsf"):
        rows = c.records(*argv, "--format", name, code=10)
        equal(f"{name}: lines", len(rows), len([r for r in whole if r["event_type"] != "stats"]))
    done = c.run(*argv, "--format", "cef", "-q")
    lines = done.stdout.decode().splitlines()
    equal("cef: exit code, lines", (done.returncode, len(lines)), (10, len([r for r in whole if r["event_type"] != "stats"])))
    for line in lines:
        head = re.split(r"(?<!\\)\|", line, maxsplit=7)
        equal("cef: header fields", (head[0], len(head)), ("CEF:0", 8))
        equal("cef: extension", bool(re.fullmatch(r"(\w+=([^=\\]|\\.)*( |$))+", head[7])), True)


def findings_and_exit_codes(c):
    lab = ["-r", "lab.pcapng", "--endpoint", c.events]
    c.records(*lab, code=0)
    for level in ("low", "medium", "high"):
        c.records(*lab, "--fail-on", level, code=10)
    c.records("-r", "lab.pcapng", "--fail-on", "low", code=0)
    whole = (c.folder / "lab.pcapng").read_bytes()
    (c.folder / "cut.pcapng").write_bytes(whole[:-7])
    cut = ["-r", "cut.pcapng", "--endpoint", c.events]
    c.records(*cut, code=3)
    c.records(*cut, "--fail-on", "high", code=10)
    big = ["-r", CAPTURES / "dropbox_put_50mb.pcapng.zst"]
    alert = [r for r in c.records(*big, code=0) if r["event_type"] == "alert"]
    equal("severity of the upload without an owner", [a["alert"]["severity"] for a in alert], [2])
    c.records(*big, "--fail-on", "medium", code=10)
    c.records(*big, "--fail-on", "high", code=0)
    telemetry = ["-r", CAPTURES / "werfault.pcapng.zst", "--endpoint", EVENTS / "werfault.ndjson"]
    c.records(*telemetry, "--fail-on", "low", code=0)


def events_without_an_address(c):
    header, row = NO_ZONE.splitlines()
    bare = row.replace(",10.20.4.17,52178,", ",,,")
    c.write("bare.csv", "\n".join([header, row, bare, bare, ""]))
    argv = ["-r", "lab.pcapng", "--endpoint", "bare.csv", "--tz", "UTC"]
    done = c.run(*argv)
    equal("unjoinable rows are said", b"2 of connections without a local address and port" in done.stderr, True)
    stats = [r for r in c.records(*argv) if r["event_type"] == "stats"][-1]
    equal("events that nothing can be joined by", stats["leaktap"]["join"]["events_unjoinable"], 2)


def declared_pool(c):
    c.refused(["-T", "-c", c.write("pool.yaml", "join:\n  pools: [10.20.0.0/99]\n")], 2, r"pool\.yaml: join\.pools: .10\.20\.0\.0/99. is no")
    c.write("pool.yaml", "join:\n  pools: [10.20.4.0/24]\n")
    c.write("bare.csv", NO_ZONE)
    rows = c.records("-c", "pool.yaml", "-r", "lab.pcapng", "--endpoint", "bare.csv", "--tz", "UTC", "--join", "all")
    inside = [r["leaktap"] for r in rows if r["event_type"] == "flow" and r["src_ip"].startswith("10.20.4.")]
    equal("flows of the pool", {(o["outcome"], o.get("cause")) for o in inside if o["outcome"] != "attributed"}, {("unattributed", "nat_or_proxy")})
    equal("their grades", {o["grade"] for o in inside} <= {"C", "U"}, True)


def events_without_zone(c):
    c.write("export.csv", NO_ZONE)
    c.refused(["-r", "lab.pcapng", "--endpoint", "export.csv"], 2, r"export\.csv:2: .*--tz")
    c.refused(["-r", "lab.pcapng", "--endpoint", "export.csv", "--tz", "Nowhere/Else"], 2, "Nowhere/Else")
    for zone in ("UTC", "+02:00", "Europe/Berlin"):
        c.records("-r", "lab.pcapng", "--endpoint", "export.csv", "--tz", zone)
    c.records("-r", "lab.pcapng", "--endpoint", "export.csv", "-c", c.write("tz.yaml", "timezone: Europe/Berlin\n"))


def malformed_events(c):
    """Rows that cannot be read cost themselves: named with their line, counted by reason; exit 3, everything else as without them."""
    good = c.events.read_text().splitlines()
    rows = [good[0], "{torn", *good[1:3], '{"a":1}', *good[3:], "\0\0", '{"x":' * 40]
    c.write("bad.ndjson", "\n".join(rows) + "\n")
    done = c.run("-r", "lab.pcapng", "--endpoint", "bad.ndjson", "-q")
    said = done.stderr.decode()
    equal(f"exit code ({said})", done.returncode, 3)
    n = len(good)
    for line in (2, 5, n + 3, n + 4):
        equal(f"line {line} is named in {said!r}", f"bad.ndjson:{line}: " in said, True)
    equal("lines named", len(re.findall(r"bad\.ndjson:\d+: ", said)), 4)
    with_bad = [json.loads(line) for line in done.stdout.splitlines()]
    without = c.records("-r", "lab.pcapng", "--endpoint", c.events)
    equal("flows and alerts", [r for r in with_bad if r["event_type"] != "stats"], [r for r in without if r["event_type"] != "stats"])
    events = with_bad[-1]["leaktap"]["events"]
    equal("rows refused", sum(events["refused"].values()), 4)
    equal("events accepted", events["accepted"], without[-1]["leaktap"]["events"]["accepted"])
    c.records("-r", "lab.pcapng", "--endpoint", c.write("nul.json", good[0] + "\0\n" + good[1] + "\n"), code=3, said=r"nul\.json:1: .*NUL")
    nothing = c.records("-r", "lab.pcapng", "--endpoint", c.write("empty.json", ""))
    equal("an empty event file: outcomes", {r["leaktap"]["outcome"] for r in nothing if r["event_type"] == "flow"}, {"unattributed"})


def lists(c):
    c.write("good.tsv", "# ours\nacme_files\t*.files.example.com\tupload\tacme.exe\n")
    done = c.run("lists", "check", "good.tsv")
    equal(f"good list ({done.stderr.decode()}): exit code, output", (done.returncode, done.stdout.decode()), (0, "good.tsv: 1 rows, all good\n"))
    c.refused(["lists", "check", c.write("bad.tsv", "# ours\nacme_files\t*.files.example.com\tstealing\n")], 2, r"^bad\.tsv:2:\d+: ")
    c.refused(["lists", "check", c.write("thin.tsv", "acme_files\n")], 2, r"^thin\.tsv:1:1: ")
    c.refused(["lists", "check", "nosuch.tsv"], 2, r"nosuch\.tsv")
    c.refused(["lists"], 2, "usage: leaktap lists check FILE")
    done = c.run("lists", "check", ROOT / "detect/destinations.tsv", ROOT / "detect/prefixes.tsv")
    equal(f"our own lists ({done.stderr.decode()}): exit code, good ones", (done.returncode, done.stdout.count(b"all good")), (0, 2))
    done = c.run("lists", "check", "good.tsv", "bad.tsv")
    equal("one of two is bad", (done.returncode, b"good.tsv: 1 rows" in done.stdout, b"bad.tsv:2" in done.stderr), (2, True, True))


def hunt(c):
    argv = ["hunt", "-r", "lab.pcapng", "--endpoint", c.events]
    done = c.run(*argv, "--device", "ws-0417", "--at", "2026-03-02T09:14:22Z", "-q")
    equal(f"exit code ({done.stderr.decode()})", done.returncode, 0)
    equal("the process and the account", b"powershell.exe" in done.stdout and b"sacyberrangedanger" in done.stdout, True)
    c.refused([*argv, "--device", "ws-0417", "--at", "2026-03-02T09:14:22Z", "-o", "x.json"], 2, "leave -o out")
    c.refused([*argv, "--device", "ws-0417"], 2, "--at TIME")
    c.refused([*argv, "--device", "ws-0417", "--at", "yesterday"], 2, "--at yesterday: give a time with its zone")
    c.refused([*argv, "--device", "ws-0417", "--at", "2026-03-02T09:14:22Z", "--window", "long"], 2, "--window long")
    c.refused(["hunt", "-r", "lab.pcapng", "--device", "x", "--at", "2026-03-02T09:14:22Z"], 2, "--endpoint")


def no_permission(c):
    c.refused(["-i", "nosuch0"], 1, "nosuch0: no such interface|nosuch0: no permission")
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        print("no_permission: not all of it without root and setpriv")
        return
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    c.folder.chmod(0o755)
    probe = subprocess.run([*nobody, str(c.leaktap), "--version"], capture_output=True)
    if probe.returncode:
        print("no_permission: not all of it: nobody cannot run the program where it lies")
        return
    c.refused(["-i", "lo"], 1, r"lo: no permission to capture; .*CAP_NET_RAW", prefix=nobody)
    c.refused(["-r", "lab.pcapng", "-o", "/root/leaktap-x.json", "-q"], 1, "Permission denied", prefix=nobody)
    (c.folder / "secret.pcapng").write_bytes(c.capture.read_bytes())
    (c.folder / "secret.pcapng").chmod(0)
    c.refused(["-r", "secret.pcapng"], 1, r"secret\.pcapng: Permission denied", prefix=nobody)
    done = c.run("-r", "lab.pcapng", "-q", prefix=nobody)
    equal(f"replay as nobody ({done.stderr.decode()})", done.returncode, 0)


def same_inputs_same_bytes(c):
    """Twice, with the event file's lines shuffled, split over two files and given in another order: the same bytes."""
    c.write("fixed.yaml", "sensor: fixed\n")
    lines = [line for s in SCENARIOS for line in (EVENTS / f"{s}.ndjson").read_text().splitlines()]
    captures = [x for s in SCENARIOS for x in ("-r", CAPTURES / f"{s}.pcapng.zst")]

    def told(*sources):
        done = c.run("-c", "fixed.yaml", "-q", "--join", "all", *captures, *(x for s in sources for x in ("--endpoint", s)))
        equal(f"exit code ({done.stderr.decode()})", done.returncode, 0)
        return done.stdout

    first = told(c.write("events.ndjson", "\n".join(lines) + "\n"))
    equal("kinds", kinds([json.loads(line) for line in first.splitlines()]), {"flow", "alert", "stats"})
    equal("again", told("events.ndjson") == first, True)
    dice = random.Random(4711)
    for turn in range(3):
        dice.shuffle(lines)
        equal(f"shuffled, {turn}", told(c.write(f"shuffled{turn}.ndjson", "\n".join(lines) + "\n")) == first, True)
    half = len(lines) // 2
    c.write("b.ndjson", "\n".join(lines[:half]) + "\n")
    c.write("a.ndjson", "\n".join(lines[half:]) + "\n")
    equal("in two files", told("b.ndjson", "a.ndjson") == first, True)


CASES = [usage, inputs_that_are_none, configuration, alone, ways_in, cut_short, what_is_recorded, findings_and_exit_codes,
         events_without_zone, events_without_an_address, declared_pool, malformed_events, lists, hunt, no_permission, same_inputs_same_bytes]


def main():
    leaktap = pathlib.Path(sys.argv[1]).resolve()
    for tool in ("zstd", "redis-server"):
        if not shutil.which(tool):
            print(f"SKIPPED: {tool} is not installed")
            sys.exit(77)
    failed = 0
    for case in CASES:
        if len(sys.argv) > 2 and case.__name__ not in sys.argv[2:]:
            continue
        folder = pathlib.Path(tempfile.mkdtemp(prefix="lt-cli-"))
        try:
            case(Case(leaktap, folder))
            print(f"{case.__name__}: good")
        except Exception as e:
            failed += 1
            print(f"{case.__name__}: FAILED: {e}")
            if not isinstance(e, AssertionError):
                traceback.print_exc()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(failed != 0)


main()
