"""What is noted of a person: under which address and ids they stand, what was begun, and what they were before.

The note outlives a crash at any step, so it says what was *intended* before that is done, and names what is to be
cleared away until it is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from scim_gateway_provisioning.target import Known


@dataclass(frozen=True, slots=True)
class Standing:
    """One address under which somebody is, was, or is about to be in the organization.

    :param user: id of the member, once there is one.
    :param invitation: id of the invitation.
    :param ours: the gateway was about to invite the address, or has: who shows up there is theirs.
    :param fresh: when they were first seen as a member; rights that come late are looked for until a while after.
    :param left: they were taken out before, and seen to be out.
    """

    address: str
    user: str | None = None
    invitation: str | None = None
    ours: bool = False
    fresh: datetime | None = None
    left: bool = False

    @property
    def managed(self) -> bool:
        """Whether the address is under management: otherwise it is only wanted, and may be somebody else's."""
        return self.ours or self.left or self.user is not None or self.invitation is not None

    @property
    def unseen(self) -> bool:
        """Whether what rights they have came with the acceptance, and nobody has given them any since."""
        return self.ours and (self.user is None or self.fresh is not None)


@dataclass(frozen=True, slots=True)
class Note:
    """The note of a person.

    :param now: where they stand, or will; ``None``: they are not in the organization.
    :param sent: when the invitation was sent, by the clock of the API.
    :param former: addresses that are given up as soon as ``now`` stands.
    :param left: the address under which they were, of somebody inactive.
    """

    now: Standing | None = None
    sent: datetime | None = None
    former: tuple[Standing, ...] = field(default=())
    left: str | None = None

    @classmethod
    def of(cls, known: Known) -> Note:
        """Read what provisioning kept."""
        if "name" not in known:
            return cls(left=known.get("left"))
        former = tuple(_standing(one) for one in known.get("former", ()))
        return cls(_standing(known), _instant(known.get("sent")), former)

    @property
    def known(self) -> Known:
        """As provisioning keeps it."""
        if self.now is None:
            return {} if self.left is None else {"left": self.left}
        known: dict[str, Any] = _written(self.now)
        if self.sent is not None:
            known["sent"] = self.sent.isoformat()
        if self.former:
            known["former"] = [_written(one) for one in self.former]
            known["also"] = [one.address for one in self.former]
        return known

    @property
    def everywhere(self) -> tuple[Standing, ...]:
        """Every address under management that is, or may be, in the organization for this person."""
        if self.now is None:
            return () if self.left is None else (Standing(self.left, left=True),)
        return tuple(one for one in (self.now, *self.former) if one.managed)

    @property
    def users(self) -> tuple[str, ...]:
        """Ids of all members that are this person."""
        return tuple(one.user for one in self.everywhere if one.user is not None)

    def gone(self) -> Note:
        """The note of the person when they were taken out everywhere."""
        return Note(left=next((one.address for one in self.everywhere), None))

    def at(self, **changes: Any) -> Note:
        """With other facts about where they stand."""
        assert self.now is not None
        return replace(self, now=replace(self.now, **changes))


def _standing(known: Mapping[str, Any]) -> Standing:
    return Standing(
        str(known["name"]),
        known.get("user"),
        known.get("invitation"),
        bool(known.get("ours")),
        _instant(known.get("fresh")),
    )


def _written(one: Standing) -> dict[str, Any]:
    facts = {
        "user": one.user,
        "invitation": one.invitation,
        "ours": one.ours or None,
        "fresh": one.fresh.isoformat() if one.fresh is not None else None,
    }
    return {"name": one.address, **{name: fact for name, fact in facts.items() if fact is not None}}


def _instant(text: Any) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
