"""What the questions of a probe share: throw-away names, what is made under them, and that all of it goes again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from .accounts import password_nobody_keeps
from .connection import Connections
from .facts import Facts
from .failures import Refused
from .statements import (
    ALL_USERS,
    GROUPS,
    ROLES,
    Identified,
    Statement,
    create_group,
    create_role,
    create_user,
    drop_group,
    drop_role,
    drop_user,
)
from .users import account_of
from .work import Work

PREFIX = "zz_scimprobe_"


class ProbeFailed(Exception):
    """The server does something that the gateway cannot work with; the text says what."""


@dataclass(slots=True)
class Prober:
    """One run.

    :param facts: what was found so far.
    """

    work: Work
    connections: Connections
    token: str = field(default_factory=lambda: secrets.token_hex(2))
    facts: Facts = field(default_factory=Facts)

    def found(self, **facts: Any) -> None:
        """Keep what the gateway works by from now on."""
        self.facts = replace(self.facts, **facts)

    def name(self, end: str, length: int = 0) -> str:
        """A throw-away name, filled up to a length."""
        return f"{PREFIX}{self.token}_{end}".ljust(length, "x")

    def clean(self) -> None:
        """Remove everything that a probe has made."""
        line = self.work.line
        for account in (account_of(row) for row in line.records(ALL_USERS)):
            if account.name.startswith(PREFIX) and account.host == "%" and not account.deleted:
                line.run(drop_user(account.name))
        for listing, drop in ((GROUPS, drop_group), (ROLES, drop_role)):
            for row in line.rows(listing):
                if str(row[0]).startswith(PREFIX):
                    line.run(drop(str(row[0])))

    def number(self, statement: Statement) -> str:
        """What comes of a statement, in a word."""
        try:
            self.work.run(statement)
        except Refused as error:
            return f"error {error.number}"
        return "no error"

    def user(self, end: str = "u", password: str | None = None) -> str:
        """Make an account."""
        name = self.name(end)
        self.work.run(create_user(name, Identified(None, password or password_nobody_keeps())))
        return name

    def group(self, end: str = "g") -> str:
        """Make a group."""
        name = self.name(end)
        self.work.run(create_group(name))
        return name

    def role(self, end: str = "r") -> str:
        """Make a role that gives nothing."""
        name = self.name(end)
        self.work.run(create_role(name))
        return name
