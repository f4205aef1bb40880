"""Gunicorn's thread worker, for a stop that loses no request and for errors that are SCIM's."""

from __future__ import annotations

import socket
import sys

from gunicorn.workers.gthread import ThreadWorker

from scim_gateway.gunicorn_refusal import refusal_of, refuse


class Worker(ThreadWorker):
    """Takes in what has connected before it stops listening.

    Gunicorn's own leaves connections that the kernel has accepted, but no worker yet, in the queue of the listening
    socket while it stops, and new ones keep coming; all of them are reset when the last worker closes the socket.
    """

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

    def _drain(self, listener: object) -> None:
        for _ in range(self.cfg.backlog):
            before = self.nr_conns
            self.accept(listener)
            if self.nr_conns == before:
                return

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
