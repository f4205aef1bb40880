"""The lines of SHOW GRANTS as data: which privileges, on what; and which of them make an administrator."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

EVERYWHERE = "*.*"

# The vendor's list of privilege types (page of GRANT, 9.1): nothing else is ever handed on.
PRIVILEGES = frozenset(
    {"ALL PRIVILEGES", "USAGE", "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "RELOAD", "PROCESS"}
    | {"FILE READ", "FILE WRITE", "INDEX", "ALTER", "SHOW METADATA", "GRANT OPTION", "SUPER", "SYSTEM_VARIABLES_ADMIN"}
    | {"CREATE TEMPORARY TABLES", "LOCK TABLES", "CREATE VIEW", "SHOW VIEW", "ALTER VIEW", "DROP VIEW"}
    | {"CREATE USER", "ALTER USER", "CLUSTER", "BACKUP", "CREATE DATABASE", "DROP DATABASE", "CREATE PIPELINE"}
    | {"DROP PIPELINE", "ALTER PIPELINE", "START PIPELINE", "SHOW PIPELINE", "EXECUTE", "CREATE ROUTINE"}
    | {"ALTER ROUTINE", "SHOW ROUTINE", "CREATE POOL", "DROP POOL", "CREATE LINK", "DROP LINK", "SHOW LINK"}
    | {"OUTBOUND", "ALTER EVENT TRACE"}
)
#: Wherever they are held: who has one of them can hand on rights.
_HANDED_ON = frozenset({"GRANT OPTION", "CREATE USER", "ALTER USER"})
#: Held for the whole cluster.
_OF_THE_CLUSTER = frozenset(
    {"ALL PRIVILEGES", "SUPER", "CLUSTER", "PROCESS", "RELOAD", "FILE READ", "FILE WRITE", "SYSTEM_VARIABLES_ADMIN"}
    | {"BACKUP", "CREATE DATABASE", "DROP DATABASE", "CREATE POOL", "DROP POOL", "ALTER EVENT TRACE"}
)
ADMINISTRATIVE = _HANDED_ON | _OF_THE_CLUSTER

_NAME = r"(?:`(?:[^`]|``)*`|[A-Za-z0-9_$#]+)"
_LINE = re.compile(
    r"GRANT (?P<transferable>TRANSFERABLE )?(?P<privileges>[A-Z_, ]+?) "
    rf"ON (?P<scope>\*\.\*|\*|{_NAME}\.(?:\*|{_NAME})) TO (?P<rest>.+)",
    re.DOTALL | re.IGNORECASE,
)
# Membership of groups and roles of groups are read from views; where SHOW GRANTS lists them too, they say nothing new.
_LINK = re.compile(r"GRANT (ROLE|GROUP) (?!ON )", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Grant:
    """One line: privileges on one scope.

    :param scope: ``*.*``, or the database and ``*`` or the table, each in backquotes, fit to be written in a statement.
    :param handed_on: whether the holder may give them to others.
    """

    privileges: tuple[str, ...]
    scope: str
    handed_on: bool = False

    @property
    def everywhere(self) -> bool:
        """Whether it is for the whole cluster."""
        return self.scope == EVERYWHERE

    @property
    def administrative(self) -> str | None:
        """What of it makes its holder an administrator, in a word; ``None``: nothing does."""
        if self.handed_on:
            return "GRANT OPTION"
        held = _HANDED_ON | _OF_THE_CLUSTER if self.everywhere else _HANDED_ON
        return next((name for name in self.privileges if name in held), None)


class UnreadableGrant(ValueError):
    """A line of SHOW GRANTS that is none that is known: what it gives has to be taken for everything."""


def parse_grant(line: str) -> Grant | None:
    """One line of SHOW GRANTS; ``None``: it only names a group or a role.

    :raises UnreadableGrant: it cannot be understood.
    """
    found = _LINE.fullmatch(line.strip())
    if found is None:
        if _LINK.match(line.strip()):
            return None
        raise UnreadableGrant(line)
    names = [name.strip().upper() for name in found["privileges"].split(",")]
    privileges = tuple("ALL PRIVILEGES" if name == "ALL" else name for name in names)
    scope = found["scope"]
    if scope == "*" or any(name not in PRIVILEGES for name in privileges):
        raise UnreadableGrant(line)
    option = found["transferable"] is not None or "WITH GRANT OPTION" in found["rest"].upper()
    return Grant(privileges, _written(scope), option)


def _written(scope: str) -> str:
    """A scope with every name in backquotes."""
    if scope == EVERYWHERE:
        return scope
    parts = re.findall(rf"\*|{_NAME}", scope)
    return ".".join(part if part == "*" or part.startswith("`") else f"`{part}`" for part in parts)


def administrative_in(lines: Iterable[str]) -> str | None:
    """What makes the holder of these lines an administrator, in a word; ``None``: nothing does."""
    for line in lines:
        try:
            grant = parse_grant(line)
        except UnreadableGrant:
            return "a grant that the gateway cannot read"
        if grant is not None and grant.administrative is not None:
            return grant.administrative
    return None


def privileges_of_cluster(lines: Iterable[str]) -> Iterator[str]:
    """The privileges that these lines give for the whole cluster; what cannot be read gives none."""
    for line in lines:
        try:
            grant = parse_grant(line)
        except UnreadableGrant:
            continue
        if grant is not None and grant.everywhere:
            yield from grant.privileges
            if grant.handed_on:
                yield "GRANT OPTION"
