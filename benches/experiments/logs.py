"""Four services flood: how fast their lines are kept, at what cost, and whether all are."""

import os
import subprocess
import threading
import time

from managers import Manager
from managers.world import cpu, memory

from .table import begin, head, median, row, until

NAME, TITLE = "logs", "Logs of a flood"
QUICK = {"lines": 200_000, "rounds": 1}
FULL = {"lines": 2_000_000, "rounds": 3}
FLOODS = 4


class Files(Manager):
    """The floor: the same programs, each writing straight to a file."""

    title, short, program = "straight to files (floor)", "files", "sh"
    about = "each program's standard output is a file"

    def describe(self, kind, args, notify):
        os.makedirs(os.path.join(self.dir, "logs"), exist_ok=True)

    def start(self):
        self.children = []
        for kind in self.services:
            with open(os.path.join(self.dir, "logs", kind), "wb") as out:
                child = subprocess.Popen([self.world.binary], cwd=self.folder(kind), stdout=out, env=self.env())
            self.children.append(child)
        self.process = self.children[0]

    def stop(self):
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.wait()


class Peak(threading.Thread):
    """The most memory that processes took together, in KiB, looked at ten times a second."""

    def __init__(self, processes):
        super().__init__(daemon=True)
        self.processes, self.most, self.over = processes, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.1):
            total = 0
            for pid in self.processes:
                try:
                    total += memory(pid)[2]
                except OSError:
                    continue
            self.most = max(self.most, total)


def size(manager):
    total = 0
    for path in manager.files():
        try:
            total += os.path.getsize(path)
        except OSError:
            continue  # rotated away meanwhile
    return total


def flood(world, manager, lines, block):
    """Seconds until the last line was kept, processor seconds of the manager, of the writers, KiB, and what was kept."""
    kinds = [f"flood{n}" for n in range(FLOODS)]
    for kind in kinds:
        manager.add(kind, "flood", ["-after", "1500ms", "-lines", lines, *(["-block"] if block else [])])
    begin(world, manager)
    processes = manager.processes()
    before, peak = cpu(processes), Peak(processes)
    peak.start()
    began = min(manager.world.times(manager.name(kind))[0] for kind in kinds) + 1.5
    for kind in kinds:
        world.wait(manager.name(kind), 0, 900, word="wrote")
    # What is on its way arrives; the last growth is the end.
    last, grown, seen = time.monotonic(), time.monotonic(), size(manager)
    while last < grown + 1:
        time.sleep(0.02)
        last, now = time.monotonic(), size(manager)
        if now != seen:
            grown, seen = last, now
    ended = max(grown, *(world.when("wrote", manager.name(kind))[-1] for kind in kinds)) if grown else last
    used = cpu(processes) - before
    writers = cpu([world.newest(manager.name(kind)) for kind in kinds])
    peak.over.set()
    manager.stop()
    until(lambda: not any(world.living(manager.name(kind)) for kind in kinds), 20)
    time.sleep(0.3)
    found = manager.check()
    kept = [found["names"].get(manager.name(kind), {"lines": 0, "doubled": 0, "unordered": 0}) for kind in kinds]
    manager.close()
    world.forget()
    return {
        "seconds": ended - began,
        "cpu": used,
        "writers": writers,
        "peak": peak.most,
        "lost": FLOODS * lines - sum(name["lines"] for name in kept),
        "wrong": sum(name["doubled"] + name["unordered"] for name in kept) + found["torn"],
    }


def run(world, managers, say, lines, rounds):
    everyone = [Files(world), *managers]
    for block in (True, False):
        kind = "blocks of 64 KiB (`cat`, a compiler)" if block else "a `write` for each line (Go's loggers)"
        say(f"\n{FLOODS} services write {lines:,} lines of 120 bytes each in {kind}; {rounds} alternating rounds, medians. Processor time is the manager's with all its helpers, "
            "and with the writers' own; memory is the most (PSS) of the manager and its helpers.\n".replace(",", " ", 1))
        say(head("manager", "lines kept a second", "CPU of the manager, ns a line", "with the writers", "memory", "lost", "torn, doubled, out of order"))
        found = {manager: [] for manager in everyone}
        for _ in range(rounds):
            for manager in everyone:
                found[manager].append(flood(world, manager, lines, block))
        for manager, each in found.items():
            total = FLOODS * lines
            say(row(manager.title, median([total / one["seconds"] / 1e6 for one in each], " M", 2), median([one["cpu"] / total * 1e9 for one in each]),
                    median([(one["cpu"] + one["writers"]) / total * 1e9 for one in each]), median([one["peak"] / 1024 for one in each], " MiB", 1),
                    sum(one["lost"] for one in each), sum(one["wrong"] for one in each)))
