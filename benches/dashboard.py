#!/usr/bin/env python3
"""The dashboard, looked at from outside through a pty of 160x48, beside process-compose and mprocs in the same run.

    benches/dashboard.py [--quick] [--only ours,process-compose,mprocs,big,slow] [--tools FOLDER] [--write]

Ten Go services write numbered lines (slog text and zap JSON in turns, 122 bytes) at 1,000, 50,000 and 500,000 lines a second together. Keys are pressed
by a schedule, and whatever the program writes is noted with its moment; afterwards it is replayed on a screen, and a key is answered when
the screen shows it. For orchestra these are `j`/`k` (the next row is marked), `l` (the log shows only this service's lines, or all again) and `?`/`esc`
(help is there, or gone); for the others Down (the next row is marked, and a line of its log is there). Lines are counted where they lie: in the segments, by their
numbers, against what each service has written, and against the sum that the dashboard shows. `big` is ten million lines: jumps, filters, memory.
`slow` is a terminal that reads 20 KB a second.

Needs Go and Python 3, 6 GB of disk below TMPDIR and ten minutes of a quiet machine; two with --quick. Peers are looked for in --tools and in PATH; absent
ones are listed as absent. With --write the table replaces that of the last run in benches/RESULTS.md. Exit code 1: lines were lost.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import results
from screen import FRAME, Replay, Terminal, cpu

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SERVICES = [f"load-{n:02}" for n in range(10)]
LINE = re.compile(r"svc(?:=|\":\")(load-\d\d)")
RATES = (1_000, 50_000, 500_000)
DOWN, ESC = "\x1b[B", "\x1b"
# A key that was not answered by then never is.
PATIENCE = 5.0


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def at(times, part):
    return sorted(times)[round((len(times) - 1) * part)]


def ms(seconds):
    return f"{seconds * 1e3:.1f}" if seconds < 0.1 else f"{seconds * 1e3:.0f}"


class Load:
    """The services' common folder: at which rate they write, and how far they are."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.rate(0)

    def rate(self, lines):
        path = os.path.join(self.folder, "rate")
        with open(path + ".new", "w") as file:
            file.write(str(lines))
        os.rename(path + ".new", path)

    def counts(self):
        """By service, how many lines it has written. What is not there or is just being made counts as 0."""
        found = {}
        for name in SERVICES:
            with contextlib.suppress(OSError, ValueError):
                with open(os.path.join(self.folder, f"{name}.count")) as file:
                    found[name] = int(file.read() or 0)
        return found

    def written(self):
        return sum(self.counts().values())

    def env(self, name):
        return {"LOAD_DIR": self.folder, "LOAD_NAME": name, "LOAD_OF": str(len(SERVICES))}

    def up(self, seconds=60):
        until = time.monotonic() + seconds
        while len(self.counts()) < len(SERVICES):
            if time.monotonic() > until:
                raise SystemExit("error: the services do not come up")
            time.sleep(0.05)

    def begin(self, rate):
        """So many lines a second from now on, once they really come."""
        before = self.written()
        self.rate(rate)
        while rate and self.written() < before + rate / 20:
            time.sleep(0.02)

    def check(self, logs):
        done = subprocess.run([self.program, "-check", logs], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def make(self, logs, lines):
        subprocess.run([self.program, "-make", logs, "-lines", str(lines)], check=True)


class Ours:
    """A project of ten services and orchestra's dashboard on it."""

    name = "orchestra"

    def __init__(self, program, folder, load):
        self.program, self.folder, self.load = program, folder, load
        self.write("orchestra.yml", "name: bench\nlogs: {keep: 20GiB, total: 40GiB}\n")
        for name in SERVICES:
            env = ", ".join(f"{key}: '{value}'" for key, value in load.env(name).items())
            self.write(f"{name}/service.yml", f"command: ['{load.program}']\nenv: {{{env}}}\n")
        self.logs = os.path.join(folder, ".orchestra/logs")
        self.env = {**os.environ, "HOME": folder, "XDG_CONFIG_HOME": os.path.join(folder, "config")}

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def run(self, *argv):
        done = subprocess.run([self.program, *argv], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"error: orchestra {' '.join(argv)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self):
        self.run("start")
        self.load.up()

    def stop(self):
        self.run("stop", "--timeout", "5s")

    def others(self):
        """Supervisor and shims."""
        supervisor = json.loads(self.run("ps", "-o", "json"))["supervisor"]["pid"]
        return [supervisor, *(pid for pid in descendants(supervisor) if os.readlink(f"/proc/{pid}/exe") == self.program)]

    def open(self, **more):
        return Terminal([self.program], self.folder, self.env, **more)

    @staticmethod
    def ready(screen):
        text = screen.text()
        return all(name in text for name in SERVICES) and "[5] Logs" in text

    def script(self):
        """Keys, and by kind of answer how to tell that they were answered."""
        where, down, only = 0, True, False
        while True:
            for _ in range(3):
                if where == len(SERVICES) - 1 or where == 0:
                    down = where == 0
                where += 1 if down else -1
                yield "j" if down else "k", {"list": lambda screen, name=SERVICES[where]: marked(screen) == name}
            for _ in range(2):
                only = not only
                name = SERVICES[where] if only else None
                yield "l", {"log": lambda screen, name=name: narrowed(screen) == name and (shown(screen) == {name} if name else len(shown(screen)) > 0)}
            yield "?", {"help": lambda screen: " Keys: " in screen.line(4)}
            yield ESC, {"help": lambda screen: " Keys: " not in screen.line(4)}

    def leave(self, terminal):
        # Help may be open: the first key closes it.
        if terminal.child.poll() is None:
            terminal.press(ESC)
            time.sleep(0.2)
        return terminal.close("q")


class Peer:
    """Another program that runs the ten services itself, as one process."""

    def __init__(self, program, folder, load):
        self.program, self.folder, self.load = program, folder, load
        self.env = {**os.environ, "HOME": folder, "XDG_CONFIG_HOME": os.path.join(folder, "config")}
        self.configure()

    def shell(self, name):
        words = [f"{key}={value}" for key, value in self.load.env(name).items()]
        return f"exec env {' '.join(words)} {self.load.program}"

    def start(self):
        pass

    def stop(self):
        pass

    def others(self):
        return []

    @staticmethod
    def ready(screen):
        text = screen.text()
        return all(name in text for name in SERVICES)

    def script(self):
        """Up and down through the list: the next row is marked, and lines of its log are there."""
        where, down = 0, True
        while True:
            if where == len(SERVICES) - 1 or where == 0:
                down = where == 0
            where += 1 if down else -1
            name = SERVICES[where]
            yield DOWN if down else "\x1b[A", {"list": lambda screen, name=name: marked(screen) == name, "log": lambda screen, name=name: shown(screen) == {name}}


class ProcessCompose(Peer):
    name = "process-compose"

    def configure(self):
        services = {name: {"command": self.shell(name)} for name in SERVICES}
        # JSON is YAML.
        self.file = os.path.join(self.folder, "process-compose.yaml")
        with open(self.file, "w") as file:
            json.dump({"version": "0.5", "processes": services}, file)

    def open(self, **more):
        return Terminal([self.program, "up", "--no-server", "-f", self.file], self.folder, self.env, **more)

    def leave(self, terminal):
        return terminal.close()


class Mprocs(Peer):
    name = "mprocs"

    def configure(self):
        self.file = os.path.join(self.folder, "mprocs.yaml")
        with open(self.file, "w") as file:
            json.dump({"procs": {name: {"shell": self.shell(name)} for name in SERVICES}}, file)

    def open(self, **more):
        return Terminal([self.program, "--config", self.file], self.folder, self.env, **more)

    def leave(self, terminal):
        return terminal.close()


def marked(screen):
    """The service whose row in the list looks other than those of all others, or has a mark before its name."""
    rows = []
    for y in range(screen.rows):
        if found := re.search(r"([•>]?) ?(load-\d\d)\b(?! *│)", screen.line(y)[:40]):
            rows.append((found.group(2), screen.grounds[y][found.start(2)], found.group(1)))
    for name, ground, mark in rows:
        if mark or sum(other == ground for _, other, _ in rows) == 1 < len(rows):
            return name
    return None


def narrowed(screen):
    """The service whose lines alone are shown, as the log's title says."""
    found = re.search(r"svc:(load-\d\d)", screen.line(1))
    return found.group(1) if found else None


def shown(screen):
    """The services of which lines are shown. A line says by itself whose it is; where it is cut, or folded, its label does."""
    found = set()
    for line in screen.lines():
        if said := LINE.search(line):
            found.add(said.group(1))
        elif label := re.search(r"\d (load-\d\d) *│", line):
            found.add(label.group(1))
    return found


def descendants(of):
    """Children, their children, and so on."""
    parents = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
            parents[pid] = int(file.read().rsplit(")", 1)[1].split()[1])
    found = {of}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {of}


def processes(folder):
    """Those whose working directory is in the folder."""
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd").startswith(folder):
                found.append(pid)
    return found


def answers(terminal, keys):
    """By kind, for each key (moment, how to tell): how long until it was answered; None where it never was. One that was skipped over is answered with the next."""
    kinds = {kind: [(moment, holds[kind]) for moment, holds in keys if kind in holds] for kind in dict.fromkeys(kind for _, holds in keys for kind in holds)}
    took = {kind: [None] * len(asked) for kind, asked in kinds.items()}
    waiting, begun = {kind: [] for kind in kinds}, dict.fromkeys(kinds, 0)
    replay = Replay(terminal)
    for when in replay.frames():
        for kind, asked in kinds.items():
            while begun[kind] < len(asked) and asked[begun[kind]][0] <= when:
                waiting[kind].append(begun[kind])
                begun[kind] += 1
            last = next((number for number in reversed(waiting[kind]) if asked[number][1](replay.screen)), -1)
            for number in [number for number in waiting[kind] if number <= last]:
                took[kind][number] = when - asked[number][0]
            waiting[kind] = [number for number in waiting[kind] if number > last]
    return took


def told(took):
    """p50, p99 and most of some answers, in milliseconds, and how many keys never had one."""
    times = [time for time in took or [] if time is not None]
    lost = f"; **{len(took) - len(times)} never**" if took and len(times) < len(took) else ""
    if not times:
        return f"–{lost}"
    return f"{ms(at(times, 0.5))}, {ms(at(times, 0.99))}, {ms(max(times))}{lost}"


def typed(terminal, script, seconds, pause):
    """Presses keys for a while; what was pressed when, and how to tell that it was answered."""
    keys = []
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        key, holds = next(script)
        keys.append((terminal.press(key), holds))
        # Not in step with anything: primes.
        time.sleep(pause + (len(keys) * 7919 % 31) / 1000)
    time.sleep(1)
    return keys


class Watch:
    """Processor time, bytes, frames and lines of a while."""

    def __init__(self, terminal, others, load):
        self.terminal, self.others, self.load = terminal, others, load
        self.begin = self.now()

    def now(self):
        return time.monotonic(), self.terminal.cpu(), sum(map(cpu, self.others)), self.load.written(), len(self.terminal.reads)

    def end(self):
        before, after = self.begin, self.now()
        self.seconds = after[0] - before[0]
        data = b"".join(part for _, part in self.terminal.reads[before[4]:after[4]])
        self.cpu, self.others_cpu, self.lines = ((after[n] - before[n]) / self.seconds for n in (1, 2, 3))
        self.bytes, self.frames = len(data) / self.seconds, data.count(FRAME) / self.seconds
        return self


class Bench:
    def __init__(self, options, program, load_program, tools, say):
        self.options, self.program, self.load_program, self.tools, self.say = options, program, load_program, tools, say
        self.quick = options.quick
        self.lost = 0

    @contextlib.contextmanager
    def fleet(self, kind, program):
        """Ten services below one of the programs, in a folder of its own that is removed."""
        folder = os.path.realpath(tempfile.mkdtemp(prefix="orchestra-bench-"))
        shared = os.path.join(folder, "load")
        os.mkdir(shared)
        one = kind(program, folder, Load(self.load_program, shared))
        try:
            yield one
        finally:
            with contextlib.suppress(SystemExit):
                one.stop()
            for pid in processes(folder):
                os.kill(pid, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)

    def rates(self, kind, program):
        for rate in RATES[1:] if self.quick else RATES:
            with self.fleet(kind, program) as fleet:
                self.rate(fleet, rate)

    def rate(self, fleet, rate):
        ours = fleet.name == "orchestra"
        load, seconds = fleet.load, (5 if self.quick else 15) if ours else (3 if self.quick else 8)
        fleet.start()
        alone = "–"
        if ours:
            # Without anybody who looks: what the services reach at all.
            load.begin(rate)
            before, begin = load.written(), time.monotonic()
            time.sleep(2 if self.quick else 5)
            alone = f"{(load.written() - before) / (time.monotonic() - begin):,.0f}"
        terminal = fleet.open()
        try:
            load.up()
            if not terminal.until(fleet.ready):
                raise SystemExit(f"error: {fleet.name} shows no services:\n{Replay(terminal).screen.text()}")
            load.begin(rate)
            time.sleep(2)
            watch = Watch(terminal, fleet.others(), load)
            keys = typed(terminal, fleet.script(), seconds, 0.09 if ours else 0.15)
            watch.end()
            load.rate(0)
            counted = self.count(fleet, terminal) if ours else "keeps 1000 lines of each"
        finally:
            load.rate(0)
            left = fleet.leave(terminal)
        took = answers(terminal, keys)
        frames = f"{watch.frames:.0f}" if watch.frames else "–"
        others = f" + {watch.others_cpu * 100:.0f}" if ours else ""
        self.say(row(fleet.name, f"{rate:,}", *(told(took.get(kind)) for kind in ("list", "log", "help")), len(keys), frames, f"{watch.bytes / 1000:.0f}",
                     f"{watch.cpu * 100:.0f}{others}", alone, f"{watch.lines:,.0f}", counted + ("" if left else "; did not leave")))

    def count(self, fleet, terminal):
        """Once nothing is written any more: lines lost in the segments, and whether the dashboard's sum is the same."""
        before = None
        while before != (before := fleet.load.written()):
            time.sleep(0.3)
        until, found = time.monotonic() + 20, None
        # The shims may be behind the services.
        while time.monotonic() < until:
            found = fleet.load.check(fleet.logs)
            if found["Numbered"] >= before:
                break
            time.sleep(0.5)
        wanted = f"{found['Records']:,}".replace(",", " ")
        shows = terminal.until(lambda screen: f"Logs {wanted} " in screen.text(), 30)
        lost = found["Lost"] + max(before - found["Numbered"], 0)
        wrong = found["Doubled"] + found["Disorder"]
        self.lost += lost + wrong + (shows is None)
        title = "" if shows else f"; **the dashboard shows another sum**: {total(terminal)}"
        return f"{lost} of {before:,} lost, {wrong} doubled or out of order{title}"

    def idle(self, kind, program):
        with self.fleet(kind, program) as fleet:
            fleet.start()
            terminal = fleet.open()
            try:
                fleet.load.up()
                if not terminal.until(fleet.ready):
                    raise SystemExit(f"error: {fleet.name} shows no services")
                fleet.load.begin(1000)
                time.sleep(1)
                fleet.load.rate(0)
                # Past the ages that count seconds.
                time.sleep(5 if self.quick or fleet.name != "orchestra" else 62)
                begin, seen = time.monotonic(), len(terminal.reads)
                watch = Watch(terminal, fleet.others(), fleet.load)
                time.sleep(10 if self.quick else 60 if fleet.name == "orchestra" else 20)
                watch.end()
                rss = terminal.rss()
            finally:
                fleet.leave(terminal)
            parts = changes(terminal, begin)
            self.say(row(fleet.name, f"{watch.seconds:.0f} s", f"{watch.cpu * 100:.2f}", f"{sum(len(data) for _, data in terminal.reads[seen:] if _ <= begin + watch.seconds):,}",
                         f"{parts[0]}" if watch.frames or not watch.bytes else "–", f"{parts[1]}" if watch.frames or not watch.bytes else "–", f"{rss:.0f}", f"{watch.others_cpu * 100:.2f}" if fleet.name == "orchestra" else "–"))

    def first(self, kind, program):
        """From its start to a first frame, and to lines of the log."""
        rounds = 3 if self.quick else 10 if kind is Ours else 5
        lines = 1_000_000
        with self.fleet(kind, program) as fleet:
            if fleet.name == "orchestra":
                fleet.load.make(fleet.logs, lines)
            fleet.start()
            some, whole = [], []
            for _ in range(rounds):
                terminal = fleet.open()
                terminal.until(fleet.ready, 20)
                time.sleep(0.5)
                fleet.leave(terminal)
                replay = Replay(terminal)
                drawn = None
                for when in replay.frames():
                    drawn = drawn or (when if replay.screen.text().strip() else None)
                    if fleet.ready(replay.screen) and (fleet.name != "orchestra" or shown(replay.screen)):
                        whole.append(when - terminal.began)
                        break
                some.append(drawn - terminal.began)
            self.say(row(fleet.name, f"start → first frame{', 1 million lines of log' if fleet.name == 'orchestra' else ', starts the services itself'}", f"**{ms(statistics.median(some))}** ({ms(min(some))}–{ms(max(some))})", rounds))
            what = "services and lines of the log are there" if fleet.name == "orchestra" else "all services are there"
            self.say(row(fleet.name, f"start → {what}", f"**{ms(statistics.median(whole))}** ({ms(min(whole))}–{ms(max(whole))})" if whole else "never", len(whole)))

    def resizes(self, kind, program):
        with self.fleet(kind, program) as fleet:
            fleet.start()
            terminal = fleet.open(size=(120, 40))
            try:
                fleet.load.up()
                terminal.until(fleet.ready)
                fleet.load.begin(50_000)
                time.sleep(1)
                moments = []
                for _ in range(5 if self.quick else 20):
                    terminal.resize((160, 48))
                    moments.append((time.monotonic(), {"resize": lambda screen: any(row[121:] != [" "] * 39 for row in screen.cells[:40])}))
                    time.sleep(0.3)
                    terminal.resize((120, 40))
                    time.sleep(0.3)
                fleet.load.rate(0)
            finally:
                fleet.leave(terminal)
            self.say(row(fleet.name, "120x40 → 160x48, drawn, at 50,000 lines/s", told(answers(terminal, moments)["resize"]), len(moments)))

    def slow(self, kind, program, rate=50_000, link=20_000):
        """Through a line of 20 KB a second."""
        with self.fleet(kind, program) as fleet:
            fleet.start()
            terminal = fleet.open(link=link)
            try:
                fleet.load.up()
                terminal.until(fleet.ready, 30)
                fleet.load.begin(rate)
                time.sleep(3 if self.quick else 6)
                watch = Watch(terminal, fleet.others(), fleet.load)
                keys = typed(terminal, fleet.script(), 8 if self.quick else 16 if kind is Ours else 8, 0.7)
                time.sleep(PATIENCE)
                watch.end()
                rss = terminal.rss()
                fleet.load.rate(0)
            finally:
                left = fleet.leave(terminal)
            took = answers(terminal, keys)
            self.say(row(fleet.name, f"{rate:,}", *(told(took.get(kind)) for kind in ("list", "log", "help")), len(keys), f"{watch.frames:.1f}" if watch.frames else "–", f"{watch.bytes / 1000:.1f}", f"{watch.lines:,.0f}", f"{rss:.0f}", "yes" if left else "**no**"))

    def big(self):
        """Ten million lines: how long until they are known, what that takes, jumps and filters."""
        lines = 2_000_000 if self.quick else 10_000_000
        with self.fleet(Ours, self.program) as fleet:
            fleet.load.make(fleet.logs, lines)
            base = memory_of_nothing(fleet)
            terminal = fleet.open()
            try:
                self.big_on(fleet, terminal, lines, base)
            finally:
                fleet.leave(terminal)

    def big_on(self, fleet, terminal, lines, base):
        all_of = f"Logs {lines:,} ".replace(",", " ")
        if not terminal.until(lambda screen: all_of in screen.text(), 120):
            raise SystemExit(f"error: the dashboard never shows {lines} lines: {total(terminal)}")
        time.sleep(1)
        self.say(row(f"{lines:,} lines: all known, from its start", ms(self.moment(terminal, terminal.began, lambda screen: all_of in screen.text())) + " ms", ""))
        rss = terminal.rss()
        self.say(row("memory", f"{rss:.0f} MiB RSS", f"{(rss - base) * 1.048576 / (lines / 1e6):.1f} MB a million lines more than without any ({base:.0f})"))
        terminal.press("5")
        time.sleep(0.3)
        # Line n is at one moment only; its time as the palette takes it.
        begin = first_stamp(fleet.logs)
        number = re.compile(r"n(?:=|\":\")(\d{10})")
        sees = lambda n: lambda screen: any(int(found) == n for found in number.findall(screen.text()))
        jumps = {"top": [], "bottom": [], "time": []}
        for n in range(5 if self.quick else 20):
            jumps["top"].append((terminal.press("g"), {"": sees(0)}))
            time.sleep(0.2)
            to = (n * 2654435761 + 12345) % lines
            moment = begin + datetime.timedelta(microseconds=360 * to)
            terminal.press(f":goto {moment.isoformat(timespec='microseconds')}Z")
            time.sleep(0.2)
            jumps["time"].append((terminal.press("\r"), {"": sees(to)}))
            time.sleep(0.2)
            jumps["bottom"].append((terminal.press("G"), {"": sees(lines - 1)}))
            time.sleep(0.2)
        for what, keys in jumps.items():
            self.say(row(f"jump: {what}", told(answers(terminal, keys)[""]) + " ms", f"{len(keys)} times"))
        for what, text, seen, about in (
            ("a word in 1 of 100 lines", "declined", "declined", 100),
            ("a text in 1 of 65,536", "00000a7f", "00000a7f", 65_536),
            ("an expression, 1 of 10", r"n.{2,4}\d+7\D.*user", r"n=\d+7\b", 10),
            ("nothing found", "no such text", None, lines + 1),
        ):
            self.filter(terminal, lines, what, text, seen, lines // about)

    def filter(self, terminal, lines, what, text, seen, about):
        """Typed as people do, a key each 60 ms; the last key and Enter count. Found lines show `seen`."""
        terminal.press("&")
        time.sleep(0.2)
        for char in text[:-1]:
            terminal.press(char)
            time.sleep(0.06)
        pressed = terminal.press(text[-1] + "\r")
        of = f" of {lines:,}".replace(",", " ")
        done = lambda screen: re.search(r"Logs (\d[\d ]*)" + of, screen.text()) and "filtering" not in screen.line(1)
        if not terminal.until(done, 60):
            raise SystemExit(f"error: the filter `{text}` never ends: {total(terminal)}")
        found = int(re.search(r"Logs (\d[\d ]*)" + of, terminal_text(terminal)).group(1).replace(" ", ""))
        first = self.moment(terminal, pressed, lambda screen: rows_match(screen, seen)) if seen else None
        whole = self.moment(terminal, pressed, done)
        if abs(found - about) > about / 20 + 30:
            raise SystemExit(f"error: the filter `{text}` finds {found} lines, not about {about}")
        self.say(row(f"filter typed: {what}", f"first rows {ms(first)} ms, all {ms(whole)} ms" if first is not None else f"all {ms(whole)} ms", f"{found:,} lines"))
        terminal.press(ESC)
        terminal.until(lambda screen: f"Logs {lines:,} ".replace(",", " ") in screen.text(), 30)

    @staticmethod
    def moment(terminal, since, holds):
        """Seconds from a moment until the screen holds."""
        replay = Replay(terminal)
        for when in replay.frames():
            if when >= since and holds(replay.screen):
                return when - since
        return None


def rows_match(screen, seen):
    """Whether lines of the log are there, and all of them are such."""
    lines = [line for line in screen.lines()[2:-2] if re.search(r"load-\d\d *│", line)]
    return bool(lines) and all(re.search(seen, line) for line in lines)


def terminal_text(terminal):
    replay = Replay(terminal)
    replay.on(time.monotonic())
    return replay.screen.text()


def total(terminal):
    """What the log's title says."""
    found = re.search(r"\[5\] Logs.*", terminal_text(terminal))
    return found.group() if found else "nothing"


def first_stamp(logs):
    """The moment of line 0: another service begins than the first, so of all first ones the least."""
    stamps = []
    for name in SERVICES:
        with open(os.path.join(logs, name, "1", "0000000001.log")) as file:
            stamps.append(file.readline().split()[0])
    return datetime.datetime.fromisoformat(min(stamps).rstrip("Z"))


def memory_of_nothing(fleet):
    """MiB of a dashboard on the same project without logs."""
    hidden = fleet.logs + ".hidden"
    os.rename(fleet.logs, hidden)
    terminal = fleet.open()
    terminal.until(fleet.ready, 20)
    time.sleep(1)
    found = terminal.rss()
    fleet.leave(terminal)
    shutil.rmtree(fleet.logs, ignore_errors=True)
    os.rename(hidden, fleet.logs)
    return found


def changes(terminal, since):
    """Frames since then, and which of them changed no character of the screen."""
    replay = Replay(terminal)
    before, n, same = None, 0, 0
    for when in replay.frames():
        text = replay.screen.text()
        if when >= since:
            n += 1
            same += text == before
        before = text
    return n, same


def said(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True)
    except OSError:
        return None
    return (done.stdout.strip() or done.stderr.strip()) if done.returncode == 0 else None


def peers(tools):
    """Program and version of each that is there."""
    path = os.pathsep.join(filter(None, [tools, os.environ.get("PATH")]))
    found = {}
    for kind, argv in ((ProcessCompose, ["version"]), (Mprocs, ["--version"])):
        program = shutil.which(kind.name, path=path)
        version = program and said(program, *argv)
        if version:
            found[kind] = (program, " ".join(re.findall(r"v?\d+\.\d+\.\d+", version)[:1]))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter rounds, 2 million lines; two minutes")
    parser.add_argument("--only", default="ours,process-compose,mprocs,big,slow")
    parser.add_argument("--tools", help="a folder with process-compose and mprocs")
    parser.add_argument("--write", action="store_true", help="into benches/RESULTS.md")
    parser.add_argument("--orchestra", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release/orchestra"))
    options = parser.parse_args()
    orchestra = os.path.realpath(options.orchestra)
    if not os.access(orchestra, os.X_OK):
        sys.exit(f"error: no `{orchestra}`: run `cargo build --release` first")
    only = options.only.split(",")
    # Whoever ends us wants the services to be gone as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found = peers(options.tools)
    lines = []

    def say(line=""):
        print(line, flush=True)
        lines.append(line)

    built = tempfile.mkdtemp(prefix="orchestra-bench-load-")
    try:
        program = os.path.join(built, "load")
        subprocess.run(["go", "build", "-buildvcs=false", "-o", program, "."], cwd=os.path.join(ROOT, "benches/logger"), check=True)
        bench = Bench(options, orchestra, program, found, say)
        head(say, orchestra, found, options)
        everyone = [(Ours, orchestra)] if "ours" in only else []
        everyone += [(kind, one) for kind, (one, _) in found.items() if kind.name in only]
        measure(bench, say, everyone, only)
    finally:
        shutil.rmtree(built, ignore_errors=True)
    if options.write:
        results.replace("dashboard.py", lines)
    sys.exit(1 if bench.lost else 0)


def head(say, orchestra, found, options):
    versions = [said(orchestra, "--version").splitlines()[0]] + [f"{kind.name} {version}" for kind, (_, version) in found.items()]
    absent = [kind.name for kind in (ProcessCompose, Mprocs) if kind not in found]
    say(f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}, {platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores, load before {os.getloadavg()[0]:.2f}; "
        f"{said('go', 'version').split()[2]}; {', '.join(versions)}; absent: {', '.join(absent) or 'none'}. `benches/dashboard.py{' --quick' if options.quick else ''}`, a pty of 160x48.\n")


def measure(bench, say, everyone, only):
    if everyone:
        say("### Keys while ten services write\n")
        say("Key → drawn: p50, p99, most, in ms. CPU in % of a core: of the one process of the others, which reads the pipes too; of the dashboard, which reads files, plus supervisor and shims.\n")
        say(row("program", "lines/s asked", "row marked", "log of another service", "help", "keys", "frames/s", "KB/s to the terminal", "CPU", "lines/s: nobody looks", "lines/s", "lines"))
        say("|---|---|---|---|---|---|---|---|---|---|---|---|")
        for kind, program in everyone:
            bench.rates(kind, program)
        say("\n### Nothing happens\n")
        say(row("program", "for", "CPU, %", "bytes to the terminal", "frames", "frames without a changed character", "RSS, MiB", "CPU of supervisor and shims, %"))
        say("|---|---|---|---|---|---|---|---|")
        for kind, program in everyone[:1] if bench.quick else everyone:
            bench.idle(kind, program)
        say("\n### Begin and resize\n")
        say("ms; median and range, or p50, p99, most.\n")
        say(row("program", "what", "ms", "times"))
        say("|---|---|---|---|")
        for kind, program in everyone:
            bench.first(kind, program)
            bench.resizes(kind, program)
    if "big" in only:
        say("\n### Many lines, through the pty\n")
        say(row("what", "figure", "of"))
        say("|---|---|---|")
        bench.big()
    if "slow" in only:
        say("\n### A terminal that reads 20 KB a second\n")
        say("A screen is some 8 KB, and the pty itself holds 64 KB.\n")
        say(row("program", "lines/s asked", "row marked", "log of another service", "help", "keys", "frames/s", "KB/s", "lines/s", "RSS, MiB", "leaves when told to"))
        say("|---|---|---|---|---|---|---|---|---|---|---|")
        for kind, program in [(Ours, bench.program)] + [(kind, one) for kind, (one, _) in bench.tools.items() if kind.name in only and not bench.quick]:
            bench.slow(kind, program)


if __name__ == "__main__":
    main()
