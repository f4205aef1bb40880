"""Engine variables: SELECT @@name, SHOW VARIABLES and the SET statements that drivers send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import versions as since
from .errors import CHANGED_VARIABLE, WRONG_VALUE, EngineError, UnknownStatement
from .grammar_parts import Parser
from .privileges import like_pattern
from .tokens import Kind, SyntaxRefused, tokenize
from .versions import Version

if TYPE_CHECKING:
    from .session import Session

GREETING = "5.7.32"
_READ_ONLY = frozenset(
    {
        *("memsql_version", "version", "version_comment", "sync_permissions", "hostname", "port", "aggregator_id"),
        *("lower_case_table_names", "system_time_zone", "in_transaction", "table_name_case_sensitivity"),
    }
)
_CHARACTER_SETS = ("utf8mb4", "utf8", "utf8mb3")
_ISOLATION = ("READ", "COMMITTED")


class Variables:
    """The names, with the values of a new session; GLOBAL changes the defaults."""

    def __init__(self, version: Version, *, sync_permissions: bool) -> None:
        no_auto_create = version >= since.NO_AUTO_CREATE_USER
        self.defaults: dict[str, Any] = {
            "memsql_version": f"{version}.1",
            "version": GREETING,
            "version_comment": "SingleStoreDB, played by a double for tests",
            "sync_permissions": sync_permissions,
            "autocommit": True,
            "in_transaction": False,
            "sql_mode": "STRICT_ALL_TABLES" + (",NO_AUTO_CREATE_USER" if no_auto_create else ""),
            "tx_isolation": "READ-COMMITTED",
            "transaction_isolation": "READ-COMMITTED",
            "character_set_client": "utf8mb4",
            "character_set_connection": "utf8mb4",
            "character_set_results": "utf8mb4",
            "character_set_database": "utf8mb4",
            "character_set_server": "utf8mb4",
            "collation_connection": "utf8mb4_general_ci",
            "collation_database": "utf8mb4_general_ci",
            "collation_server": "utf8mb4_general_ci",
            "lower_case_table_names": 0,
            "table_name_case_sensitivity": True,
            "lock_wait_timeout": 60,
            "multi_statement_xact_idle_timeout": 3600,
            "max_allowed_packet": 104857600,
            "max_connections": 100000,
            "wait_timeout": 28800,
            "interactive_timeout": 28800,
            "connect_timeout": 10,
            "net_read_timeout": 3600,
            "net_write_timeout": 3600,
            "time_zone": "SYSTEM",
            "system_time_zone": "UTC",
            "hostname": "localhost",
            "port": 0,
            "aggregator_id": 1,
            "privilege_transfer_mode": "grant_option",
            "jwks_endpoint": "",
            "password_min_length": 0,
            "password_min_uppercase_chars": 0,
            "password_min_lowercase_chars": 0,
            "password_min_numeric_chars": 0,
            "password_min_special_chars": 0,
            "password_history_count": 0,
            "password_expiration_seconds": 0,
            "password_expiration_mode": "LIMITED_ACCESS",
        }

    def value(self, session: Session, name: str, *, of_session: bool = True) -> Any:
        """The value of ``name``.

        Raises:
            UnknownStatement: there is no such variable.
        """
        name = name.lower()
        if name not in self.defaults:
            raise UnknownStatement(f"unknown system variable '{name}'", number=1193)
        if name == "in_transaction":
            return session.in_transaction
        if name == "port":
            return session.node.port
        if name == "aggregator_id":
            return session.node.id
        return session.variables.get(name, self.defaults[name]) if of_session else self.defaults[name]

    def shown(self, session: Session, like: str | None) -> Iterator[tuple[str, str]]:
        """Rows of SHOW VARIABLES."""
        pattern = like_pattern(like if like is not None else "%", ignore_case=True)
        for name in sorted(self.defaults):
            if pattern.fullmatch(name):
                value = self.value(session, name)
                yield name, ("ON" if value else "OFF") if isinstance(value, bool) else str(value)


def set_variables(session: Session, sql: str) -> None:
    """Execute SET, all of its assignments or none.

    Raises:
        EngineError: a variable that can't be changed, or not by this session.
        SyntaxRefused: not a SET statement that is understood.
    """
    tokens = tokenize(sql, backslash_escapes=session.backslash_escapes, ansi_quotes=session.ansi_quotes)
    p = Parser(tokens, session.node.cluster.version)
    p.need("SET")
    assignments: list[tuple[str, Any, bool]] = []
    for part in p.several(lambda: _assignment(p)):
        assignments += part
    p.sign(";")
    p.end()
    variables = session.node.cluster.variables
    for name, value, is_global in assignments:
        _check(session, name, value, is_global)
    for name, value, is_global in assignments:
        target = variables.defaults if is_global else session.variables
        if value is None:
            value = variables.defaults[name]
        target[name] = bool(value) if isinstance(variables.defaults[name], bool) else value


def _assignment(p: Parser) -> list[tuple[str, Any, bool]]:
    if p.words("NAMES"):
        charset = _text(p).lower()
        collation = _text(p).lower() if p.words("COLLATE") else None
        names = [(f"character_set_{what}", charset, False) for what in ("client", "connection", "results")]
        return names if collation is None else [*names, ("collation_connection", collation, False)]
    scope = _scope(p)
    if p.words("TRANSACTION"):
        p.need("ISOLATION", "LEVEL")
        if not p.words(*_ISOLATION):
            raise SyntaxRefused("only READ COMMITTED exists")
        return [(name, "READ-COMMITTED", scope) for name in ("tx_isolation", "transaction_isolation")]
    name = p.expect(Kind.WORD, "a variable").text.lower()
    p.need_sign("=")
    return [(name, _value(p), scope)]


def _scope(p: Parser) -> bool:
    """Step over the scope, in its three spellings; True for GLOBAL."""
    at = p.sign("@")
    if at:
        p.need_sign("@")
    is_global = p.words("GLOBAL")
    named = is_global or p.words("SESSION") or p.words("LOCAL")
    if at and named:
        p.need_sign(".")
    return is_global


def _text(p: Parser) -> str:
    return p.string("a name") if not p.sees_word() else p.expect(Kind.WORD, "a name").text


def _value(p: Parser) -> Any:
    """A literal; DEFAULT is None, ON and OFF are what they say."""
    if p.sees_number():
        return p.number()
    if not p.sees_word():
        return p.string("a value")
    word = p.expect(Kind.WORD, "a value").text
    return {"ON": True, "TRUE": True, "OFF": False, "FALSE": False, "DEFAULT": None}.get(word.upper(), word)


def _check(session: Session, name: str, value: Any, is_global: bool) -> None:
    cluster = session.node.cluster
    now = cluster.variables.value(session, name)
    if name in _READ_ONLY:
        raise EngineError(CHANGED_VARIABLE, f"Variable '{name}' is a read only variable")
    if name in ("tx_isolation", "transaction_isolation") and value != "READ-COMMITTED":
        raise EngineError(WRONG_VALUE, f"Variable '{name}' can't be set to the value of '{value}'")
    if name.startswith("character_set_") and value not in _CHARACTER_SETS:
        raise EngineError(WRONG_VALUE, f"the double speaks {', '.join(_CHARACTER_SETS)}, not {value}")
    if isinstance(now, int) and value is not None and not isinstance(value, int):
        raise EngineError(WRONG_VALUE, f"Variable '{name}' can't be set to the value of '{value}'")
    if isinstance(now, str) and value is not None and not isinstance(value, str):
        raise EngineError(WRONG_VALUE, f"Variable '{name}' can't be set to the value of '{value}'")
    if is_global:
        rights = session.node.rights(session)
        if not rights.has("SUPER") and not rights.has("SYSTEM_VARIABLES_ADMIN"):
            raise EngineError(cluster.behaviour.denied_error, "Access denied; SET GLOBAL needs the SUPER privilege")
