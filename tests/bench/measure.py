#!/usr/bin/env python3
"""Measures programs over generated captures, interleaved, and prints a table of CPU seconds and their ratio to the yardstick.

Usage: measure.py BUILD LOADS RUNS. BUILD holds leaktap and bench_yardstick, LOADS the captures (NAME.pcap, NAME.tsv). Every round runs every
program once, the first round is thrown away, the rest is told as medians. Only wrong results fail, never time."""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def cores():
    """The last core this process may use, to stay away from the interrupts of the first."""
    return {max(os.sched_getaffinity(0))}


def run(argv):
    """CPU seconds of the whole process and its largest resident size in bytes."""
    pid = os.fork()
    if pid == 0:
        try:
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            os.sched_setaffinity(0, cores())
            os.execv(argv[0], [str(a) for a in argv])
        finally:
            os._exit(127)
    _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        sys.exit(f"{' '.join(map(str, argv))}: exit {code}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def program(name):
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def peers(capture, work):
    """What is installed of other programs, and how it reads a capture for flows and names."""
    lines = {
        "ndpiReader -q": ("ndpiReader", ["-q", "-i", capture]),
        "softflowd": ("softflowd", ["-r", capture, "-n", "127.0.0.1:9", "-d"]),
        "suricata": ("suricata", ["-r", capture, "-l", work, "--runmode", "single", "-k", "none"]),
        "tshark": ("tshark", ["-n", "-q", "-r", capture, "-z", "conv,tcp"]),
    }
    wanted = os.environ.get("BENCH_PEERS", "ndpiReader softflowd suricata").split()
    return {label: [program(name), *args] for label, (name, args) in lines.items() if name in wanted and program(name)}


def commands(build, capture, work):
    ours = [build / "leaktap", "-r", capture, "-q", "--records"]
    return {
        "yardstick": [build / "bench_yardstick", capture],
        "leaktap": [*ours, "alert,stats", "-o", work / "stats.json"],
        "leaktap, flow records": [*ours, "flow,alert,stats", "-o", work / "records.json"],
    } | peers(capture, work)


def count(truth):
    """Packets and flows, and the most flows that may be open at once."""
    packets = flows = 0
    with open(truth) as f:
        next(f)
        for line in f:
            fields = line.split("\t")
            packets += int(fields[11]) + int(fields[12])
            flows += 1
    return packets, flows


def measure(build, capture, work, rounds):
    cost = {}
    for i in range(rounds):
        for label, argv in commands(build, capture, work).items():
            # a program that takes minutes is run once
            if cost.get(label) and cost[label][0][0] > 60:
                continue
            cost.setdefault(label, []).append(run(argv))
        if i == 0:
            cost = {label: runs if runs[0][0] > 60 else [] for label, runs in cost.items()}
    return {label: (statistics.median(r[0] for r in runs), max(r[1] for r in runs)) for label, runs in cost.items()}


def table(name, cost, packets, flows):
    yard = cost["yardstick"][0]
    print(f"\n{name}: {packets:,} packets, {flows:,} flows")
    print(f"{'':24}{'CPU s':>8}{'yardsticks':>12}{'Mpackets/s':>12}{'max RSS MB':>12}{'B/flow':>8}")
    for label, (seconds, rss) in cost.items():
        per_flow = f"{rss / flows:8.0f}" if name == "many" else ""
        print(f"{label:24}{seconds:8.2f}{seconds / yard:12.2f}{packets / seconds / 1e6:12.2f}{rss / 1e6:12.0f}{per_flow}")
    record_ns = (cost["leaktap, flow records"][0] - cost["leaktap"][0]) / flows * 1e9
    print(f"{'one flow record':24}{record_ns:8.0f} ns", flush=True)


def main():
    build, loads, rounds = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]) + 1
    wrong = False
    for name in ("mixed", "small", "many"):
        capture, truth = loads / f"{name}.pcap", loads / f"{name}.tsv"
        with tempfile.TemporaryDirectory(dir=loads) as tmp:
            work = pathlib.Path(tmp)
            packets, flows = count(truth)
            cost = measure(build, capture, work, rounds)
            table(name, cost, packets, flows)
            check = [sys.executable, HERE / "check_truth.py", truth, work / "records.json", work / "stats.json"]
            wrong |= subprocess.run(check).returncode != 0
    sys.exit(1 if wrong else 0)


main()
