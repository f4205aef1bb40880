"""A client's connection that is waited for, but not for ever: threads are for those who use them (RFC 9112 §9.5)."""

from __future__ import annotations

import errno
import fcntl
import math
import select
import socket
import struct
import termios
import time

SLOWEST = 16 * 1024
"""Bytes a second: a quarter of a slow line, so that no honest client comes near it."""

_MOST_AHEAD = 16 * 1024
"""Bytes of a head that are kept before a thread reads it; ordinary ones are a tenth of it."""

_MOST_UNTAKEN = 16 * 1024
"""Bytes of earlier answers; the smallest buffer of a kernel holds these and an answer to whoever has no token."""

_END_OF_HEAD = b"\r\n\r\n"


# Without the look-up that super() makes, several times for each request.
_recv = socket.socket.recv
_send = socket.socket.send


class TooSlow(TimeoutError):
    """The client was waited for long enough; to gunicorn it is one that has gone."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "The client was too slow")


class Patience:
    """How long the client of a request is waited for.

    A limit for each pause would let a client that moves a byte at a time stay for ever. What it moves buys time at the
    slowest rate instead, and never more than it had in the beginning.

    :param seconds: for a client that neither sends nor takes anything.
    """

    __slots__ = ("_most", "left")

    def __init__(self, seconds: float) -> None:
        self.renew(seconds)

    def renew(self, seconds: float) -> None:
        """Begin again, with the next request or with what is left of this one."""
        self._most = seconds
        self.left = seconds

    def waited(self, seconds: float) -> None:
        """Take off what has passed."""
        self.left -= seconds

    def moved(self, size: int) -> None:
        """Add what so many bytes are worth."""
        self.left = min(self._most, self.left + size / SLOWEST)


class ClientSocket(socket.socket):
    """A connection that never blocks in the kernel; its methods wait for as long as the client has time.

    :param accepted: becomes this one.
    :param seconds: of a :class:`Patience`, for each request.
    :ivar ahead: what has come and was not read yet.
    :ivar is_busy: whether a request is being answered.
    :ivar is_watched: whether the worker hears, between and during requests, that something has come.
    """

    def __init__(self, accepted: socket.socket, seconds: float) -> None:
        family, kind, protocol = accepted.family, accepted.type, accepted.proto
        super().__init__(family, kind, protocol, fileno=accepted.detach())
        super().setblocking(False)
        self.ahead = b""
        self.is_busy = self.is_watched = False
        self.patience = Patience(seconds)
        self._seconds = seconds
        self._limit: float | None = None
        self._sent = 0
        self._taken = 0

    def fill(self) -> bool:
        """Take in what has come of a head, without waiting; True when a thread can go on with it.

        That is when the head is complete, when it is longer than any that is kept, when it cannot be one, and when the
        client has gone: all of these are the reader's to judge.
        """
        ahead = self.ahead
        if not (ahead and _is_ready(ahead)):
            try:
                received = _recv(self, _MOST_AHEAD)
            except BlockingIOError:
                return False
            except OSError:
                received = b""
            self.ahead = ahead = ahead + received if ahead else received
            if received and not _is_ready(ahead):
                return False
        self.patience.renew(self._seconds)
        return True

    def lags(self) -> bool:
        """Whether the client asks on without having taken what it asked for; its next answer would not find room."""
        if self._sent - self._taken <= _MOST_UNTAKEN:
            return False
        self._count_taken()
        return self._sent - self._taken > _MOST_UNTAKEN

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """What the client sent, at most so many bytes.

        :raises TooSlow: nothing came in the time that was left.
        """
        data = self.ahead
        if data:
            self.ahead = data[size:]
            return data[:size]
        while True:
            try:
                data = _recv(self, size, flags)
            except BlockingIOError:
                self._wait(select.POLLIN)
            else:
                self.patience.moved(len(data))
                return data

    # The overrides take less than the library says (any buffer, None for lengths): what gunicorn gives them.
    def send(self, data: bytes | memoryview, flags: int = 0, /) -> int:  # type: ignore[override]
        """Send a part of the data; how many bytes of it.

        :raises TooSlow: the client took nothing in the time that was left.
        """
        while True:
            try:
                sent = _send(self, data, flags)
            except BlockingIOError:
                self._wait(select.POLLOUT)
            else:
                self._sent += sent
                return sent

    def sendall(self, data: bytes, flags: int = 0, /) -> None:  # type: ignore[override]
        """Send all of the data.

        :raises TooSlow: the client did not take it in its time.
        """
        try:
            sent = _send(self, data, flags)
        except BlockingIOError:
            sent = 0
        self._sent += sent
        if sent < len(data):
            with memoryview(data) as view:
                while sent < len(view):
                    sent += self.send(view[sent:], flags)

    def setblocking(self, flag: bool, /) -> None:
        """Wait for the client, or not."""
        self._limit = None if flag else 0.0

    def settimeout(self, value: float | None, /) -> None:
        """Wait no longer than so many seconds at a time."""
        self._limit = value

    def gettimeout(self) -> float | None:
        """The seconds of :meth:`settimeout`."""
        return self._limit

    def _wait(self, event: int) -> None:
        limit = math.inf if self._limit is None else self._limit
        poll = select.poll()
        poll.register(self, event)
        while True:
            if event == select.POLLOUT:
                self._count_taken()
            seconds = min(self.patience.left, limit)
            if seconds <= 0:
                raise TooSlow
            began = time.monotonic()
            ready = poll.poll(math.ceil(seconds * 1000))
            passed = time.monotonic() - began
            self.patience.waited(passed)
            if ready:
                return
            limit -= passed

    def _count_taken(self) -> None:
        """What the kernel still holds the client has not taken; and it calls only when a third of that has gone."""
        try:
            (held,) = struct.unpack("i", fcntl.ioctl(self, termios.TIOCOUTQ, bytes(4)))
        except OSError:  # a system that does not tell
            held = 0
        taken = max(self._taken, self._sent - held)
        self.patience.moved(taken - self._taken)
        self._taken = taken


def _is_ready(head: bytes) -> bool:
    return _END_OF_HEAD in head or len(head) >= _MOST_AHEAD or head.count(b"\n") != head.count(b"\r\n")
