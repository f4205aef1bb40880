"""One statement of one session: which part of the double answers it."""

from __future__ import annotations

import re
from typing import get_args

from . import accounts, listing
from .access import need_process, rights_of
from .cluster import Cluster, Node
from .errors import DATABASE_DENIED, EngineError, UnknownStatement
from .grammar import parse
from .results import Done, Result
from .rules import Rules, is_transaction
from .scalars import select
from .session import Session
from .statements import AccountStatement, Kill, KillAll, ShowColumns, ShowStatement, Statement
from .tokens import SyntaxRefused
from .variables import set_variables
from .view_schema import VIEWS
from .views import Views, views_in

_BEGINNING = re.compile(r"(?:\s+|/\*.*?\*/|--\s[^\n]*\n|#[^\n]*\n)*+(\w+)(?:\s+(\w+))?", re.DOTALL)
_ACCOUNT_OBJECTS = frozenset({"USER", "GROUP", "ROLE"})
_ACCOUNT_VERBS = frozenset({"GRANT", "REVOKE", "KILL", "KILLALL", "RENAME"})
_SHOWN_HERE = frozenset(
    {
        *("USERS", "GROUPS", "ROLES", "GRANTS", "VARIABLES", "GLOBAL", "SESSION", "AGGREGATORS", "WARNINGS", "ERRORS"),
        "PROCESSLIST",
    }
)
_CREATE_OR_REPLACE = re.compile(r"\s*CREATE\s+OR\s+REPLACE\s+(?:USER|GROUP|ROLE)\b", re.IGNORECASE)
_SHOW_COLUMNS = re.compile(r"\s*SHOW\s+COLUMNS\s+FROM\s+`?information_schema\b", re.IGNORECASE)
_ACCOUNT_STATEMENTS = get_args(AccountStatement)
_SHOW_STATEMENTS = get_args(ShowStatement)


def check_text(sql: str) -> None:
    """Refuse bytes that are no UTF-8; in SQL on tables they may be a binary literal, elsewhere they are nothing."""
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise UnknownStatement(f"invalid UTF-8: {sql!r}", number=1300) from error


class Engine:
    """Answers statements over the state of a cluster; holds no connection and knows no protocol.

    Attributes:
        has_tables: whether there is a MariaDB for the SQL on tables.
    """

    def __init__(self, cluster: Cluster, *, has_tables: bool) -> None:
        self.cluster = cluster
        self.has_tables = has_tables
        self.rules = Rules()
        self._views = {node.id: Views(node) for node in cluster.nodes}

    def close(self) -> None:
        for views in self._views.values():
            views.close()

    def read_account_statement(self, session: Session, sql: str) -> Statement | None:
        """The statement if it is one of accounts, sessions or lists; None for all other SQL.

        Raises:
            UnknownStatement: it is one of those and not documented.
        """
        if not self._is_ours(sql):
            return None
        check_text(sql)
        try:
            return parse(
                sql,
                version=self.cluster.version,
                backslash_escapes=session.backslash_escapes,
                ansi_quotes=session.ansi_quotes,
            )
        except SyntaxRefused as error:
            raise UnknownStatement(str(error), known_since=error.since) from error

    def _is_ours(self, sql: str) -> bool:
        words = _BEGINNING.match(sql)
        if words is None:
            return False
        first, second = words[1].upper(), (words[2] or "").upper()
        match first:
            case "CREATE" | "ALTER" | "DROP":
                return second in _ACCOUNT_OBJECTS or _CREATE_OR_REPLACE.match(sql) is not None
            case "SET":
                return second == "PASSWORD"
            case "SHOW":
                return second in _SHOWN_HERE or _SHOW_COLUMNS.match(sql) is not None
        return first in _ACCOUNT_VERBS

    def execute_account_statement(self, session: Session, statement: Statement) -> Result:
        """Carry out what ``read_account_statement`` has read."""
        if isinstance(statement, _ACCOUNT_STATEMENTS):
            return accounts.execute(session, statement)
        if isinstance(statement, ShowColumns):
            return self._views[session.node.id].columns(statement.table)
        if isinstance(statement, _SHOW_STATEMENTS):
            return listing.show(session, statement)
        if isinstance(statement, Kill):
            return self._kill(session, statement)
        assert isinstance(statement, KillAll)
        return self._kill_all(session, statement)

    def commits(self, statement: Statement) -> bool:
        """Whether the statement commits the open transaction: those of accounts do."""
        return isinstance(statement, _ACCOUNT_STATEMENTS)

    def execute(self, session: Session, sql: str) -> Result:
        """Answer other SQL, or say what the MariaDB behind is to be asked.

        Raises:
            EngineError: refused.
            UnknownStatement: nothing that this double can answer faithfully.
        """
        words = _BEGINNING.match(sql)
        if words is None:
            raise UnknownStatement(f"no statement: {sql!r}")
        first = words[1].upper()
        if first == "SET":
            return self._set(session, sql)
        if first == "USE":
            return self._use(session, sql)
        if first == "SELECT":
            if VIEWS.intersection(views_in(sql)):
                check_text(sql)
                return self._views[session.node.id].query(session, sql)
            scalars = select(session, sql)
            if scalars is not None:
                return scalars
        if not self.has_tables and not is_transaction(sql):
            raise UnknownStatement(f"the double has no MariaDB to forward this to: {sql}")
        return self.rules.translate(session, sql)

    def _set(self, session: Session, sql: str) -> Result:
        try:
            set_variables(session, sql)
        except SyntaxRefused as error:
            raise UnknownStatement(str(error)) from error
        return Done()

    def _use(self, session: Session, sql: str) -> Result:
        found = re.fullmatch(r"\s*USE\s+(`(?P<quoted>[^`]+)`|(?P<plain>\w+))\s*;?\s*", sql, re.IGNORECASE)
        if found is None:
            raise UnknownStatement(f"not understood: {sql}")
        self.use(session, found["quoted"] or found["plain"])
        return Done()

    def use(self, session: Session, database: str) -> None:
        """Make ``database`` the session's own.

        Raises:
            EngineError: nothing there is for this user.
        """
        if not rights_of(session).touches(database) and database.lower() != "information_schema":
            name = session.user.account
            raise EngineError(DATABASE_DENIED, f"Access denied for user {name} to database '{database}'")
        session.database = database

    def _node(self, session: Session, node_id: int | None) -> Node | None:
        if node_id is None:
            return session.node
        return next((node for node in self.cluster.nodes if node.id == node_id), None)

    def _kill(self, session: Session, statement: Kill) -> Done:
        node = self._node(session, statement.node_id)
        victim = node.sessions.get(statement.id) if node else None
        if victim is None:
            raise EngineError(self.cluster.behaviour.kill_unknown_error, f"Unknown thread id: {statement.id}")
        need_process(session, victim.user)
        self.cluster.kill_session(victim, statement.query_only)
        return Done()

    def _kill_all(self, session: Session, statement: KillAll) -> Done:
        raise UnknownStatement("KILLALL ends the sessions of everybody on the node; nothing may send it")
