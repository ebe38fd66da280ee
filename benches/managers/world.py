"""The folder in which everything is measured, what the services said, and who lives in it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

LOAD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "load")


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
            subprocess.run(["go", "build", "-buildvcs=false", "-o", self.binary, "."], cwd=LOAD, check=True)
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

    def when(self, word, name):
        """When something was said, each time."""
        return [at for at, words in self.said if words[:2] == [word, name]]

    def wait(self, name, since, seconds=30, word="serves"):
        """When the first copy after `since` said that it serves, or another word."""
        until = time.monotonic() + seconds
        with self.change:
            while True:
                for at in self.when(word, name):
                    if at > since:
                        return at
                # Looked at once more when the time is over: on a busy machine we may be late ourselves.
                if not self.change.wait(max(0, until - time.monotonic())) and time.monotonic() >= until + 1:
                    known = [(f"{at - since:.3f} s", pid, "runs" if alive(pid) else "is gone") for at, pid in self.pids(name)]
                    raise SystemExit(f"error: `{name}` did not say `{word}` within {seconds} s; what is known of it, from when we began to wait: {known}")

    def reuse(self):
        """Ports are given anew from the first: all services are gone."""
        self.next_port = 21000

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

    def env(self, part=""):
        return {**os.environ, "BENCH_FOLDER": self.dir, "BENCH_PART": part}

    def processes(self, part):
        """Those of one manager, its services not among them."""
        mark, found = f"BENCH_PART={part}".encode(), []
        for pid in self.inside():
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    ours = mark in file.read().split(b"\0")
                if ours and os.readlink(f"/proc/{pid}/exe") != self.binary:
                    found.append(pid)
            except OSError:
                continue
        return found

    def check(self, files=(), command=None, size=120, cwd=None):
        """What is left of the lines that `load` wrote: by name, and how many are torn."""
        args = [self.binary, "check", "-size", str(size), *files]
        if command is None:
            return json.loads(subprocess.run(args, capture_output=True, check=True).stdout)
        with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=self.env()) as source:
            return json.loads(subprocess.run(args, stdin=source.stdout, capture_output=True, check=True).stdout)


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)



def cpu(pids):
    """Processor seconds of processes, and of those they have waited for."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / os.sysconf("SC_CLK_TCK")


def memory(pid):
    """KiB: resident, private, proportional."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        found = {line.split(":")[0]: int(line.split()[1]) for line in file if line.endswith("kB\n")}
    return found["Rss"], found["Private_Clean"] + found["Private_Dirty"], found["Pss"]


def children(of, but=0):
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            if parent(pid) == of and pid != but:
                found.append(pid)
        except OSError:
            continue
    return found
