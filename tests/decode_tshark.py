#!/usr/bin/env python3
"""Holds decode against tshark: innermost TCP or UDP layer of each frame, that is addresses, ports and payload length.

usage: decode_tshark.py DECODE_DUMP EXPECTED CAPTURE...
"""
import os
import subprocess
import sys

# Layers behind which tshark shows packets that were quoted or carried as data, not sent as such.
STOP = {"icmp", "icmpv6", "tcp.segments"}
FIELDS = ["frame.number", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport",
          "tcp.len", "udp.srcport", "udp.dstport", "udp.length"]


def innermost(row):
    values = dict(zip(FIELDS, row))
    lists = {k: (v.split(",") if v else []) for k, v in values.items()}
    seen = {"ip": 0, "ipv6": 0, "tcp": 0, "udp": 0}
    address = answer = None
    for layer in values["frame.protocols"].split(":"):
        if layer in STOP:
            break
        if layer not in seen:
            continue
        i = seen[layer]
        seen[layer] += 1
        try:
            if layer in ("ip", "ipv6"):
                address = (lists[layer + ".src"][i], lists[layer + ".dst"][i])
                answer = None
            elif address:
                ports = (lists[layer + ".srcport"][i], lists[layer + ".dstport"][i])
                n = int(lists["tcp.len"][i]) if layer == "tcp" else int(lists["udp.length"][i]) - 8
                answer = (layer, address[0], ports[0], address[1], ports[1], n)
        except IndexError:
            answer = None
    return answer


def tshark(path):
    args = ["tshark", "-n", "-r", path, "-o", "tcp.desegment_tcp_streams:FALSE", "-o", "gtp.dissect_tpdu_as:TPDU Heuristic",
            "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,"]
    for field in FIELDS:
        args += ["-e", field]
    out = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
    result = {}
    for line in out.splitlines():
        row = line.split("\t")
        answer = innermost(row)
        if answer:
            result[int(row[0])] = answer
    return result


def ours(dump, path):
    run = subprocess.run([dump, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if run.returncode == 3:
        return None
    result = {}
    for line in run.stdout.decode().splitlines():
        number, proto, src, sport, dst, dport, n = line.split("\t")
        result[int(number)] = (proto, src, sport, dst, dport, int(n))
    return result


def read_expected(path):
    expected = set()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                name, frames, _ = line.rstrip("\n").split("\t")
                first, last = map(int, frames.split("-"))
                expected.update((name, n) for n in range(first, last + 1))
    return expected


def main():
    dump, expected, paths = sys.argv[1], read_expected(sys.argv[2]), sys.argv[3:]
    frames = failures = skipped = 0
    met = set()
    for path in paths:
        mine = ours(dump, path)
        if mine is None:
            print(f"{path}: link type not decoded")
            skipped += 1
            continue
        truth = tshark(path)
        for number in sorted(set(mine) | set(truth)):
            frames += 1
            if mine.get(number) == truth.get(number):
                continue
            key = (os.path.basename(path), number)
            met.add(key)
            if key not in expected:
                failures += 1
                print(f"{path} frame {number}: decode {mine.get(number)} tshark {truth.get(number)}")
    for name, number in sorted(expected - met):
        failures += 1
        print(f"{name} frame {number}: expected to differ, does not")
    print(f"{len(paths) - skipped} captures, {frames} frames, {len(met)} different, "
          f"{failures} unexplained, {skipped} link types not decoded")
    return 1 if failures or not frames else 0


sys.exit(main())
