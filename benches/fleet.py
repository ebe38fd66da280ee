#!/usr/bin/env python3
"""How long a fleet takes from `orchestra start` to ready, against a bare loop that spawns the same binaries and polls the same ports.

    benches/fleet.py [--sizes 5,50,500] [--rounds 5] [--orchestra target/release/orchestra]

The floor knows nothing of builds, so the no-op `go build` of the same package is measured by itself in the same rounds, and both ratios are
given: to the floor alone, and to the floor after that build. Also: the memory of the supervisor and its shims, the round trip of `ps` with 50
services, and what 100 services cost while nobody looks. Needs Go and Python 3, nothing else. Rounds alternate (A B A B), medians are printed, and
every round counts what went wrong: services not ready, processes left over. Prints Markdown tables for benches/RESULTS.md.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIRST_PORT = 20000
MAIN = """// Bench is the smallest service that can be ready: it answers HTTP on PORT until SIGTERM.
package main

import (
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\\n")
		os.Exit(1)
	}
	os.Stdout.WriteString("up\\n")
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }))
	<-terms
}
"""


class Fleet:
    """A project of n services that share one package, built once."""

    def __init__(self, orchestra, n, ready):
        self.orchestra, self.n = orchestra, n
        self.dir = tempfile.mkdtemp(prefix=f"orchestra-bench-{n}-")
        self.ports = [FIRST_PORT + i for i in range(n)]
        self.write("orchestra.yml", "name: bench\n")
        self.write("s000/go.mod", "module example.com/bench\n\ngo 1.22\n")
        self.write("s000/main.go", MAIN)
        for i, port in enumerate(self.ports):
            package = "" if i == 0 else "package: ../s000\n"
            self.write(f"s{i:03}/service.yml", f"{package}port: {port}\nready: {ready.replace('PORT', str(port))}\n")
        self.binary = os.path.join(self.dir, "bare")
        subprocess.run(["go", "build", "-buildvcs=false", "-o", self.binary, "."], cwd=os.path.join(self.dir, "s000"), check=True)

    def write(self, path, text):
        path = os.path.join(self.dir, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def run(self, *args):
        done = subprocess.run([self.orchestra, *args], cwd=self.dir, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return done

    def build(self):
        """Seconds a no-op `go build` takes, as orchestra runs it."""
        began = time.perf_counter()
        subprocess.run(["go", "build", "-buildvcs=false", "-o", self.binary, "."], cwd=os.path.join(self.dir, "s000"), check=True)
        return time.perf_counter() - began

    def supervisor(self):
        return self.ps()["supervisor"]["pid"]

    def ps(self):
        return json.loads(self.run("ps", "-o", "json").stdout)

    def ready(self):
        return sum(s["state"] == "ready" for s in self.ps()["services"])

    def start(self):
        """Seconds from `start` to ready, and what went wrong."""
        began = time.perf_counter()
        done = self.run("start")
        took = time.perf_counter() - began
        # Everything was ready, each copy is a process of its own, and its own port answers.
        pids = {i["pid"] for s in self.ps()["services"] for i in s["instances"]}
        wrong = (self.n - self.ready()) + (done.returncode != 0) + (self.n - len(pids)) + sum(not accepts(port) for port in self.ports)
        if done.returncode != 0:
            sys.stderr.write(done.stderr[-2000:])
        return took, wrong

    def stop(self):
        began = time.perf_counter()
        self.run("stop")
        return time.perf_counter() - began, orphans(self.dir)

    def bare(self):
        """The floor: spawn, then poll every port until it accepts."""
        null = os.open(os.devnull, os.O_RDWR)
        streams = [(os.POSIX_SPAWN_DUP2, null, at) for at in range(3)]
        began = time.perf_counter()
        children = [os.posix_spawn(self.binary, [self.binary], {"PORT": str(port)}, file_actions=streams, setsid=True) for port in self.ports]
        waiting = list(self.ports)
        while waiting:
            waiting = [port for port in waiting if not accepts(port)]
            if waiting:
                time.sleep(0.001)
        took = time.perf_counter() - began
        os.close(null)
        for child in children:
            os.kill(child, signal.SIGTERM)
        for child in children:
            os.waitpid(child, 0)
        return took

    def close(self):
        self.run("stop", "--timeout", "2s")
        left = orphans(self.dir)
        shutil.rmtree(self.dir, ignore_errors=True)
        return left


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def orphans(folder):
    """Processes whose program or working directory lies in the folder. One that is just ending, as a supervisor that has let go of its lock, is none."""
    until = time.monotonic() + 1
    while (found := inside(folder)) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def inside(folder):
    found = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            links = [os.readlink(f"/proc/{pid}/{name}") for name in ("exe", "cwd")]
        except OSError:
            continue
        found += any(link.startswith(folder) for link in links)
    return found


def measure_start(orchestra, n, rounds):
    fleet = Fleet(orchestra, n, "{tcp: PORT}")
    fleet.run("start")  # builds; from here on a build has nothing to do
    fleet.run("stop")
    ours, floor, builds, stops, wrong, left = [], [], [], [], 0, 0
    for _ in range(rounds):
        floor.append(fleet.bare())
        builds.append(fleet.build())
        took, bad = fleet.start()
        ours.append(took)
        wrong += bad
        took, orphaned = fleet.stop()
        stops.append(took)
        left += orphaned
    fleet.run("start")
    time.sleep(1)
    supervisor, shims = memory(fleet.supervisor()), [memory(pid) for pid in children(fleet.supervisor())]
    left += fleet.close()
    a, b, c = (statistics.median(times) * 1000 for times in (ours, floor, builds))
    print(f"| `start` to all ready, {n} services | {a:.0f} ms | {b:.0f} ms | {a / b:.2f}× | wrong {wrong}, left over {left} |", flush=True)
    print(f"| … against no-op `go build` ({c:.0f} ms), then the floor | {a:.0f} ms | {b + c:.0f} ms | {a / (b + c):.2f}× | |", flush=True)
    print(f"| `stop`, {n} services | {statistics.median(stops) * 1000:.0f} ms | – | – | left over {left} |", flush=True)
    print(f"| memory of the supervisor, {n} services | {supervisor[0] / 1024:.1f} MiB RSS, {supervisor[1] / 1024:.1f} private | – | – | |", flush=True)
    private, pss = (statistics.median(shim[at] for shim in shims) for at in (1, 2))
    print(f"| memory of a shim, {n} services | {private:.0f} KiB private, PSS {pss:.0f} | 200 KiB (aim) | – | shims {len(shims)} |", flush=True)


def memory(pid):
    """KiB: resident, private, proportional."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        found = {line.split(":")[0]: int(line.split()[1]) for line in file if line.endswith("kB\n")}
    return found["Rss"], found["Private_Clean"] + found["Private_Dirty"], found["Pss"]


def children(parent):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                found += [int(pid)] * (int(file.read().rsplit(")", 1)[1].split()[1]) == parent)
        except OSError:
            continue
    return found


def measure_ps(orchestra, rounds):
    fleet = Fleet(orchestra, 50, "{tcp: PORT}")
    fleet.run("start")
    times = []
    for _ in range(max(rounds * 4, 20)):
        began = time.perf_counter()
        fleet.run("ps")
        times.append(time.perf_counter() - began)
    ready = fleet.ready()
    left = fleet.close()
    print(f"| `ps`, 50 services | {statistics.median(times) * 1000:.1f} ms | 20 ms (aim) | – | not ready {50 - ready}, left over {left} |", flush=True)


def usage(pid):
    """CPU seconds of a process, and voluntary context switches by thread."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    switches = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as file:
            switches[task] = sum(int(line.split()[1]) for line in file if line.startswith("voluntary"))
    return cpu, switches


def wakes(before, after):
    """Threads that ended meanwhile had nothing to do but to end."""
    return sum(count - before.get(task, 0) for task, count in after.items())


def measure_idle(orchestra, ready, what, seconds):
    fleet = Fleet(orchestra, 100, ready)
    fleet.run("start")
    pid = fleet.supervisor()
    shims = children(pid)
    time.sleep(3 if seconds < 30 else 40)  # past the last look at what a new service listens on
    cpu, switches = usage(pid)
    shims_before = [usage(shim)[1] for shim in shims]
    time.sleep(seconds)
    cpu_after, switches_after = usage(pid)
    shims_woken = sum(wakes(before, usage(shim)[1]) for shim, before in zip(shims, shims_before))
    ok = fleet.ready()
    left = fleet.close()
    load, woken = (cpu_after - cpu) / seconds * 100, wakes(switches, switches_after) / seconds
    print(f"| idle, 100 services, {what}: supervisor | {load:.2f} % of a core | 0.5 % (aim) | – | {woken:.1f} wake-ups/s, of {len(shims)} shims {shims_woken} in all, not ready {100 - ok}, left over {left} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="5,50,500")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=30, help="seconds to look at an idle fleet; 0 skips it")
    parser.add_argument("--orchestra", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release/orchestra"))
    options = parser.parse_args()
    orchestra = os.path.abspath(options.orchestra)
    if not os.access(orchestra, os.X_OK):
        sys.exit(f"error: no `{orchestra}`: run `cargo build --release` first")
    go = subprocess.run(["go", "version"], capture_output=True, text=True).stdout.split()[2]
    version = subprocess.run([orchestra, "--version"], capture_output=True, text=True).stdout.strip()
    print(f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores, {go}, {version}; medians of {options.rounds} alternating rounds\n")
    print("| what | orchestra | floor | ratio | correctness |\n|---|---|---|---|---|", flush=True)
    for size in map(int, filter(None, options.sizes.split(","))):
        measure_start(orchestra, size, options.rounds)
    measure_ps(orchestra, options.rounds)
    if options.idle:
        measure_idle(orchestra, "{http: /}", "100 http probes", options.idle)
        measure_idle(orchestra, "{tcp: PORT}", "100 tcp probes", options.idle)
        measure_idle(orchestra, "{log: up}", "no probe due", options.idle)


if __name__ == "__main__":
    main()
