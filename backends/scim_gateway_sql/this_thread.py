"""What one thread does with the database, and what its last write is to do again."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from scim_gateway.errors import Unavailable

from .failures import Contended
from .locks import Row
from .session import Session

PATIENCE_SECONDS = 12.0
"""How long a write that trouble with the database undid is done again before it is answered 503."""


class ThisThread(threading.local):
    """What one thread is doing, and what its last write is to do again."""

    session: Session | None = None
    _rows: Collection[Row] = ()
    _since: float | None = None
    _seen = 0.0

    def rows(self) -> Collection[Row]:
        """What the write that is done again depended on."""
        rows, self._rows = self._rows, ()
        return rows if time.monotonic() - self._seen < PATIENCE_SECONDS else ()

    def undone(self, session: Session | None) -> None:
        """A write was undone and may be done again."""
        self._rows = frozenset(session.locks.rows) if session is not None and session.locks is not None else ()
        self._seen = time.monotonic()

    def again(self, trouble: Unavailable) -> Exception:
        """What to raise for a write that trouble has undone: it is done again as long as that makes sense."""
        now = time.monotonic()
        if self._since is None or now - self._seen > PATIENCE_SECONDS:
            self._since = now
        self._seen = now
        if now - self._since < PATIENCE_SECONDS:
            return Contended(trouble)
        self._since = None
        return trouble

    def done(self) -> None:
        """A write has succeeded."""
        self._since = None
