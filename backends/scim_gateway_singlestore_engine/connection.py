"""Connections to the Engine: few, private to this package, checked when taken, and thrown away when in doubt.

Neither an ORM nor an engine of SQLAlchemy is used: account statements know no transactions, the wait for a connection
has to end with the request's deadline, and no question may go to the server that the gateway does not mean to ask.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pymysql
from scim_gateway_provisioning.target import Deadline, Unreachable

from . import giving_up
from .failures import DRIVER_ERRORS, Denied, LogInDenied, Lost, Refused, denied, meaning_of, number_of
from .settings import Endpoint
from .statements import Statement

CONNECT_SECONDS = 3
ANSWER_SECONDS = 8
"""How long one statement may take; account statements wait for a lock of the whole cluster."""

SQL_MODES = ("STRICT_ALL_TABLES,NO_AUTO_CREATE_USER", "STRICT_ALL_TABLES")
"""No name is cut off in silence, and GRANT makes no users, on old servers either; without the second where a server
does not know it: nothing is granted to anybody who was not seen before.
"""

LINES = 4
"""Connections for each change that may be under way: while one waits for the cluster's lock, the others read."""

LAST_WORD_SECONDS = 2
"""How long a server that left a statement without an answer may take to connect, and to end that statement."""

_WRONG_VALUE = 1231

_LOOK_SECONDS = 1.0
_IDLE_SECONDS = 600.0
_HUNG_SECONDS = 2.0

#: The privilege that a statement needs, as GRANT spells it.
_NEEDED = {
    "CREATE USER": "CREATE USER",
    "DROP USER": "CREATE USER",
    "ALTER USER": "ALTER USER",
    "KILL CONNECTION": "PROCESS",
    "SELECT of MV_PROCESSLIST": "PROCESS",
    "SELECT of GROUPS": "SHOW METADATA",
    "SHOW AGGREGATORS": "SHOW METADATA",
}


class Turns:
    """Who waits for whom in one process.

    :param limit: how many statements that change something are under way at a time.
    :ivar lines: taken for each connection in use.
    :ivar changes: taken for each of those statements.
    :ivar large: taken for a change of many statements: side by side, all of them would take until their deadlines, one
        after the other only the last ones do. What is small goes on between their statements.
    """

    def __init__(self, limit: int) -> None:
        self.lines = threading.BoundedSemaphore(limit * LINES)
        self.changes = threading.BoundedSemaphore(limit)
        self.large = threading.BoundedSemaphore(limit)


class Line:
    """One connection in use by one thread."""

    def __init__(
        self,
        connection: pymysql.Connection[Any],
        endpoint: Endpoint,
        deadline: Deadline,
        turns: Turns,
    ) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._turns = turns
        self.deadline = deadline

    @property
    def usable(self) -> bool:
        """Whether the connection may be used by somebody else afterwards."""
        return bool(self._connection.open)

    def run(self, statement: Statement) -> None:
        """Send a statement that changes something, when it is its turn; its effect is confirmed when this returns.

        :raises Refused: the server said no; whoever sent it knows what that means.
        :raises Unreachable: the time is over, the connection broke, or the gateway's account may not do it.
        """
        with _turn(self._turns.changes, self.deadline):
            try:
                self._ask(statement)
            except Lost as lost:
                if isinstance(lost.__cause__, Exception) and giving_up.was_given_up(lost.__cause__):
                    self._end(statement.verb)
                raise

    def _end(self, verb: str) -> None:
        """End what was given up, whatever the server makes of it."""
        there = self._endpoint
        untyped: Any = self._connection  # PyMySQL gives no types for thread_id
        giving_up.end(_briefly(there), there.user, untyped.thread_id(), verb)

    @contextlib.contextmanager
    def large(self) -> Iterator[None]:
        """Wait until no other large change of this process is under way, before anything is read for it.

        Who waits here does not count as one of the connections in use: a few of them would keep out all that is small.

        :raises Unreachable: the time is over.
        """
        turns = self._turns
        with contextlib.ExitStack() as stack:
            turns.lines.release()
            try:
                stack.enter_context(_turn(turns.large, self.deadline))
            finally:
                turns.lines.acquire()
            yield

    def answers(self) -> bool:
        """Whether the server still talks to this connection."""
        return _answers(self._connection)

    def rows(self, statement: Statement) -> list[tuple[Any, ...]]:
        """The rows of a statement, by position: headers hold names of things."""
        return list(self._ask(statement)[1])

    def records(self, statement: Statement) -> list[dict[str, Any]]:
        """The rows of a statement by the names of its columns in upper case, for views whose columns differ."""
        columns, rows = self._ask(statement)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def _ask(self, statement: Statement) -> tuple[list[str], tuple[tuple[Any, ...], ...]]:
        for parameter in statement.parameters:
            if type(parameter) is not str:  # the driver writes numbers bare and lists as lists
                raise TypeError(f"a parameter of {statement.verb} is no text")
        self.deadline.check()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement.sql, statement.parameters)
                columns = [str(column[0]).upper() for column in cursor.description or ()]
                return columns, tuple(cursor.fetchall())
        except DRIVER_ERRORS as error:
            raise self._meaning(error, statement.verb) from error

    def _meaning(self, error: Exception, verb: str) -> Exception:
        meaning = meaning_of(error, connection_open=bool(self._connection.open))
        number = number_of(error)
        if meaning == "lost":
            discard(self._connection)
            return Lost(f"The connection to the Engine broke during {verb} (error {number}).")
        if meaning == "busy":
            return Unreachable(f"The Engine is busy with other changes (error {number} to {verb}).")
        if meaning == "denied":
            return denied(denial(self._endpoint.user, verb, number))
        return Refused(verb, number, meaning)


def denial(user: str, verb: str, number: int) -> str:
    """The line for an operator whose account lacks a privilege, with the statement that gives it."""
    privilege = _NEEDED.get(verb, "GRANT OPTION")
    return (
        f"The gateway's account may not {verb} in the Engine (error {number}); "
        f"run: GRANT {privilege} ON *.* TO '{user}'@'%'"
    )


@contextlib.contextmanager
def _turn(turns: threading.Semaphore, deadline: Deadline) -> Iterator[None]:
    """Wait for one of so many, and give it back after the block."""
    while not turns.acquire(timeout=min(_LOOK_SECONDS, deadline.left())):
        if not deadline.left():
            raise Unreachable("The Engine is busy with other changes of this gateway.")
        if deadline.left() > _LOOK_SECONDS:
            deadline.check()  # a claim must not get old while its holder waits
    try:
        yield
    finally:
        turns.release()


class Connections:
    """The connections of one process.

    :param limit: how many statements that change something are under way at a time, the Engine does one after the
        other. There are :data:`LINES` connections for each, so that nothing else waits for it. Whoever finds none waits
        as long as the deadline lets him.
    """

    def __init__(self, endpoint: Endpoint, limit: int) -> None:
        self._endpoint = endpoint
        self._limit = limit
        self._start_over()

    def _start_over(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._turns = Turns(self._limit)
        self._idle: list[tuple[pymysql.Connection[Any], float]] = []
        self._closed = False

    @contextlib.contextmanager
    def line(self, deadline: Deadline) -> Iterator[Line]:
        """A connection that answers, for the time of the block.

        :raises Unreachable: there is none before the deadline.
        """
        if self._process != os.getpid():
            self._start_over()  # what the parent has open is the parent's
        with _turn(self._turns.lines, deadline):
            line = Line(self._take(deadline), self._endpoint, deadline, self._turns)
            try:
                yield line
            finally:
                self._give_back(line)

    def _take(self, deadline: Deadline) -> pymysql.Connection[Any]:
        while True:
            with self._lock:
                connection, used = self._idle.pop() if self._idle else (None, 0.0)
            if connection is None:
                break
            began = time.monotonic()
            if began - used < _IDLE_SECONDS and _answers(connection):
                return connection
            discard(connection)
            if time.monotonic() - began > _HUNG_SECONDS:
                raise Lost("The Engine does not answer.")
        deadline.check()
        return self._connect()

    def _connect(self) -> pymysql.Connection[Any]:
        return self.log_in(self._endpoint.user, self._endpoint.password)

    def log_in(self, user: str, password: str) -> pymysql.Connection[Any]:
        """A connection of its own, of any account.

        :raises Unreachable: there is none to be had.
        """
        there = self._endpoint
        try:
            return _open(there, user, password)
        except DRIVER_ERRORS as error:
            number = number_of(error)
            where = f"{there.host}:{there.port}"
            if meaning_of(error, connection_open=True) != "denied":
                raise Lost(f"The Engine at {where} cannot be reached (error {number}).") from error
            line = f"The Engine at {where} refuses the account '{user}' (error {number})."
            raise (denied(line, LogInDenied) if user == there.user else Denied(line)) from error

    @contextlib.contextmanager
    def visit(self, user: str, password: str, deadline: Deadline) -> Iterator[Line]:
        """A connection of any account for the time of the block; it is closed afterwards.

        :raises Unreachable: there is none to be had.
        """
        connection = self.log_in(user, password)
        try:
            yield Line(connection, self._endpoint, deadline, self._turns)
        finally:
            discard(connection)

    def _give_back(self, line: Line) -> None:
        connection = line._connection
        if not line.usable:
            return
        with self._lock:
            if not self._closed and len(self._idle) < self._limit * LINES:
                self._idle.append((connection, time.monotonic()))
                return
        discard(connection)

    def close(self) -> None:
        """Close what is not in use; what is in use is closed when it is given back."""
        if self._process != os.getpid():
            return
        with self._lock:
            self._closed, idle = True, self._idle
            self._idle = []
        for connection, _ in idle:
            discard(connection)


@contextlib.contextmanager
def _briefly(there: Endpoint) -> Iterator[giving_up.Ask]:
    """A connection that is not waited for long."""
    connection = _open(there, there.user, there.password, connect=LAST_WORD_SECONDS, answer=LAST_WORD_SECONDS)
    try:
        with connection.cursor() as cursor:

            def ask(statement: Statement) -> list[tuple[Any, ...]]:
                cursor.execute(statement.sql, statement.parameters)
                return list(cursor.fetchall())

            yield ask
    finally:
        connection.close()


def _open(
    there: Endpoint, user: str, password: str, *, connect: float | None = None, answer: float | None = None
) -> pymysql.Connection[Any]:
    connect = CONNECT_SECONDS if connect is None else connect
    answer = ANSWER_SECONDS if answer is None else answer
    for mode in SQL_MODES:
        try:
            return pymysql.connect(
                host=there.host,
                port=there.port,
                user=user,
                password=password,
                charset="utf8mb4",
                autocommit=True,
                sql_mode=mode,
                connect_timeout=connect,
                read_timeout=answer,
                write_timeout=answer,
                **_encrypted(there),
            )
        except pymysql.err.Error as error:
            if number_of(error) != _WRONG_VALUE or mode == SQL_MODES[-1]:
                raise
    raise AssertionError("there is no mode to try")


def failure_of(error: Unreachable) -> int:
    """The number of the driver's error behind one of ours; 0 where there is none."""
    return number_of(error.__cause__) if isinstance(error.__cause__, Exception) else 0


def _encrypted(there: Endpoint) -> dict[str, Any]:
    # ssl_disabled also keeps newer drivers from asking for TLS by themselves, without looking who answers.
    return {"ssl_disabled": True} if there.tls is None else {"ssl": there.tls}


def _answers(connection: pymysql.Connection[Any]) -> bool:
    try:
        connection.ping(reconnect=False)
    except DRIVER_ERRORS:
        return False
    return True


def discard(connection: pymysql.Connection[Any]) -> None:
    """Close a connection without asking whether it likes that."""
    with contextlib.suppress(*DRIVER_ERRORS):
        connection.close()
