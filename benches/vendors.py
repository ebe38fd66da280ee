#!/usr/bin/env python3
"""Start of databases and brokers until they are ready: orchestra and Docker Compose side by side in one run, and the floor, the bare engine.

    benches/vendors.py [--rounds 10] [--only 200ms,5s] [--compose PROGRAM] [--write]

PostgreSQL, Redis and NATS from one Compose file, which orchestra includes. Cold: neither containers nor network nor volume are there; warm: the
containers are there and stopped. Rounds alternate. The floor is `docker run` or `docker start` of the three at once, asked every 5 ms by real clients
until they answer. Beside each time stands how many real clients were refused that asked in the moment in which the command said that all is ready.
Needs an engine (DOCKER_HOST) with the images of `scripts/images`, Python 3, and five minutes of a quiet machine. A Compose that is not there, or that
knows no `up --wait`, is listed as absent. With --write the table replaces that of the last run in benches/RESULTS.md.
"""

import argparse
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

import results
import servers

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def spread(seconds):
    low, middle, high = min(seconds) * 1e3, statistics.median(seconds) * 1e3, max(seconds) * 1e3
    return f"**{middle:.0f} ms** ({low:.0f}–{high:.0f})"


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def said(*argv):
    """What a program prints; None where it is not there or fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def run(folder, *argv):
    done = subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(argv)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Starter:
    """Whoever starts the three, with a folder, a project and ports of its own."""

    def __init__(self, folder, interval):
        self.folder = os.path.join(folder, self.word)
        self.project = f"bench-{self.word}-{uuid.uuid4().hex[:6]}"
        self.ports = servers.ports()
        os.mkdir(self.folder)
        with open(os.path.join(self.folder, "compose.yml"), "w") as file:
            file.write(servers.FILE.format(interval=interval, **self.ports))

    def measure(self):
        """Seconds until it says that all is ready, or until the clients say so; and how many are refused then."""
        began = time.monotonic()
        self.start()
        took = time.monotonic() - began
        refused = sum(not servers.answers(name, port) for name, port in self.ports.items())
        # The others must come as well, or the next round would measure something else.
        servers.Clients(self.ports).wait()
        return took, refused


class Orchestra(Starter):
    word = "orchestra"

    def __init__(self, program, folder, interval):
        super().__init__(folder, interval)
        self.program = program
        with open(os.path.join(self.folder, "orchestra.yml"), "w") as file:
            file.write(f"name: {self.project}\ninclude: [compose.yml]\n")

    def start(self):
        run(self.folder, self.program, "start")

    def stop(self):
        run(self.folder, self.program, "stop")

    def down(self):
        run(self.folder, self.program, "vendors", "down", "--volumes", "--yes")
        run(self.folder, self.program, "stop")


class Compose(Starter):
    word = "compose"

    def __init__(self, program, folder, interval):
        super().__init__(folder, interval)
        self.argv = [*program, "-p", self.project, "-f", "compose.yml"]

    def start(self):
        run(self.folder, *self.argv, "up", "--wait")

    def stop(self):
        run(self.folder, *self.argv, "stop")

    def down(self):
        run(self.folder, *self.argv, "down", "--volumes")


class Floor(Starter):
    """The engine alone; how long until its servers answer is found out by asking them."""

    word = "floor"

    def start(self):
        names = {name: f"{self.project}-{name}" for name in servers.NAMES}
        made = said("docker", "container", "inspect", *names.values())
        if made:
            self.all([["docker", "start", name] for name in names.values()])
        else:
            run(self.folder, "docker", "network", "create", self.project)
            inner = {"postgres": 5432, "redis": 6379, "nats": 4222}
            common = lambda name: ["docker", "run", "-d", "--name", names[name], "--network", self.project, "-p", f"127.0.0.1:{self.ports[name]}:{inner[name]}"]
            self.all([
                [*common("postgres"), "-e", "POSTGRES_HOST_AUTH_METHOD=trust", "-v", f"{self.project}:/var/lib/postgresql/data", "postgres:15"],
                [*common("redis"), "redis:7"],
                [*common("nats"), "nats:2"],
            ])
        servers.Clients(self.ports).wait()

    def all(self, commands):
        running = [subprocess.Popen(argv, stdout=subprocess.DEVNULL) for argv in commands]
        if any([one.wait() for one in running]):
            raise SystemExit("error: docker could not start the floor")

    def names(self):
        return [f"{self.project}-{name}" for name in servers.NAMES]

    def stop(self):
        run(self.folder, "docker", "stop", *self.names())

    def down(self):
        run(self.folder, "docker", "rm", "-fv", *self.names())
        run(self.folder, "docker", "network", "rm", self.project)
        run(self.folder, "docker", "volume", "rm", self.project)


def rounds_of(starters, rounds):
    """Times and refused clients of every starter, cold and warm."""
    cold, warm, refused = ({one: [] for one in starters} for _ in range(3))
    for number in range(rounds):
        # Whoever comes first in one round comes last in the next.
        for one in starters if number % 2 else list(reversed(starters)):
            try:
                for times in (cold, warm):
                    took, no = one.measure()
                    times[one].append(took)
                    refused[one].append(no)
                    one.stop()
            finally:
                one.down()
    return cold, warm, refused


def left(starters):
    """What is left of them in the engine, by name."""
    found = 0
    for one in starters:
        for kind in (["ps", "-aq"], ["volume", "ls", "-q"], ["network", "ls", "-q"]):
            found += len((said("docker", *kind, "--filter", f"name={one.project}") or "").split())
    return found


def compose(asked):
    """The command, and what it says it is; or no command, and why."""
    ways = [[asked]] if asked else [["docker-compose"], ["docker", "compose"]]
    why = "Docker Compose is not here"
    for way in ways:
        version = said(*way, "version", "--short")
        if version:
            if "--wait" in (said(*way, "up", "--help") or ""):
                return way, f"Docker Compose {version.lstrip('v')}"
            why = f"Docker Compose {version} knows no `up --wait`"
    return None, why


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", default="200ms,5s", help="intervals of the health checks")
    parser.add_argument("--compose", help="the docker-compose program")
    parser.add_argument("--write", action="store_true", help="into benches/RESULTS.md")
    parser.add_argument("--orchestra", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release/orchestra"))
    options = parser.parse_args()
    orchestra = os.path.abspath(options.orchestra)
    if not os.access(orchestra, os.X_OK):
        sys.exit(f"error: no `{orchestra}`: run `cargo build --release` first")
    engine = said("docker", "version", "--format", "{{.Server.Version}}")
    if not engine:
        sys.exit("error: no Docker engine answers: set DOCKER_HOST")
    command, words = compose(options.compose)
    lines = []
    # Whoever ends us wants the containers to be gone as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def say(line):
        print(line, flush=True)
        lines.append(line)

    version = said(orchestra, "--version").splitlines()[0]
    say(f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores, load before {os.getloadavg()[0]:.2f}; Docker engine {engine}; {version}"
        f"{', ' + words if command else ''}; absent: {'none' if command else words}.\n")
    say(f"PostgreSQL, Redis and NATS until ready; {options.rounds} alternating rounds: median (range). Refused: clients that asked as soon as the command was through.\n")
    say(row("who", "health checks each", "cold", "warm", "of the floor", "refused"))
    say("|---|---|---|---|---|---|")
    everyone = []
    for interval in options.only.split(","):
        folder = tempfile.mkdtemp(prefix="orchestra-bench-")
        try:
            starters = [Orchestra(orchestra, folder, interval)]
            starters += [Compose(command, folder, interval)] if command else []
            starters += [Floor(folder, interval)]
            everyone += starters
            cold, warm, refused = rounds_of(starters, options.rounds)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        floor = starters[-1]
        for one in starters:
            of = [f"{statistics.median(times[one]) / statistics.median(times[floor]):.2f}×" for times in (cold, warm)]
            who = {"orchestra": "`orchestra start`", "compose": "`docker compose up --wait`", "floor": "bare engine, asked by clients"}[one.word]
            no = f"{sum(refused[one])} of {3 * len(refused[one])}"
            say(row(who, "–" if one is floor else interval, spread(cold[one]), spread(warm[one]), ", ".join(of), "–" if one is floor else no))
    say(f"\nContainers, volumes and networks left over after all of it: {left(everyone)}.")
    if options.write:
        results.replace("vendors.py", lines)


if __name__ == "__main__":
    main()
