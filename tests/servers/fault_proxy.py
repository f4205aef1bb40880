"""A network that fails on command, between a client of MySQL's protocol and its server.

The two losses that look the same to a client are told apart here: a COMMIT that never arrives, and one whose answer
never comes back.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Literal

Mode = Literal["pass", "blackhole"]
Cut = Literal["before", "after"]

_COMMIT = b"\x03COMMIT"
_AT_ONCE = struct.pack("ii", 1, 0)


class FaultProxy:
    """Listens on a port of loopback and speaks to a server on another one."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.mode: Mode = "pass"
        self.delay = 0.0
        self.commits = 0
        """How many COMMITs were seen, those that were cut included."""
        self._cuts: list[Cut] = []
        self._lock = threading.Lock()
        self._open: set[_Relay] = set()
        self._listener = _listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._accepting()

    def _accepting(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            relay = _Relay(self, client)
            with self._lock:
                self._open.add(relay)
            relay.start()

    # Faults

    def cut_commits(self, how: Cut, times: int = 1) -> None:
        """Lose the next COMMITs: ``before`` they arrive, or ``after``, with the answer."""
        with self._lock:
            self._cuts = [how] * times

    def reset(self) -> None:
        """End all connections at once, so that both sides notice."""
        with self._lock:
            relays = list(self._open)
        for relay in relays:
            relay.end()

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """New connections are refused, and the old ones are gone."""
        self.refuse()
        try:
            yield
        finally:
            self.serve()

    def refuse(self) -> None:
        """Stop to listen, and end what is open."""
        # Closing alone does not wake a thread that waits in accept.
        with contextlib.suppress(OSError):  # it listens no more
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    def serve(self) -> None:
        """Listen again, on the same port."""
        self._listener = _listen(self.port)
        self._accepting()

    @contextlib.contextmanager
    def swallowing(self) -> Iterator[None]:
        """Connections can be made, and nothing that is sent arrives, in either direction."""
        self.mode = "blackhole"
        try:
            yield
        finally:
            self.mode = "pass"
            self.reset()

    def close(self) -> None:
        """End everything."""
        self.refuse()

    # For the relays

    def next_cut(self) -> Cut | None:
        """What is to happen to the COMMIT that was seen just now."""
        with self._lock:
            self.commits += 1
            return self._cuts.pop() if self._cuts else None

    def forget(self, relay: _Relay) -> None:
        with self._lock:
            self._open.discard(relay)


class _Relay:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, proxy: FaultProxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server: socket.socket | None = None
        self._swallow_answer = False
        self._ended = threading.Event()

    def start(self) -> None:
        try:
            self._server = socket.create_connection(("127.0.0.1", self._proxy.target), timeout=5)
        except OSError:
            self.end()
            return
        if self._ended.is_set():
            self._server.close()  # reset in the meantime
            return
        self._server.settimeout(None)
        for pump in (self._to_server, self._to_client):
            threading.Thread(target=pump, daemon=True).start()

    def end(self) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        for side in (self._client, self._server):
            if side is None:
                continue
            # What the other side has closed already needs neither.
            with contextlib.suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
        self._proxy.forget(self)

    def _to_server(self) -> None:
        assert self._server is not None
        buffer = b""
        try:
            while chunk := self._client.recv(65536):
                if self._proxy.mode == "blackhole":
                    continue
                time.sleep(self._proxy.delay)
                buffer += chunk
                while len(buffer) >= 4 and len(buffer) >= (size := 4 + int.from_bytes(buffer[:3], "little")):
                    packet, buffer = buffer[:size], buffer[size:]
                    if packet[4:] == _COMMIT:
                        cut = self._proxy.next_cut()
                        if cut == "before":
                            return
                        self._swallow_answer = cut == "after"
                    self._server.sendall(packet)
        except OSError:
            pass
        finally:
            self.end()

    def _to_client(self) -> None:
        assert self._server is not None
        try:
            while chunk := self._server.recv(65536):
                if self._swallow_answer:
                    return
                if self._proxy.mode != "blackhole":
                    self._client.sendall(chunk)
        except OSError:
            pass
        finally:
            self.end()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener
