"""Whether what a target shows can be true: one that shows much less than it had may only not let the gateway see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .difference import Side, Survey, Wanted
from .target import Inventory, Observed

FEW, SHARE = 10, 10
"""So many may be missing at once, or so many per cent of what was there."""

LEAST = 3
"""Where nothing is seen of at least so many, nothing is seen at all."""

_CAUSES = ": either they were dropped, or the gateway is not shown everything (privileges, another cluster)."


def doubts(survey: Survey, inventory: Inventory) -> Iterator[str]:
    """What speaks against the inventory, a line each; only what the target had confirmed before counts.

    A few accounts that are missing are made again, and nobody has to look. Where many are missing, either somebody
    dropped them on purpose, or the gateway is not shown everything.
    """
    users = _standing(survey, survey.users, inventory.users)
    groups = _standing(survey, survey.groups, inventory.groups)
    everything = [*users.values(), *groups.values()]
    if len(everything) >= LEAST and not any(everything):
        yield f"None of {len(everything)} users and groups that were there is to be seen any more{_CAUSES}"
        return
    for what, standing in (("users", users), ("groups", groups)):
        yield from _doubt(sum(key is None for key in standing.values()), len(standing), what)
    missing, known = 0, 0
    for group, key in groups.items():
        if key is None:
            continue
        here = inventory.members.get(key, frozenset())
        for member in survey.members.get(group, ()):
            member_key = users.get(member) or groups.get(member)
            if member_key is not None and (group, member) not in survey.pending:
                known += 1
                missing += member_key not in here
    yield from _doubt(missing, known, "memberships")


def _standing(survey: Survey, side: Side, observed: Mapping[bytes, Observed]) -> dict[str, bytes | None]:
    """Where those who have to be there are, by id; ``None``: nowhere."""
    marked = {seen.owner: key for key, seen in observed.items() if seen.owner is not None}
    found: dict[str, bytes | None] = {}
    for wanted in side.wanted.values():
        if wanted.confirmed and not wanted.waiting and wanted.id not in survey.moving:
            found[wanted.id] = marked.get(wanted.id) or _noted(wanted, observed)
    return found


def _noted(wanted: Wanted, observed: Mapping[bytes, Observed]) -> bytes | None:
    return wanted.noted if wanted.noted in observed else None


def _doubt(missing: int, known: int, what: str) -> Iterator[str]:
    if missing > max(FEW, known * SHARE // 100):
        yield f"{missing} of {known} {what} that were there are not to be seen any more{_CAUSES}"
