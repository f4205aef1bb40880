"""What earlier requests promised about the resources of an operation, and have not been answered for yet.

Sent again, it is the same grant: whoever repeats it answers for it from now on. A dead one that is not repeated is
taken back before anything else happens to its resources. Where the earlier request is still at it, both go on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from scim_gateway_sql.database import Session

from scim_gateway.schema import Resource

from .context import Context
from .journal import Change
from .operation import Operation, active
from .promises import Given, Promise, PromiseGone, given_by, touching
from .work import Work


class DeadPromises(Exception):
    """These are taken back first."""

    def __init__(self, promises: Collection[Promise]) -> None:
        super().__init__(*(promise.id for promise in promises))
        self.promises = tuple(promises)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an operation has to do with promises of others.

    :param repeated: the one that it repeats, and what was given by it.
    :param used: the creation by a dead request of the resource that it changes, and what was given by that.
    :param upon: ids of promises about the same, of requests that are still at it: if one of them is taken back before
        this one is answered, what this one was told is not true any more.
    """

    repeated: tuple[Promise, Given] | None = None
    used: tuple[Promise, Given] | None = None
    upon: frozenset[str] = frozenset()


def look(session: Session, context: Context, operation: Operation, works: Collection[Work]) -> Earlier:
    """What the operation has to do with earlier promises.

    :param works: rows that it names or touches.
    :raises DeadPromises: some are to be taken back first.
    :raises PromiseGone: one was kept or withdrawn at this moment.
    """
    found = [promise for promise in others(session, context, works) if not _loses_all(operation, promise)]
    # What nobody can take back is approved of by whoever asks for its resource now.
    upon = {promise.id for promise in found if promise.trouble is not None and _concerns(operation, promise)}
    found = [promise for promise in found if promise.trouble is None]
    concerned = [promise for promise in found if _concerns(operation, promise)]
    given = given_by(session, context.tenant, [promise.id for promise in concerned])
    if len(given) < len(concerned) and not operation.changes:
        raise PromiseGone(*(promise.id for promise in concerned))
    # Who changes something has locked the rows that it takes to withdraw: what is gone was kept.
    concerned = [promise for promise in concerned if promise.id in given]
    upon |= {promise.id for promise in concerned if not promise.dead and _is_shared(operation, given[promise.id])}
    going_on = [promise for promise in concerned if _is_continued(operation, promise, given[promise.id])]
    if len(going_on) > 1:
        going_on = []
    dead = [promise for promise in found if promise.dead and promise not in going_on]
    if dead:
        raise DeadPromises(dead)
    one = (going_on[0], given[going_on[0].id]) if going_on else None
    if operation.changes:
        return Earlier(used=one, upon=frozenset(upon))
    return Earlier(repeated=one, upon=frozenset(upon - {promise.id for promise in going_on}))


def others(session: Session, context: Context, works: Collection[Work], *, own: str | None = None) -> list[Promise]:
    """What other requests are to answer for about rows; dead are also those whose claims have run out.

    :param own: id of one's own promise.
    """
    expired = {work.holder for work in works if work.free and work.holder is not None}
    found = touching(session, context.tenant, {work.key for work in works})
    return [replace(promise, dead=promise.dead or promise.holder in expired) for promise in found if promise.id != own]


def merged(given: Given, mine: Given) -> Given:
    """A creation by an earlier request and what was made of it: taken back, nothing of either is left."""
    [made] = given.changes
    changes = tuple(_continued(made, change) if change.id == made.id else change for change in mine.changes)
    edges = {
        target: given.edges.get(target, frozenset()) | mine.edges.get(target, frozenset())
        for target in given.edges.keys() | mine.edges.keys()
    }
    return Given(changes, edges)


def _continued(made: Change, change: Change) -> Change:
    """A creation and a later change of the same resource, as one creation."""
    added = {id: kind for id, kind in made.added.items() if id not in change.removed}
    return Change(change.kind, change.id, None, change.after, added=added | change.added)


def _loses_all(operation: Operation, promise: Promise) -> bool:
    """Whether the resources lose all that they have: who takes does not wait until a part of it is taken back."""
    changed = [operation.changes[id] for id, _ in promise.rows if id in operation.changes]
    return bool(changed) and all(map(_takes_all, changed))


def _takes_all(change: Change) -> bool:
    return change.after is None or (change.kind == "User" and not active(change.after))


def _concerns(operation: Operation, promise: Promise) -> bool:
    """Whether a promise may be about a resource that the client names."""
    ids = {id for id, _ in promise.rows}
    return bool(ids & operation.changes.keys()) or (not operation.deletes and bool(ids & operation.named))


def _is_shared(operation: Operation, given: Given) -> bool:
    """Whether an operation is about what was given, too, as far as that can be told."""
    return any(_touches(operation, change) for change in given.changes)


def _touches(operation: Operation, change: Change) -> bool:
    if change.id not in operation.changes and change.id not in operation.named:
        return False
    if change.kind != "Group" or change.before is None or change.after is None:
        return True
    asked = operation.asked.get(change.id, frozenset())
    return asked is None or bool(asked & change.added.keys()) or _plain(change.before) != _plain(change.after)


def _plain(resource: Resource) -> dict[str, object]:
    return {name: value for name, value in resource.items() if name != "meta"}


def _is_continued(operation: Operation, promise: Promise, given: Given) -> bool:
    """Whether an operation repeats what was given, or makes something of what a dead request created."""
    if len(given.changes) != 1:
        return False
    [change] = given.changes
    if change.id in operation.changes:
        return promise.dead and change.before is None
    if operation.changes or change.id not in operation.named:
        return False
    asked = operation.asked.get(change.id, frozenset())
    return change.before is None or asked is None or change.added.keys() <= asked
