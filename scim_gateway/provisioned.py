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


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of the audit trail: number and hash of the newest event; kept elsewhere, it proves what came before."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What came of a look at the whole audit trail.

    :param head: the end of the trail as it is.
    :param problems: what is wrong with it, a line each; nothing, if it is whole.
    :param notes: what the operator has to know to judge it: which events are under which key.
    """

    head: AuditHead
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()


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
    def approve(self, hash: str | None = None, *, minutes: int = 60) -> str:
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
        self, *, user: str | None = None, since: datetime | None = None, after: int = 0, limit: int | None = None
    ) -> Iterator[AuditEvent]:
        """Events in their order.

        :param user: id or name; events of that resource, and memberships of it that came or went.
        :param since: none that are older.
        :param after: none with this number or a lower one.
        :param limit: only so many, the newest ones.
        """

    @abstractmethod
    def verify_audit(self, expected: AuditHead | None = None, progress: Progress | None = None) -> AuditVerdict:
        """Work out the chain of hashes again from the first event to the last.

        :param expected: a head from earlier, kept elsewhere; it has to be part of the trail.
        """
