"""Many services: how long until all are up, what they cost while nothing happens, how long `ps` and the stop take."""

import statistics
import subprocess
import time

from managers.world import cpu, memory

from .table import head, median, row, stopped

NAME, TITLE = "crowd", "Start, idle, list, stop"
QUICK = {"sizes": [5, 20], "rounds": 1, "idle": 3}
FULL = {"sizes": [1, 10, 100, 500], "rounds": 3, "idle": 20}
MOST = 100  # for managers that are slow: more take minutes


def once(world, manager, size, idle):
    for n in range(size):
        manager.add(f"m{n:03}", "steady", ["-port", world.port()])
    at = time.monotonic()
    manager.start()
    up = max(world.wait(manager.name(kind), 0, 180) for kind in manager.services) - at
    manager.settle()
    ready = time.monotonic() - at
    time.sleep(1)
    processes = manager.processes()
    before = cpu(processes)
    time.sleep(idle)
    used = (cpu(processes) - before) / idle * 100
    sizes = []
    for pid in processes:
        try:
            sizes.append(memory(pid)[2])
        except OSError:
            continue
    asked = []
    if manager.status():
        for _ in range(5):
            began = time.monotonic()
            subprocess.run(manager.status(), cwd=manager.dir, env=manager.env(), stdin=subprocess.DEVNULL, capture_output=True)
            asked.append(time.monotonic() - began)
    took, left = stopped(world, manager, 60)
    manager.close()
    world.forget()
    world.reuse()
    return {"up": up, "ready": ready, "idle": used, "memory": sum(sizes), "ps": statistics.median(asked) if asked else None, "stop": took, "left": left}


def run(world, managers, say, sizes, rounds, idle):
    say(f"\nEach service listens on a port and is idle. Up: from the manager's start until the last one says that it listens. {rounds} alternating rounds, medians; idle over {idle} s, all processes of the manager, "
        "shims and loggers included; the list is what the manager's own command takes.\n")
    series = {}
    for size in sizes:
        say(head(f"{size} service{'s' if size > 1 else ''}", "all up", "memory (PSS)", "idle, % of a core", "list", "stop", "left over"))
        found = {manager: [] for manager in managers}
        for _ in range(rounds):
            for manager in managers:
                found[manager].append(once(world, manager, size, idle))
        for manager, each in found.items():
            lists = [one["ps"] * 1e3 for one in each if one["ps"] is not None]
            say(row(manager.title, median([one["up"] * 1e3 for one in each], " ms"), median([one["memory"] / 1024 for one in each], " MiB", 1),
                    median([one["idle"] for one in each], "", 2), median(lists, " ms"), median([one["stop"] * 1e3 for one in each], " ms"), sum(one["left"] for one in each)))
            for what in ("up", "stop", "memory"):
                series.setdefault(what, {}).setdefault(manager.title, []).append((size, statistics.median(one[what] for one in each)))
        say("")
    return series
