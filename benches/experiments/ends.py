"""Lines at the end of a service: those it writes while it is stopped, a last one without an end, and those of one that ends at once."""

import time

from .table import begin, head, row, until

NAME, TITLE = "ends", "Lines at the end"
QUICK = {"lines": 20_000, "rounds": 1}
FULL = {"lines": 20_000, "rounds": 3}


def kept(world, manager, kinds):
    """Different whole lines of each of them."""
    world_says = manager.check()["names"]
    return [world_says.get(manager.name(kind), {"lines": 0})["lines"] for kind in kinds]


def stopping(world, manager, lines):
    manager.add("chatty", "chatty", ["-lines", lines])
    begin(world, manager)
    time.sleep(0.5)
    manager.stop()
    until(lambda: not world.living(manager.name("chatty")), 20)
    time.sleep(0.5)
    found = kept(world, manager, ["chatty"])[0]
    manager.close()
    world.forget()
    return lines - found


def at_once(world, manager, lines):
    """Four that write and end; one of them without the end of its last line."""
    kinds = [f"short{n}" for n in range(4)]
    for kind in kinds:
        manager.add(kind, "flood", ["-lines", lines, "-exit", "-after", "1s", *(["-open"] if kind == "short0" else [])])
    # One that stays, or some managers end with the first.
    manager.add("stays", "steady")
    manager.start()
    until(lambda: all(world.when("wrote", manager.name(kind)) or not manager.process for kind in kinds), 30)
    time.sleep(1)
    manager.stop()
    until(lambda: not any(world.living(manager.name(kind)) for kind in manager.services), 20)
    time.sleep(0.5)
    names = manager.check()["names"]
    lost = sum(lines - min(lines, names.get(manager.name(kind), {"lines": 0})["lines"]) for kind in kinds)
    last = names.get(manager.name("short0"), {"last": 0})["last"] == lines
    manager.close()
    world.forget()
    return lost, last


def run(world, managers, say, lines, rounds):
    say(f"\nA service that writes {lines} lines after SIGTERM, half of them 200 ms later, and ends; then four that write {lines} lines each and end, the last line of one without an end. {rounds} rounds, summed.\n")
    say(head("manager", "lost of those written while stopped", "lost of services that ended", "last line without an end"))
    for manager in managers:
        stopped = sum(stopping(world, manager, lines) for _ in range(rounds))
        ended = [at_once(world, manager, lines) for _ in range(rounds)]
        say(row(manager.title, f"{stopped} of {lines * rounds}", f"{sum(lost for lost, _ in ended)} of {4 * lines * rounds}", "kept" if all(last for _, last in ended) else "lost"))
