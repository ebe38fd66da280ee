"""A Docker engine of a bench's own, which may be killed: in a network and a folder of its own, with images of the one at DOCKER_HOST. Needs root."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from managers.world import alive


class Engine:
    """Its containers run on while it is away (`live-restore`). Gone with everything in it at the end."""

    def __init__(self, images):
        self.images = images

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="orchestra-engine-"))
        self.group = f"/{self.dir.name}"
        self.host = f"unix://{self.dir}/docker.sock"
        (self.dir / "daemon.json").write_text(json.dumps({"live-restore": True}))
        up = 'ip link set lo up && : >"$0/up" && exec sleep 100000'
        self.holder = subprocess.Popen(["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", up, str(self.dir)])
        self.dockerd = None
        try:
            self.until((self.dir / "up").exists, "a network of its own")
            self.start()
            for image in self.images:
                archive = self.dir / "image.tar"
                if subprocess.run(["docker", "save", "-o", archive, image]).returncode:
                    raise SystemExit(f"error: no image {image}: scripts/images makes it")
                self.run("load", "-q", "-i", str(archive))
                archive.unlink()
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        if self.dockerd:
            if self.dockerd.poll() is not None:
                self.start()
            ids = self.run("ps", "-aq").split()
            if ids:
                self.run("rm", "-fv", *ids)
            self.end(signal.SIGTERM)
        self.holder.kill()
        self.holder.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
        for hierarchy in pathlib.Path("/sys/fs/cgroup").iterdir():
            group = hierarchy / self.group[1:]
            if group.is_dir():
                group.rmdir()

    def inside(self):
        """In front of a program that shall see its network."""
        return ["nsenter", "-t", str(self.holder.pid), "-n", "--"]

    def run(self, *argv):
        env = {**os.environ, "DOCKER_HOST": self.host}
        return subprocess.run(["docker", *argv], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True).stdout

    def start(self):
        # A file that names a process of its former life would keep it from starting.
        for left in ("pid", "exec/containerd/containerd.pid"):
            (self.dir / left).unlink(missing_ok=True)
        at = lambda name: str(self.dir / name)
        with open(at("dockerd.log"), "a") as log:
            self.dockerd = subprocess.Popen(
                ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "--", "dockerd", "--config-file", at("daemon.json"),
                 "--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("pid"), "--host", self.host, "--cgroup-parent", self.group,
                 "--exec-opt", "native.cgroupdriver=cgroupfs", "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.until(self.answers, "a private engine")

    def answers(self):
        if self.dockerd.poll() is not None:
            raise SystemExit(f"error: no engine of our own here: {(self.dir / 'dockerd.log').read_text().splitlines()[-1]}")
        env = {**os.environ, "DOCKER_HOST": self.host}
        return subprocess.run(["docker", "version"], env=env, capture_output=True).returncode == 0

    def end(self, number):
        """With SIGKILL its containerd goes as well: it dies with whoever started it."""
        containerd = (self.dir / "exec/containerd/containerd.pid").read_text()
        self.dockerd.send_signal(number)
        self.dockerd.wait()
        self.until(lambda: not alive(containerd), "end of containerd")

    @staticmethod
    def until(there, what):
        deadline = time.monotonic() + 60
        while not there():
            if time.monotonic() > deadline:
                raise SystemExit(f"error: no {what} within a minute")
            time.sleep(0.05)
