"""What provisioning tells its neighbours, and where they may refuse: audit trail, pause, limits, adoption."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from scim_gateway_sql.database import Session

from scim_gateway.errors import ScimError
from scim_gateway.schema import Resource

from .target import Kind


@dataclass(slots=True)
class Change:
    """What one operation made of one resource, of any type.

    :param before: as it was, ``None`` if it is new; without members where those are kept apart.
    :param after: as it is, ``None`` if it is gone.
    :param added: ids of members that came, each with the name of its resource type.
    :param removed: ids of members that went.
    :param disbanded: ids of the members that a group had when it was deleted.
    :param uprooted: whether a target takes away what it had, although the directory keeps the resource: the name by
        which a person logs in, or a whole group that it is not to have any more.
    """

    kind: str
    id: str
    before: Resource | None
    after: Resource | None
    added: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    disbanded: frozenset[str] = frozenset()
    uprooted: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """How a resource stands in a target after an attempt.

    :param outcome: ``done``, or ``pending`` (it is tried again).
    :param error: one line for the operator, if it is pending.
    """

    target: str
    kind: Kind
    id: str
    outcome: Literal["done", "pending"]
    error: str | None = None


class Journal:
    """Called at every change, inside its transaction; the default keeps no journal and refuses nothing."""

    def recorded(self, session: Session, changes: Sequence[Change], *, undone: bool = False) -> None:
        """The last statements of a transaction that changed something.

        :param undone: the changes take back what a target could not do.
        :raises scim_gateway.errors.ScimError: the changes are refused (pause, limit of removals); nothing happens.
        """

    def named(self, session: Session, *, revoking: bool) -> None:
        """A request that changes nothing names what is pending, which then is settled before the answer.

        :param revoking: whether all of it takes rights away.
        :raises scim_gateway.errors.ScimError: not now.
        """

    def marked(self, session: Session, results: Sequence[Result]) -> None:
        """The last statements of a transaction that notes what came of changes in a target."""

    def goes_on(self, *, revoking: bool) -> bool:
        """Whether the gateway may go on with pending work by itself.

        :param revoking: whether it takes rights away.
        """
        return True

    def refused(self, changes: Sequence[Change], error: ScimError) -> None:
        """A write was answered with an error; outside of any transaction.

        :param changes: what it had changed until then; empty if it was refused before.
        """


class Adoption:
    """Which existing users and groups of a target may be taken under management; by default none."""

    def allowed(self, session: Session, target: str, kind: Kind, keys: Collection[bytes]) -> Collection[bytes]:
        """Those of the keys of names that are listed for adoption."""
        return ()
