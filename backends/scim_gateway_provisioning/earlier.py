"""What earlier requests promised about the resources of an operation, and have not been answered for yet.

Sent again, it is the same grant: whoever repeats it answers for it from now on. A dead one that is not repeated is
taken back before anything else happens to its resources. Where the earlier request is still at it, both go on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from scim_gateway_sql.database import Session

from .context import Context
from .journal import Change
from .operation import Operation, active
from .promises import Given, Promise, given_by, touching
from .work import WorkKey


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
    :param upon: ids of promises about resources that it changes, of requests that are still at it: if one of them is
        taken back before this one is answered, what this one was told is not true any more.
    """

    repeated: tuple[Promise, Given] | None = None
    used: tuple[Promise, Given] | None = None
    upon: frozenset[str] = frozenset()


def look(session: Session, context: Context, operation: Operation, keys: Collection[WorkKey]) -> Earlier:
    """What the operation has to do with earlier promises.

    :param keys: rows with pending work that it names or touches.
    :raises DeadPromises: some are to be taken back first.
    """
    named = set() if operation.deletes else operation.named
    found: list[tuple[Promise, Given]] = []
    dead: list[Promise] = []
    upon: set[str] = set()
    for promise in touching(session, context.tenant, keys):
        if promise.trouble is not None:
            continue  # Nobody can take it back, so whoever asks for its resource now approves of it.
        ids = {id for id, _ in promise.rows}
        changed = [operation.changes[id] for id in ids if id in operation.changes]
        if changed and all(_takes_all(change) for change in changed):
            continue  # What is left of it is taken back later; this one does not wait for that.
        if changed and not promise.dead:
            upon.add(promise.id)
        elif changed or ids & named:
            given = given_by(session, context.tenant, promise)
            if _is_continued(operation, given):
                found.append((promise, given))
            elif promise.dead:
                dead.append(promise)
        elif promise.dead:
            dead.append(promise)
    if len(found) > 1:
        dead += [promise for promise, _ in found if promise.dead]
        found = []
    if dead:
        raise DeadPromises(dead)
    one = found[0] if found else None
    if operation.changes:
        return Earlier(used=one, upon=frozenset(upon))
    return Earlier(repeated=one, upon=frozenset(upon))


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


def _takes_all(change: Change) -> bool:
    """Whether nothing is given by a resource any more, whatever was given before."""
    return change.after is None or (change.kind == "User" and not active(change.after))


def _is_continued(operation: Operation, given: Given) -> bool:
    """Whether an operation repeats what was given, or makes something of what was created."""
    if len(given.changes) != 1:
        return False
    [change] = given.changes
    if change.id in operation.changes:
        return change.before is None
    if operation.changes or change.id not in operation.named:
        return False
    asked = operation.asked.get(change.id, frozenset())
    return change.before is None or asked is None or change.added.keys() <= asked
