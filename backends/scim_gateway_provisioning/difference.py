"""What is compared, and what comes of it: the directory as a target is to have it, and one difference."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from scim_gateway.provisioned import ACTIONS, Step

Edge = tuple[str, str]
"""SCIM ids of a group and of a member."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A resource of the directory as one target is to have it.

    :param name: the name that it has to have there.
    :param key: what that name is compared by (:meth:`.target.Target.name_key`).
    :param noted: key of the name under which the target noted it; ``None``: not made yet.
    :param settled: whether nothing is pending for it.
    :param waiting: whether the target waits for somebody (an invitation) before it is really there.
    :param adoptable: whether what the gateway did not make may be taken under management.
    """

    id: str
    name: str
    key: bytes
    active: bool = True
    noted: bytes | None = None
    settled: bool = True
    waiting: bool = False
    adoptable: bool = False

    @property
    def confirmed(self) -> bool:
        """Whether the target had it as it has to be: what differs now was changed by hand."""
        return self.settled and self.noted is not None


@dataclass(frozen=True, slots=True)
class Side:
    """All resources of one kind.

    :param wanted: those that the target is to have, by SCIM id.
    :param gone: key of the noted name of those that it is not to have any more, by SCIM id.
    :param unfit: key of the noted name of those that the gateway may not or cannot manage there (protected, or without
        a name that fits), and the reason, by SCIM id; what stands there for them is not touched.
    """

    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    gone: Mapping[str, bytes | None] = field(default_factory=dict)
    unfit: Mapping[str, tuple[bytes | None, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Survey:
    """The whole directory as one target is to have it.

    :param members: by the id of a group, the ids of those who have to be members: active users (nested groups are
        resolved already), and groups where the target nests.
    :param pending: memberships that are pending work.
    :param moving: ids of resources that are being changed while this is read: nothing is concluded about them.
    :param moving_edges: memberships of which the same is true.
    """

    users: Side
    groups: Side
    members: Mapping[str, Collection[str]]
    pending: frozenset[Edge] = frozenset()
    moving: frozenset[str] = frozenset()
    moving_edges: frozenset[Edge] = frozenset()
    warnings: Sequence[str] = ()


DEACTIVATE = "active in the target, inactive in the directory"
ACTIVATE = "inactive in the target, active in the directory"
MISSING = "missing"
ADOPT = "exists already, listed for adoption"
NAME_TAKEN = "exists already and is not the gateway's: adopt it, or give the one in the directory another name"
NOT_OURS = "not the gateway's"
LEFT_OVER = "carries the gateway's mark, unknown to the directory"
GONE = "not wanted in the target any more"
SECOND = "left over under an earlier name"
UNNOTED = "made, not noted yet"
UNFINISHED = (SECOND, UNNOTED)
"""What a step leaves that was cut short."""

NOT_A_MEMBER = "no member in the directory"
INACTIVE_MEMBER = "a member who is inactive in the directory"
FOREIGN_MEMBER = "a member who is not the gateway's"


@dataclass(frozen=True, slots=True)
class Difference:
    """A step, and what it takes to carry it out.

    :param effect: the step's reason without its cause.
    :param resource: SCIM id whose settling brings the step about.
    :param member: of a membership: SCIM id of the member.
    :param left_over: SCIM id in the target's mark, of something that the directory does not know at all.
    :param stands: name in the target, where the target's own mark says it and the note says otherwise, or nothing.
    :param renames: the step gives a user another name, and whoever knows only the old one does not get in any more.
    :param again: the step takes what the gateway took before, by the target's own mark: it was counted then.
    :param doubtful: the step gives what the gateway took, by the target's own mark, to somebody whom the directory had
        confirmed as active: the directory may be an old one.
    """

    step: Step
    effect: str
    resource: str | None = None
    member: str | None = None
    left_over: str | None = None
    stands: str | None = None
    renames: bool = False
    again: bool = False
    doubtful: bool = False

    @property
    def to_do(self) -> bool:
        """Whether this is a step to take, not one to tell of."""
        return self.step.action in ACTIONS

    @property
    def revokes(self) -> bool:
        """Whether the step takes rights away."""
        return self.step.action == "remove" or (self.step.action == "change" and self.effect == DEACTIVATE)

    @property
    def fingerprint(self) -> bytes:
        """The same for the same step, whether it is pending or was made necessary by hand."""
        step = self.step
        parts = [step.target, step.action, step.kind, step.name, step.member, self.effect, step.id, self.left_over]
        return hashlib.blake2b(orjson.dumps(parts), digest_size=8).digest()
