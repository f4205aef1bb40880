"""The statements of one operation: through SQLAlchemy, or on the driver's own connection where they are many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable
from sqlalchemy.exc import DBAPIError

from scim_gateway.backend import Query, Reference

from .driver import Columns, Driver, Row
from .failures import DRIVER_ERRORS, Lost, meaning_of, too_large
from .locks import Locks

KEPT_IN = "scim_gateway_kept_in"
"""Option of a statement: what keeps it compiled, instead of the engine."""
_STATEMENT = 4096
"""More than enough for a statement without its document."""

Proof = Callable[["Session"], bool | None]
"""Tells from what is stored whether a transaction was committed; ``None`` if that cannot be told any more."""


class Session:
    """The statements of one operation on one connection, in one transaction.

    :ivar locks: what a write keeps from changing; ``None`` where writes wait for each other anyway, and in reads.
    :ivar afterwards: what this process does once it is committed, such as to remember it.
    :ivar changed: whether something may have been changed.
    :ivar holders: what holds the resources that were read, where that came with them (:mod:`.holders`).
    :ivar regrouped: whether what holds a resource may have been changed: a membership, or a name.
    :ivar sql: the dialect that statements are written in.
    :ivar renew: makes another connection for the rest of a read whose own was lost.
    """

    __slots__ = (
        "_connection",
        "_driver",
        "_raw",
        "_step",
        "afterwards",
        "changed",
        "holders",
        "locks",
        "proofs",
        "regrouped",
        "renew",
        "sql",
        "write",
    )

    def __init__(self, connection: Connection, driver: Driver, write: bool, raw: Any = None) -> None:
        """:param raw: the driver's own connection, where it is known."""
        self._connection = connection
        self._driver = driver
        self._raw = raw
        self.afterwards: list[Callable[[], None]] = []
        self.changed = self.regrouped = False
        self.holders: dict[str, Sequence[Reference]] = {}
        self.sql = connection.dialect
        self.write = write
        self.locks = Locks(self) if write and driver.concurrent else None
        self.proofs: list[Proof] = []
        self.renew: Callable[[], Connection] | None = None
        self._step: Callable[[], None] | None = None

    def __enter__(self) -> Session:
        """Be part of the operation around, which ends the transaction."""
        return self

    def __exit__(self, *_: object) -> None:
        return

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement.

        :raises Duplicate: a unique key is taken.
        :raises Unavailable: the database cannot do it now.
        """
        if not statement.is_select:
            self.changed = self.regrouped = True
        try:
            kept_in = statement.get_execution_options().get(KEPT_IN)
            options = None if kept_in is None else {"compiled_cache": kept_in}
            return self._connection.execute(statement, parameters, execution_options=options)
        except DRIVER_ERRORS as error:
            self._go_on(meaning_of(error), error)
        return self.execute(statement, parameters)

    def run(self, sql: str, values: Sequence[Any]) -> Any:
        """Run a statement in the driver's own words (:mod:`.prepared`); the driver's cursor.

        :raises Duplicate: a unique key is taken.
        :raises Unavailable: the database cannot do it now.
        """
        cursor = (self._raw or self._driver_connection()).cursor()
        try:
            if self._connection.engine._has_events or self._connection._has_events:
                sql, values = self._heard(cursor, sql, values, False)
            cursor.execute(sql, values)
        except self._connection.dialect.loaded_dbapi.Error as error:
            self._go_on(self._meaning_of(error), error)
            return self.run(sql, values)
        return cursor

    def rows(self, sql: str, values: Sequence[Any], columns: Columns) -> Sequence[Row]:
        """All rows of a statement in the driver's own words (:mod:`.prepared`).

        :param columns: what turns the driver's values of each column into others; ``None`` if nothing has to.
        :raises Unavailable: the database cannot do it now.
        """
        raw = self._raw or self._driver_connection()
        try:
            # SQLAlchemy looks here, too, before it asks who listens.
            if self._connection.engine._has_events or self._connection._has_events:
                sql, values = self._heard(raw.cursor(), sql, values, False)
            return self._driver.rows(raw, sql, values, columns)
        except self._connection.dialect.loaded_dbapi.Error as error:
            self._go_on(self._meaning_of(error), error)
            return self.rows(sql, values, columns)

    def run_each(self, sql: str, several: Sequence[Sequence[Any]]) -> None:
        """Run a statement that changes something with each of several values.

        :raises Duplicate: a unique key is taken.
        :raises Unavailable: the database cannot do it now.
        """
        self.changed = True
        cursor = self._driver_connection().cursor()
        try:
            cursor.executemany(*self._heard(cursor, sql, several, True))
        except self._connection.dialect.loaded_dbapi.Error as error:
            raise self._meaning_of(error) from error

    def watched(self, query: Query) -> AbstractContextManager[object]:
        """A block: while its statements run, the scan of the query is told so, and ends them when it has to.

        :raises ScimError: it had to.
        """
        if query.scan is None:
            return nullcontext()
        self._step = query.scan.step
        return self._driver.watched(self._driver_connection(), query.scan.step)

    def alone(self) -> None:
        """As a rule the statement that comes next is the only one."""
        return

    @property
    def dialect(self) -> str:
        """The database as statements for it are told apart."""
        return self._driver.dialect

    @property
    def largest(self) -> int | None:
        """The most bytes that a statement may have, if there is a limit."""
        return self._driver.largest()

    def _go_on(self, meaning: Exception, error: Exception) -> None:
        """Take another connection for the rest of a read whose own was lost; raise whatever else went wrong."""
        if not isinstance(meaning, Lost) or self.renew is None:
            raise meaning from error
        if self._step is not None:
            self._step()  # What took too long is not begun again.
        # Each statement of a read on a server sees a moment of its own, so it may as well be on another connection.
        self._connection.close()
        self._connection, self._raw, self.renew = self.renew(), None, None

    def _heard(self, cursor: Any, sql: str, values: Any, several: bool) -> tuple[str, Any]:
        """Let those hear of a statement who listen to what SQLAlchemy sends: they count, trace or translate it."""
        for listener in self._connection.dispatch.before_cursor_execute:
            sql, values = listener(self._connection, cursor, sql, values, None, several)
        return sql, values

    def _driver_connection(self) -> Any:
        if self._raw is None:
            # The driver's, too, as drivers are synchronous; to ask for that one takes SQLAlchemy several times as long.
            self._raw = self._connection.connection.dbapi_connection
        return self._raw

    def _meaning_of(self, error: Exception) -> Exception:
        """Like SQLAlchemy, see whether the connection can be used any more."""
        # SQLAlchemy types the error as its own protocol of DBAPI errors, which no driver's class is known to follow.
        of_driver: Any = error
        lost = self._connection.dialect.is_disconnect(of_driver, self._raw, None)
        if lost:
            self._connection.invalidate(error)
        return meaning_of(DBAPIError(None, None, error, hide_parameters=True, connection_invalidated=lost))

    @property
    def connection(self) -> Connection:
        """The connection, for what is not said in a statement of SQLAlchemy's; it may change something."""
        self.changed = self.regrouped = True
        return self._connection

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    @property
    def lost(self) -> bool:
        """Whether the connection leads nowhere any more."""
        return self._connection.invalidated

    def keep(self) -> Connection:
        """The connection, ready for the next transaction."""
        if self._connection.in_transaction():
            # One of SQLAlchemy's own, which knows nothing of the driver's; that has ended.
            self._connection.rollback()
        return self._connection

    def state(self) -> object | None:
        """What stays the same on this connection as long as nobody has changed anything; ``None`` if nobody can tell.

        A read sees one moment, and this is that moment's. A write may be undone, and nobody could tell afterwards.
        """
        return None if self.write else self._driver.state(self._driver_connection())

    @property
    def known(self) -> dict[str, tuple[object, int]]:
        """What was found out on this connection, with the state at that time."""
        found: dict[str, tuple[object, int]] = self._connection.info.setdefault("scim_gateway.known", {})
        return found

    @property
    def sees_one_moment(self) -> bool:
        """Whether all statements see the same, but for what this session changes itself."""
        return not self._driver.concurrent

    @property
    def tells_changes(self) -> bool:
        """Whether the database notes what has changed (see ``ddl.py``), and this session sees one moment."""
        return not self._driver.concurrent and not self.write

    def prove_by(self, proof: Proof) -> None:
        """How to find out whether this transaction was committed, should the answer to its commit be lost.

        Only for what may be done again from its start, with another look at what is stored.
        """
        self.proofs.append(proof)

    def fit(self, doc: bytes, text: str | None = None) -> None:
        """See that a document, and a text beside it, fit into a statement: a server ends the connection otherwise.

        :raises PayloadTooLarge: they do not.
        """
        # Bytes are sent as two digits each, and of a text each byte may get a backslash before it.
        if self.largest is not None and 2 * (len(doc) + len((text or "").encode())) + _STATEMENT > self.largest:
            raise too_large()
