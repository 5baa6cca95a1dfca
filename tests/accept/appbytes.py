#!/usr/bin/env python3
"""Application bytes of real TLS connections: clients and servers on the loopback of a private network namespace, tcpdump, a key log, and tshark's
decryption of the same capture as the truth. TLS 1.2 with an AEAD or stream suite is exact, CBC within 8 bytes per record (padding), TLS 1.3 within 1,024;
the direction is right in every run in which the two differ at all. Usage: appbytes.py LEAKTAP [-v]; needs root, openssl, tcpdump, tshark."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import shared

KIB, MIB = 1024, 1 << 20
BODIES = [(0, 0), (1, 0), (0, 1), (300, 0), (300, 300), (0, 300), (2000, 0), (2000, 300), (100 * KIB, 0), (0, 100 * KIB)]
LARGE = [(5 * MIB, 0), (0, 5 * MIB)]
LIMIT_13 = 1024
# name: version, suite, what else
SETUPS = {
    "1.2 aes128-gcm": ("1.2", "ECDHE-RSA-AES128-GCM-SHA256", ()),
    "1.2 aes256-gcm ecdsa": ("1.2", "ECDHE-ECDSA-AES256-GCM-SHA384", ("ec",)),
    "1.2 chacha20": ("1.2", "ECDHE-RSA-CHACHA20-POLY1305", ()),
    "1.2 aes128-ccm8": ("1.2", "ECDHE-ECDSA-AES128-CCM8", ("ec",)),
    "1.2 cbc sha1": ("1.2", "ECDHE-RSA-AES128-SHA", ()),
    "1.2 cbc sha384": ("1.2", "ECDHE-RSA-AES256-SHA384", ()),
    "1.2 client certificate": ("1.2", "ECDHE-RSA-AES128-GCM-SHA256", ("client",)),
    "1.2 resumed": ("1.2", "ECDHE-RSA-AES128-GCM-SHA256", ("resume",)),
    "1.3 aes256-gcm": ("1.3", "TLS_AES_256_GCM_SHA384", ()),
    "1.3 aes128-gcm": ("1.3", "TLS_AES_128_GCM_SHA256", ()),
    "1.3 chacha20 ecdsa": ("1.3", "TLS_CHACHA20_POLY1305_SHA256", ("ec",)),
    "1.3 client certificate": ("1.3", "TLS_AES_128_GCM_SHA256", ("client",)),
    "1.3 client certificate ecdsa": ("1.3", "TLS_AES_256_GCM_SHA384", ("client", "ec")),
    "1.3 resumed": ("1.3", "TLS_AES_256_GCM_SHA384", ("resume",)),
    "1.3 hello retry": ("1.3", "TLS_AES_256_GCM_SHA384", ("retry",)),
    "1.3 hello retry resumed": ("1.3", "TLS_AES_128_GCM_SHA256", ("retry", "resume")),
    "1.3 many tickets": ("1.3", "TLS_AES_128_GCM_SHA256", ("tickets",)),
}


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(77)


def enter_namespace():
    """The script again, in a network of its own with nothing but loopback."""
    if os.environ.get("APPBYTES_INSIDE"):
        return
    if os.geteuid():
        skip("appbytes.py needs root for a network namespace and tcpdump")
    for tool in ("unshare", "ip", "tcpdump", "tshark", "openssl"):
        if not shutil.which(tool):
            skip(f"no {tool}")
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        skip("no network namespaces here")
    os.environ["APPBYTES_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])


def make_certificates(folder):
    """A chain of about 4 KB as the web has them, for RSA and for P-256: root, intermediate, leaf. Also for clients."""
    def run(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=folder)
    filler = ",".join(f"DNS:host-{i}.subsidiary.example.com" for i in range(30))
    for kind in ("rsa", "ec"):
        new = ["rsa:3072"] if kind == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        (folder / f"{kind}.ext").write_text(f"subjectAltName=DNS:upload.example.com,{filler}\n")
        (folder / "ca.ext").write_text("basicConstraints=critical,CA:TRUE\n")
        run("req", "-x509", "-nodes", "-newkey", *new, "-keyout", f"{kind}.ca.key", "-out", f"{kind}.ca.pem", "-subj", "/CN=Test root", "-days", "2")
        above = f"{kind}.ca"
        for name, subject, ext in (("mid", "/CN=Test intermediate", "ca.ext"), ("leaf", "/CN=upload.example.com", f"{kind}.ext")):
            run("req", "-new", "-nodes", "-newkey", *new, "-keyout", f"{kind}.{name}.key", "-out", "x.csr", "-subj", subject)
            run("x509", "-req", "-in", "x.csr", "-CA", f"{above}.pem", "-CAkey", f"{above}.key", "-CAcreateserial", "-out", f"{kind}.{name}.pem",
                "-extfile", ext, "-days", "2")
            above = f"{kind}.{name}"
        chain = (folder / f"{kind}.leaf.pem").read_text() + (folder / f"{kind}.mid.pem").read_text()
        (folder / f"{kind}.chain.pem").write_text(chain)


def openssl_conf(folder, suite):
    """TLS 1.3 suites are chosen by configuration only, and that is read when a process starts."""
    path = folder / "openssl.cnf"
    path.write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n" +
                    (f"Ciphersuites = {suite}\n" if suite.startswith("TLS_") else "") + "CipherString = DEFAULT:@SECLEVEL=0\n")
    return path


def contexts(folder, version, suite, extra):
    kind = "ec" if "ec" in extra else "rsa"
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for c in (server, client):
        c.minimum_version = c.maximum_version = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
        c.load_verify_locations(folder / f"{kind}.ca.pem")
        if version == "1.2":
            c.set_ciphers(suite + ":@SECLEVEL=0")
    client.keylog_filename = str(folder / "keys.log")
    server.load_cert_chain(folder / f"{kind}.chain.pem", folder / f"{kind}.leaf.key")
    if "client" in extra:
        server.verify_mode = ssl.CERT_REQUIRED
        client.load_cert_chain(folder / f"{kind}.chain.pem", folder / f"{kind}.leaf.key")
    if "retry" in extra:
        server.set_ecdh_curve("secp384r1")  # the client's share is for X25519
    if "tickets" in extra:
        server.num_tickets = 4
    return server, client


def read_message(sock):
    """Returns the bytes of one HTTP message."""
    data = b""
    while b"\r\n\r\n" not in data:
        got = sock.recv(65536)
        if not got:
            return len(data)
        data += got
    head, _, rest = data.partition(b"\r\n\r\n")
    left, n = int(re.search(rb"Content-Length: (\d+)", head)[1]) - len(rest), len(data)
    while left > 0:
        got = sock.recv(65536)
        if not got:
            raise EOFError
        left -= len(got)
        n += len(got)
    return n


def serve(listener, context, down):
    raw, _ = listener.accept()
    with context.wrap_socket(raw, server_side=True) as s:
        read_message(s)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % down + b"d" * down)
        read_message(s)  # until the client closes
        try:
            s.unwrap()
        except (OSError, ssl.SSLError):
            pass


def talk(folder, setup):
    """One connection per pair of bodies, printed as JSON: port, bytes up, bytes down. Runs in a process of its own."""
    version, suite, extra = SETUPS[setup]
    server, client = contexts(folder, version, suite, extra)
    told, session = [], None
    with socket.create_server(("127.0.0.1", 0)) as listener:  # one, so that no client port is used twice
        for up, down in [*BODIES, *(LARGE if not extra else [])]:
            thread = threading.Thread(target=serve, args=(listener, server, down))
            thread.start()
            raw = socket.create_connection(listener.getsockname())
            with client.wrap_socket(raw, server_hostname="upload.example.com", session=session) as s:
                head = b"PUT /x HTTP/1.1\r\nHost: upload.example.com\r\nContent-Length: %d\r\n\r\n" % up
                s.sendall(head + b"u" * up)
                n_down = read_message(s)
                told.append((s.getsockname()[1], len(head) + up, n_down))
                if "resume" in extra:
                    assert session is None or s.session_reused
                    session = s.session
                s.unwrap().close()
            thread.join()
    print(json.dumps(told))


class Tcpdump:
    def __init__(self, path):
        # Immediate mode would give each frame a slot of its own size at most, and fill the buffer with a thousand of them.
        self.run = subprocess.Popen(["tcpdump", "-i", "lo", "-s", "0", "-B", "262144", "-U", "-w", str(path), "tcp"], stderr=subprocess.PIPE, text=True)
        self.run.stderr.readline()

    def stop(self):
        time.sleep(1.5)  # the kernel hands over a block that is not full after one second
        self.run.send_signal(signal.SIGINT)
        self.run.communicate(timeout=60)


def agreed(record):
    """record() returns what tshark decrypted and what the programs counted, by port. Where the two differ, tcpdump lost frames (not always does the
    kernel say so): that says nothing of leaktap, and the run is repeated."""
    for attempt in range(5):
        truth, said = record()
        if truth == said:
            break
        print(f"tshark and the programs do not agree, attempt {attempt + 1}: the capture is not complete")
    return truth, said


def decrypted(capture, keys, ports):
    """Bytes that tshark decrypts each way: {client port: (up, down)}, of all clients where ports is None."""
    listed = subprocess.run(["tshark", "-r", capture, "-Y", "tcp.flags.syn==1 && tcp.flags.ack==0", "-T", "fields", "-e", "tcp.stream", "-e", "tcp.srcport"],
                            capture_output=True, text=True, check=True).stdout
    streams = {int(port): int(stream) for stream, port in (line.split() for line in listed.splitlines()) if ports is None or int(port) in ports}
    follow = [x for s in streams.values() for x in ("-z", f"follow,tls,raw,{s}")]
    text = subprocess.run(["tshark", "-r", capture, "-o", f"tls.keylog_file:{keys}", "-q", *follow], capture_output=True, text=True, check=True).stdout
    found = {}
    for part in text.split("Follow: tls,raw")[1:]:
        port = next(p for p, n in streams.items() if n == int(re.search(r"tcp.stream eq (\d+)", part)[1]))
        first = re.search(r"^Node 0: .*:(\d+)$", part, re.M)[1] == str(port)  # whoever was decrypted first
        sizes = [0, 0]
        for line in part.splitlines():
            if re.fullmatch(r"\t?[0-9a-f]+", line):
                sizes[line[0] == "\t"] += len(line.strip()) // 2
        found[port] = tuple(sizes if first else sizes[::-1])
    return found


def by_port(leaktap, capture):
    return {r["src_port"]: r["leaktap"] for r in shared.flows(shared.records(leaktap, [capture]))}


def tolerance(setup, n):
    version, suite, _ = SETUPS.get(setup, ("1.3", "", ()))
    if version == "1.3":
        return LIMIT_13
    return 16 + 8 * (n // 4096 + 2) if suite.endswith(("-SHA", "AES256-SHA384")) else 0


class Tally:
    def __init__(self, verbose):
        self.verbose, self.bad, self.runs, self.worst = verbose, [], 0, {}

    def check(self, setup, ours, truth, said):
        self.runs += 1
        where = f"{setup}: {truth[0]} up, {truth[1]} down"
        if truth != said:
            self.bad.append(f"{where}: the programs themselves counted {said}")
        if "app_up" not in ours:
            self.bad.append(f"{where}: leaktap has no application bytes: {ours}")
            return
        got = (ours["app_up"], ours["app_down"])
        off = tuple(g - t for g, t in zip(got, truth))
        self.worst[setup] = max([self.worst.get(setup, (0, 0)), *((abs(o), o) for o in off)])
        if self.verbose:
            print(f"{where}: off by {off[0]:+d} {off[1]:+d}")
        for way, o, t in zip(("up", "down"), off, truth):
            if abs(o) > tolerance(setup, t):
                self.bad.append(f"{where}: {way} is off by {o:+d}")
        if truth[0] != truth[1] and (got[0] > got[1]) != (truth[0] > truth[1]):
            self.bad.append(f"{where}: the direction is wrong, leaktap has {got}")


def run_setup(leaktap, folder, setup, tally):
    capture, keys = folder / "run.pcap", folder / "keys.log"
    env = {**os.environ, "OPENSSL_CONF": str(openssl_conf(folder, SETUPS[setup][1]))}

    def record():
        keys.unlink(missing_ok=True)
        dump = Tcpdump(capture)
        done = subprocess.run([sys.executable, __file__, "--talk", str(folder), setup], env=env, capture_output=True, text=True, timeout=120)
        dump.stop()
        if done.returncode:
            raise RuntimeError(f"{setup}: {done.stderr[-600:]}")
        said = {port: (up, down) for port, up, down in json.loads(done.stdout)}
        truth = decrypted(capture, keys, said)
        return {port: truth.get(port, (0, 0)) for port in said}, said

    truth, said = agreed(record)
    ours = by_port(leaktap, capture)
    for port, counted in said.items():
        tally.check(setup, ours.get(port, {}), truth[port], counted)


def wait_for(what, holds):
    end = time.monotonic() + 60
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(f"waited a minute for {what}")
        time.sleep(0.02)


def listening(port):
    """Whether some socket of this namespace listens (state 0A) on the port."""
    rows = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A" for row in rows)


class Server:
    """openssl s_server with early data; what it receives goes to a file."""
    PORT = 44330

    def __init__(self, folder):
        self.out = folder / "server.out"
        with self.out.open("wb") as out:
            self.run = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{self.PORT}", "-cert", "rsa.leaf.pem", "-cert_chain", "rsa.chain.pem",
                                         "-key", "rsa.leaf.key", "-tls1_3", "-early_data", "-max_early_data", "60000", "-no_anti_replay", "-quiet"],
                                        cwd=folder, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL)
        wait_for("the server", lambda: listening(self.PORT))

    def stop(self):
        self.run.terminate()
        self.run.wait()


def s_client(folder, server, text, *args):
    """Returns after the server was given the text and the connection was closed."""
    before = server.out.read_bytes().count(text[:1])
    run = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{server.PORT}", "-servername", "upload.example.com", "-tls1_3", "-quiet",
                            "-keylogfile", "keys.log", *args], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run.stdin.write(text)
    run.stdin.flush()
    wait_for("the text", lambda: server.out.read_bytes().count(text[:1]) - before >= text.count(text[:1]))
    if "-sess_out" in args:
        wait_for("a session", lambda: (folder / "session.pem").exists() and (folder / "session.pem").stat().st_size > 0)
    run.terminate()
    run.wait()


def early_connection(folder, refused, n_early, n_late):
    """One resumed connection with early data, recorded. Returns what tshark decrypted and what was delivered, by port."""
    capture, keys = folder / "run.pcap", folder / "keys.log"
    for path in (keys, folder / "session.pem"):
        path.unlink(missing_ok=True)
    (folder / "early.bin").write_bytes(b"e" * n_early)
    server = Server(folder)
    s_client(folder, server, b"first\n", "-sess_out", "session.pem")
    if refused:
        server.stop()
        server = Server(folder)
    dump = Tcpdump(capture)
    s_client(folder, server, b"l" * (n_late - 1) + b"\n", "-sess_in", "session.pem", "-early_data", "early.bin")
    dump.stop()
    server.stop()
    truth = decrypted(capture, keys, None)
    if refused:  # what tshark decrypts of refused early data nobody was given
        truth = {port: (n_late if up == n_early + n_late else up, down) for port, (up, down) in truth.items()}
    return truth, {port: (n_late + (0 if refused else n_early), 0) for port in truth or (0,)}


def run_early_data(leaktap, folder, tally):
    """0-RTT accepted, and refused by a server that does not know the ticket: then it was not delivered."""
    for refused in (False, True):
        for n_early, n_late in ((300, 10), (16000, 3000), (16000, 10), (1, 2000)):
            truth, said = agreed(lambda: early_connection(folder, refused, n_early, n_late))
            ours = by_port(leaktap, folder / "run.pcap")
            for port, counted in said.items():
                tally.check(f"1.3 early data {'refused' if refused else 'accepted'}", ours.get(port, {}), truth.get(port, (0, 0)), counted)


def main():
    if len(sys.argv) > 3 and sys.argv[1] == "--talk":
        talk(pathlib.Path(sys.argv[2]), sys.argv[3])
        return
    enter_namespace()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    tally = Tally("-v" in sys.argv)
    with tempfile.TemporaryDirectory() as tmp:
        folder = pathlib.Path(tmp)
        folder.chmod(0o777)  # tcpdump gives up root
        make_certificates(folder)
        for setup in SETUPS:
            run_setup(sys.argv[1], folder, setup, tally)
        run_early_data(sys.argv[1], folder, tally)
    for setup, (_, off) in tally.worst.items():
        print(f"{setup}: off by {off:+d} at most")
    print(f"{tally.runs} connections")
    print("\n".join(tally.bad))
    sys.exit(1 if tally.bad else 0)


main()
