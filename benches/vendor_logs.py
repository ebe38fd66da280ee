#!/usr/bin/env python3
"""A flood of lines of a container into the log: none may be lost, none doubled.

    DOCKER_HOST=unix:///… benches/vendor_logs.py [--orchestra target/release/orchestra] [--lines 1000000] [--image busybox:1] [--kill]

Starts a project with one vendor that prints so many numbered lines, waits until the log holds the last one, and counts. `--kill` ends the supervisor with
SIGKILL every two seconds meanwhile; the next one goes on where the log ends. Prints one line of JSON. Exit code 1: a line was lost, doubled or out of order.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

DEADLINE = 600
HEADER = 32

CONFIG = """\
name: flood
vendors:
  flood:
    image: {image}
    command: [sh, -c, "sleep 3; seq 1 {lines}; echo end; while :; do sleep 1; done"]
    init: true
"""


def ticks(pid):
    """CPU seconds of a process; 0 once it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def supervisor(orchestra, root):
    """Its pid; None while there is none."""
    shown = subprocess.run([orchestra, "ps", "--json"], cwd=root, capture_output=True, text=True)
    try:
        return json.loads(shown.stdout)["supervisor"].get("pid")
    except (ValueError, KeyError):
        return None


def segments(root):
    return sorted((root / ".orchestra/logs/flood/1").glob("*.log"))


def newest(root):
    """The newest lines of the log."""
    files = segments(root)
    if not files:
        return b""
    with files[-1].open("rb") as file:
        file.seek(max(0, files[-1].stat().st_size - 4096))
        return file.read()


def payloads(root):
    for path in segments(root):
        for line in path.read_bytes().split(b"\n"):
            if len(line) >= HEADER and line[28:29] in b"oe":
                yield line[HEADER:]


def judge(root, lines):
    """Lines lost, doubled, out of order."""
    seen, disorder, last = bytearray(lines + 1), 0, 0
    doubled = 0
    for payload in payloads(root):
        if not payload.isdigit():
            continue
        number = int(payload)
        doubled += seen[number]
        seen[number] = 1
        disorder += number < last
        last = number
    return lines - sum(seen), doubled, disorder


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orchestra", default="target/release/orchestra")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--image", default="busybox:1")
    parser.add_argument("--kill", action="store_true")
    asked = parser.parse_args()
    orchestra = str(pathlib.Path(asked.orchestra).resolve())
    with tempfile.TemporaryDirectory(prefix="orchestra-bench-") as name:
        root = pathlib.Path(name)
        (root / "orchestra.yml").write_text(CONFIG.format(image=asked.image, lines=asked.lines))
        run = lambda *words: subprocess.run([orchestra, *words], cwd=root, check=False, stdout=subprocess.DEVNULL)
        try:
            run("start")
            cpu, kills = 0.0, 0
            pid = supervisor(orchestra, root)
            begun = ticks(pid)
            began = killed = time.monotonic()
            while b" end\n" not in newest(root):
                if time.monotonic() - began > DEADLINE:
                    break
                if asked.kill and time.monotonic() - killed > 2:
                    cpu += ticks(pid) - begun
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
                    run("ps")
                    run("start")
                    pid = supervisor(orchestra, root)
                    begun, killed = ticks(pid), time.monotonic()
                time.sleep(0.02)
            took = time.monotonic() - began
            cpu += ticks(pid) - begun
            lost, doubled, disorder = judge(root, asked.lines)
        finally:
            run("stop")
            run("vendors", "down", "--volumes", "--yes")
    rate = round(asked.lines / took)
    print(json.dumps(dict(lines=asked.lines, lost=lost, doubled=doubled, disorder=disorder, kills=kills,
                          seconds=round(took, 1), lines_per_second=rate, cpu_seconds=round(cpu, 2))))
    sys.exit(1 if lost or doubled or disorder else 0)


if __name__ == "__main__":
    main()
