"""Queries of information_schema, answered by SQLite over a mirror of the accounts that is kept up change by change."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime
from functools import cache, lru_cache, partial
from typing import Any

from .catalog import Catalog, Change, Group, Role, User
from .cluster import Node
from .errors import UNKNOWN_TABLE, UnknownStatement
from .privileges import GRANT_OPTION, WITH_GRANT_OPTION, like_pattern
from .results import Rows
from .session import Session
from .tokens import Kind, SyntaxRefused, tokenize
from .view_schema import VIEWS, schema_of

_VIEW = re.compile(r"\binformation_schema`?\s*\.\s*`?(\w+)", re.IGNORECASE)
_WITH_BACKSLASH = re.compile(r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`|[^'"`]+""", re.DOTALL)
_WITHOUT_BACKSLASH = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|[^'"`]+""", re.DOTALL)
_BARE_USER = re.compile(r"(?<![\w.@])USER(?![\w(])", re.IGNORECASE)
_NAME_AND_NUMBER = re.compile(
    r"\b(?:USER|HOST|TYPE|GROUP|ROLE|GROUP_NAME|GRANTEE|PRIVILEGE_TYPE|ACCOUNT_STATUS|DB)`?\s*(?:=|<>|!=|IN\s*\()\s*-?\d",
    re.IGNORECASE,
)
_SCHEMA = re.compile(r"`?information_schema`?\s*\.\s*", re.IGNORECASE)


_copying = threading.Lock()


@cache
def _empty(schema: str) -> sqlite3.Connection:
    """A mirror in which nobody is: to make its tables takes longer than to copy them."""
    made = _connect()
    made.executescript(schema)
    return made


def _connect() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, cached_statements=512)
    for collation, compare in _COLLATIONS.items():
        database.create_collation(collation, compare)
    return database


def views_in(sql: str) -> list[str]:
    """The views of information_schema that ``sql`` names, in upper case."""
    return [name.upper() for name in _VIEW.findall(sql)]


class Views:
    """The views as one node shows them.

    SQLite answers what sessions ask, so that conditions, counts, joins and orders need no evaluator of ours. Literals
    go in as parameters, because SQLite knows no backslash escapes.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._db = _connect()
        like = partial(_like, ignore_case=node.cluster.behaviour.views_ignore_case)
        self._db.create_function("like", 2, like, deterministic=True)
        self._db.create_function("concat", -1, _concat, deterministic=True)
        with _copying:
            _empty(schema_of(node.cluster)).backup(self._db)
        self._db.executescript("PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;")
        self._catalog: Catalog | None = None
        self._seen = 0
        self._asker: tuple[int, ...] = ()

    def close(self) -> None:
        self._db.close()

    def query(self, session: Session, sql: str) -> Rows:
        """Answer a SELECT over the views, with the rows that the user of ``session`` may see.

        Raises:
            UnknownStatement: a view, column or form that is not documented.
        """
        named = views_in(sql)
        unknown = set(named) - VIEWS
        if unknown:
            raise UnknownStatement(f"no view {', '.join(sorted(unknown))} is documented", number=UNKNOWN_TABLE)
        strict = self._node.cluster.behaviour.user_needs_backquotes
        translated, literals = _translate(sql.strip().rstrip(";"), session.backslash_escapes, strict)
        self._refresh()
        if "MV_PROCESSLIST" in named:
            self._refresh_processes()
        self._ask_for(session)
        try:
            cursor = self._db.execute(translated, literals)
        except sqlite3.Error as error:
            raise UnknownStatement(f"{error} in {sql}") from error
        if cursor.description is None:
            raise UnknownStatement(f"not a query: {sql}")
        return Rows([column[0] for column in cursor.description], cursor.fetchall())

    def columns(self, view: str) -> Rows:
        """SHOW COLUMNS of a view."""
        if view.upper() not in VIEWS:
            raise UnknownStatement(f"no view {view} is documented", number=UNKNOWN_TABLE)
        rows = self._db.execute(f'PRAGMA table_info("{view}")').fetchall()
        types = {"INTEGER": "bigint(21)"}
        return Rows(
            ("Field", "Type", "Null", "Key", "Default", "Extra"),
            [(name, types.get(type_, "varchar(512)"), "YES", "", None, "") for _, name, type_, *_rest in rows],
        )

    def _ask_for(self, session: Session) -> None:
        rights = self._node.rights(session)
        grant = rights.has_grant_permission()
        metadata = rights.has("SHOW METADATA")
        sees_groups = metadata or (grant and self._node.cluster.behaviour.groups_seen_with_grant)
        asker = (session.user.serial, grant, sees_groups, grant and metadata, rights.has("PROCESS"))
        if asker != self._asker:
            self._db.execute(
                "UPDATE asker SET serial=?, sees_accounts=?, sees_groups=?, sees_privileges=?, sees_processes=?", asker
            )
            self._asker = asker

    def _refresh(self) -> None:
        catalog = self._node.catalog
        if catalog is not self._catalog:
            self._rebuild(catalog)
            return
        if self._seen == len(catalog.changes):
            return
        changes = dict.fromkeys(catalog.changes[self._seen :])
        self._seen = len(catalog.changes)
        self._db.execute("BEGIN")
        for change in changes:
            self._apply(catalog, change)
        self._db.execute("COMMIT")

    def _rebuild(self, catalog: Catalog) -> None:
        self._catalog, self._seen = catalog, len(catalog.changes)
        self._db.execute("BEGIN")
        for table in ("user_", "group_", "role_", "member", "group_role", "privilege"):
            self._db.execute(f"DELETE FROM {table}")
        users = {user.serial: user for user in self._node.users()}
        users |= {session.user.serial: session.user for session in self._node.sessions.values()}
        for user in users.values():
            self._apply(catalog, Change("user", user))
        for group in catalog.groups.values():
            self._apply(catalog, Change("group", group))
            for user in group.members.values():
                self._apply(catalog, Change("member", user, group))
            for role in group.roles.values():
                self._apply(catalog, Change("group role", group, role))
        for role in catalog.roles.values():
            self._apply(catalog, Change("role", role))
        self._db.execute("COMMIT")

    def _apply(self, catalog: Catalog, change: Change) -> None:
        match change:
            case Change("user", User() as user):
                self._show_user(user)
            case Change("group", Group() as group):
                self._show_group(catalog, group)
            case Change("role", Role() as role):
                self._db.execute("DELETE FROM role_ WHERE serial = ?", (role.serial,))
                if catalog.role(role.name) is role:
                    self._db.execute("INSERT INTO role_ VALUES (?, ?)", (role.serial, role.name))
            case Change("member", User() as user, Group() as group):
                self._show_member(catalog, user, group)
            case Change("group role", Group() as group, Role() as role):
                key = (group.serial, role.serial)
                self._db.execute("DELETE FROM group_role WHERE group_serial = ? AND role_serial = ?", key)
                if catalog.group(group.name) is group and role in group.roles.values():
                    self._db.execute("INSERT INTO group_role VALUES (?, ?, ?, ?)", (*key, group.name, role.name))

    def _show_user(self, user: User) -> None:
        node = self._node
        self._db.execute("DELETE FROM user_ WHERE serial = ?", (user.serial,))
        self._db.execute("DELETE FROM privilege WHERE serial = ?", (user.serial,))
        connections = node.sessions_of(user)
        alive = node.holds(user)
        if not alive and not connections:
            return
        locked = node.id in user.locked_on and node.cluster.behaviour.lock_shown == "LOCKED"
        status = "LOCKED" if locked or node.locked_for_failures(user) else "OPEN"
        options = user.options
        self._db.execute(
            "INSERT INTO user_ VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(user.serial, user.account.name, user.account.host, user.type, connections, int(not alive)),
                *(
                    _time(user.updated or user.created),
                    options.resource_pool,
                    "LOCAL" if user.local else "SYNC",
                    _time(user.created),
                ),
                *(None, _time(user.password_updated or user.created) if user.type == "Native" else None),
                *(options.failed_login_attempts or 0, options.password_lock_time or 0, status),
                *(user.attribute, user.comment),
            ),
        )
        self._show_privileges(user)

    def _show_privileges(self, user: User) -> None:
        """The cluster's privileges, as USER_PRIVILEGES has them in MySQL."""
        names: set[str] = set()
        for scope, held in user.grants.held.items():
            names |= held if scope.database is None else set()
        grantable = "YES" if names & {GRANT_OPTION, WITH_GRANT_OPTION} else "NO"
        shown = sorted(names - {GRANT_OPTION, WITH_GRANT_OPTION}) or ["USAGE"]
        self._db.executemany(
            "INSERT INTO privilege VALUES (?, ?, 'def', ?, ?)",
            [(user.serial, str(user.account), name, grantable) for name in shown],
        )

    def _show_group(self, catalog: Catalog, group: Group) -> None:
        self._db.execute("DELETE FROM group_ WHERE serial = ?", (group.serial,))
        if catalog.group(group.name) is group:
            row = (group.serial, group.name, len(group.members))
            self._db.execute("INSERT INTO group_ VALUES (?, ?, ?)", row)

    def _show_member(self, catalog: Catalog, user: User, group: Group) -> None:
        key = (user.serial, group.serial)
        self._db.execute("DELETE FROM member WHERE serial = ? AND group_serial = ?", key)
        if user.serial in group.members and catalog.group(group.name) is group:
            quoted = self._node.cluster.behaviour.users_groups_user == "quoted"
            name = str(user.account) if quoted else f"{user.account.name}@{user.account.host}"
            self._db.execute("INSERT INTO member VALUES (?, ?, ?, ?)", (*key, group.name, name))
        self._db.execute("UPDATE group_ SET NUM_USERS = ? WHERE serial = ?", (len(group.members), group.serial))

    def _refresh_processes(self) -> None:
        now = self._node.cluster.clock.now()
        self._db.execute("DELETE FROM process")
        self._db.executemany(
            "INSERT INTO process VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(session.user.serial, node.id, session.id, session.user.account.name),
                    *(f"{session.client[0]}:{session.client[1]}", session.database, session.command),
                    int((now - session.since).total_seconds()),
                    *("executing" if session.command == "Query" else "", session.statement),
                )
                for node in self._node.cluster.nodes
                for session in node.listed_sessions()
            ],
        )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(" ", "seconds")


def _like(pattern: Any, value: Any, *, ignore_case: bool) -> bool | None:
    if pattern is None or value is None:
        return None
    return like_pattern(str(pattern), ignore_case=ignore_case).fullmatch(str(value)) is not None


def _concat(*parts: Any) -> str | None:
    return None if None in parts else "".join(map(str, parts))


def _compare(fold: Callable[[str], str]) -> Callable[[str, str], int]:
    def compare(left: str, right: str) -> int:
        a, b = fold(left), fold(right)
        return (a > b) - (a < b)

    return compare


_COLLATIONS = {
    "utf8mb4_bin": _compare(str),
    "utf8mb4_general_ci": _compare(lambda text: text.rstrip(" ").casefold()),
}


def _translate(sql: str, backslash_escapes: bool, user_needs_backquotes: bool) -> tuple[str, list[str]]:
    """The query in SQLite's words, and the literals that were in it."""
    pattern = _WITH_BACKSLASH if backslash_escapes else _WITHOUT_BACKSLASH
    parts: list[str] = []
    literals: list[str] = []
    plain: list[str] = []
    at = 0
    for found in pattern.finditer(sql):
        if found.start() != at:
            raise UnknownStatement(f"an open quote in {sql}")
        at = found.end()
        text = found[0]
        if text[0] in "'\"":
            parts.append("?")
            plain.append("?")
            literals.append(_literal(text, backslash_escapes))
        else:
            parts.append(text)
            plain.append("`" if text[0] == "`" else text)
    if at != len(sql):
        raise UnknownStatement(f"an open quote in {sql}")
    _check_words("".join(plain), user_needs_backquotes)
    translated = "".join(parts)
    if _NAME_AND_NUMBER.search(translated):
        raise UnknownStatement(f"a name compared with a number, which matches every row: {sql}")
    return _SCHEMA.sub("", translated), literals


@lru_cache(maxsize=1024)
def _check_words(plain: str, user_needs_backquotes: bool) -> None:
    """Refuse what SQLite would take and the Engine might not."""
    if ";" in plain or "--" in plain or "#" in plain or "/*" in plain:
        raise UnknownStatement(f"comments and several statements: {plain}")
    if re.search(r"\?\s*\?", plain):
        raise UnknownStatement(f"two literals side by side: {plain}")
    if not re.match(r"\s*SELECT\b", plain, re.IGNORECASE):
        raise UnknownStatement(f"not a SELECT: {plain}")
    if user_needs_backquotes and _BARE_USER.search(plain):
        raise UnknownStatement(f"USER wants backquotes: {plain}")
    if re.search(r"\b(glob|regexp|match|sqlite_\w+|pragma_\w+|asker|rowid|serial|\|\|)\b|\|\|", plain, re.IGNORECASE):
        raise UnknownStatement(f"not of the Engine's SQL: {plain}")


def _literal(text: str, backslash_escapes: bool) -> str:
    try:
        token, _end = tokenize(text, backslash_escapes=backslash_escapes)
    except SyntaxRefused as error:
        raise UnknownStatement(str(error)) from error
    assert token.kind is Kind.STRING
    return token.value
