"""The plan: every difference between what the directory wants and what a target has; pure comparison."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from scim_gateway.provisioned import ACTIONS, TOLD

from .difference import Difference, Survey
from .matching import match
from .memberships import Memberships
from .target import Inventory

_KINDS = ("User", "Group", "Membership")
_RANKS = {action: rank for rank, action in enumerate((*ACTIONS, *TOLD))}


def compare(target: str, survey: Survey, inventory: Inventory, *, nests: bool = False) -> list[Difference]:
    """Every difference between directory and target, in the order in which they are listed.

    :param target: the target's short name.
    :param nests: whether groups can be members in this target.
    """
    users = match(target, "User", survey.users, inventory.users, survey.moving)
    groups = match(target, "Group", survey.groups, inventory.groups, survey.moving)
    found = [*users.differences, *groups.differences]
    found += Memberships(target, survey, inventory, users, groups, nests).differences()
    return sorted(found, key=_order)


def hash_of(differences: Iterable[Difference]) -> str:
    """The hash of a plan: of the steps that would be taken, whatever made them necessary."""
    digest = hashlib.sha256()
    for fingerprint in sorted(difference.fingerprint for difference in differences if difference.to_do):
        digest.update(fingerprint)
    return digest.hexdigest()[:16]


def _order(difference: Difference) -> tuple[str, int, int, str, str, str]:
    step = difference.step
    return (
        step.target,
        _RANKS[step.action],
        _KINDS.index(step.kind),
        step.name,
        step.member or "",
        difference.effect,
    )
