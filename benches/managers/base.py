"""What is the same for every manager."""

import glob
import os
import shutil
import signal
import subprocess
import time

from .world import parent, write


class Manager:
    """One way of keeping services running. Made anew for each part of a measurement by `close`.

    What is measured is its best documented way of running without a terminal; `about` says which. BENCH_<SHORT> in the environment names its program where it is not on PATH.
    """

    title, short, program, about = "", "", "", ""
    readopts = False  # comes back by itself when it is killed, and takes over what runs
    revives = False  # what restarts a service is itself started again
    by_hand = False  # `kill` starts it again
    restarts = True  # starts again what died
    forces = True  # kills what does not end within a time that can be set
    configuration = []  # its files, `web` being a service

    def __init__(self, world):
        self.world, self.process, self.services, self.part = world, None, [], 0
        self.program = os.environ.get(f"BENCH_{self.short.upper().replace('-', '_')}", self.program)
        self.renew()

    def renew(self):
        self.part += 1
        self.services, self.grace = [], 10  # seconds it waits for a service to end
        self.dir = os.path.join(self.world.dir, f"{self.short}{self.part}")
        os.mkdir(self.dir)

    def version(self):
        """`None` where it is not installed."""
        return self.title if shutil.which(self.program) else None

    def webs(self):
        return ["web"]

    def name(self, kind):
        return f"{self.short}{self.part}-{kind}"

    def folder(self, kind):
        return os.path.join(self.dir, kind)

    def add(self, kind, mood, args=(), notify=False):
        """A service, which is `load` in a mood. Its arguments stand in its folder."""
        self.services.append(kind)
        words = [mood, "-name", self.name(kind), "-socket", self.world.path, *map(str, args), *(["-ready", "3"] if notify else [])]
        write(os.path.join(self.folder(kind), "args"), " ".join(words))
        self.describe(kind, list(map(str, args)), notify)

    def describe(self, kind, args, notify):
        """Writes its configuration of a service."""
        raise NotImplementedError

    def start(self):
        raise NotImplementedError

    def env(self):
        return self.world.env(self.name("part"))

    def spawn(self, *command, out=None):
        """Starts its main process; `out` keeps what it prints."""
        with open(os.path.join(self.dir, out) if out else os.devnull, "ab") as to:
            self.process = subprocess.Popen(command, cwd=self.dir, env=self.env(), stdin=subprocess.DEVNULL, stdout=to, stderr=to, start_new_session=True)

    def run(self, *command):
        return subprocess.run(command, cwd=self.dir, env=self.env(), stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def settle(self):
        """Waits until all is ready in the manager's own eyes."""

    def stop(self):
        """Ends all, by its own means; may return before that is done."""
        self.process.send_signal(signal.SIGTERM)

    def pid(self):
        return self.process.pid

    def processes(self):
        """Its own: not the services."""
        return self.world.processes(self.name("part"))

    def keepers(self, kind, pid):
        """The process that restarts a service first, then all others there are for it."""
        return [parent(pid)]

    def kill(self):
        """Kills what restarts the services; how long until they were taken over, where that is."""
        for kind in self.services:
            os.kill(parent(self.world.newest(self.name(kind))), signal.SIGKILL)

    def status(self):
        """The command that lists what runs."""
        return None

    def files(self):
        """Where the services' lines are kept."""
        found = [path for path in glob.glob(os.path.join(self.dir, "logs", "**"), recursive=True) if os.path.isfile(path)]
        # Rotated ones have names of every kind; the older one was written before.
        return sorted(found, key=os.path.getmtime)

    def check(self, size=120):
        """What it kept of the lines, as `World.check` tells."""
        return self.world.check(self.files(), size=size)

    def close(self):
        if self.process or self.services:
            self.stop()
            if self.process:
                try:
                    self.process.wait(15)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
        for kind in self.services:
            for pid in self.world.living(self.name(kind)):
                os.kill(pid, signal.SIGKILL)
        self.process = None
        self.renew()

    def shown(self):
        """Its configuration for one service."""
        self.add("web", "steady", ["-port", self.world.port()])
        texts = []
        for path in self.configuration:
            with open(os.path.join(self.dir, path)) as file:
                texts.append(f"# {path}\n{file.read().rstrip()}".replace(self.world.dir, "$DIR"))
        self.renew()
        return "\n".join(texts)

    def state(self, kind):
        return "goes on" if time.monotonic() - self.world.times(self.name(kind))[-1] < 4 else "rests"
