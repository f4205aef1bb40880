"""Compares whole targets with the whole directory, and says who may carry out the plan that comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scim_gateway.errors import Unavailable
from scim_gateway.provisioned import Plan
from scim_gateway.text import printable

from .belief import doubts
from .breaker import Breaker
from .context import Context
from .difference import DEACTIVATE, Difference, Survey
from .plan import compare, hash_of
from .survey import Looked, survey
from .target import Deadline, Inventory, Target, Unreachable

OBSERVE_SECONDS = 300.0
"""How long a target may take to show everything that it has."""

_LISTED = 10


@dataclass(frozen=True, slots=True)
class Comparison:
    """One target compared with the directory.

    :param staged: why the plan needs an approval, or ``None``.
    :param attended: why nobody but a person may carry it out, approval or not; ``None``: nothing speaks against it.
    :param alarm: what only a person can mend, and somebody has to; among the warnings as well.
    :param doubt: why nobody but a person may carry out what gives rights; among the warnings as well.
    """

    target: Target
    survey: Survey
    inventory: Inventory
    differences: Sequence[Difference]
    warnings: Sequence[str]
    staged: str | None
    attended: str | None
    alarm: str | None = None
    doubt: str | None = None

    @property
    def held(self) -> str | None:
        """Why the gateway does not carry out all of it by itself."""
        return self.staged or self.attended or self.doubt

    @property
    def unattended(self) -> list[Difference]:
        """The steps that the gateway takes by itself.

        A lock that was lost is put back in any case: directory and target agree that the gateway had put it on.
        """
        if self.staged or self.attended:
            return [difference for difference in self.to_do if difference.again]
        return [difference for difference in self.to_do if difference.revokes or not self.doubt]

    @property
    def to_do(self) -> list[Difference]:
        """The differences that are steps to take."""
        return [difference for difference in self.differences if difference.to_do]


def read(context: Context, target: Target, looked: Looked | None = None) -> tuple[Survey, Inventory]:
    """The directory as a target is to have it, and all that the target has.

    :raises Unavailable: the target cannot be asked, or does not show everything.
    """

    def observe() -> Inventory:
        with target.session(Deadline(OBSERVE_SECONDS)) as session:
            return session.observe()

    try:
        return survey(context, target, observe, looked)
    except Unreachable as error:
        raise Unavailable(f"{target.name} cannot be compared: {error}", retry_after=30) from error


def compare_target(context: Context, breaker: Breaker, target: Target, looked: Looked | None = None) -> Comparison:
    """Compare one target.

    :raises Unavailable: the target cannot be asked, or does not show everything.
    """
    found, inventory = read(context, target, looked)
    differences = compare(target.name, found, inventory, nests=target.nests)
    warnings = [*(f"{target.name}: {warning}" for warning in inventory.warnings), *found.warnings]
    if found.moving or found.moving_edges:
        warnings.append(
            f"{target.name}: {len(found.moving)} resources are being worked on and were left out; compare again later."
        )
    alarm = _out_of_reach(target, differences)
    doubt = _doubt(target, differences)
    warnings += [text for text in (alarm, doubt) if text]
    reasons = [f"{target.name}: {doubt}" for doubt in doubts(found, inventory)]
    reasons += _removals(breaker, target, found, differences)
    return Comparison(
        target,
        found,
        inventory,
        differences,
        warnings,
        staged=" ".join(reasons) or None,
        attended=_attended(target, differences),
        alarm=alarm,
        doubt=doubt,
    )


def plan_of(comparisons: Iterable[Comparison]) -> Plan:
    """The plan for an administrator."""
    every = list(comparisons)
    differences = [difference for each in every for difference in each.differences]
    return Plan(
        [difference.step for difference in differences],
        hash_of(differences),
        warnings=[warning for each in every for warning in each.warnings],
        staged=" ".join(each.staged for each in every if each.staged) or None,
    )


def _removals(breaker: Breaker, target: Target, found: Survey, differences: Sequence[Difference]) -> Iterable[str]:
    memberships = sum(d.revokes and d.step.kind == "Membership" for d in differences)
    # A lock that was put on is put back: a target that forgot all of them does not make that a mass removal.
    others = sum(d.renames or (d.revokes and d.step.kind != "Membership" and not d.again) for d in differences)
    verb = "removes or renames" if any(d.renames for d in differences) else "removes"
    sides = (found.users, found.groups)
    resources = sum(len(side.wanted) + len(side.gone) for side in sides)
    pairs = sum(len(ids) for ids in found.members.values()) + memberships
    for reason in (
        breaker.staged(others, resources, "users and groups", verb),
        breaker.staged(memberships, pairs, "memberships"),
    ):
        if reason is not None:
            yield f"{target.name}: {reason}"


def _attended(target: Target, differences: Sequence[Difference]) -> str | None:
    """What the directory does not know at all was made by a directory that knew more: this one may be a restored one.

    It would give back rights that were taken since, so the gateway does not go by it without a person.
    """
    count = sum(difference.left_over is not None for difference in differences)
    if not count:
        return None
    return (
        f"{target.name} has {count} users or groups with this gateway's mark that the directory does not know. "
        "If the directory was restored from a backup, let the identity provider send everything again first."
    )


def _doubt(target: Target, differences: Iterable[Difference]) -> str | None:
    """People whom the gateway locked and the directory takes for active, with nothing pending: it may be an old one."""
    names = [d.step.name for d in differences if d.doubtful]
    if not names:
        return None
    return (
        f"{target.name}: locked by the gateway, and active in a directory that knows nothing of it: {_listed(names)}. "
        "If the directory was restored from a backup, let the identity provider send everything again first; until "
        "somebody applies the plan, nothing that gives rights is mended."
    )


def _out_of_reach(target: Target, differences: Iterable[Difference]) -> str | None:
    """People who have rights that the gateway was to take, and may not: somebody has to know."""
    names = [d.step.name for d in differences if d.step.action == "protected" and d.effect == DEACTIVATE]
    if not names:
        return None
    return (
        f"{target.name}: inactive in the directory and active in the target, but protected: {_listed(names)}. "
        "Lock them there by hand."
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(printable(name) for name in names[:_LISTED]) + (" …" if len(names) > _LISTED else "")
