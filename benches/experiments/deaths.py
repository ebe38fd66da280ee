"""What dies: a service, and the manager itself; and services that do not want to."""

import os
import signal
import time

from .table import begin, gone, head, median, row, stopped, until

NAME, TITLE = "deaths", "Deaths, and those that will not die"
QUICK = {"rounds": 2}
FULL = {"rounds": 10}
SETTLED = 5.6  # orchestra restarts at once what had been ready for 5 s


def service(world, manager, rounds):
    """Seconds from SIGKILL of a service to its new copy serving, and copies too many."""
    manager.add("web", "steady", ["-port", world.port()])
    begin(world, manager)
    taken, many, name = [], 0, manager.name("web")
    for _ in range(rounds):
        time.sleep(SETTLED)
        at = time.monotonic()
        os.kill(world.newest(name), signal.SIGKILL)
        taken.append(world.wait(name, at) - at)
        many += len(world.living(name)) - 1
    manager.close()
    world.forget()
    return taken, many


def killed(world, manager):
    """What is left of two services, one of which writes, 5 s after SIGKILL of the manager."""
    manager.add("quiet", "steady")
    manager.add("chat", "tick", ["-rate", 500])
    begin(world, manager)
    time.sleep(SETTLED)
    before = {kind: world.newest(manager.name(kind)) for kind in manager.services}
    manager.kill()
    time.sleep(5)
    fates = []
    for kind, pid in before.items():
        living = world.living(manager.name(kind))
        fates.append("same process" if living == {pid} else "two copies" if len(living) > 1 else "a new process" if living else "died")
    kept = bool(manager.processes())
    words = "started by hand" if manager.by_hand else "watched again" if kept and manager.revives else "nobody watches" if any(fate != "died" for fate in fates) else "–"
    for kind in list(before):
        for pid in world.living(manager.name(kind)):
            os.kill(pid, signal.SIGKILL)
    manager.close()
    world.sweep()
    world.forget()
    return [*fates, words]


def stubborn(world, manager):
    """Seconds to stop five that do not care for SIGTERM with 2 s of grace, and how many live on."""
    manager.grace = 2
    for n in range(5):
        manager.add(f"stubborn{n}", "stubborn")
    begin(world, manager)
    time.sleep(0.5)
    took, left = stopped(world, manager, 15)
    manager.close()
    world.forget()
    return took, left


def forker(world, manager):
    """Whether the child of a service in a session of its own lives on after the stop."""
    manager.add("forker", "forker")
    begin(world, manager)
    child = manager.name("forker") + "-child"
    world.wait(child, 0)
    manager.stop()
    gone(world, manager, 15)
    until(lambda: not world.living(child), 3)
    left = world.living(child)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    manager.close()
    world.forget()
    return "lives on" if left else "ended"


def run(world, managers, say, rounds):
    say(f"\n**A service is killed** that had been ready for {SETTLED} s: until its new copy serves, {rounds} rounds. **The manager is killed** with a quiet service and one that writes: what is left after 5 s. "
        "**Five services that ignore SIGTERM**, 2 s of grace: until all are gone (15 s at most). **A child in a session of its own** after the stop.\n")
    say(head("manager", "killed → serving again", "copies too many", "manager killed: quiet service", "writing service", "then", "five stubborn ones", "left", "child of its own session"))
    for manager in managers:
        taken, many = service(world, manager, rounds) if manager.restarts else ([], "–")
        fates = killed(world, manager)
        took, left = stubborn(world, manager)
        say(row(manager.title, median([one * 1e3 for one in taken], " ms", 1) if taken else "not restarted", many, *fates, f"{took:.1f} s" + ("" if manager.forces else ", its own limit"), left, forker(world, manager)))
