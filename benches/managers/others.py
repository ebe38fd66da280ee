"""process-compose, circus and pm2: each with a configuration file of its own kind."""

import json
import os

from .base import Manager
from .world import write


class ProcessCompose(Manager):
    title, short, program = "process-compose", "process-compose", "process-compose"
    configuration = ["pc.yaml"]
    about = "`process-compose up -t=false -U`, `log_location` for each service"

    def describe(self, kind, args, notify):
        logs = os.path.join(self.dir, "logs")
        os.makedirs(logs, exist_ok=True)
        path = os.path.join(self.dir, "pc.yaml")
        if not os.path.exists(path):
            write(path, 'version: "0.5"\nlog_configuration: {no_color: true, flush_each_line: true}\nprocesses:\n')
        with open(path, "a") as file:
            # Its own shell would stand between: the program itself is executed, as its documentation advises.
            file.write(f"  {kind}:\n    entrypoint: [{self.world.binary}]\n    working_dir: {self.folder(kind)}\n    log_location: {logs}/{kind}.log\n"
                       f"    availability: {{restart: always, backoff_seconds: 1}}\n    shutdown: {{timeout_seconds: {self.grace}}}\n")

    def start(self):
        self.spawn(self.program, "up", "-t=false", "-U", "-u", self.socket(), "-L", os.path.join(self.dir, "pc.log"), "-f", "pc.yaml")

    def socket(self):
        return os.path.join(self.dir, "s")

    def env(self):
        return {**super().env(), "XDG_CONFIG_HOME": self.dir, "PC_LOG_FILE": os.path.join(self.dir, "pc.log")}

    def status(self):
        return [self.program, "-U", "-u", self.socket(), "process", "list"]


class Circus(Manager):
    title, short, program = "circus", "circus", "circusd"
    configuration = ["circus.ini"]
    about = "`circusd circus.ini`, a `FileStream` for each service"

    def describe(self, kind, args, notify):
        logs = os.path.join(self.dir, "logs")
        os.makedirs(logs, exist_ok=True)
        path = os.path.join(self.dir, "circus.ini")
        if not os.path.exists(path):
            ends = "\n".join(f"{name} = ipc://{self.dir}/{name}" for name in ("endpoint", "pubsub_endpoint"))
            write(path, f"[circus]\n{ends}\ncheck_delay = 1\n")
        with open(path, "a") as file:
            file.write(f"[watcher:{kind}]\ncmd = {self.world.binary}\nworking_dir = {self.folder(kind)}\ncopy_env = True\ngraceful_timeout = {self.grace}\n")
            for stream in ("stdout", "stderr"):
                file.write(f"{stream}_stream.class = FileStream\n{stream}_stream.filename = {logs}/{kind}.{stream}\n")

    def start(self):
        self.spawn(self.program, "circus.ini")

    def status(self):
        return ["circusctl", "--endpoint", f"ipc://{self.dir}/endpoint", "status"]


class Pm2(Manager):
    title, short, program = "pm2", "pm2", "pm2"
    configuration = ["apps.json"]
    about = "`pm2 start apps.json`, `exec_mode: fork`, no interpreter"

    def describe(self, kind, args, notify):
        os.makedirs(os.path.join(self.dir, "logs"), exist_ok=True)
        path, apps = os.path.join(self.dir, "apps.json"), []
        if os.path.exists(path):
            with open(path) as file:
                apps = json.load(file)["apps"]
        log = os.path.join(self.dir, "logs", kind)
        apps.append({"name": kind, "script": self.world.binary, "cwd": self.folder(kind), "interpreter": "none", "out_file": log, "error_file": log + ".err",
                     "kill_timeout": self.grace * 1000, "max_restarts": 1000})
        write(path, json.dumps({"apps": apps}))

    def env(self):
        return {**super().env(), "PM2_HOME": os.path.join(self.dir, "home"), "PM2_DISCRETE_MODE": "true"}

    def start(self):
        self.spawn(self.program, "start", "apps.json")

    def settle(self):
        self.process.wait()

    def pid(self):
        with open(os.path.join(self.dir, "home", "pm2.pid")) as file:
            return int(file.read())

    def stop(self):
        self.run(self.program, "kill")

    def status(self):
        return [self.program, "ls"]
