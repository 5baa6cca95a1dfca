"""What the live tests share: network namespaces of their own, a TLS receiver that knows what it received, leaktap as a running process.

Nothing leaves the namespaces; whatever is made here is taken down at exit. Without root, namespaces or a tool the test is skipped:
exit 77, with the reason."""
import atexit
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HOST = "content.dropboxapi.com"
LONG = os.environ.get("LEAKTAP_LONG") == "1"


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(77)


def run(*argv, check=True, **options):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **options)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.returncode}: {done.stderr.strip()}")
    return done


def need_tools(*names):
    for name in names:
        if not shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            skip(f"{name} is not installed")


# What a loaded machine is given for anything that should happen at once.
PATIENCE_S = 60.0


def wait_for(what, probe, seconds=PATIENCE_S):
    """The first true value of probe(); a test that waits in vain fails and says for what."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = probe()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s in vain for {what}")


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def equal(what, got, wanted):
    expect(got == wanted, f"{what}: {got!r}, expected {wanted!r}")


def step(function, *args):
    began = time.monotonic()
    function(*args)
    shown = [str(a) for a in args if isinstance(a, (str, int))]
    print(f"{function.__name__} {' '.join(shown)}: good, {time.monotonic() - began:.1f} s", flush=True)


def validate(path):
    """Every record against its schema and against what schemas cannot say."""
    done = run(sys.executable, ROOT / "tests/schema_check.py", path, check=False)
    expect(done.returncode in (0, 77), f"{path}: {done.stdout}{done.stderr}")


class Lab:
    """Two hosts, client and server, and between them a bridge in a namespace of its own: a tap sees there what each of them sends."""

    def __init__(self):
        if os.geteuid() != 0:
            skip("network namespaces need root")
        need_tools("ip", "curl", "openssl")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lt-lab-"))
        self.tag = f"lt{os.getpid() % 100000}"
        self.spaces = {}
        self.port = 20000  # of the last upload: none comes twice in a test, so it names the flow
        self.processes = []
        atexit.register(self.close)
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sig, lambda *_: sys.exit(1))
        try:
            self.build()
        except RuntimeError as e:
            skip(f"no network namespaces here: {e}")

    def ip(self, where, *argv):
        return run("ip", "-n", self.spaces[where], *argv)

    def build(self):
        for where in ("client", "tap", "server"):
            name = f"{self.tag}{where[0]}"
            run("ip", "netns", "add", name)
            self.spaces[where] = name
            self.ip(where, "link", "set", "lo", "up")
        self.ip("tap", "link", "add", "br0", "type", "bridge")
        self.ip("tap", "link", "set", "br0", "up")
        for where, n in (("client", 1), ("server", 2)):
            run("ip", "link", "add", "eth0", "netns", self.spaces[where], "type", "veth", "peer", "name", f"to_{where}", "netns",
                self.spaces["tap"])
            self.ip("tap", "link", "set", f"to_{where}", "master", "br0", "up")
            self.ip(where, "addr", "add", f"10.77.0.{n}/24", "dev", "eth0")
            self.ip(where, "addr", "add", f"fd77::{n}/64", "dev", "eth0", "nodad")
            self.ip(where, "link", "set", "eth0", "up")
        self.addresses = {4: "10.77.0.2", 6: "fd77::2"}

    def offload(self, on):
        word = "on" if on else "off"
        for where in ("client", "server"):
            self.inside(where, "ethtool", "-K", "eth0", "tx", word, "tso", word, "gso", word, "gro", word)

    def inside(self, where, *argv, **options):
        return run("ip", "netns", "exec", self.spaces[where], *argv, **options)

    def start(self, where, *argv, **options):
        """A process inside a namespace; its pid is its own, ip netns exec leaves none behind."""
        p = subprocess.Popen(["ip", "netns", "exec", self.spaces[where], *map(str, argv)], **options)
        self.processes.append(p)
        return p

    def certificate(self):
        crt, key = self.dir / "server.crt", self.dir / "server.key"
        if not crt.exists():
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", key, "-out", crt)
        return crt, key

    def serve(self):
        """Starts the receiver; its truth is read with received()."""
        crt, key = self.certificate()
        self.truth = self.dir / "received.json"
        self.truth.write_text("")
        self.start("server", sys.executable, HERE / "receiver.py", crt, key, self.truth)
        wait_for("the receiver", lambda: self.truth.read_text().startswith("{"))

    def received(self, port, seconds=PATIENCE_S):
        """What the receiver's kernel says of the connection from that client port."""
        def look():
            for line in self.truth.read_text().splitlines():
                row = json.loads(line)
                if row.get("port") == port:
                    return row
            return None
        return wait_for(f"the receiver's word on port {port}", look, seconds)

    def body(self, n):
        """A file of n bytes: random as far as it is small, then a hole; encrypted all the same."""
        path = self.dir / f"body-{n}"
        if not path.exists():
            with open(path, "wb") as f:
                f.write(os.urandom(min(n, 1 << 16)))
                f.truncate(n)
        return path

    def upload(self, n, family=4, tls="1.3", seconds=300):
        """curl uploads n bytes from a port of its own; that port."""
        self.port += 1
        address = self.addresses[family]
        shown = f"[{address}]" if family == 6 else address
        done = self.inside("client", "curl", "-sS", "--fail", "--http1.1", "--cacert", self.certificate()[0], f"--tlsv{tls}",
                           "--tls-max", tls, "--local-port", str(self.port), "--resolve", f"{HOST}:443:{shown}", "-T", self.body(n), "-o", os.devnull,
                           "-w", "%{local_port} %{size_upload}", f"https://{HOST}/2/files/upload", timeout=seconds)
        port, size = done.stdout.split()
        equal("bytes that curl says it uploaded", int(size), n)
        return int(port)

    def close(self):
        atexit.unregister(self.close)
        for p in self.processes:
            if p.poll() is None:
                p.kill()
            p.wait()
        for name in self.spaces.values():
            run("ip", "netns", "del", name, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


class Sensor:
    """leaktap -i, its records read while it runs."""

    def __init__(self, lab, leaktap, where, iface, *options, config="", name="sensor", stdin=None, ring_mib=128):
        self.lab = lab
        self.tmp = lab.dir / f"{name}.tmp"
        self.tmp.mkdir()
        self.out = lab.dir / f"{name}.json"
        self.log = lab.dir / f"{name}.log"
        yaml = lab.dir / f"{name}.yaml"
        yaml.write_text(f"sensor: lab\nlive:\n  update_s: 2\n  closed_s: 1\n  ring_mib: {ring_mib}\n{config}")
        env = dict(os.environ, TMPDIR=str(self.tmp))
        self.process = lab.start(where, leaktap, "-i", iface, "-c", yaml, "-o", self.out, *options, env=env, stdin=stdin,
                                 stdout=subprocess.DEVNULL, stderr=open(self.log, "w"))
        wait_for("the capture to begin", self.capturing)

    def capturing(self):
        if self.process.poll() is not None:
            raise AssertionError(f"leaktap ended with {self.process.returncode}: {self.log.read_text()}")
        return "capturing on" in self.log.read_text()

    def records(self, kind=None):
        if not self.out.exists():
            return []
        text = self.out.read_text()
        lines = text[:text.rfind("\n") + 1].splitlines()
        rows = [json.loads(line) for line in lines]
        return [r for r in rows if kind in (None, r["event_type"])]

    def wait_record(self, what, kind, wanted=lambda r: True, seconds=PATIENCE_S):
        """The first such record, told while the sensor runs."""
        def look():
            expect(self.process.poll() is None, f"leaktap ended with {self.process.returncode}: {self.log.read_text()}")
            return next((r for r in self.records(kind) if wanted(r)), None)
        try:
            return wait_for(what, look, seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.log.read_text()}\n" + "\n".join(json.dumps(r) for r in self.records()[-5:]))

    def stop(self, code=0, sig=signal.SIGTERM, seconds=PATIENCE_S):
        self.process.send_signal(sig)
        return self.ended(code, seconds)

    def ended(self, code, seconds=PATIENCE_S):
        try:
            got = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"leaktap does not end: {self.log.read_text()}")
        equal(f"exit code ({self.log.read_text()})", got, code)
        validate(self.out)
        return self.records()

    def leftovers(self):
        """What is left of the private server: files, and processes that live in its directory."""
        left = [str(p) for p in self.tmp.iterdir()]
        for proc in pathlib.Path("/proc").iterdir():
            if not proc.name.isdigit():
                continue
            try:
                if os.readlink(proc / "cwd").startswith(str(self.tmp)):
                    left.append(f"process {proc.name}")
            except OSError:
                pass
        return left


def last_of(records, port):
    """The last flow record of the connection from that client port."""
    rows = [r for r in records if r["event_type"] == "flow" and r.get("src_port") == port and r.get("dest_port") == 443]
    expect(rows, f"no flow record of port {port}")
    return max(rows, key=lambda r: r["leaktap"]["seq"])


def last_word(records, port):
    """The flow's newest record, its end or a later attribution."""
    flow = last_of(records, port)
    later = [r for r in records if r["event_type"] == "attribution" and r["flow_id"] == flow["flow_id"]]
    return max([flow, *later], key=lambda r: (r["leaktap"]["seq"], r["leaktap"]["version"]))


def main(test):
    """Runs test(leaktap); prints what failed and exits 1."""
    leaktap = pathlib.Path(sys.argv[1]).resolve()
    try:
        test(leaktap)
    except AssertionError as e:
        print(f"FAILED: {e}")
        sys.exit(1)
