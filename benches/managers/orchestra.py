"""Ourselves."""

import glob
import json
import os
import signal
import subprocess
import time

from .base import Manager
from .world import write


class Orchestra(Manager):
    title, short, readopts, revives = "orchestra", "orchestra", True, True
    configuration = ["orchestra.yml", "web/service.yml"]
    about = "`orchestra start`"

    def __init__(self, world, program):
        self.program = program
        super().__init__(world)

    def version(self):
        return subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout.strip()

    def describe(self, kind, args, notify):
        if not os.path.exists(os.path.join(self.dir, "orchestra.yml")):
            write(os.path.join(self.dir, "orchestra.yml"), "name: bench\n")
        port = args[args.index("-port") + 1] if "-port" in args else None
        listens = f"port: {port}\nready: {{tcp: {port}}}\n" if port else ""
        # We kill it more often than a service that is well would die: eight times a minute would be a crash loop.
        often = "" if kind == "crash" else "restart: {limit: 0}\n"
        write(os.path.join(self.folder(kind), "service.yml"), f"command: [{self.world.binary}]\nstop: {{grace: {self.grace}s}}\n{often}{listens}")

    def run(self, *args):
        return super().run(self.program, *args)

    def start(self):
        self.spawn(self.program, "start")

    def settle(self):
        self.process.wait()

    def ps(self):
        done = self.run("ps", "-o", "json")
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {}

    def pid(self):
        return self.ps()["supervisor"]["pid"]

    def kill(self):
        old, at = self.pid(), time.monotonic()
        before = {kind: self.world.newest(self.name(kind)) for kind in self.services}
        os.kill(old, signal.SIGKILL)
        while time.monotonic() < at + 20:
            now = self.ps()
            pid = (now.get("supervisor") or {}).get("pid")
            kept = {s["name"]: [i.get("pid") for i in s["instances"]] for s in now.get("services", []) if s["state"] == "ready"}
            if pid not in (None, old) and all(kept.get(kind) == [was] for kind, was in before.items()):
                return time.monotonic() - at
            time.sleep(0.002)
        return None

    def state(self, kind):
        return next((s["state"] for s in self.ps().get("services", []) if s["name"] == kind), "?")

    def stop(self):
        self.run("stop")


    def status(self):
        return [self.program, "ps"]

    def files(self):
        return [path for path in glob.glob(os.path.join(self.dir, ".orchestra", "logs", "**"), recursive=True) if os.path.isfile(path)]

    def check(self, size=120):
        return self.world.check(command=[self.program, "logs", "--raw"], size=size, cwd=self.dir)
