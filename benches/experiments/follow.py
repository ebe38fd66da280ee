"""A burst while somebody follows: does the follower get every line?"""

import os
import subprocess
import time

from managers import Orchestra, Pm2, ProcessCompose, Supervisord

from .table import begin, head, median, row

NAME, TITLE = "follow", "Following a burst"
QUICK = {"lines": 50_000, "rounds": 1}
FULL = {"lines": 200_000, "rounds": 3}


def command(manager):
    """Its way to follow a service, where it has one."""
    if isinstance(manager, Orchestra):
        return [manager.program, "logs", "-f", "--raw", "burst"]
    if isinstance(manager, ProcessCompose):
        return [*manager.status()[:-2], "process", "logs", "burst", "-f"]
    if isinstance(manager, Supervisord):
        return [*manager.status()[:-1], "tail", "-f", "burst"]
    if isinstance(manager, Pm2):
        return [manager.program, "logs", "burst", "--raw", "--lines", "0"]
    return None


def once(world, manager, lines):
    manager.add("burst", "flood", ["-lines", lines, "-after", "4s"])
    manager.add("stays", "steady")
    begin(world, manager)
    out = os.path.join(manager.dir, "followed")
    with open(out, "wb") as to:
        follower = subprocess.Popen(command(manager), cwd=manager.dir, env=manager.env(), stdin=subprocess.DEVNULL, stdout=to, stderr=subprocess.DEVNULL)
    wrote = world.wait(manager.name("burst"), 0, 120, word="wrote")
    grown, seen = wrote, -1
    while time.monotonic() < grown + 2:
        time.sleep(0.02)
        now = os.path.getsize(out)
        if now != seen:
            grown, seen = time.monotonic(), now
    follower.kill()
    follower.wait()
    found = world.check([out])["names"].get(manager.name("burst"), {"lines": 0, "doubled": 0, "unordered": 0})
    manager.close()
    world.forget()
    return max(0, grown - wrote), lines - found["lines"], found["doubled"] + found["unordered"]


def run(world, managers, say, lines, rounds):
    say(f"\nA service writes {lines} lines at once while the manager's own command follows it into a file. {rounds} rounds, medians, losses summed.\n")
    say(head("manager", "written → the last line is there", "lines not delivered", "doubled, out of order"))
    for manager in managers:
        if command(manager) is None:
            continue
        found = [once(world, manager, lines) for _ in range(rounds)]
        say(row(manager.title, median([late * 1e3 for late, _, _ in found], " ms"), f"{sum(lost for _, lost, _ in found)} of {lines * rounds}", sum(wrong for _, _, wrong in found)))
