"""The servers that benches/vendors.py starts, in one Compose file for everybody, and a client for each, which asks a question that only a working server answers."""

import socket
import struct
import threading
import time

FILE = """\
services:
  postgres:
    image: postgres:15
    environment: {{POSTGRES_HOST_AUTH_METHOD: trust}}
    ports: ["127.0.0.1:{postgres}:5432"]
    volumes: ["pgdata:/var/lib/postgresql/data"]
    healthcheck: {{test: [CMD, pg_isready, -h, 127.0.0.1, -U, postgres], interval: {interval}, retries: 100}}
  redis:
    image: redis:7
    ports: ["127.0.0.1:{redis}:6379"]
    healthcheck: {{test: [CMD, redis-cli, ping], interval: {interval}, retries: 100}}
  nats:
    image: nats:2
    ports: ["127.0.0.1:{nats}:4222"]
volumes: {{pgdata: {{}}}}
"""
NAMES = ("postgres", "redis", "nats")


def ports():
    """A free port for each."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in NAMES]
    found = dict(zip(NAMES, (one.getsockname()[1] for one in held)))
    for one in held:
        one.close()
    return found


def answers(name, port, within=5.0):
    """Whether it answers a question now."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=within) as stream:
            return ASK[name](stream)
    except (OSError, EOFError):
        return False


def postgres(stream):
    body = struct.pack("!I", 196608) + b"user\0postgres\0\0"
    stream.sendall(struct.pack("!I", len(body) + 4) + body)
    query = b"select 6*7\0"
    asked = row = None
    while True:
        kind, rest = message(stream)
        if kind == b"E":
            return False
        if kind == b"D":
            row = rest
        if kind == b"Z" and asked:
            return row is not None and row.endswith(b"42")
        if kind == b"Z":
            asked = True
            stream.sendall(b"Q" + struct.pack("!I", len(query) + 4) + query)


def message(stream):
    head = exactly(stream, 5)
    return head[:1], exactly(stream, struct.unpack("!I", head[1:])[0] - 4)


def exactly(stream, count):
    found = b""
    while len(found) < count:
        piece = stream.recv(count - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def redis(stream):
    stream.sendall(b"ECHO here\r\n")
    return exactly(stream, 10) == b"$4\r\nhere\r\n"


def nats(stream):
    said = b""
    stream.sendall(b'CONNECT {"verbose":false}\r\nSUB a 1\r\nPUB a 4\r\nhere\r\nPING\r\n')
    while not said.endswith(b"PONG\r\n"):
        said += exactly(stream, 1)
    return b"MSG a 1 4\r\nhere\r\n" in said


ASK = {"postgres": postgres, "redis": redis, "nats": nats}


class Clients:
    """One for each server, which asks again and again until it is answered."""

    def __init__(self, at, within=120):
        self.times, self.at, self.until = {}, at, time.monotonic() + within
        self.threads = [threading.Thread(target=self.ask, args=item) for item in at.items()]
        for thread in self.threads:
            thread.start()

    def ask(self, name, port):
        while time.monotonic() < self.until:
            if answers(name, port, within=1.0):
                self.times[name] = time.monotonic()
                return
            time.sleep(0.005)

    def wait(self):
        """When the last of them was answered."""
        for thread in self.threads:
            thread.join()
        missing = set(self.at) - set(self.times)
        if missing:
            raise SystemExit(f"error: {', '.join(sorted(missing))} did not answer")
        return max(self.times.values())
