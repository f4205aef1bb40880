"""Who holds which privilege where, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from .statements import Scope

ALL = "ALL PRIVILEGES"
GRANT_OPTION = "GRANT OPTION"
WITH_GRANT_OPTION = "WITH GRANT OPTION"
_GRANT_OPTIONS = frozenset({GRANT_OPTION, WITH_GRANT_OPTION})
EVERYWHERE = Scope()


@dataclass
class Grants:
    """What one user or role was granted: privileges by scope, and those of them that it may hand on."""

    held: dict[Scope, set[str]] = field(default_factory=dict)
    transferable: dict[Scope, set[str]] = field(default_factory=dict)

    def add(self, scope: Scope, privileges: Iterable[str], *, transferable: bool = False) -> None:
        self.held.setdefault(scope, set()).update(privileges)
        if transferable:
            self.transferable.setdefault(scope, set()).update(privileges)

    def remove(self, scope: Scope, privileges: Iterable[str]) -> None:
        """Take privileges of exactly this scope; ALL takes all but the grant option, which goes by its own name."""
        names = set(privileges)
        for table in (self.held, self.transferable):
            left = table.pop(scope, set()) - names
            if ALL in names:
                left &= _GRANT_OPTIONS
            if GRANT_OPTION in names:
                left -= _GRANT_OPTIONS
            if left:
                table[scope] = left

    def clear(self) -> None:
        self.held.clear()
        self.transferable.clear()

    def lines(self, grantee: str) -> list[str]:
        """As SHOW GRANTS writes them, the cluster's first."""
        scopes = {EVERYWHERE: set[str](), **self.held}
        lines = [_line("GRANT", scope, privileges, grantee) for scope, privileges in scopes.items()]
        lines += [_line("GRANT TRANSFERABLE", scope, held, grantee) for scope, held in self.transferable.items()]
        return lines

    def copy(self) -> Grants:
        return Grants(
            {scope: set(names) for scope, names in self.held.items()},
            {scope: set(names) for scope, names in self.transferable.items()},
        )


def _line(begin: str, scope: Scope, privileges: set[str], grantee: str) -> str:
    names = sorted(privileges - _GRANT_OPTIONS - {"USAGE"})
    text = ALL if ALL in names else ", ".join(names) or "USAGE"
    option = " WITH GRANT OPTION" if privileges & _GRANT_OPTIONS else ""
    return f"{begin} {text} ON {scope} TO {grantee}{option}"


@lru_cache(maxsize=256)
def like_pattern(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """A pattern of LIKE as a regular expression: ``%`` any text, ``_`` any character, a backslash takes the magic."""
    parts = re.findall(r"\\?.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile(
        "".join(wild.get(part) or re.escape(part[-1] if part[0] == "\\" else part) for part in parts),
        re.DOTALL | (re.IGNORECASE if ignore_case else 0),
    )


def _covers(scope: Scope, database: str | None, table: str | None) -> bool:
    if scope.database is None:
        return True
    if database is None:
        return False
    if scope.database.startswith("#"):
        same = like_pattern(scope.database[1:]).fullmatch(database) is not None
    else:
        same = scope.database == database
    return same and (scope.table is None or scope.table == table)


@dataclass(frozen=True)
class Rights:
    """Everything that a session may do: the grants of its user and of the roles of the user's groups."""

    grants: tuple[Grants, ...]
    grant_permission_by: frozenset[str] = _GRANT_OPTIONS

    def has(self, privilege: str, database: str | None = None, table: str | None = None) -> bool:
        """Whether ``privilege`` is held for the cluster, or for this database or table."""
        return any(
            (privilege in names or ALL in names) and _covers(scope, database, table)
            for grants in self.grants
            for scope, names in grants.held.items()
        )

    def has_grant_permission(self, scope: Scope = EVERYWHERE) -> bool:
        """Whether others may be granted something of ``scope``; of the cluster, and groups and roles be managed."""
        return any(
            names & self.grant_permission_by and _covers(held, scope.database, scope.table)
            for grants in self.grants
            for held, names in grants.held.items()
        )

    def may_transfer(self, privilege: str, scope: Scope) -> bool:
        """Whether it was granted as TRANSFERABLE, for the mode per_privilege."""
        return any(
            (privilege in names or ALL in names) and _covers(held, scope.database, scope.table)
            for grants in self.grants
            for held, names in grants.transferable.items()
        )

    def touches(self, database: str) -> bool:
        """Whether anything at all is held in ``database``, so that it can be used."""
        return any(
            names - {"USAGE"} and (scope.database is None or _covers(scope, database, scope.table))
            for grants in self.grants
            for scope, names in grants.held.items()
        )

    def exceed(self, others: Rights) -> bool:
        """Whether these hold a privilege of the cluster that ``others`` do not."""
        names = {name for grants in self.grants for name in grants.held.get(EVERYWHERE, ())} - {"USAGE"}
        return any(not others.has(name) for name in names - _GRANT_OPTIONS) or (
            bool(names & self.grant_permission_by) and not others.has_grant_permission()
        )

    def frozen(self) -> Rights:
        """The same as they are now, whatever is revoked later."""
        return Rights(tuple(grants.copy() for grants in self.grants), self.grant_permission_by)
