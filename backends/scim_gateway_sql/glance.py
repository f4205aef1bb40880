"""A look-up: a read that is a single statement as a rule, and then needs no transaction around it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable

from scim_gateway.errors import StaleResource

from .driver import Driver
from .failures import DRIVER_ERRORS, meaning_of
from .session import Session


class _Fetched(list[Any]):
    """The rows of a statement, as a driver's cursor gives them."""

    def fetchall(self) -> list[Any]:
        """All rows."""
        return self

    def fetchone(self) -> Any:
        """The first row."""
        return self[0] if self else None


class GlancingSession(Session):
    """Sees one moment, like any read; its transaction begins with the second statement, if there is one.

    What the first statement found is then read again: where it has changed meanwhile, the two would be of different
    moments, and the look-up has to be done again in a transaction.

    :raises StaleResource: that is so.
    """

    __slots__ = ("_first", "begun")

    def __init__(self, connection: Connection, driver: Driver) -> None:
        super().__init__(connection, driver, False)
        self._first: tuple[str, Sequence[Any], _Fetched] | None = None
        self.begun = False

    def run(self, sql: str, values: Sequence[Any]) -> Any:
        if self._first is None and not self.begun:
            found = _Fetched(super().run(sql, values).fetchall())
            self._first = sql, values, found
            return found
        self._begin()
        return super().run(sql, values)

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        self._begin()
        return super().execute(statement, parameters)

    def state(self) -> object | None:
        self._begin()
        return super().state()

    def _begin(self) -> None:
        if self.begun:
            return
        try:
            self._driver.begin(self._connection, False)
        except DRIVER_ERRORS as error:
            raise meaning_of(error) from error
        self.begun = True
        if self._first is not None:
            sql, values, found = self._first
            if super().run(sql, values).fetchall() != found:
                raise StaleResource("")

    def end(self) -> None:
        """End the transaction, if one has begun; nothing was changed in it."""
        if self.begun:
            with contextlib.suppress(*DRIVER_ERRORS):
                self._driver.rollback(self._connection, False)
