"""Gunicorn's thread worker, for a stop that loses no request."""

from __future__ import annotations

from gunicorn.workers.gthread import ThreadWorker


class Worker(ThreadWorker):  # type: ignore[misc]
    """Takes in what has connected before it stops listening.

    Gunicorn's own leaves connections that the kernel has accepted, but no worker yet, in the queue of the listening
    socket while it stops, and new ones keep coming; all of them are reset when the last worker closes the socket.
    """

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections or not; when the worker stops, the queue is emptied and then closed."""
        if not enabled and not self.alive:
            for listener in self.sockets:
                self._drain(listener)
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            # Whoever connects from now on is refused, which a proxy or a client takes for what it is.
            for listener in self.sockets:
                listener.close()

    def _drain(self, listener: object) -> None:
        for _ in range(self.cfg.backlog):
            before = self.nr_conns
            self.accept(listener)
            if self.nr_conns == before:
                return
