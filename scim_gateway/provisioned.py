"""What the command line asks of a backend that feeds targets: plans, pending work, adoption, pause, audit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scim_gateway.errors import Conflict

Progress = Callable[[int, int], None]
"""Called with how many steps are done, and of how many."""


ACTIONS = ("remove", "change", "add")
"""What the steps of a plan do, in the order in which they are listed and done."""

TOLD = ("unmanaged", "protected")
"""What a plan tells of and nobody does."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a plan.

    :param target: name of the target.
    :param action: one of :data:`ACTIONS`, or of :data:`TOLD`.
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
        return [step for step in self.steps if step.action in ACTIONS]


@dataclass(frozen=True, slots=True)
class Repair:
    """What came of carrying out a plan.

    :param found: the plan that was to be carried out.
    :param left: what a comparison finds afterwards.
    :param done: how many steps were taken.
    :param problems: a line for each thing that did not work.
    :param unseen: names of targets that could not be compared; the plans say nothing of them.
    """

    found: Plan
    left: Plan
    done: int
    problems: Sequence[str] = ()
    unseen: Sequence[str] = ()


class PlanMoved(Conflict):
    """The plan is not the one with the given hash any more; nothing was done.

    :param plan: the plan as it is now.
    :param appeared: steps that the given plan did not have.
    :param vanished: steps of the given plan that are not needed any more; ``None``: that plan is not known.
    """

    def __init__(self, detail: str, plan: Plan, appeared: Sequence[Step], vanished: Sequence[Step] | None) -> None:
        super().__init__(detail)
        self.plan = plan
        self.appeared = appeared
        self.vanished = vanished


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The newest comparison with a target, by whichever process.

    :param at: when it ended.
    :param counts: how many steps of each action it found, and ``left`` after it was carried out.
    :param problem: why it could not be made or carried out, or needs somebody to look at it.
    """

    target: str
    at: datetime
    counts: Mapping[str, int]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Adoption:
    """What is to be said of taking one existing user or group under management.

    :param state: ``ready`` (the directory has it: the next ``apply`` or change takes it), ``listed`` (taken when the
        identity provider sends it), ``managed`` (is the gateway's already), ``protected``, ``absent`` (not in the
        target); only the first two are on the list.
    :param reason: why, where it cannot be adopted.
    """

    target: str
    kind: str
    name: str
    state: str
    reason: str = ""


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
class Waiting:
    """A resource that a target has as far as it can for now: the rest is for somebody else to do.

    :param reason: what is waited for, and what can be done about it.
    :param stuck: whether it goes on only when an administrator does something: an invitation was refused, for instance.
    """

    target: str
    kind: str
    id: str
    name: str | None
    reason: str
    stuck: bool = False


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


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a target that is not fed any more is left with.

    :param left: how many users and groups the gateway has there; they stay as they are.
    :param pending: how many of them were not as the directory has them.
    :param revoking: for how many of these rights were still to be taken away.
    """

    target: str
    left: int
    pending: int
    revoking: int


class Dropping(ABC):
    """Ability of a backend that keeps in the directory which targets that feeds, and opens none that feeds others."""

    @abstractmethod
    def fed(self) -> Sequence[str]:
        """Names of the targets that the directory feeds, whether or not this gateway does."""

    @abstractmethod
    def drop(self, target: str) -> Dropped:
        """Feed a target no more; nothing is changed in it.

        :raises scim_gateway.errors.NotFound: the directory does not feed it.
        """


class Provisioned(ABC):
    """Ability of a backend that feeds targets."""

    @property
    @abstractmethod
    def targets(self) -> Sequence[str]:
        """Names of the targets."""

    @abstractmethod
    def plan(self, progress: Progress | None = None, *, target: str | None = None) -> Plan:
        """Compare the whole directory with the whole of every target, or of one.

        :param progress: told how much of the directory was read.
        :raises scim_gateway.errors.NotFound: there is no such target.
        :raises scim_gateway.errors.Unavailable: a target cannot be reached: nothing is concluded then.
        """

    @abstractmethod
    def apply(self, hash: str, progress: Progress | None = None) -> Repair:
        """Carry out the plan with this hash. One that was interrupted goes on when it is applied again.

        :param progress: told how many steps were taken.
        :raises PlanMoved: the plan is another one by now.
        :raises scim_gateway.errors.Conflict: it needs an approval, or another process is at it.
        """

    @abstractmethod
    def reconcile(self, progress: Progress | None = None, *, target: str | None = None) -> Repair:
        """Compare and carry out at once, unless somebody has to look at the plan first (``left.staged`` says why).

        :raises scim_gateway.errors.Conflict: another process is at it.
        """

    @abstractmethod
    def reconciled(self) -> Sequence[Reconciled]:
        """The newest comparison with each target that was ever compared."""

    @abstractmethod
    def approve(self, hash: str | None = None, *, minutes: int = 60) -> str:
        """Approve a staged plan, or (without a hash) live removals beyond the limit for a while; says what was done."""

    @abstractmethod
    def pending(self) -> Sequence[Pending]:
        """What the targets do not have yet, oldest first."""

    @abstractmethod
    def waiting(self) -> Sequence[Waiting]:
        """What waits in the targets for somebody, that which is stuck first."""

    @abstractmethod
    def adopt(
        self, target: str, kind: str, names: Collection[str], patterns: Collection[str] = (), *, dry_run: bool = False
    ) -> Sequence[Adoption]:
        """Allow existing users or groups of a target to be taken under management, when the directory has them.

        :param kind: ``User`` or ``Group``.
        :param names: names in the target.
        :param patterns: names in the target with ``*`` and ``?``.
        :param dry_run: list nothing, only say what would be.
        :raises scim_gateway.errors.NotFound: there is no such target.
        """

    @abstractmethod
    def adoptions(self, target: str | None = None) -> Sequence[Adoption]:
        """What is on the list and was not taken yet."""

    @abstractmethod
    def withdraw(self, target: str, kind: str, names: Collection[str]) -> int:
        """Take names off the list again; how many were on it."""

    @abstractmethod
    def pause(self, reason: str) -> None:
        """Refuse changes until :meth:`resume`; reading goes on."""

    @abstractmethod
    def resume(self) -> None:
        """Accept changes again."""

    @abstractmethod
    def paused(self) -> str | None:
        """The reason of the pause, if there is one."""

    def removals_refused(self) -> str | None:
        """Why each further removal is refused until somebody approves, if that is so; without a limit it never is."""
        return None

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
