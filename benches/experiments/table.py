"""What the experiments share: cells, rows, waiting."""

import statistics
import time

from managers import alive


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def head(*cells):
    return row(*cells) + "\n|" + "---|" * len(cells)


def median(values, unit="", digits=0):
    return f"{statistics.median(values):.{digits}f}{unit}" if values else "–"


def until(condition, seconds, step=0.002):
    """Waits for it; says whether it came."""
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(step)
    return bool(met)


def begin(world, manager, seconds=60):
    """Starts it and waits until each of its services has said that it is there."""
    manager.start()
    for kind in manager.services:
        world.wait(manager.name(kind), 0, seconds)
    manager.settle()


def stopped(world, manager, seconds):
    """Stops it: how long until no service of it lives, and how many live on."""
    at = time.monotonic()
    manager.stop()
    left = gone(world, manager, seconds)
    return time.monotonic() - at, left


def gone(world, manager, seconds):
    """Waits until no service of it lives; how many still do."""
    names = [manager.name(kind) for kind in manager.services]
    pids = {pid for name in names for _, pid in world.pids(name)}
    until(lambda: not any(alive(pid) for pid in pids), seconds)
    return sum(alive(pid) for pid in pids)
