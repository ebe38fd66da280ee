#!/usr/bin/env python3
"""A flood of lines of a container into the log, beside `docker logs -f > file` in the same run: none may be lost, none doubled.

    benches/vendor_logs.py [--lines 1000000] [--rounds 3] [--only calm,supervisor,engine] [--write]

A container prints so many numbered lines when it gets a signal; the clock runs from the signal until the last line is in the file, and then the lines are
counted there. Rounds alternate. `supervisor`: the supervisor is killed with SIGKILL after a quarter, half and three quarters of the lines. `engine`: the engine is killed with
SIGKILL in the middle and started again; that is one of the bench's own, for which it must be root, and what the engine itself has kept is the measure.
Needs an engine (DOCKER_HOST) with the image busybox:1, and Python 3. With --write the table replaces that of the last run in benches/RESULTS.md.
Exit code 1: a line was lost, doubled or out of order.
"""

import argparse
import collections
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

import results
from engine import Engine

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEADLINE = 600
HEADER = 32
FLOOD = """\
trap 'i=0; while [ $i -lt {pieces} ]; do seq $((i * {size} + 1)) $(((i + 1) * {size})); i=$((i + 1)); sleep {pause}; done; echo end' USR1
echo begun
while :; do sleep 1000 & wait $!; kill $! 2>/dev/null; done
"""
PIECES, PAUSE = 100, 0.1
Measured = collections.namedtuple("Measured", "seconds cpu kept lost doubled disorder kills")


def ticks(pid):
    """CPU seconds of a process; 0 once it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tail(path, count=4096):
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - count))
            return file.read()
    except FileNotFoundError:
        return b""


def judge(payloads, wanted):
    """Of the lines `wanted`: how many are lost, doubled, out of order."""
    found = [int(line) for line in payloads if line.isdigit()]
    counted = collections.Counter(found)
    disorder = sum(one > other for one, other in zip(found, found[1:]))
    return sum(n not in counted for n in wanted), sum(count - 1 for count in counted.values()), disorder


class Reader:
    """Somebody who keeps what a container prints."""

    def __init__(self, folder, lines, host, inside=(), pieces=1):
        self.folder, self.lines, self.inside = pathlib.Path(folder), lines, list(inside)
        self.env = {**os.environ, "DOCKER_HOST": host}
        self.name = f"bench-flood-{uuid.uuid4().hex[:8]}"
        self.command = FLOOD.format(pieces=pieces, size=lines // pieces, pause=PAUSE if pieces > 1 else 0)

    def run(self, *argv):
        done = subprocess.run([*self.inside, *argv], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"error: {' '.join(argv)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def until(self, there, what):
        deadline = time.monotonic() + DEADLINE
        while not there():
            if time.monotonic() > deadline:
                raise SystemExit(f"error: no {what} within {DEADLINE} s")
            time.sleep(0.01)

    def flood(self, meanwhile=None):
        """Begins, waits for the end, and counts."""
        self.until(lambda: b"begun\n" in self.newest(), "first line")
        before, began = self.cpu(), time.monotonic()
        self.run("docker", "kill", "-s", "USR1", self.container())
        kills = meanwhile(self) if meanwhile else 0
        self.until(lambda: b"end\n" in self.newest(), "last line")
        took, cpu = time.monotonic() - began, self.cpu() - before
        kept = [int(line) for line in self.run("docker", "logs", self.container()).split() if line.isdigit()]
        return Measured(took, cpu, len(kept), *judge(self.payloads(), set(kept)), kills)


class Orchestra(Reader):
    title = "orchestra"

    def begin(self, program):
        self.program, self.pid, self.spent = program, None, 0.0
        config = {"name": self.name, "vendors": {"flood": {"image": "busybox:1", "command": ["sh", "-c", self.command.replace("$", "$$")], "init": True}}}
        (self.folder / "orchestra.yml").write_text(json.dumps(config))
        self.up()

    def up(self):
        self.run(self.program, "start")
        self.pid = json.loads(self.run(self.program, "ps", "-o", "json"))["supervisor"]["pid"]

    def kill(self):
        self.spent += ticks(self.pid)
        os.kill(self.pid, signal.SIGKILL)
        self.until(lambda: not os.path.exists(f"/proc/{self.pid}"), "end of the supervisor")

    def cpu(self):
        return self.spent + ticks(self.pid)

    def container(self):
        return self.run("docker", "ps", "-q", "--filter", f"label=orchestra.project={self.folder.resolve()}").strip()

    def segments(self):
        return sorted((self.folder / ".orchestra/logs/flood/1").glob("*.log"))

    def newest(self):
        segments = self.segments()
        return tail(segments[-1]) if segments else b""

    def payloads(self):
        for path in self.segments():
            for line in path.read_bytes().split(b"\n"):
                if line[28:29] in (b"o", b"e"):
                    yield line[HEADER:]

    def end(self):
        self.run(self.program, "stop", "--timeout", "1s")
        self.run(self.program, "vendors", "down", "--volumes", "--yes")
        self.run(self.program, "stop")


class DockerLogs(Reader):
    title = "`docker logs -f > file`"

    def begin(self, _):
        self.run("docker", "run", "-d", "--init", "--network", "none", "--name", self.name, "busybox:1", "sh", "-c", self.command)
        self.file = self.folder / "out"
        with self.file.open("wb") as out:
            self.process = subprocess.Popen(["docker", "logs", "-f", self.name], env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def cpu(self):
        return ticks(self.process.pid)

    def container(self):
        return self.name

    def newest(self):
        return tail(self.file)

    def payloads(self):
        return self.file.read_bytes().split(b"\n")

    def end(self):
        self.run("docker", "rm", "-fv", self.name)
        self.process.wait()


def once(kind, asked, host, inside=(), meanwhile=None):
    with tempfile.TemporaryDirectory(prefix="orchestra-bench-") as folder:
        # Calm, all at once. Where something is killed it must be in the middle, so there the lines come over more than ten seconds.
        reader = kind(folder, asked.lines, host, inside, PIECES if meanwhile else 1)
        try:
            reader.begin(asked.orchestra)
            return reader.flood(meanwhile)
        finally:
            reader.end()


def reached(reader, lines):
    """Waits until so many lines are in the log."""
    number = lambda line: int(line[HEADER:]) if line[HEADER:].isdigit() else 0
    last = lambda: max(map(number, reader.newest().split(b"\n")[1:-1]), default=0)
    reader.until(lambda: last() > lines or b"end\n" in reader.newest(), f"line {lines}")


def kill_supervisors(reader):
    """The next one goes on where the log ends."""
    for quarter in (1, 2, 3):
        reached(reader, reader.lines * quarter // 4)
        reader.kill()
        reader.up()
    return 3


def restart(engine, reader):
    """Kills the engine in the middle; nobody answers for a second."""
    reached(reader, reader.lines // 3)
    engine.end(signal.SIGKILL)
    time.sleep(1)
    engine.start()
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="calm,supervisor,engine")
    parser.add_argument("--write", action="store_true", help="into benches/RESULTS.md")
    parser.add_argument("--orchestra", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release/orchestra"))
    asked = parser.parse_args()
    asked.orchestra = os.path.abspath(asked.orchestra)
    if not os.access(asked.orchestra, os.X_OK):
        sys.exit(f"error: no `{asked.orchestra}`: run `cargo build --release` first")
    host, only = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"), asked.only.split(",")
    version = subprocess.run(["docker", "version", "--format", "{{.Server.Version}}, docker {{.Client.Version}}"], capture_output=True, text=True)
    if version.returncode:
        sys.exit("error: no Docker engine answers: set DOCKER_HOST")
    lines, wrong = [], 0

    def say(line):
        print(line, flush=True)
        lines.append(line)

    def tell(who, case, found):
        nonlocal wrong
        lost, doubled, disorder, kills = (sum(getattr(one, name) for one in found) for name in ("lost", "doubled", "disorder", "kills"))
        wrong += lost + doubled + disorder
        rate = statistics.median(one.kept / one.seconds for one in found)
        cpu = statistics.median(one.cpu / one.kept for one in found) * 1e9
        kept = sum(one.kept for one in found)
        say(f"| {who} | {case.format(kills=kills)} | {kept} of {asked.lines * len(found)} | {lost} | {doubled} | {disorder} | {rate:.0f} | {cpu:.0f} ns |")

    # Whoever ends us wants the containers to be gone as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    say(f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores, load before {os.getloadavg()[0]:.2f}; Docker engine {version.stdout.strip()}.\n")
    say(f"{asked.lines} lines of a container, {asked.rounds} alternating rounds, medians; processor time of the supervisor, or of the `docker` program.\n")
    say("| who | meanwhile | kept by the engine | of these lost | doubled | out of order | lines/s | CPU a line |\n|---|---|---|---|---|---|---|---|")
    if "calm" in only:
        found = {kind: [] for kind in (Orchestra, DockerLogs)}
        for _ in range(asked.rounds):
            for kind, measured in found.items():
                measured.append(once(kind, asked, host))
        for kind, measured in found.items():
            tell(kind.title, "–", measured)
    if "supervisor" in only:
        tell(Orchestra.title, "supervisor killed {kills}×", [once(Orchestra, asked, host, meanwhile=kill_supervisors) for _ in range(asked.rounds)])
    if "engine" in only:
        found = []
        for _ in range(asked.rounds):
            with Engine(["busybox:1"]) as engine:
                found.append(once(Orchestra, asked, engine.host, engine.inside(), lambda reader: restart(engine, reader)))
        tell(Orchestra.title, "engine killed {kills}×", found)
    say(f"\nWhere something is killed the lines come in {PIECES} pieces over more than {PIECES * PAUSE:.0f} s, which bounds the lines a second.")
    if asked.write:
        results.replace("vendor_logs.py", lines)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
