"""What the acceptance scripts share: where the shared captures are, and a run of leaktap as a list of records. Exit code 77: skipped, loudly."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(os.environ.get("LEAKTAP_SHARED", ROOT.parent / "shared")) / "data"


def need(*parts):
    path = DATA.joinpath(*parts)
    if not path.exists():
        print(f"SKIPPED: {path} is not there; set LEAKTAP_SHARED to the folder that holds data/")
        sys.exit(77)
    return path


def records(leaktap, captures, events=(), options=(), codes=(0,)):
    """Replays and returns the records; options are passed on."""
    with tempfile.TemporaryDirectory() as tmp:
        out = pathlib.Path(tmp) / "records.json"
        cmd = [str(leaktap)]
        for c in captures:
            cmd += ["-r", str(c)]
        for e in events:
            cmd += ["--endpoint", str(e)]
        done = subprocess.run(cmd + ["-o", str(out), "-q", *options], capture_output=True, text=True, timeout=900)
        if done.returncode not in codes:
            sys.exit(f"{' '.join(cmd)}: exit {done.returncode}\n{done.stderr[-2000:]}")
        return [json.loads(line) for line in out.read_text().splitlines()]


def flows(recs):
    return [r for r in recs if r["event_type"] == "flow"]
