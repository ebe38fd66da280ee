"""Those that read a Procfile, and one that is told all on its command line. All print one stream with a prefix for each line, kept in a file here."""

import os
import shlex

from .base import Manager


class Procfile(Manager):
    restarts = False
    configuration = ["Procfile"]

    def describe(self, kind, args, notify):
        with open(os.path.join(self.dir, "Procfile"), "a") as file:
            file.write(f"{kind}: {self.command(kind)}\n")

    def command(self, kind):
        return f"cd {shlex.quote(self.folder(kind))} && exec {shlex.quote(self.world.binary)}"

    def start(self):
        os.makedirs(os.path.join(self.dir, "logs"), exist_ok=True)
        self.spawn(*self.words(), out="logs/all")

    def words(self):
        raise NotImplementedError

    def kill(self):
        self.process.kill()
        self.process.wait()


class Overmind(Procfile):
    title, short, program = "overmind", "overmind", "overmind"
    about = "`overmind start -N --no-port`"

    def words(self):
        return [self.program, "start", "-N", "-f", "Procfile", "-s", "sock", "-t", str(self.grace)]

    def status(self):
        return [self.program, "ps", "-s", os.path.join(self.dir, "sock")]


class Hivemind(Procfile):
    title, short, program = "hivemind", "hivemind", "hivemind"
    about = "`hivemind Procfile`"

    def words(self):
        return [self.program, "--timeout", str(self.grace), "Procfile"]


class Goreman(Procfile):
    title, short, program = "goreman", "goreman", "goreman"
    forces = False
    about = "`goreman -f Procfile start`"

    def words(self):
        self.rpc = self.world.port()
        return [self.program, "-f", "Procfile", "-p", str(self.rpc), "start"]

    def status(self):
        return [self.program, "-p", str(self.rpc), "run", "status"]


class Honcho(Procfile):
    title, short, program = "honcho", "honcho", "honcho"
    forces = False
    about = "`honcho -f Procfile start`"

    def words(self):
        return [self.program, "-f", "Procfile", "start"]


class Foreman(Procfile):
    title, short, program = "foreman", "foreman", "foreman"
    about = "`foreman start -f Procfile`"

    def words(self):
        return [self.program, "start", "-t", str(self.grace), "-f", "Procfile"]


class Concurrently(Procfile):
    title, short, program = "concurrently", "concurrently", "concurrently"
    forces = False
    about = "`concurrently --names … COMMAND…`, the commands as in the Procfile"

    def words(self):
        return [self.program, "--names", ",".join(self.services), *(self.command(kind) for kind in self.services)]
