#!/usr/bin/env python3
"""From a save to the new version answering: orchestra, air, wgo and watchexec side by side in one run, and the floor, `go build && exec` by hand.

    benches/rerun.py [--rounds 15] [--idle 60] [--only save,burst,broken,idle] [--write]

Every reloader has a folder of its own with the same service, which answers with its version, its pid and when it began; saves alternate between them,
while all of them watch. A script in front of `go` writes down when each build began and ended. A reloader that is not installed is listed as absent.
Beside each figure stands what went wrong: questions refused, wrong versions answered, builds and copies more than one. Needs Go, bash and Python 3, and
about ten minutes of a quiet machine. With --write the tables replace those of the last run in benches/RESULTS.md.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time

import results
from managers import write
from reloaders import Ground, Orchestra, every

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATIENCE = 30  # a save that nobody took up by then was lost


def spread(seconds):
    """Median and range, in milliseconds."""
    if not seconds:
        return "–"
    low, middle, high = min(seconds) * 1e3, statistics.median(seconds) * 1e3, max(seconds) * 1e3
    return f"**{middle:.0f} ms** ({low:.0f}–{high:.0f})"


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def die(message):
    raise SystemExit("error: " + message)


def one_save(tool, after=1.5, again=True):
    """Saves a new version and asks until it answers, and for a while longer."""
    version, builds, old = tool.next(), len(tool.builds()), tool.ask()
    wall, began = time.time(), time.perf_counter()
    tool.save(version)
    asked = []
    while True:
        at = time.perf_counter() - began
        found = tool.ask()
        asked.append((at, found))
        if found and found[0] == version:
            break
        if at > PATIENCE:
            # It lost the save, as air does where its new copy meets the old one on the port. The next one counts.
            return {**one_save(tool, after, False), "missed": 1} if again else die(f"{tool.title} served neither {version} nor the one before it: {tool.out()}")
        time.sleep(0.003)
    took, new = time.perf_counter() - began, found
    while time.perf_counter() - began < took + after:
        time.sleep(0.02)
        asked.append((time.perf_counter() - began, tool.ask()))
    refused = [at for at, found in asked if found is None]
    made = tool.builds()[builds:]
    good = [build for build in made if build[2] == 0 and build[1] <= new[2]]
    return {
        "took": took,
        "missed": 0,
        "refused": len(refused),
        "away": refused[-1] - refused[0] if refused else 0,
        "wrong": sum(1 for at, found in asked if found and found[0] != version and (at > took or not old or found[0] != old[0])),
        "builds": len(made),
        "copies": len({found[1] for _, found in asked if found and (not old or found[1] != old[1])}),
        "begun": made[0][0] - wall if made else None,
        "build": good[-1][1] - good[-1][0] if good else None,
        "spawned": new[2] - good[-1][1] if good else None,
    }


def saves(tools, rounds, say):
    found = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            found[tool].append(one_save(tool))
    floor = statistics.median(save["took"] for save in found[tools[-1]])
    say("### From a save to the new version answering\n\nOne `main.go` with `net/http`, saved in place; median (range) of " + f"{rounds} alternating rounds. A copy began when its own first line ran; away: from the first question that nobody answered to the last.\n")
    say(row("reloader", "save → answers", "of the floor", "save → `go build`", "`go build`", "built → copy began", "away", "refused", "wrong", "saves lost", "builds, copies for a save"))
    say("|---|---|---|---|---|---|---|---|---|---|---|")
    for tool in tools:
        of = lambda key: [save[key] for save in found[tool] if save[key] is not None]
        times = f"{statistics.median(of('took')) / floor:.2f}×"
        mean = lambda key: f"{statistics.mean(of(key)):.1f}"
        say(row(tool.title, spread(of("took")), times, spread(of("begun")), spread(of("build")), spread(of("spawned")), spread(of("away")), sum(of("refused")), sum(of("wrong")), sum(of("missed")), f"{mean('builds')}, {mean('copies')}"))
    say("")
    for tool in tools:
        if isinstance(tool, Orchestra):
            events = [event["message"] for event in tool.why().get("events", [])][-4:]
            say("What `orchestra why` says of the last one: " + "; ".join(events) + ".\n")


def bursts(tools, say):
    """Thirty saves over a second and a half: how many builds begin, how many at once, and whether the last version is the one that serves."""
    say("### Thirty saves within 1.5 s\n\nThe floor takes one at a time and is left out.\n")
    say(row("reloader", "last save → answers", "builds begun", "most at once", "copies seen", "away", "at the end"))
    say("|---|---|---|---|---|---|---|")
    for tool in tools[:-1]:
        builds, seen, refused = len(tool.builds()), set(), []
        for _ in range(30):
            version, began = tool.next(), time.perf_counter()
            tool.save(version)
            while time.perf_counter() < began + 0.05:
                look(tool, seen, refused)
                time.sleep(0.01)
        while (look(tool, seen, refused) or ("",))[0] != version and time.perf_counter() < began + 60:
            time.sleep(0.005)
        took = time.perf_counter() - began
        time.sleep(3)
        last = tool.ask()
        made = tool.builds()[builds:]
        away = refused[-1] - refused[0] if refused else 0
        say(row(tool.title, f"{took * 1e3:.0f} ms", len(made), at_once(made), len(seen) - 1, f"{away * 1e3:.0f} ms", "the last version" if last and last[0] == version else f"**{last[0] if last else 'nobody'}**"))
    say("")


def look(tool, seen, refused):
    found = tool.ask()
    if found:
        seen.add(found[1])
    else:
        refused.append(time.perf_counter())
    return found


def at_once(builds):
    """Of those that ended by themselves; one that was killed is taken to have ended when the next began."""
    ends = [build[1] or (builds[n + 1][0] if n + 1 < len(builds) else build[0]) for n, build in enumerate(builds)]
    return max((sum(1 for other, end in zip(builds, ends) if other[0] <= build[0] < end) for build in builds), default=0)


def failures(tools, say):
    """Code that does not compile."""
    say("### A save that does not compile\n\nFour seconds later:\n")
    say(row("reloader", "the service", "mended → answers"))
    say("|---|---|---|")
    for tool in tools:
        old, version = tool.ask(), tool.next()
        tool.save(version, tool.text(version).replace("http.Serve(listener", "undefined(listener"))
        time.sleep(4)
        new = tool.ask()
        words = "nobody answers" if not new else "the old copy serves on" if old and new[1] == old[1] else "**the old code in a new process**"
        say(row(tool.title, words, f"{one_save(tool)['took'] * 1e3:.0f} ms"))
    say("")


def idle(ground, program, seconds, services, packages, say):
    """What watching costs while nobody edits."""
    root, own = os.path.join(ground.dir, "wide"), 10
    write(os.path.join(root, "orchestra.yml"), "name: wide\n")
    write(os.path.join(root, "go.mod"), "module example.com/wide\n\ngo 1.22\n")
    every_package = lambda service: [f"shared/p{n}" for n in range(packages - own - 1)] + [f"s{service}/p{n}" for n in range(own)]
    for service in range(services):
        imports = ""
        for path in every_package(service):
            write(os.path.join(root, path, "p.go"), f"package {os.path.basename(path)}\n")
            imports += f'import _ "example.com/wide/{path}"\n'
        write(os.path.join(root, f"s{service}", "main.go"), f'package main\n\nimport "time"\n{imports}\nfunc main() {{ time.Sleep(1 << 62) }}\n')
        write(os.path.join(root, f"s{service}", "service.yml"), "")
    run = lambda *args: subprocess.run([program, *args], cwd=root, env=ground.env(os.path.join(ground.dir, "wide.calls")), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    began = time.monotonic()
    done = run("start", "--rerun")
    took = time.monotonic() - began
    ps = json.loads(run("ps", "-o", "json").stdout)
    ready, pid = sum(service["state"] == "ready" for service in ps["services"]), ps["supervisor"]["pid"]
    time.sleep(40)  # past the last look at what a new service listens on
    before = cpu(pid)
    time.sleep(seconds)
    load, (rss, private, pss) = (cpu(pid) - before) / seconds * 100, memory(pid)
    with open(f"/proc/{pid}/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    say(f"### {services} services of {packages} packages each, watched\n")
    say(row("what", "supervisor", "aim", "correctness"))
    say("|---|---|---|---|")
    say(row(f"processor time over {seconds} s while nobody edits", f"{load:.2f} % of a core", "1 %", f"{ready} of {services} ready"))
    say(row("memory", f"{rss / 1024:.1f} MiB RSS, {private / 1024:.1f} private, PSS {pss / 1024:.1f}; at most {peak / 1024:.1f} RSS", "60 MB", f"`start --rerun` with all builds took {took:.1f} s, exit code {done.returncode}"))
    # An edit in a shared package reaches all, one of its own only one.
    wide = os.path.join(ground.dir, "wide.calls")
    for path, what in (("s7/p3", "an own package"), ("shared/p3", "a package shared by all")):
        with open(wide) as file:
            builds = len(file.read().splitlines())
        wall = time.time()
        write(os.path.join(root, path, "p.go"), f"package {os.path.basename(path)}\n\nvar N = {wall}\n")
        while time.time() < wall + 60:
            with open(wide) as file:
                begun = [line for line in file.read().splitlines()[builds:] if line.startswith("begin")]
            if begun:
                break
            time.sleep(0.001)
        say(row(f"save of {what} → `go build`", f"{(float(begun[0].split()[2]) - wall) * 1e3:.0f} ms" if begun else "never", "80 ms", ""))
        time.sleep(20)
    run("stop")
    say("")


def cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    """KiB: resident, private, proportional."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        found = {line.split(":")[0]: int(line.split()[1]) for line in file if line.endswith("kB\n")}
    return found["Rss"], found["Private_Clean"] + found["Private_Dirty"], found["Pss"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--idle", type=int, default=60, help="seconds to look at a fleet that nobody edits")
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--packages", type=int, default=200)
    parser.add_argument("--only", default="save,burst,broken,idle")
    parser.add_argument("--write", action="store_true", help="into benches/RESULTS.md")
    parser.add_argument("--orchestra", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release/orchestra"))
    options = parser.parse_args()
    orchestra = os.path.abspath(options.orchestra)
    if not os.access(orchestra, os.X_OK):
        sys.exit(f"error: no `{orchestra}`: run `cargo build --release` first")
    lines, only = [], options.only.split(",")

    def say(line):
        print(line, flush=True)
        lines.append(line)

    with contextlib.ExitStack() as stack:
        ground = stack.enter_context(Ground())
        known = every(ground, orchestra)
        tools = [tool for tool in known if tool.version()]
        absent = sorted({tool.program for tool in known} - {tool.program for tool in tools})
        go = subprocess.run(["go", "version"], capture_output=True, text=True).stdout.split()[2]
        versions = ", ".join(dict.fromkeys(tool.version() for tool in tools[:-1]))
        say(f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores, load before {os.getloadavg()[0]:.2f}; {go}; {versions}; absent: {', '.join(absent) or 'none'}.\n")
        if {"save", "burst", "broken"} & set(only):
            stack.callback(lambda: [tool.stop() for tool in tools])
            for tool in tools:
                tool.start()
                tool.started()
                tool.until(f"{tool.short}-{os.getpid()}-{tool.number}")
                one_save(tool)  # compiles what net/http needs, once
        if "save" in only:
            saves(tools, options.rounds, say)
        if "burst" in only:
            bursts(tools, say)
        if "broken" in only:
            failures(tools, say)
        if "idle" in only:
            idle(ground, orchestra, options.idle, options.services, options.packages, say)
    say(f"Processes left over after all of it: {ground.left}.")
    if options.write:
        results.replace("rerun.py", lines)


if __name__ == "__main__":
    main()
