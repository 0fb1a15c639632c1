"""Debian's telnet client on a real terminal, driven like a person would."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time


class Telnet:
    """telnet ADDRESS PORT in a host, or another program, its terminal in our hands."""

    def __init__(self, host, address, port=23, rows=24, columns=80, words=None, as_nobody=False, env=None):
        words = host.command_line(words or ["telnet", address, str(port)], as_nobody)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(env or {}, TERM="xterm")
            os.execvp(words[0], [str(word) for word in words])
        self.text = ""
        self.log = host.world.directory / f"{host.name}-telnet-{self.pid}.log"
        self.resize(rows, columns)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.vanish()

    def resize(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text):
        os.write(self.terminal, text.encode())

    def expect(self, pattern, timeout=10):
        """Reads until the pattern shows up in what was not yet consumed; consumes up to its end."""
        deadline = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self.text)
            if match:
                self.text = self.text[match.end():]
                return match
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"telnet: {pattern!r} did not come within {timeout} s; unread: {self.text!r}")
            if not self._read(left):
                raise AssertionError(f"telnet ended before {pattern!r}; unread: {self.text!r}")

    def expect_end(self, timeout=10):
        deadline = time.monotonic() + timeout
        while self._read(max(0.0, deadline - time.monotonic())):
            if time.monotonic() >= deadline:
                raise AssertionError(f"telnet did not end within {timeout} s; unread: {self.text!r}")

    def _read(self, seconds):
        """One piece of output; False at the end."""
        ready, _, _ = select.select([self.terminal], [], [], seconds)
        if not ready:
            return True
        try:
            piece = os.read(self.terminal, 65536)
        except OSError:  # Linux says EIO when the other side of a terminal is gone.
            return False
        self.text += piece.decode(errors="replace")
        with open(self.log, "ab") as log:
            log.write(piece)
        return bool(piece)

    def log_in(self, user, password):
        self.expect(r"(?i)(login|user(name)?): *$")
        self.send(f"{user}\r")
        self.expect(r"(?i)password: *$")
        self.send(f"{password}\r")

    def command(self, line):
        """Types a line and consumes its echo."""
        self.send(line + "\r")
        self.expect(re.escape(line[-20:]))

    def vanish(self):
        """Kills the client and hangs up its terminal."""
        if self.pid == 0:
            return
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.terminal)
        self.pid = 0
