#!/usr/bin/env python3
"""How orchestra keeps services running, beside s6, runit and supervisord, in one run.

    benches/supervision.py [--rounds 15] [--kills 5] [--services 50] [--only restart,kill,crash,crowd] [--write]

Every manager runs the same Go program, which says by a datagram that it serves; the clock is ours. Rounds alternate between the managers. A manager
that is not installed is listed as absent. Beside each figure stands what went wrong: copies too many, lines lost, processes left over. Needs Go and
Python 3 and about six minutes of a quiet machine. With --write the tables replace those of the last run in benches/RESULTS.md.
"""

import argparse
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import time

import results
from managers import Orchestra, Runit, S6, Supervisord, World, alive
from managers.world import memory

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SETTLED = 5.6  # orchestra restarts at once what had been ready for 5 s


def spread(seconds):
    """Median and range, in milliseconds."""
    if not seconds:
        return "–"
    low, middle, high = min(seconds) * 1e3, statistics.median(seconds) * 1e3, max(seconds) * 1e3
    digits = 1 if middle < 100 else 0
    return f"**{middle:.{digits}f} ms** ({low:.{digits}f}–{high:.{digits}f})"


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def restarts(world, managers, rounds, say):
    """SIGKILL of a service that had been ready for more than 5 s, until its new copy serves."""
    kinds = [(manager, kind) for manager in managers for kind in manager.webs()]
    for manager, kind in kinds:
        manager.add(kind, "steady", ["-port", world.port()], notify=kind == "webn")
    running(world, managers)
    times, copies = {kind: [] for kind in kinds}, dict.fromkeys(kinds, 0)
    began = time.monotonic()
    for _ in range(rounds):
        time.sleep(max(0, began + SETTLED - time.monotonic()))
        for manager, kind in kinds:
            name = manager.name(kind)
            old = world.newest(name)
            at = time.monotonic()
            os.kill(old, 9)
            times[manager, kind].append(world.wait(name, at) - at)
        began = time.monotonic()
        for manager, kind in kinds:
            copies[manager, kind] += len(world.living(manager.name(kind))) - 1
    over(world, managers)
    say(f"### Restart\n\nSIGKILL of a service that had been ready for {SETTLED} s, until its new copy serves (it listens and says so). {rounds} alternating rounds: median (range).\n")
    say(row("manager", "killed → serving again", "copies too many"))
    say("|---|---|---|")
    for (manager, kind), taken in times.items():
        say(row(manager.title + (", notification-fd" if kind == "webn" else ""), spread(taken), copies[manager, kind]))
    say("")


def kills(world, managers, rounds, say):
    """SIGKILL of whatever restarts a service, under a quiet and a chatty one."""
    for manager in managers:
        manager.add("quiet", "steady", ["-port", world.port()])
        manager.add("chat", "tick", ["-rate", 500, "-port", world.port()])
    running(world, managers)
    say("### The manager is killed\n\nSIGKILL of the process that restarts the service (s6-supervise, runsv, supervisord, orchestra's supervisor), with a quiet service and one that writes 500 lines a second. "
        "supervisord has nobody who starts it again, so that is done at once by hand. 5 s later:\n")
    say(row("manager", "quiet service", "chatty service", "lines lost", "back in charge, same pids", "death seen after that → serving again"))
    say("|---|---|---|---|---|---|")
    for manager in managers:
        back, again, verdicts, lost = [], [], {"quiet": [], "chat": []}, []
        for _ in range(rounds if manager.readopts else 1):
            time.sleep(SETTLED)
            before = {kind: world.newest(manager.name(kind)) for kind in verdicts}
            took = manager.kill()
            time.sleep(5)
            for kind, pid in before.items():
                living = world.living(manager.name(kind))
                verdicts[kind].append("same pid" if living == {pid} else "duplicate" if pid in living and len(living) > 1 else "died" if pid not in living else "?")
            if took is not None:
                back.append(took)
                time.sleep(1)
                at, old = time.monotonic(), before["quiet"]
                os.kill(old, 9)
                again.append(world.wait(manager.name("quiet"), at) - at)
        # Each copy says how many lines it wrote; one that died at a broken pipe wrote no more than it could say.
        for pid in world.living(manager.name("chat")):
            os.kill(pid, 15)
        time.sleep(1)
        wrote = world.wrote(manager.name("chat"))
        names = manager.check()["names"]
        for pid, count in wrote.items():
            lost.append(count - names.get(f"{manager.name('chat')}/{pid}", {"lines": 0})["lines"])
        summary = {kind: ", ".join(f"{words} {found.count(words)}×" if len(found) > 1 else words for words in dict.fromkeys(found)) for kind, found in verdicts.items()}
        say(row(manager.title, summary["quiet"], summary["chat"], f"{sum(lost)} of {sum(wrote.values())}" if wrote else "not known: nobody was left to say", spread(back), spread(again)))
    over(world, managers)
    say("")


def crashes(world, managers, say):
    """A service that exits with 1 at once."""
    for manager in managers:
        manager.add("crash", "crashy")
    running(world, managers, wait=False)
    time.sleep(25)
    say("### A crash loop\n\nA service that exits with code 1 at once: starts within the first 10 s and 24 s.\n")
    say(row("manager", "10 s", "24 s", "then"))
    say("|---|---|---|---|")
    for manager in managers:
        starts = world.times(manager.name("crash"))
        within = [sum(at - starts[0] < seconds for at in starts) for seconds in (10, 24)]
        say(row(manager.title, *within, manager.state("crash")))
    over(world, managers)
    say("")


def crowd(world, managers, count, say):
    """Memory of many services' keepers, and how long it takes to stop them all."""
    say(f"### {count} services: memory and stop\n\nKiB; each service has its log kept. s6 and runit need a second keeper and a logger for that. Median over the services.\n")
    say(row("manager", "keeper of one service: private, PSS", "all processes for one service: private, PSS", "the manager: RSS, private", "stop of all", "left over"))
    say("|---|---|---|---|---|---|")
    for manager in managers:
        for n in range(count):
            manager.add(f"m{n:03}", "steady")
        running(world, [manager])
        time.sleep(3)
        pids = [world.newest(manager.name(f"m{n:03}")) for n in range(count)]
        keepers = [manager.keepers(f"m{n:03}", pid) for n, pid in enumerate(pids)]
        first = [memory(group[0]) for group in keepers if group]
        groups = [[memory(pid) for pid in group] for group in keepers if group]
        middle = lambda at: f"{statistics.median(m[at] for m in first):.0f}"
        summed = lambda at: f"{statistics.median(sum(m[at] for m in group) for group in groups):.0f}"
        own = memory(manager.pid())
        at = time.monotonic()
        manager.stop()
        while any(alive(pid) for pid in pids) and time.monotonic() < at + 30:
            time.sleep(0.002)
        took = time.monotonic() - at
        left = sum(alive(pid) for pid in pids)
        one = (f"{middle(1)}, {middle(2)}", f"{summed(1)}, {summed(2)}") if first else ("none of its own", "–")
        say(row(manager.title, *one, f"{own[0]:.0f}, {own[1]:.0f}", f"{took * 1e3:.0f} ms", left))
        manager.close()
    over(world, managers)
    say("")


def running(world, managers, wait=True):
    for manager in managers:
        manager.start()
    for manager in managers:
        for kind in manager.services:
            world.wait(manager.name(kind), 0)
    if wait:
        for manager in managers:
            manager.settle()


def over(world, managers):
    for manager in managers:
        manager.close()
    world.forget()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--services", type=int, default=50)
    parser.add_argument("--only", default="restart,kill,crash,crowd")
    parser.add_argument("--write", action="store_true", help="into benches/RESULTS.md")
    parser.add_argument("--orchestra", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release/orchestra"))
    options = parser.parse_args()
    orchestra = os.path.abspath(options.orchestra)
    if not os.access(orchestra, os.X_OK):
        sys.exit(f"error: no `{orchestra}`: run `cargo build --release` first")
    lines = []

    def say(line):
        print(line, flush=True)
        lines.append(line)

    with contextlib.ExitStack() as stack:
        world = stack.enter_context(World())
        every = [Orchestra(world, orchestra), S6(world), Runit(world), Supervisord(world)]
        managers = [manager for manager in every if manager.version()]
        absent = [manager.title for manager in every if not manager.version()]
        go = subprocess.run(["go", "version"], capture_output=True, text=True).stdout.split()[2]
        versions = ", ".join(manager.version() for manager in managers)
        say(f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores, load before {os.getloadavg()[0]:.2f}; {go}; {versions}; absent: {', '.join(absent) or 'none'}.\n")
        only = options.only.split(",")
        if "restart" in only:
            restarts(world, managers, options.rounds, say)
        if "kill" in only:
            kills(world, managers, options.kills, say)
        if "crash" in only:
            crashes(world, managers, say)
        if "crowd" in only:
            crowd(world, managers, options.services, say)
    say(f"Processes left over after all of it: {world.left}.")
    if options.write:
        results.replace("supervision.py", lines)


if __name__ == "__main__":
    main()
