"""A terminal for benches: runs a program in a pty, notes what it writes and when, and shows afterwards what stood on the screen at any moment.

It answers no query, as a bare pty does. Nothing is interpreted while the program runs, so that the looking does not slow down what is looked at:
what was read is replayed later, and a moment counts when a frame ends (`CSI ? 2026 l`), or, of programs that mark none, when a read ends.
"""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time

FRAME = b"\x1b[?2026l"
TICKS = os.sysconf("SC_CLK_TCK")
TOKEN = re.compile(r"\x1b\[([0-9;:?<>=!]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()*+].|\x1b[^\[\]]|[\x00-\x1a\x1c-\x1f\x7f]|[^\x00-\x1f\x1b\x7f]+", re.S)


class Terminal:
    """A program in a pty. `link`: it is read at so many bytes a second only; None: as fast as it comes."""

    def __init__(self, argv, cwd, env, size=(160, 48), link=None):
        self.size, self.link, self.reads, self.sent = size, link, [], []
        self.first_size = size
        self.master, slave = pty.openpty()
        self.set_size(size)

        def own():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.began = time.monotonic()
        self.child = subprocess.Popen(argv, cwd=cwd, env={**env, "TERM": "xterm-256color", "COLORTERM": "truecolor"}, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own)
        os.close(slave)
        self.ended = False
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def set_size(self, size):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def resize(self, size):
        self.sent.append((time.monotonic(), size))
        self.size = size
        self.set_size(size)

    def read(self):
        step = 0.02
        size = 1 << 16 if self.link is None else max(int(self.link * step), 1)
        due = time.monotonic()
        while not self.ended:
            if not select.select([self.master], [], [], 0.2)[0]:
                due = time.monotonic()
                continue
            try:
                data = os.read(self.master, size)
            except OSError:
                break
            now = time.monotonic()
            self.reads.append((now, data))
            if self.link is not None:
                # A slow line: each byte takes its time, and what was not sent in time is not made up for.
                due = max(due, now) + len(data) / self.link
                time.sleep(max(due - now, 0))

    def press(self, keys):
        now = time.monotonic()
        os.write(self.master, keys if isinstance(keys, bytes) else keys.encode())
        return now

    def raw_since(self, at):
        return b"".join(data for when, data in list(self.reads) if when >= at)

    def until(self, holds, seconds=30):
        """Waits, looking ten times a second, until the screen holds; None where it never does."""
        deadline = time.monotonic() + seconds
        replay = Replay(self)
        while time.monotonic() < deadline:
            replay.on(time.monotonic())
            if holds(replay.screen):
                return replay.screen
            time.sleep(0.1)
        return None

    def cpu(self):
        return cpu(self.child.pid)

    def rss(self):
        """MiB."""
        with open(f"/proc/{self.child.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024

    def close(self, keys=None, seconds=10):
        """Asks it to leave, by keys or by SIGTERM; ends it where it does not. True when it left by itself."""
        if self.child.poll() is None:
            if keys:
                self.press(keys)
            else:
                self.child.terminate()
        try:
            self.child.wait(seconds)
            left = True
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            left = False
        self.ended = True
        self.reader.join()
        os.close(self.master)
        return left


def cpu(pid):
    """Seconds of processor time; 0 once it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


class Replay:
    """What a terminal has read, shown again up to a moment."""

    def __init__(self, terminal):
        self.terminal, self.at, self.resized = terminal, 0, 0
        self.screen = Screen(*terminal.first_size)
        self.rest = b""

    def frames(self, until=float("inf")):
        """Yields the moments at which the screen is whole."""
        reads, sent = self.terminal.reads, self.terminal.sent
        while self.at < len(reads) and reads[self.at][0] <= until:
            when, data = reads[self.at]
            self.at += 1
            while self.resized < len(sent) and sent[self.resized][0] <= when:
                self.screen.resize(*sent[self.resized][1])
                self.resized += 1
            data = self.rest + data
            # An escape or a character that is not whole waits for its rest.
            cut = data.rfind(b"\x1b", max(len(data) - 64, 0))
            whole = len(data) if cut < 0 or TOKEN.match(data[cut:].decode("utf-8", "replace")) else cut
            while whole and whole == len(data) and data[whole - 1] >= 0x80 and not is_text(data[max(whole - 4, 0):]):
                whole -= 1
            data, self.rest = data[:whole], data[whole:]
            marked = self.screen.marked or FRAME in data
            self.screen.marked = marked
            if not marked:
                self.screen.write(data)
                yield when
                continue
            for part in re.split(b"(?<=\x1b\\[\\?2026l)", data):
                self.screen.write(part)
                if part.endswith(FRAME):
                    yield when

    def on(self, until):
        for _ in self.frames(until):
            pass


def is_text(tail):
    """Whether the end of some UTF-8 is the end of a character."""
    for back in range(1, len(tail) + 1):
        byte = tail[-back]
        if byte & 0xC0 != 0x80:
            need = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back >= need
    return True


class Screen:
    """Characters, and their backgrounds: "" is the usual one. Every character is one column wide."""

    def __init__(self, columns, rows):
        self.marked = False
        self.x = self.y = 0
        self.reverse, self.colour = False, ""
        self.region = None
        self.columns, self.rows = columns, rows
        self.clear()

    def clear(self):
        self.cells = [[" "] * self.columns for _ in range(self.rows)]
        self.grounds = [[""] * self.columns for _ in range(self.rows)]

    def resize(self, columns, rows):
        for grid, blank in ((self.cells, " "), (self.grounds, "")):
            grid[:] = [(row + [blank] * columns)[:columns] for row in grid[:rows]]
            grid.extend([blank] * columns for _ in range(rows - len(grid)))
        self.columns, self.rows, self.region = columns, rows, None
        self.x, self.y = min(self.x, columns - 1), min(self.y, rows - 1)

    def line(self, y):
        return "".join(self.cells[y])

    def lines(self):
        return ["".join(row) for row in self.cells]

    def text(self):
        return "\n".join(self.lines())

    def write(self, data):
        for token in TOKEN.finditer(data.decode("utf-8", "replace")):
            final = token.group(2)
            if final:
                self.command(final, token.group(1))
                continue
            text = token.group()
            first = text[0]
            if first == "\x1b":
                if text == "\x1bM":
                    self.scroll(-1) if self.y == self.top() else self.move(self.x, self.y - 1)
                elif text == "\x1bc":
                    self.clear()
            elif first < " ":
                if first == "\r":
                    self.x = 0
                elif first == "\n":
                    self.scroll(1) if self.y == self.bottom() else self.move(self.x, self.y + 1)
                elif first == "\b":
                    self.x = max(self.x - 1, 0)
                elif first == "\t":
                    self.x = min((self.x // 8 + 1) * 8, self.columns - 1)
            else:
                self.put(text)

    def put(self, text):
        while text:
            if self.x >= self.columns:
                self.x = 0
                self.scroll(1) if self.y == self.bottom() else self.move(0, self.y + 1)
            room = self.columns - self.x
            part, text = text[:room], text[room:]
            end = self.x + len(part)
            self.cells[self.y][self.x:end] = part
            self.grounds[self.y][self.x:end] = ["reverse" if self.reverse else self.colour] * len(part)
            self.x = end

    def top(self):
        return self.region[0] if self.region else 0

    def bottom(self):
        return self.region[1] if self.region else self.rows - 1

    def move(self, x, y):
        self.x, self.y = max(0, min(x, self.columns - 1)), max(0, min(y, self.rows - 1))

    def scroll(self, by):
        """Up where it is positive."""
        top, bottom = self.top(), self.bottom()
        for _ in range(min(abs(by), bottom - top + 1)):
            for grid, blank in ((self.cells, " "), (self.grounds, "")):
                if by > 0:
                    del grid[top]
                    grid.insert(bottom, [blank] * self.columns)
                else:
                    del grid[bottom]
                    grid.insert(top, [blank] * self.columns)

    def erase(self, y, begin, end):
        begin, end = max(begin, 0), min(end, self.columns)
        if 0 <= y < self.rows and begin < end:
            self.cells[y][begin:end] = [" "] * (end - begin)
            self.grounds[y][begin:end] = [self.colour] * (end - begin)

    def command(self, final, text):
        if final == "m":
            return self.look(text)
        if text[:1] in ("?", "<", ">", "=", "!"):
            return None
        numbers = [int(part) if part.isdigit() else 0 for part in text.split(";")] if text else [0]
        n = max(numbers[0], 1)
        if final in "Hf":
            self.move((numbers[1] if len(numbers) > 1 else 1) - 1, n - 1)
        elif final == "A":
            self.move(self.x, self.y - n)
        elif final in "Be":
            self.move(self.x, self.y + n)
        elif final in "Ca":
            self.move(self.x + n, self.y)
        elif final == "D":
            self.move(self.x - n, self.y)
        elif final in "G`":
            self.move(n - 1, self.y)
        elif final == "d":
            self.move(self.x, n - 1)
        elif final == "J":
            self.erase_screen(numbers[0])
        elif final == "K":
            self.erase(self.y, 0 if numbers[0] else self.x, self.x + 1 if numbers[0] == 1 else self.columns)
        elif final == "X":
            self.erase(self.y, self.x, self.x + n)
        elif final == "S":
            self.scroll(n)
        elif final == "T":
            self.scroll(-n)
        elif final in "LM" and self.top() <= self.y <= self.bottom():
            region, self.region = self.region, (self.y, self.bottom())
            self.scroll(n if final == "M" else -n)
            self.region = region
        elif final == "r":
            last = numbers[1] if len(numbers) > 1 and numbers[1] else self.rows
            self.region = None if (n, last) == (1, self.rows) else (n - 1, min(last, self.rows) - 1)
            self.move(0, 0)
        return None

    def erase_screen(self, how):
        if how >= 2:
            return self.clear()
        for y in range(self.rows):
            if how == 0 and y > self.y or how == 1 and y < self.y:
                self.erase(y, 0, self.columns)
        return self.erase(self.y, self.x if how == 0 else 0, self.columns if how == 0 else self.x + 1)

    def look(self, text):
        parts = iter((text or "0").replace(":", ";").split(";"))
        for part in parts:
            if part in ("38", "48", "58"):
                kind = next(parts, "")
                values = [kind, *(next(parts, "") for _ in range({"5": 1, "2": 3}.get(kind, 0)))]
                if part == "48":
                    self.colour = ";".join(values)
            elif part in ("", "0"):
                self.reverse, self.colour = False, ""
            elif part in ("7", "27"):
                self.reverse = part == "7"
            elif part == "49":
                self.colour = ""
            elif len(part) == 2 and part[0] == "4" or len(part) == 3 and part[:2] == "10":
                self.colour = part
