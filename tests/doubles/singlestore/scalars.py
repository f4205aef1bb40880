"""SELECT without FROM: variables, who and where one is, the time; what drivers and health checks ask."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from .results import Rows
from .tokens import Kind, SyntaxRefused, tokenize

if TYPE_CHECKING:
    from .session import Session

_BEGIN = re.compile(r"\s*SELECT\s+(.*?)(?:\s+FROM\s+DUAL)?(?:\s+LIMIT\s+1)?\s*;?\s*\Z", re.IGNORECASE | re.DOTALL)
_ITEM = re.compile(
    r"""\s*(?P<expression>
          @@(?:(?P<scope>session|local|global)\.)?(?P<variable>\w+)
        | (?P<function>\w+)\(\s*(?P<argument>\d*|NOW\(6?\))\s*\)
        | (?P<constant>CURRENT_USER|CURRENT_TIMESTAMP|NULL|TRUE|FALSE)\b
        | (?P<number>-?\d+)
        | (?P<literal>'[^'\\]*'|"[^"\\]*")
        )(?:\s+(?:AS\s+)?(?P<alias>`[^`]+`|'[^'\\]+'|[A-Za-z_]\w*))?\s*(?P<comma>,|\Z)""",
    re.IGNORECASE | re.VERBOSE,
)


class _Item(NamedTuple):
    header: str
    value: Callable[[Session], Any]


def select(session: Session, sql: str) -> Rows | None:
    """Answer a SELECT of scalars, or None when something in it is not known here."""
    items = _items(sql)
    if items is None:
        return None
    return Rows([item.header for item in items], [tuple(item.value(session) for item in items)])


def _items(sql: str) -> list[_Item] | None:
    body = _BEGIN.match(sql)
    if body is None:
        return None
    text, at = body[1], 0
    items: list[_Item] = []
    while True:
        found = _ITEM.match(text, at)
        if found is None:
            return None
        value = _value(found)
        if value is None:
            return None
        alias = found["alias"]
        items.append(_Item(alias.strip("`'") if alias else found["expression"], value))
        at = found.end()
        if not found["comma"]:
            return items


def _value(found: re.Match[str]) -> Callable[[Session], Any] | None:
    if found["variable"]:
        name, of_session = found["variable"], (found["scope"] or "").lower() != "global"
        return lambda session: _plain(session.node.cluster.variables.value(session, name, of_session=of_session))
    if found["number"]:
        number = int(found["number"])
        return lambda session: number
    if found["literal"]:
        return _literal(found["literal"])
    name = (found["function"] or found["constant"]).upper()
    function = _FUNCTIONS.get(name)
    if function is None:
        return None
    argument = found["argument"] or ""
    return lambda session: function(session, argument)


def _literal(text: str) -> Callable[[Session], Any] | None:
    try:
        token, _end = tokenize(text)
    except SyntaxRefused:
        return None
    return (lambda session: token.value) if token.kind is Kind.STRING else None


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _digits(moment: datetime, argument: str) -> str:
    return moment.isoformat(" ", "microseconds" if argument == "6" else "seconds")


def _now(session: Session, argument: str) -> str:
    """The time in the session's time zone: that of the machine, or an offset like ``+00:00``."""
    utc = session.node.cluster.clock.now()
    zone = str(session.node.cluster.variables.value(session, "time_zone"))
    offset = re.fullmatch(r"([+-])(\d\d?):(\d\d)", zone)
    if offset:
        shift = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return _digits(utc - shift if offset[1] == "-" else utc + shift, argument)
    local = datetime.now().astimezone().utcoffset() or timedelta()
    return _digits(utc + local, argument)


def _unix_timestamp(session: Session, argument: str) -> Any:
    seconds = (session.node.cluster.clock.now() - datetime(1970, 1, 1)).total_seconds()
    return f"{seconds:.6f}" if "6" in argument else int(seconds)


def _current_user(session: Session, _argument: str) -> str:
    return f"{session.user.account.name}@{session.user.account.host}"


def _user(session: Session, _argument: str) -> str:
    return f"{session.user.account.name}@{session.client[0]}"


_FUNCTIONS: dict[str, Callable[[Session, str], Any]] = {
    "CURRENT_USER": _current_user,
    "USER": _user,
    "SESSION_USER": _user,
    "SYSTEM_USER": _user,
    "CONNECTION_ID": lambda session, _: session.id,
    "DATABASE": lambda session, _: session.database,
    "SCHEMA": lambda session, _: session.database,
    "VERSION": lambda session, _: session.node.cluster.variables.value(session, "version"),
    "NOW": _now,
    "CURRENT_TIMESTAMP": _now,
    "UTC_TIMESTAMP": lambda session, argument: _digits(session.node.cluster.clock.now(), argument),
    "UNIX_TIMESTAMP": _unix_timestamp,
    "NULL": lambda session, _: None,
    "TRUE": lambda session, _: 1,
    "FALSE": lambda session, _: 0,
}
