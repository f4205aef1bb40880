"""What the command line asks of a backend that feeds targets: plans, pending work, adoption, pause, audit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Progress = Callable[[int, int], None]
"""Called with how many steps are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a plan.

    :param target: name of the target.
    :param action: ``add``, ``change``, ``remove``, ``unmanaged``, ``protected``; the last two are told, never done.
    :param kind: ``User``, ``Group`` or ``Membership``.
    :param name: name in the target; of a membership the group's.
    :param member: name of the member, for a membership.
    :param reason: why, in a few words: ``missing``, ``active in the target, inactive in the directory``, …
    :param id: SCIM id of the resource, where the directory has one.
    """

    target: str
    action: str
    kind: str
    name: str
    member: str | None = None
    reason: str = ""
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference between directory and targets.

    :param hash: changes when the steps do; ``apply`` checks it.
    :param staged: why the plan needs an approval before it is applied (mass removal), or ``None``.
    """

    steps: Sequence[Step]
    hash: str
    warnings: Sequence[str] = ()
    staged: str | None = None

    @property
    def to_do(self) -> Sequence[Step]:
        """The steps that ``apply`` would take."""
        return [step for step in self.steps if step.action in ("add", "change", "remove")]


@dataclass(frozen=True, slots=True)
class Pending:
    """A resource whose desired state a target does not have yet."""

    target: str
    kind: str
    id: str
    name: str | None
    since: datetime
    attempts: int
    next_try: datetime | None
    error: str | None
    revoking: bool


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One line of the audit trail; ``detail`` names what changed and the result per target, never a secret."""

    sequence: int
    at: datetime
    request_id: str | None
    actor: str
    agent: str | None
    action: str
    kind: str | None
    id: str | None
    name: str | None
    outcome: str
    detail: Mapping[str, Any] = field(default_factory=dict)


class Provisioned(ABC):
    """Ability of a backend that feeds targets."""

    @property
    @abstractmethod
    def targets(self) -> Sequence[str]:
        """Names of the targets."""

    @abstractmethod
    def plan(self, progress: Progress | None = None) -> Plan:
        """Compare the whole directory with the whole of every target."""

    @abstractmethod
    def apply(self, hash: str, progress: Progress | None = None) -> Plan:
        """Carry out the plan with this hash; what is left to do afterwards.

        :raises scim_gateway.errors.Conflict: the plan is another one by now, or needs an approval.
        """

    @abstractmethod
    def approve(self, hash: str | None = None) -> str:
        """Approve a staged plan, or (without a hash) live removals beyond the limit for a while; says what was done."""

    @abstractmethod
    def pending(self) -> Sequence[Pending]:
        """What the targets do not have yet, oldest first."""

    @abstractmethod
    def adopt(self, target: str, kind: str, names: Collection[str]) -> Sequence[str]:
        """Allow existing users or groups of a target to be taken under management; a line for each name."""

    @abstractmethod
    def pause(self, reason: str) -> None:
        """Refuse changes until :meth:`resume`; reading goes on."""

    @abstractmethod
    def resume(self) -> None:
        """Accept changes again."""

    @abstractmethod
    def paused(self) -> str | None:
        """The reason of the pause, if there is one."""

    @abstractmethod
    def state_of(self, id: str) -> Mapping[str, Mapping[str, Any]]:
        """For each target: how the resource stands there (``name``, ``state``, ``error``, ``waiting``)."""

    @abstractmethod
    def audit(
        self, *, user: str | None, since: datetime | None, after: int = 0, limit: int = 1000
    ) -> Iterator[AuditEvent]:
        """Events in their order, from one number on."""

    @abstractmethod
    def verify_audit(self) -> Sequence[str]:
        """What is wrong with the chain of hashes, a line each; nothing, if it is whole."""
