"""Gunicorn's thread worker: no thread waits for a head, a stop loses no request, and errors are SCIM's.

Overridden is what gunicorn's worker calls by public names; tests/live/ runs it with the lowest version that setup.cfg
allows and with the newest.
"""

from __future__ import annotations

import socket
import sys
import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import ParseException, UnsupportedTransferCoding
from gunicorn.workers.gthread import ThreadWorker

from scim_gateway.client_socket import ClientSocket
from scim_gateway.gunicorn_refusal import refusal_of, refuse
from scim_gateway.threads import Threads

_LINGER = 2.0
"""Seconds in which a client takes its last answer and ends what it was sending (RFC 9112 §9.6)."""

_UNREAD = 1.0
"""Seconds in which the body that nobody wanted to read comes to its end, or the connection does."""

_HEAD_AT_STOP = 5.0
"""Seconds in which a head has to come while the worker stops."""


_NEWS = 0.2
"""Seconds between two signs of life, and two looks for the parent: the least that a timeout can be is a second."""


class Worker(ThreadWorker):
    """Lets a thread have a connection only when there is a request to read on it.

    Gunicorn's own gives each connection a thread for as long as its client takes for head, body and answer, and ends
    connections in the one thread that serves them all. It leaves what the kernel has accepted, but no worker yet, in
    the queue of the listening socket while it stops; all of that is reset when the last worker closes the socket.
    """

    client_timeout = 10.0
    """Seconds for a head; of patience with a client that neither sends its body nor takes its answer."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # By age. In gunicorn's own queues are the connections between two requests and those of whom a head is awaited.
        self._ending: dict[Any, float] = {}
        self._notified = self._looked = 0.0

    def notify(self) -> None:
        """Give a sign of life; gunicorn's loop would at each of its turns, two for each request."""
        now = time.monotonic()
        if now - self._notified >= _NEWS:
            self._notified = now
            super().notify()

    def is_parent_alive(self) -> bool:
        """Whether there is still somebody to stop this process; looked at as often."""
        now = time.monotonic()
        if now - self._looked < _NEWS:
            return True
        self._looked = now
        alive: bool = super().is_parent_alive()
        return alive

    def get_thread_pool(self) -> Threads:
        """The threads that answer requests."""
        return Threads(self.cfg.threads)

    def run(self) -> None:
        """Serve until the stop; whatever ends it, the threads that rest do not keep the process."""
        try:
            super().run()
        finally:
            self.tpool.shutdown(wait=False)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections or not; when the worker stops, the queue is emptied and the socket closed at once."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        # Who connects between the last look into the queue and its end is reset: nothing may come between the two, and
        # a thread that is busy with a request would for 5 ms.
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        for listener in self.sockets:
            self._drain(listener)
            # Whoever connects from now on is refused, which a proxy or a client takes for what it is.
            listener.close()
        sys.setswitchinterval(interval)
        until = time.monotonic() + self._timeout_at_stop()
        for connection in self.pending_conns:
            connection.timeout = min(connection.timeout, until)

    def _drain(self, listener: object) -> None:
        for _ in range(self.cfg.backlog):
            before = self.nr_conns
            self.accept(listener)
            if self.nr_conns == before:
                return

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread; a new one has to have sent something first."""
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
            return
        # What comes over TLS is OpenSSL's to read, and a head of uWSGI has another form.
        if not self.cfg.is_ssl and self.cfg.protocol == "http":
            conn.sock = ClientSocket(conn.sock, self.client_timeout)
        if self.alive and self.nr_conns >= self.worker_connections:
            self._make_room()
        self._await_head(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        """Go on with a head."""
        if client.fileno() < 0:  # made room for another one that was ready at the same time
            return
        if not isinstance(client, ClientSocket):
            super().on_pending_socket_readable(conn, client)
        elif client.fill():
            if client.lags():
                self._turn_away(conn, self.pending_conns)
            else:
                client.is_watched = False
                super().on_pending_socket_readable(conn, client)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Begin with the head of a connection's next request."""
        if client.fileno() < 0:
            return
        if not isinstance(client, ClientSocket):
            super().on_client_socket_readable(conn, client)
        elif client.is_busy:
            # More has come, or the client has gone: there is time for either when the request is answered.
            self._unwatch(client)
        elif not client.fill():
            self.keepalived_conns.remove(conn)
            self._await_head(conn)
            self.poller.modify(client, EVENT_READ, partial(self.on_pending_socket_readable, conn))
        elif client.lags():
            self._turn_away(conn, self.keepalived_conns)
        else:
            # It stays with the poller: to take it out and in again for each request takes as long as to read a head.
            self.keepalived_conns.remove(conn)
            client.is_busy = True
            super().enqueue_req(conn)

    def _unwatch(self, client: ClientSocket) -> None:
        if client.is_watched:
            client.is_watched = False
            self.poller.unregister(client)

    def _turn_away(self, conn: Any, waiting: deque[Any]) -> None:
        """Ask again on another connection: what is not answered may be repeated (RFC 9112 §9.3.2)."""
        waiting.remove(conn)
        conn.sock.is_watched = False
        self.poller.unregister(conn.sock)
        self._end(conn)

    def _await_head(self, conn: Any) -> None:
        """All have the same time, so that the first in the queue is the first whose time is over."""
        conn.timeout = time.monotonic() + (self.client_timeout if self.alive else self._timeout_at_stop())
        self.pending_conns.append(conn)

    def _make_room(self) -> None:
        """Close who has waited longest: were nobody accepted any more, whoever holds all places would hold the door."""
        waiting = self.pending_conns or self.keepalived_conns
        if self._ending:
            self._give_up(next(iter(self._ending)))
        elif waiting:
            self._close(waiting.popleft())

    def _timeout_at_stop(self) -> float:
        return min(self.client_timeout, _HEAD_AT_STOP)

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer a request of which the head has been read; whether the connection may have another one."""
        reader = req.body.reader
        chunked = isinstance(reader, ChunkedReader)
        if chunked:
            codings = [value for name, value in req.headers if name == "TRANSFER-ENCODING"]
            if [coding.strip(" \t").lower() for coding in codings] != ["chunked"]:
                raise UnsupportedTransferCoding(",".join(codings))
        has_body = chunked or getattr(reader, "length", 0) > 0
        if has_body:
            req.body.reader = _Reader(reader, req)
        another: bool = super().handle_request(req, conn)
        if has_body and isinstance(conn.sock, ClientSocket):
            conn.sock.patience.renew(_UNREAD)
        return another

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Wait for the next request, or end the connection."""
        try:
            another = fs.result()
        except Exception:  # gunicorn's handling of a request has failed: this connection ends, the others are served
            self.log.exception("A request could not be handled; its connection is closed")
            another = False
        if not another:
            self._end(conn)
            return
        client = conn.sock
        if not isinstance(client, ClientSocket):
            super().finish_request(conn, fs)
            return
        client.is_busy = False
        if conn.parser.unreader.buf.getvalue():
            # What was read of the next request is no more reason to give it a thread than what comes later.
            client.ahead = conn.parser.unreader.take_buffered() + client.ahead
        if client.is_watched and self.alive:
            conn.set_timeout()
            self.keepalived_conns.append(conn)
        else:
            self._unwatch(client)
            super().finish_request(conn, fs)
            client.is_watched = client.fileno() >= 0
        if client.ahead and client.is_watched:
            self.on_client_socket_readable(conn, client)

    def _end(self, conn: Any) -> None:
        """Closing with bytes unread resets the connection, and the answer may be lost with it (RFC 9112 §9.6)."""
        try:
            if isinstance(conn.sock, ClientSocket):
                self._unwatch(conn.sock)
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, EVENT_READ, partial(self._take_rest, conn))
        except (OSError, ValueError, KeyError):  # the client has gone
            self.nr_conns -= 1
            conn.close()
        else:
            self._ending[conn] = time.monotonic() + _LINGER

    def _take_rest(self, conn: Any, client: socket.socket) -> None:
        if client.fileno() < 0:
            return
        try:
            gone = not client.recv(65536)
        except BlockingIOError:
            gone = False
        except OSError:
            gone = True
        if gone:
            self._give_up(conn)

    def _give_up(self, conn: Any) -> None:
        del self._ending[conn]
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Close what waits for too long."""
        super().murder_pending()
        while self._ending:
            conn, until = next(iter(self._ending.items()))
            if until > time.monotonic():
                break
            self._give_up(conn)

    def handle_error(
        self, req: object, client: socket.socket, addr: tuple[str, int] | None, exc: BaseException
    ) -> None:
        """Answer what cannot be read as a request; gunicorn's own way is left for what is not the client's fault."""
        limits = self.cfg.limit_request_line, self.cfg.limit_request_fields, self.cfg.limit_request_field_size
        error = refusal_of(exc, *limits)
        if error is None:
            super().handle_error(req, client, addr, exc)
        else:
            refuse(client, addr[0] if addr else "", error)


class _Reader:
    """Reads a body; the answer says that the connection ends, once nobody knows any more where the body does."""

    def __init__(self, reader: Any, request: Any) -> None:
        self._reader = reader
        self._request = request

    def read(self, size: int) -> bytes:
        try:
            data: bytes = self._reader.read(size)
        except (ParseException, OSError):
            self._request.force_close()
            raise
        return data
