"""Statements of SQLite that ask now and then whether to go on (https://sqlite.org/c3ref/progress_handler.html)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

STEPS = 500_000
"""Instructions of SQLite's between two questions, a hundredth of a second or more."""


class Watched:
    """The block around the statements of a connection.

    :param step: raises an error where they are not to go on; the block then ends with it.
    """

    __slots__ = ("_connection", "_refusal", "_step")

    def __init__(self, connection: sqlite3.Connection, step: Callable[[], None]) -> None:
        self._connection = connection
        self._step = step
        self._refusal: Exception | None = None

    def __enter__(self) -> None:
        self._connection.set_progress_handler(self._is_over, STEPS)

    def __exit__(self, *_: object) -> None:
        self._connection.set_progress_handler(None, 0)
        # The driver says no more than that a statement was interrupted.
        if self._refusal is not None:
            raise self._refusal from None

    def _is_over(self) -> bool:
        try:
            self._step()
        except Exception as refusal:  # SQLite takes none from its handler: the end of the block raises it
            self._refusal = refusal
        return self._refusal is not None
