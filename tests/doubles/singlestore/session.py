"""One client's connection as the Engine sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalog import User
    from .cluster import Node
    from .privileges import Rights

Warning_ = tuple[str, int, str]


@dataclass(eq=False, repr=False)
class Session:
    """What belongs to a connection that has logged in.

    Attributes:
        id: unique on its node only.
        client: address and port of the client.
        rights_at_login: what its user could do when it logged in.
        since: when the current command began, or the last one ended.
    """

    id: int
    node: Node
    user: User
    client: tuple[str, int]
    rights_at_login: Rights
    since: datetime
    database: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    warnings: list[Warning_] = field(default_factory=list)
    command: str = "Sleep"
    statement: str | None = None
    in_transaction: bool = False

    @property
    def sql_mode(self) -> frozenset[str]:
        mode = self.variables.get("sql_mode", self.node.cluster.variables.defaults["sql_mode"])
        return frozenset(str(mode).upper().split(","))

    @property
    def backslash_escapes(self) -> bool:
        return "NO_BACKSLASH_ESCAPES" not in self.sql_mode

    @property
    def ansi_quotes(self) -> bool:
        return bool(self.sql_mode & {"ANSI", "ANSI_QUOTES"})
