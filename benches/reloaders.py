"""The reloaders that benches/rerun.py measures, the service they all reload, and the floor: a loop that builds, kills and executes when it is told."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import time

from managers import World, write

SERVICE = """// Bench answers with its version, its pid and when it began.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

const version = "VERSION"

var began = time.Now().UnixNano()

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, version, " ", os.Getpid(), " ", began) }))
}
"""

# In front of `go`: when each call began and ended. Whoever is killed has no end.
GO = """#!/usr/bin/env bash
case ${1:-} in build | run) ;; *) exec @GO@ "$@" ;; esac
printf 'begin %s %s\\n' $$ "$EPOCHREALTIME" >>"$BENCH_CALLS"
@GO@ "$@"
code=$?
printf 'end %s %s %s\\n' $$ "$EPOCHREALTIME" $code >>"$BENCH_CALLS"
exit $code
"""

# Builds when a line comes, and only if that succeeds ends the old copy and executes the new one.
FLOOR = """#!/usr/bin/env bash
go build -o app . || exit
./app &
while read -r _ <>bell; do
    go build -o app.new . || continue
    mv app.new app
    kill $!
    wait $! 2>/dev/null
    ./app &
done
"""


class Ground(World):
    """A folder for all, with a `go` that writes down its calls."""

    def __enter__(self):
        real = shutil.which("go")
        if not real:
            raise SystemExit("error: no `go` in PATH")
        write(os.path.join(self.dir, "bin", "go"), GO.replace("@GO@", real), 0o755)
        return self

    def env(self, calls):
        path = os.path.join(self.dir, "bin") + os.pathsep + os.environ["PATH"]
        return {**os.environ, "BENCH_FOLDER": self.dir, "BENCH_CALLS": calls, "PATH": path, "GOFLAGS": "-buildvcs=false"}


def broken(text):
    return text.replace("http.Serve(listener", "undefined(listener")


class Reloader:
    """One way to run a service again when it is edited."""

    program = ""

    def __init__(self, ground):
        self.ground, self.port, self.number, self.process = ground, ground.port(), 0, None
        self.dir = os.path.join(ground.dir, self.short)
        self.calls = os.path.join(ground.dir, self.short + ".calls")
        write(self.calls, "")
        write(os.path.join(self.dir, "go.mod"), f"module example.com/{self.short}\n\ngo 1.22\n")
        self.main = os.path.join(self.dir, "main.go")
        self.save(self.next())

    def version(self):
        """Its name and version; None where it is not installed."""
        path = shutil.which(self.program)
        if not path:
            return None
        said = subprocess.run(["go", "version", "-m", path], capture_output=True, text=True).stdout
        words = next((line.split() for line in said.splitlines() if line.split()[:1] == ["mod"]), ["", "", "?"])
        return f"{self.program} {words[2]}"

    def next(self):
        """A version nobody had before: equal sources would be in Go's cache."""
        self.number += 1
        return f"{self.short}-{os.getpid()}-{self.number}"

    def text(self, version):
        return SERVICE.replace("VERSION", version)

    def save(self, version, text=None):
        with open(self.main, "w") as file:
            file.write(text or self.text(version))

    def spawn(self, *command):
        self.process = subprocess.Popen(
            command,
            cwd=self.dir,
            env={**self.ground.env(self.calls), "PORT": str(self.port)},
            stdin=subprocess.DEVNULL,
            stdout=open(os.path.join(self.ground.dir, self.short + ".out"), "ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def started(self):
        """What it needs to serve for the first time, beside its start."""

    def ask(self):
        """Version, pid and beginning of the copy that answers; None where nobody does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/")
            version, pid, began = connection.getresponse().read().decode().split()
            return version, int(pid), int(began) / 1e9
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def until(self, version, seconds=120):
        at = time.monotonic() + seconds
        while time.monotonic() < at:
            found = self.ask()
            if found and found[0] == version:
                return found
            time.sleep(0.005)
        raise SystemExit(f"error: {self.title} never served {version}: {self.ask()}; see {self.out()}")

    def out(self):
        with open(os.path.join(self.ground.dir, self.short + ".out"), errors="replace") as file:
            return file.read()[-2000:]

    def builds(self):
        """(begin, end, code) of each `go build`, end and code None of those that were killed or still run."""
        found = {}
        with open(self.calls) as file:
            for line in file.read().splitlines():
                words = line.split()
                if words[0] == "begin":
                    found[words[1], words[2]] = [float(words[2]), None, None]
                else:
                    key = [key for key in found if key[0] == words[1]][-1]
                    found[key][1:] = [float(words[2]), int(words[3])]
        return list(found.values())

    def stop(self):
        if not self.process:
            return
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(10)
        except (subprocess.TimeoutExpired, ProcessLookupError):
            self.process.kill()
            self.process.wait()


class Orchestra(Reloader):
    title, short = "orchestra", "orchestra"

    def __init__(self, ground, program):
        self.program = program
        super().__init__(ground)
        # The service is one folder below the project.
        self.root = os.path.join(ground.dir, "project")
        os.makedirs(self.root)
        os.rename(self.dir, os.path.join(self.root, "api"))
        self.dir = self.root
        self.main = os.path.join(self.root, "api", "main.go")
        write(os.path.join(self.root, "orchestra.yml"), "name: bench\n")
        write(os.path.join(self.root, "api", "service.yml"), f"port: {self.port}\n")

    def version(self):
        return subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout.strip()

    def run(self, *args):
        return subprocess.run([self.program, *args], cwd=self.root, env=self.ground.env(self.calls), stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def start(self):
        done = self.run("start", "--rerun")
        if done.returncode != 0:
            raise SystemExit(f"error: orchestra: {done.stderr}")

    def why(self):
        try:
            return json.loads(self.run("why", "api", "-o", "json").stdout)
        except ValueError:
            return {}

    def out(self):
        return self.run("logs", "-n", "30").stdout

    def stop(self):
        self.run("stop")


class Air(Reloader):
    title, short, program = "air, as it is", "air", "air"
    args = []

    def start(self):
        self.spawn("air", *self.args)


class AirQuick(Air):
    title, short, args = "air, `-build.delay 1`", "air1", ["-build.delay", "1"]


class Wgo(Reloader):
    title, short, program = "wgo, `run .`", "wgo", "wgo"

    def start(self):
        self.spawn("wgo", "run", ".")


class WgoQuick(Reloader):
    title, short, program = "wgo, `run -debounce 10ms .`", "wgo10", "wgo"

    def start(self):
        self.spawn("wgo", "run", "-debounce", "10ms", ".")


class WgoKeeps(Reloader):
    title, short, program = "wgo, built beside the old copy as its README says", "wgokeeps", "wgo"

    def start(self):
        self.spawn("wgo", "-file", ".go", "go", "build", "-o", "app.exe", ".", "::", "wgo", "-postpone", "-file", "app.exe", "./app.exe")

    def started(self):
        # Its second part runs nothing before the first change.
        time.sleep(3)
        self.save(self.next())


class Watchexec(Reloader):
    title, short, program = "watchexec, `-r -e go`", "watchexec", "watchexec"

    def start(self):
        self.spawn("watchexec", "-r", "-e", "go", "--", "go build -o app . && exec ./app")

    def version(self):
        if not shutil.which("watchexec"):
            return None
        return " ".join(subprocess.run(["watchexec", "--version"], capture_output=True, text=True).stdout.split()[:2])


class Floor(Reloader):
    title, short = "`go build && exec` by hand", "floor"

    def version(self):
        return self.title

    def start(self):
        os.mkfifo(os.path.join(self.dir, "bell"))
        write(os.path.join(self.dir, "loop"), FLOOR, 0o755)
        self.spawn("./loop")

    def save(self, version, text=None):
        super().save(version, text)
        if self.process:
            with open(os.path.join(self.dir, "bell"), "w") as bell:
                bell.write("\n")


def every(ground, orchestra):
    return [Orchestra(ground, orchestra), Air(ground), AirQuick(ground), Wgo(ground), WgoQuick(ground), WgoKeeps(ground), Watchexec(ground), Floor(ground)]

