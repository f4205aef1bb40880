"""The block of an operation: one session, which is the thread's own until it ends."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

from .session import Session
from .this_thread import ThisThread


class Operation:
    """An operation that is no part of another one. A class, as a generator would take twice as long.

    :param here: of this thread; it has no session yet.
    :param around: the transaction.
    """

    __slots__ = ("_around", "_here", "_session")

    def __init__(self, here: ThisThread, around: AbstractContextManager[Session]) -> None:
        self._here = here
        self._around = around

    def __enter__(self) -> Session:
        self._session = self._here.session = self._around.__enter__()
        return self._session

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._here.session = None
        self._around.__exit__(kind, error, trace)
        if error is None:
            for action in self._session.afterwards:
                action()
