"""Supervision trees: s6 and runit, and supervisord, which knows its services by configuration alone as they do."""

import os
import signal
import subprocess
import time

from .base import Manager
from .world import children, parent, write


class S6(Manager):
    title, short, program = "s6", "s6", "s6-svscan"
    revives, configuration = True, ["web/log/run", "web/timeout-kill"]
    about = "`s6-svscan`, each service with an `s6-log` (no stamps)"

    def webs(self):
        return ["web", "webn"]

    def describe(self, kind, args, notify):
        folder = self.folder(kind)
        # Its program itself, without a shell between: as quick as can be.
        os.symlink(self.world.binary, os.path.join(folder, "run"))
        logs = os.path.join(self.dir, "logs", kind)
        write(os.path.join(folder, "log", "run"), f"#!/bin/sh\nexec s6-log n100 s10000000 {logs}\n", 0o755)
        os.makedirs(logs)
        write(os.path.join(folder, "timeout-kill"), f"{self.grace * 1000}\n")
        if notify:
            write(os.path.join(folder, "notification-fd"), "3\n")

    def start(self):
        # The logs' folder is no service.
        os.makedirs(os.path.join(self.dir, "scan"), exist_ok=True)
        for kind in self.services:
            os.symlink(self.folder(kind), os.path.join(self.dir, "scan", kind))
        self.spawn("s6-svscan", "-c", "1000", os.path.join(self.dir, "scan"))

    def keepers(self, kind, pid):
        return [parent(pid), *loggers(parent(pid), self.folder(kind))]

    def stop(self):
        subprocess.run(["s6-svscanctl", "-t", os.path.join(self.dir, "scan")], stderr=subprocess.DEVNULL)


class Runit(Manager):
    title, short, program = "runit", "runit", "runsvdir"
    forces = False  # `sv force-stop` would
    revives, configuration = True, ["web/log/run", "logs/web/config"]
    about = "`runsvdir -P`, each service with an `svlogd` (no stamps)"

    def describe(self, kind, args, notify):
        folder, logs = self.folder(kind), os.path.join(self.dir, "logs", kind)
        os.symlink(self.world.binary, os.path.join(folder, "run"))
        write(os.path.join(folder, "log", "run"), f"#!/bin/sh\nexec svlogd {logs}\n", 0o755)
        # Else it keeps 10 files of 1 MB.
        write(os.path.join(logs, "config"), "s10000000\nn100\n")

    def start(self):
        os.makedirs(os.path.join(self.dir, "scan"), exist_ok=True)
        for kind in self.services:
            os.symlink(self.folder(kind), os.path.join(self.dir, "scan", kind))
        self.spawn("runsvdir", "-P", os.path.join(self.dir, "scan"))

    def keepers(self, kind, pid):
        return [parent(pid), *children(parent(pid), pid)]

    def stop(self):
        # HUP: it tells each runsv to end its service, and ends.
        self.process.send_signal(signal.SIGHUP)


class Supervisord(Manager):
    title, short, program = "supervisord", "supervisord", "supervisord"
    by_hand, configuration = True, ["conf"]
    about = "`supervisord -c conf`, `stdout_logfile` for each (no stamps)"

    def describe(self, kind, args, notify):
        logs = os.path.join(self.dir, "logs", kind)
        os.makedirs(logs)
        conf = os.path.join(self.dir, "conf")
        if not os.path.exists(conf):
            write(conf, f"[supervisord]\nnodaemon=true\nlogfile={self.dir}/log\npidfile={self.dir}/pid\nminfds=4096\n[unix_http_server]\nfile={self.dir}/sock\n[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n[supervisorctl]\nserverurl=unix://{self.dir}/sock\n")
        with open(conf, "a") as file:
            file.write(f"[program:{kind}]\ncommand={self.world.binary}\ndirectory={self.folder(kind)}\nstdout_logfile={logs}/out\nstderr_logfile={logs}/err\nstopwaitsecs={self.grace}\n")

    def start(self):
        self.spawn("supervisord", "-c", os.path.join(self.dir, "conf"))

    def settle(self):
        time.sleep(1.2)  # startsecs

    def keepers(self, kind, pid):
        return []

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.start()

    def status(self):
        return ["supervisorctl", "-c", os.path.join(self.dir, "conf"), "status"]


def loggers(keeper, folder):
    """The second s6-supervise of a service, in its folder `log`, and the s6-log below it."""
    for pid in children(parent(keeper), keeper):
        try:
            if os.path.realpath(os.readlink(f"/proc/{pid}/cwd")) == os.path.realpath(os.path.join(folder, "log")):
                return [pid, *children(pid, 0)]
        except OSError:
            continue
    return []
