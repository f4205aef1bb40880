"""Adoption: existing users and groups of a target that an administrator allows to be taken under management.

Being listed is a permission, not an order: what is listed is taken when the directory has, or gets, a resource that has
to have that very name in the target. What no identity provider ever asks for stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase

from scim_gateway_sql.database import Session

from scim_gateway.provisioned import Adoption as Answer

from . import adoption_list
from .context import Context
from .difference import Side, Survey
from .journal import Adoption
from .matching import Matching, match
from .target import Inventory, Kind, Observed, Target

ON_THE_LIST = ("ready", "listed")
"""States of what is put on the list."""


class ListedAdoption(Adoption):
    """What may be adopted is what is on the list of a tenant."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant

    def allowed(self, session: Session, target: str, kind: Kind, keys: Collection[bytes]) -> Collection[bytes]:
        return adoption_list.adoptable(session, self._tenant, target, kind, keys)


def adopt(
    context: Context,
    target: Target,
    read: tuple[Survey, Inventory],
    kind: Kind,
    names: Collection[str],
    patterns: Collection[str],
    *,
    dry_run: bool,
) -> list[Answer]:
    """Put names on the list, as far as they can be adopted; an answer for each.

    :param read: the directory and the target.
    :param patterns: names with ``*`` and ``?``; what is the gateway's already is passed over.
    """
    survey, inventory = read
    side, observed = (survey.users, inventory.users) if kind == "User" else (survey.groups, inventory.groups)
    matching = match(target.name, kind, side, observed, survey.moving)
    wanted = {each.key for each in side.wanted.values()}
    answers: dict[bytes, Answer] = {}
    for name in names:
        key = target.name_key(kind, name)
        answers.setdefault(key, _judged(matching, wanted, key, name))
    for key, seen in sorted(observed.items(), key=lambda item: item[1].name):
        if key not in answers and any(_is_like(seen, pattern) for pattern in patterns):
            answer = _judged(matching, wanted, key, seen.name)
            if answer.state != "managed":
                answers[key] = answer
    listed = {key: answer.name for key, answer in answers.items() if answer.state in ON_THE_LIST}
    if listed and not dry_run:
        context.database.run(lambda session: adoption_list.put_on(session, context.tenant, target.name, kind, listed))
    return list(answers.values())


def listed(context: Context, targets: Iterable[Target]) -> Iterator[Answer]:
    """What is on the list."""
    for target in targets:
        with context.database.session() as session:
            found = adoption_list.every(session, context.tenant, target.name)
        for each in sorted(found, key=lambda each: (each.kind, each.name)):
            yield Answer(target.name, each.kind, each.name, "listed")


def withdraw(context: Context, target: Target, kind: Kind, names: Iterable[str]) -> int:
    """Take names off the list; how many were on it."""
    return _take_off(context, target, kind, {adoption_list.digest_of(target.name_key(kind, name)) for name in names})


def _take_off(context: Context, target: Target, kind: Kind, digests: Collection[str]) -> int:
    return context.database.run(
        lambda session: adoption_list.take_off(session, context.tenant, target.name, kind, digests)
    )


def strike_taken(context: Context, target: Target, survey: Survey) -> None:
    """Take off the list what is under management now: the permission was for what existed then."""
    with context.database.session() as session:
        found = adoption_list.every(session, context.tenant, target.name)
    if not found:
        return
    sides: tuple[tuple[Kind, Side], ...] = (("User", survey.users), ("Group", survey.groups))
    for kind, side in sides:
        noted = {adoption_list.digest_of(each.noted) for each in side.wanted.values() if each.noted is not None}
        taken = [each.digest for each in found if each.kind == kind and each.digest in noted]
        if taken:
            _take_off(context, target, kind, taken)


def _judged(matching: Matching, wanted: Collection[bytes], key: bytes, name: str) -> Answer:
    """What is to be said of adopting what stands under a key."""
    seen = matching.observed.get(key)
    state, reason = ("absent", "") if seen is None else _state(matching, wanted, key, seen)
    return Answer(matching.target, matching.kind, name if seen is None else seen.name, state, reason)


def _state(matching: Matching, wanted: Collection[bytes], key: bytes, seen: Observed) -> tuple[str, str]:
    holder = matching.holder.get(key)
    if holder is not None and not matching.side.wanted[holder].adoptable:
        return "managed", ""
    if seen.protected is not None:
        return "protected", seen.protected
    if seen.owner is not None:
        return "managed", "it carries the gateway's mark"
    return ("ready" if key in wanted else "listed"), ""


def _is_like(seen: Observed, pattern: str) -> bool:
    return fnmatchcase(seen.name, pattern.replace("[", "[[]"))
