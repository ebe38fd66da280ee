"""The managers that benches/supervision.py measures, and the service they all run."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

SERVICE = r"""// Bench says by a datagram that it serves, and runs until SIGTERM. Its arguments stand in the file `args` of its folder, so that every manager can
// execute it directly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	name, told := flag.String("name", "", ""), flag.String("socket", "", "")
	port, ready := flag.String("port", "", ""), flag.Int("ready", 0, "")
	chat, exit := flag.Bool("chat", false, ""), flag.Bool("exit", false, "")
	args, err := os.ReadFile("args")
	if err == nil {
		err = flag.CommandLine.Parse(strings.Fields(string(args)))
	}
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	if err == nil && *port != "" {
		// A second copy that should not be must be able to serve as well, or it could not be counted.
		share := func(_, _ string, conn syscall.RawConn) (err error) {
			lost := conn.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, 15 /* SO_REUSEPORT */, 1) })
			return errors.Join(err, lost)
		}
		_, err = (&net.ListenConfig{Control: share}).Listen(context.Background(), "tcp", "127.0.0.1:"+*port)
	}
	conn, lost := net.Dial("unixgram", *told)
	if err != nil || lost != nil {
		fmt.Fprintln(os.Stderr, err, lost)
		os.Exit(2)
	}
	fmt.Fprintf(conn, "serves %s %d", *name, os.Getpid())
	if *ready > 0 {
		file := os.NewFile(uintptr(*ready), "ready")
		file.WriteString("\n")
		file.Close()
	}
	if *exit {
		os.Exit(1)
	}
	n := 0
	for tick := time.Tick(2 * time.Millisecond); ; {
		select {
		case <-terms:
			fmt.Fprintf(conn, "wrote %s %d %d", *name, os.Getpid(), n)
			return
		case <-tick:
			if *chat {
				n++
				fmt.Println(os.Getpid(), n)
			}
		}
	}
}
"""


def alive(pid):
    """Runs, and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


class World:
    """A folder for everything, and what the services said. At the end no process of it is left."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="orchestra-bench-")
        self.binary, self.path = os.path.join(self.dir, "bench-service"), os.path.join(self.dir, "said")
        self.left, self.next_port = 0, 21000
        self.said, self.change = [], threading.Condition()

    def __enter__(self):
        try:
            source = os.path.join(self.dir, "source")
            os.mkdir(source)
            for name, text in (("go.mod", "module example.com/bench\n\ngo 1.22\n"), ("main.go", SERVICE)):
                write(os.path.join(source, name), text)
            subprocess.run(["go", "build", "-buildvcs=false", "-o", self.binary, "."], cwd=source, check=True)
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self.socket.bind(self.path)
            threading.Thread(target=self.listen, daemon=True).start()
            return self
        except BaseException:
            shutil.rmtree(self.dir, ignore_errors=True)
            raise

    def __exit__(self, *_):
        self.left = self.sweep()
        shutil.rmtree(self.dir, ignore_errors=True)

    def listen(self):
        while True:
            words = self.socket.recv(256).decode().split()
            with self.change:
                self.said.append((time.monotonic(), words))
                self.change.notify_all()

    def port(self):
        self.next_port += 1
        return self.next_port

    def pids(self, name):
        return [(at, int(words[2])) for at, words in self.said if words[:2] == ["serves", name]]

    def times(self, name):
        return [at for at, _ in self.pids(name)]

    def newest(self, name):
        return self.pids(name)[-1][1]

    def living(self, name):
        return {pid for _, pid in self.pids(name) if alive(pid)}

    def wrote(self, name):
        return {int(words[2]): int(words[3]) for _, words in self.said if words[:2] == ["wrote", name]}

    def wait(self, name, since, seconds=30):
        """When the first copy after `since` said that it serves."""
        until = time.monotonic() + seconds
        with self.change:
            while True:
                for at in self.times(name):
                    if at > since:
                        return at
                # Looked at once more when the time is over: on a busy machine we may be late ourselves.
                if not self.change.wait(max(0, until - time.monotonic())) and time.monotonic() >= until + 1:
                    known = [(f"{at - since:.3f} s", pid, "runs" if alive(pid) else "is gone") for at, pid in self.pids(name)]
                    raise SystemExit(f"error: `{name}` did not serve within {seconds} s; what is known of it, from when we began to wait: {known}")

    def forget(self):
        with self.change:
            self.said.clear()

    def inside(self):
        """Our own processes: those whose program, working directory or mark lies in the folder."""
        mark, found = f"BENCH_FOLDER={self.dir}".encode(), []
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                links = [os.readlink(f"/proc/{pid}/{name}") for name in ("exe", "cwd")]
                with open(f"/proc/{pid}/environ", "rb") as file:
                    marked = mark in file.read().split(b"\0")
            except OSError:
                continue
            if pid != os.getpid() and alive(pid) and (marked or any(link.startswith(self.dir) for link in links)):
                found.append(pid)
        return found

    def sweep(self):
        """Ends what is left, and says how many there were."""
        until = time.monotonic() + 2
        while self.inside() and time.monotonic() < until:
            time.sleep(0.05)
        left, until = len(self.inside()), time.monotonic() + 20
        while (found := self.inside()) and time.monotonic() < until:
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)
        return left

    def env(self):
        return {**os.environ, "BENCH_FOLDER": self.dir}


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


class Manager:
    """One way of keeping services running. Made anew for each part of the measurement by `close`."""

    readopts = False
    program = ""

    def __init__(self, world):
        self.world, self.process, self.services, self.part = world, None, [], 0
        self.renew()

    def renew(self):
        self.part += 1
        self.services = []
        self.dir = os.path.join(self.world.dir, f"{self.short}{self.part}")
        os.mkdir(self.dir)

    def version(self):
        return self.title if shutil.which(self.program) else None

    def webs(self):
        return ["web"]

    def name(self, kind):
        return f"{self.short}{self.part}-{kind}"

    def folder(self, kind):
        return os.path.join(self.dir, kind)

    def add(self, kind, args, notify=False):
        self.services.append(kind)
        words = ["-name", self.name(kind), "-socket", self.world.path, *args, *(["-ready", "3"] if notify else [])]
        write(os.path.join(self.folder(kind), "args"), " ".join(words))
        self.describe(kind, args, notify)

    def spawn(self, *command):
        self.process = subprocess.Popen(command, cwd=self.dir, env=self.world.env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def settle(self):
        """Waits until all is ready in the manager's own eyes."""

    def pid(self):
        return self.process.pid

    def keepers(self, kind, pid):
        """The process that restarts a service first, then all others there are for it."""
        return [parent(pid)]

    def kill(self):
        """Kills what restarts the services; how long until they were taken over, where that is."""
        for kind in self.services:
            os.kill(parent(self.world.newest(self.name(kind))), signal.SIGKILL)

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

    def state(self, kind):
        return "goes on" if time.monotonic() - self.world.times(self.name(kind))[-1] < 4 else "rests"

    def lines(self, kind):
        """Every line in its log."""
        out = []
        for folder, _, names in os.walk(os.path.join(self.dir, "logs", kind)):
            for name in sorted(names):
                with open(os.path.join(folder, name), errors="replace") as file:
                    out += file.read().splitlines()
        return out


class Orchestra(Manager):
    title, short, readopts = "orchestra", "orchestra", True

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
        often = "" if "-exit" in args else "restart: {limit: 0}\n"
        write(os.path.join(self.folder(kind), "service.yml"), f"command: [{self.world.binary}]\n{often}{listens}")

    def run(self, *args):
        return subprocess.run([self.program, *args], cwd=self.dir, env=self.world.env(), stdin=subprocess.DEVNULL, capture_output=True, text=True)

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

    def lines(self, kind):
        return self.run("logs", "--raw", kind).stdout.splitlines()


class S6(Manager):
    title, short, program = "s6", "s6", "s6-svscan"

    def webs(self):
        return ["web", "webn"]

    def describe(self, kind, args, notify):
        folder = self.folder(kind)
        # Its program itself, without a shell between: as quick as can be.
        os.symlink(self.world.binary, os.path.join(folder, "run"))
        logs = os.path.join(self.dir, "logs", kind)
        write(os.path.join(folder, "log", "run"), f"#!/bin/sh\nexec s6-log n10 s10000000 {logs}\n", 0o755)
        os.makedirs(logs)
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

    def describe(self, kind, args, notify):
        folder, logs = self.folder(kind), os.path.join(self.dir, "logs", kind)
        os.symlink(self.world.binary, os.path.join(folder, "run"))
        write(os.path.join(folder, "log", "run"), f"#!/bin/sh\nexec svlogd {logs}\n", 0o755)
        os.makedirs(logs)

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

    def describe(self, kind, args, notify):
        logs = os.path.join(self.dir, "logs", kind)
        os.makedirs(logs)
        conf = os.path.join(self.dir, "conf")
        if not os.path.exists(conf):
            write(conf, f"[supervisord]\nnodaemon=true\nlogfile={self.dir}/log\npidfile={self.dir}/pid\nminfds=1024\n")
        with open(conf, "a") as file:
            file.write(f"[program:{kind}]\ncommand={self.world.binary}\ndirectory={self.folder(kind)}\nstdout_logfile={logs}/out\nstderr_logfile={logs}/err\n")

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

    def stop(self):
        self.process.send_signal(signal.SIGTERM)


def children(of, but):
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            if parent(pid) == of and pid != but:
                found.append(pid)
        except OSError:
            continue
    return found


def loggers(keeper, folder):
    """The second s6-supervise of a service, in its folder `log`, and the s6-log below it."""
    for pid in children(parent(keeper), keeper):
        try:
            if os.path.realpath(os.readlink(f"/proc/{pid}/cwd")) == os.path.realpath(os.path.join(folder, "log")):
                return [pid, *children(pid, 0)]
        except OSError:
            continue
    return []
