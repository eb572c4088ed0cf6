"""The channel to the Rust side: frames of a 4-byte big-endian length and a JSON body.

Whoever started this process gave it the channel as file descriptor 0, a
stream socket. It moves to a high descriptor at once, so that neither `input()`
nor a child of the author's code can touch it.
"""

import json
import os
import struct
import threading


class ChannelClosed(ConnectionError):
    """The other side went away."""


class Channel:
    """One request at a time, from any thread; each request gets one reply."""

    def __init__(self, fd):
        # A socket reads and writes like a file; without the socket module the process starts 5 ms sooner.
        self._fd = fd
        self._lock = threading.RLock()
        self._next_id = 0

    @classmethod
    def from_stdin(cls):
        """Takes file descriptor 0 as the channel and leaves /dev/null in its place."""
        fd = os.dup(0)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        return cls(fd)

    def receive(self):
        (length,) = struct.unpack(">I", self._read(4))
        return json.loads(self._read(length).decode("utf-8"))

    def send(self, body):
        # `allow_nan=False`: NaN is not JSON, and the other side would refuse the whole frame.
        data = json.dumps(body, allow_nan=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
        with self._lock:
            rest = memoryview(struct.pack(">I", len(data)) + data)
            while rest:
                rest = rest[os.write(self._fd, rest):]

    def ask(self, body):
        """Sends a request and waits for its reply; an error reply is raised."""
        with self._lock:
            self._next_id += 1
            self.send(dict(body, id=self._next_id))
            reply = self.receive()
        if reply.get("error") is not None:
            raise RuntimeError(reply["error"])
        return reply.get("value")

    def _read(self, length):
        parts = []
        while length:
            part = os.read(self._fd, min(length, 1 << 20))
            if not part:
                raise ChannelClosed("Updraft's worker went away")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)
