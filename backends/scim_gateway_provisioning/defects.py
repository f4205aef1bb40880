"""Defects that must not end the work that they happen in."""

from __future__ import annotations

from logging import Logger
from types import TracebackType


class DefectsLogged:
    """A block that no exception leaves: it is logged, with its traceback, and what follows goes on.

    For two kinds of places. A thread of the background: one that ends would retry and compare no more, and nobody
    would notice. A step beside what was asked for, such as a record of it: the answer is more important. What a place
    does expect it handles by itself, inside the block.

    :param message: what has failed, with places for ``names``.
    """

    def __init__(self, logger: Logger, message: str, *names: object) -> None:
        self._logger = logger
        self._message = message
        self._names = names

    def __enter__(self) -> None:
        """Nothing has happened yet."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False  # nothing was raised, or somebody wants the process to end
        self._logger.error(self._message, *self._names, exc_info=error)
        return True
