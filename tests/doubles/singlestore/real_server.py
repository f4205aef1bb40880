"""A real SingleStore in the place of the double: what SQL can tell is read by SQL, and what only a double can do skips.

Accounts, groups, roles and databases of a test have a prefix there (``own_names.py``), which neither the test nor the
gateway under test sees. Both connect through ``connect``, as ``pymysql.connect``; on this side of the wire statements
are written down, connections are cut, and things happen between a statement and its answer.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

import pymysql
import pytest

from .double import Address, SingleStoreDouble, State
from .errors import EngineError
from .faults import Fault, Faults
from .grammar import SyntaxRefused, parse
from .mischief import Mischief
from .own_names import NEWEST, ForeignName, OwnNames, killed
from .results import Rows
from .statement_log import Entry, StatementLog
from .statements import Account
from .tokens import literal

LOOPBACK = "127.0.0.1"


class RealServer(Mischief):
    """What tests ask of ``SingleStoreDouble``, over a connection as its administrator.

    Args:
        address: the server, and an account that may do everything.
        prefix: what names of this test begin with.
        tls: how the server proves who it is; None: in the clear.

    Attributes:
        log: the statements of this process, in order.
        faults: what goes wrong with them, on this side.
    """

    def __init__(self, address: Address, prefix: str, tls: ssl.SSLContext | None = None) -> None:
        self._address = address
        self.names = OwnNames(prefix)
        self.log = StatementLog()
        self.faults = Faults()
        self._tls: dict[str, Any] = {"ssl_disabled": tls is None, "ssl": tls}
        self._lock = threading.Lock()
        self._administrator: pymysql.connections.Connection[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if hasattr(SingleStoreDouble, name) or name in ("cluster", "behaviour", "unknown", "crashes"):
            _skip(name)
        raise AttributeError(name)

    def _arm(self, fault: Fault) -> Fault:
        if fault.kind == "hang":
            _skip("hang")
        return self.faults.arm(fault)

    def faults_clear(self) -> None:
        """Disarm all faults."""
        self.faults.clear()

    @property
    def version(self) -> str:
        """As it says itself."""
        return str(self._ask("SELECT @@memsql_version").rows[0][0])

    # Connecting

    def address(self, node_id: int = 1) -> Address:
        """Where tests and gateways connect: ``connect`` knows that it means the server."""
        if node_id != 1:
            pytest.skip("needs several aggregators, and SINGLESTORE_URL names one")
        return Address(LOOPBACK, self._address.port, self._address.user, self._address.password)

    def connect(self, **options: Any) -> pymysql.connections.Connection[Any]:
        """A connection whose statements are about names of this test, as a user of this test."""
        user = self.names.prefix + str(options["user"])
        return _Connection(self, {**options, "user": user, **self._there()})

    def is_meant_by(self, options: Mapping[str, Any]) -> bool:
        """Whether these are options of a connection to ``address``."""
        return options.get("host") == LOOPBACK and options.get("port") == self._address.port

    def _there(self) -> dict[str, Any]:
        return {"host": self._address.host, "port": self._address.port, **self._tls}

    def _ask(self, sql: str, *parameters: str) -> Rows:
        """As the administrator, word by word."""
        with self._lock:
            if self._administrator is None:
                # Not pymysql.connect, which tests of a real server replace.
                self._administrator = pymysql.connections.Connection(
                    user=self._address.user, password=self._address.password, autocommit=True, **self._there()
                )
            with self._administrator.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return Rows([column[0] for column in cursor.description or ()], cursor.fetchall())

    def check_kill(self, sql: str) -> None:
        """Raise if the statement ends a session of somebody else."""
        victim = killed(sql)
        if victim is None:
            return
        for node_id, id, user in self._sessions():
            if victim in ((id, node_id), (id, None)) and not user.startswith(self.names.prefix):
                raise ForeignName(f"a session of {user} would end")

    def _sessions(self) -> list[tuple[int, int, str]]:
        rows = self._ask("SELECT NODE_ID, ID, `USER` FROM information_schema.MV_PROCESSLIST").rows
        return [(int(node_id), int(id), str(user)) for node_id, id, user in rows]

    # Looking, and changing things by hand

    def execute(self, *statements: str) -> Rows | None:
        """Execute account statements or reads as the administrator; the last one's rows.

        Raises:
            EngineError: one of them is refused.
        """
        result = None
        for sql in statements:
            try:
                answer = self._ask(self.names.on_the_server(sql))
            except pymysql.err.MySQLError as error:
                raise EngineError(error.args[0], self.names.without(error.args[1])) from error
            columns = [self.names.without(column) for column in answer.columns]
            result = Rows(columns, self.names.shown(sql, answer.rows)) if columns else None
        return result

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        answer = self.execute(sql)
        assert answer is not None
        return [dict(zip(map(str.upper, answer.columns), row, strict=True)) for row in answer.rows]

    def seed(self, users: Iterable[str] = (), groups: Mapping[str, Iterable[str]] | None = None) -> None:
        """Make users that log in with ``password-of-NAME``, and groups of users that exist."""
        for name in users:
            self.execute(f"CREATE USER {Account(name)} IDENTIFIED BY {literal(f'password-of-{name}')}")
        for group, members in (groups or {}).items():
            self.execute(f"CREATE GROUP {literal(group)}")
            self.execute(*(f"GRANT GROUP {literal(group)} TO {Account(name)}" for name in members))

    def state(self) -> State:
        """What the server shows of this test."""
        users = {
            Account(row["USER"], row["HOST"]): row.get("ACCOUNT_STATUS") == "LOCKED"
            for row in self._rows("SELECT * FROM information_schema.USERS")
            if row["USER"] != "root" and not int(row.get("IS_DELETED") or 0)
        }
        groups: dict[str, set[Account]] = {
            row["GROUP_NAME"]: set() for row in self._rows("SELECT GROUP_NAME FROM information_schema.`GROUPS`")
        }
        for row in self._rows("SELECT `GROUP`, `USER` FROM information_schema.USERS_GROUPS"):
            groups[row["GROUP"]].add(_account(row["USER"]))
        roles: dict[str, set[str]] = {
            row["ROLE"]: set() for row in self._rows("SELECT `ROLE` FROM information_schema.ROLES")
        }
        for row in self._rows("SELECT `GROUP`, `ROLE` FROM information_schema.GROUPS_ROLES"):
            roles[row["ROLE"]].add(row["GROUP"])
        return State(
            users,
            {group: frozenset(members) for group, members in groups.items()},
            {role: frozenset(given) for role, given in roles.items()},
        )

    def grants(self, account: str, host: str = "%") -> list[str]:
        """Lines of SHOW GRANTS."""
        answer = self.execute(f"SHOW GRANTS FOR {Account(account, host)}")
        assert answer is not None
        return [row[0] for row in answer.rows]

    def sessions(self, name: str | None = None) -> list[tuple[int, int]]:
        """Node id and id of the open sessions of this test, of one user name or all."""
        own = [(node_id, id, user) for node_id, id, user in self._sessions() if user.startswith(self.names.prefix)]
        return [(node_id, id) for node_id, id, user in own if name is None or user == self.names.prefix + name]

    # Afterwards

    def clean(self) -> None:
        """End the sessions of this test and drop what it made."""
        try:
            for node_id, id in self.sessions():
                # It may have ended by itself.
                with suppress(pymysql.err.MySQLError):
                    self._ask(f"KILL CONNECTION {id} {node_id}")
            drop_what_begins_with(self.names.prefix, self._ask)
        finally:
            if self._administrator is not None:
                self._administrator.close()
                self._administrator = None


def drop_what_begins_with(prefix: str, ask: Any) -> None:
    """Drop accounts, groups and roles of this prefix.

    Args:
        ask: executes a statement with its parameters as an administrator, and gives its rows.
    """
    for kind, query in (
        ("USER", "SELECT `USER`, HOST FROM information_schema.USERS"),
        ("GROUP", "SELECT GROUP_NAME FROM information_schema.`GROUPS`"),
        ("ROLE", "SELECT `ROLE` FROM information_schema.ROLES"),
    ):
        for name in ask(query).rows:
            if name[0].startswith(prefix):
                ask(f"DROP {kind} IF EXISTS {'@'.join(['%s'] * len(name))}", *name)


def _skip(control: str) -> NoReturn:
    pytest.skip(f"needs a control of the double ({control}), and SINGLESTORE_URL names a real server")


def _account(text: str) -> Account:
    """The account that a view shows as ``'name'@'host'``, or as its bare name."""
    if not text.startswith("'"):
        return Account(text.removesuffix("@%"))
    name, _, host = text.rpartition("@")
    return Account(name[1:-1].replace("\\'", "'").replace("''", "'"), host.strip("'"))


class _Connection(pymysql.connections.Connection):
    """A connection of a test or its gateway: names are translated, statements are written down."""

    def __init__(self, server: RealServer, options: dict[str, Any]) -> None:
        self._server = server
        self._account = Account(server.names.without(options["user"]))
        super().__init__(**options)

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        text = sql if isinstance(sql, str) else sql.decode(self.encoding, "surrogateescape")
        entry = Entry(1, self.thread_id(), self._account, text, _parsed(text))
        self._server.log.add(entry)
        fault = self._server.faults.of(entry)
        try:
            self._happen(fault, "before", entry)
            affected = self._send(text, unbuffered)
            self._happen(fault, "after", entry)
        except pymysql.err.MySQLError as error:
            entry.outcome, entry.error = "error", error.args[0]
            raise
        entry.outcome = "done"
        return affected

    def _send(self, sql: str, unbuffered: bool) -> int:
        names = self._server.names
        translated = names.on_the_server(sql)
        self._server.check_kill(translated)
        try:
            affected = super().query(translated, unbuffered)
        except pymysql.err.MySQLError as error:
            error.args = tuple(map(names.without, error.args))
            raise
        if self._result is not None and self._result.rows:
            self._result.rows = names.shown(sql, self._result.rows)
            affected = self._result.affected_rows = len(self._result.rows)
        return affected

    def _happen(self, fault: Fault | None, when: str, entry: Entry) -> None:
        """What a fault does before or after the effect of a statement; the double does it on its side."""
        if fault is None:
            return
        if fault.kind == f"cut {when}":
            self._force_close()
            raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")
        if fault.kind == f"call {when}":
            assert fault.call is not None
            fault.call(entry)
        if fault.kind == "fail" and when == "before":
            assert fault.error is not None
            number, message = fault.error.number, fault.error.message
            raise pymysql.err.error_map.get(number, pymysql.err.OperationalError)(number, message)


def _parsed(sql: str) -> Any:
    try:
        return parse(sql, version=NEWEST)
    except SyntaxRefused:
        return None
