#!/usr/bin/env python3
"""JA4 of every ClientHello in the shared captures, computed here from the fields that tshark dissects, against what our reader says of the same bytes.

usage: ja4_oracle.py JA4_LINES [CAPTURE...]     exit 0 equal, 1 differences, 77 something needed is not there
LEAKTAP_JA4_STRIDE=n takes every n-th of the shared captures only.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys


def skip(why):
    print("SKIPPED:", why)
    sys.exit(77)


def grease(value):
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


def as_list(value):
    return value if isinstance(value, list) else [value]


def pairs_kept(pairs):
    """JSON objects of tshark repeat keys: keep every value."""
    out = {}
    for key, value in pairs:
        out.setdefault(key, []).append(value)
    return out


def values(node, field):
    """Every value of a field below node, in order."""
    found = []
    if isinstance(node, dict):
        for key, inner in node.items():
            for value in inner:
                if key == field and not isinstance(value, (dict, list)):
                    found.append(value)
                else:
                    found += values(value, field)
    elif isinstance(node, list):
        for value in node:
            found += values(value, field)
    return found


def hellos(node, raw=None):
    """(dissected hello, its bytes in hexadecimal) below node."""
    if isinstance(node, dict):
        if node.get("tls.handshake.type") == ["1"] and raw:
            yield node, raw
            return
        for key, inner in node.items():
            raws = node.get(key + "_raw", [])
            for i, value in enumerate(inner):
                own = as_list(raws[i])[0] if i < len(raws) and raws[i] else None
                yield from hellos(value, own if key == "tls.handshake" else None)
    elif isinstance(node, list):
        for value in node:
            yield from hellos(value)


def extensions(hello):
    """(type, its subtree) in order."""
    for key, inner in hello.items():
        if key.startswith("Extension: "):
            for tree in inner:
                kind = values(tree, "tls.handshake.extension.type")
                if kind:
                    yield int(kind[0]), tree


def hashed(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "000000000000"


NAMES = {0x304: "13", 0x303: "12", 0x302: "11", 0x301: "10", 0x300: "s3", 2: "s2", 0xFEFF: "d1", 0xFEFD: "d2", 0xFEFC: "d3"}


def alpn_characters(alpn):
    if not alpn:
        return "00"
    if alpn[0].isascii() and alpn[0].isalnum() and alpn[-1].isascii() and alpn[-1].isalnum():
        return alpn[0] + alpn[-1]
    text = alpn.encode("latin-1").hex()
    return text[0] + text[-1]


def ja4(transport, hello):
    ciphers = [c for c in (int(v, 0) for v in values(hello, "tls.handshake.ciphersuite")) if not grease(c)]
    exts = [(t, tree) for t, tree in extensions(hello) if not grease(t)]
    version = int(values(hello, "tls.handshake.version")[0], 0)
    alpn, signatures = "", []
    for kind, tree in exts:
        if kind == 43:
            offered = [int(v, 0) for v in values(tree, "tls.handshake.extensions.supported_version")]
            offered = [v for v in offered if not grease(v)]
            version = max(offered) if offered else version
        elif kind == 16:
            alpn = (values(tree, "tls.handshake.extensions_alpn_str") or [""])[0]
        elif kind == 13:
            signatures = [int(v, 0) for v in values(tree, "tls.handshake.sig_hash_alg")]
    kinds = sorted("%04x" % t for t, _ in exts if t not in (0, 16))
    signatures = ["%04x" % s for s in signatures if not grease(s)]
    head = "%s%s%s%02d%02d%s" % (transport, NAMES.get(version, "00"), "d" if any(t == 0 for t, _ in exts) else "i",
                                 min(len(ciphers), 99), min(len(exts), 99), alpn_characters(alpn))
    tail = ",".join(kinds) + ("_" + ",".join(signatures) if kinds and signatures else "")
    return "%s_%s_%s" % (head, hashed(",".join(sorted("%04x" % c for c in ciphers))), hashed(tail))


def dissect(capture):
    text = subprocess.run(["tshark", "-r", capture, "-Y", "tls.handshake.type==1 && !dtls", "-T", "json", "-x"],
                          capture_output=True, text=True, errors="replace").stdout
    for frame in json.loads(text or "[]", object_pairs_hook=pairs_kept):
        layers = frame["_source"][0]["layers"][0]
        transport = "q" if "quic" in layers else "t"
        for hello, raw in hellos(layers):
            yield transport, hello, raw


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if not shutil.which("tshark"):
        skip("tshark is not there")
    captures = sys.argv[2:]
    if not captures:
        folder = os.path.join(os.environ.get("LEAKTAP_SHARED", "../shared"), "data", "names")
        if not os.path.isdir(folder):
            skip(folder + " is not there")
        captures = sorted(os.path.join(d, f) for d, _, files in os.walk(folder) for f in files if "cap" in f.rsplit(".", 1)[-1])
        captures = captures[::int(os.environ.get("LEAKTAP_JA4_STRIDE", "1"))]
    wanted, lines = [], []
    for capture in captures:
        for transport, hello, raw in dissect(capture):
            wanted.append((capture, ja4(transport, hello)))
            lines.append("%s %s\n" % (transport, raw))
    got = subprocess.run([sys.argv[1]], input="".join(lines), capture_output=True, text=True, check=True).stdout.splitlines()
    different, malformed = 0, 0
    for (capture, want), have in zip(wanted, got):
        if have == "malformed":
            malformed += 1
            print(capture, "malformed for us, tshark:", want)
        elif have.split(" ")[0] != want:
            different += 1
            print(capture, "tshark:", want, "ours:", have)
    print("%d hellos in %d captures: %d different, %d malformed for us" % (len(wanted), len(captures), different, malformed))
    # Fuzzed captures hold broken hellos that tshark dissects as far as it can; they are few.
    sys.exit(1 if different or not wanted or len(got) != len(wanted) or malformed > len(wanted) // 100 else 0)


if __name__ == "__main__":
    main()
