"""The first step of a change: inside its transaction, what has to be done in which target is written down."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scim_gateway_sql.database import Session

from scim_gateway.errors import Conflict, StaleResource
from scim_gateway.schema import Resource
from scim_gateway.text import shown

from . import earlier, promises, target_names
from .context import Context
from .desired import Desired, read_desired
from .earlier import Earlier
from .journal import Change
from .meaning import Meaning
from .operation import PROVISIONED, Operation
from .promises import Given
from .record_rows import Touch, add_edges, claim_rows, know_answered, write_touches
from .target_names import HeldByPending
from .work import Work, WorkKey


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a transaction has left to do.

    :param changes: what it changed; the targets' part is in ``generations``.
    :param generations: of the rows that this operation raised.
    :param goals: generations that have to be applied before the answer; more than ``generations`` where something was
        pending already for a resource that the request names.
    :param first: by target, what was read for the rows that are claimed already.
    :param holder: of these claims.
    :param edges: by target, the memberships that were written down.
    :param promise: the promise that this request answers for, if it gives something.
    :param upon: promises of other requests that this one builds on.
    """

    changes: tuple[Change, ...]
    generations: Mapping[WorkKey, int] = field(default_factory=dict)
    goals: Mapping[WorkKey, int] = field(default_factory=dict)
    first: Mapping[str, Desired] = field(default_factory=dict)
    holder: str = ""
    edges: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    promise: str | None = None
    upon: frozenset[str] = frozenset()


def record(
    session: Session,
    context: Context,
    operation: Operation,
    holder: str,
    *,
    undone: bool = False,
    claiming: Collection[str] | None = None,
    withdrawing: Recorded | None = None,
) -> Recorded:
    """Write down what the operation means to the targets; the last statements before its end.

    :param holder: name for the claims.
    :param undone: the operation takes back what a target could not do; it is not refused.
    :param claiming: targets whose rows are claimed; all of them, if not given.
    :param withdrawing: whose promise is withdrawn by it.
    :raises scim_gateway.errors.ScimError: the change is refused.
    :raises HeldByPending: something has to be settled first.
    :raises DeadPromises: something has to be taken back first.
    :raises PromiseGone: the promise is not this request's to withdraw.
    """
    changes = tuple(operation.changes.values())
    claiming = context.targets.keys() if claiming is None else claiming
    meaning = Meaning(session, context, operation, admit=not undone)
    touches = [touch for target in context.targets.values() for touch in meaning.of_target(target)]
    touches.sort(key=lambda touch: touch.key)
    for touch in touches:
        if touch.absent or (touch.renaming and touch.kind == "User"):
            operation.changes[touch.id].uprooted = True
    named = meaning.pending()
    goals = {work.key: work.generation for work in (*named, *meaning.caused)}
    known = [*meaning.known(), *meaning.caused, *(touch.work for touch in touches if touch.work is not None)]
    before = _look(session, context, operation, known, undone=undone)
    if before is None:
        before, claiming = Earlier(), ()
    works: dict[WorkKey, Work] = {work.key: work for work in named}
    edges: dict[str, frozenset[tuple[str, str]]] = {}
    if touches:
        written = write_touches(session, context, touches, holder, claiming)
        works |= written
        goals |= {key: work.generation for key, work in written.items()}
        for target in context.targets:
            edges[target] = add_edges(session, context.tenant, target, touches, written)
        _claim_names(session, context, touches)
    untouched = [work for work in named if work.free and work.key not in meaning.touched and work.target in claiming]
    claim_rows(session, context, untouched, holder)
    know_answered(session, context, [work for work in meaning.unanswered() if work.key not in goals])
    recorded = Recorded(
        changes,
        generations={touch.key: works[touch.key].generation for touch in touches},
        goals=goals,
        holder=holder,
        edges=edges,
        upon=before.upon,
    )
    granting = any(touch.granting for touch in touches) or any(change.added for change in changes)
    recorded = _promised(session, context, recorded, before, gives=bool(touches) and granting and not undone)
    if withdrawing is not None and withdrawing.promise is not None:
        promises.withdraw(session, context.tenant, withdrawing.promise, withdrawing.holder)
    first = {}
    for target in claiming:
        mine = [work for key, work in works.items() if key[1] == target and (work.free or work.holder == holder)]
        if mine:
            first[target] = read_desired(session, context, target, mine, known=_documents(changes))
    if changes:
        context.journal.recorded(session, changes, undone=undone)
    elif named:
        context.journal.named(session, revoking=all(work.revoking for work in named))
    return replace(recorded, first=first)


def _look(
    session: Session, context: Context, operation: Operation, known: Iterable[Work], *, undone: bool
) -> Earlier | None:
    """What others have promised about rows; ``None``: these must not be worked on yet.

    :param known: the rows. Nothing has to be pending there: all of it may have been brought about before the death.
    """
    works = list({work.key: work for work in known}.values())
    if undone:
        pending = [work for work in works if work.pending]
        dead = pending and any(promise.dead for promise in earlier.others(session, context, pending))
        return None if dead else Earlier()
    return earlier.look(session, context, operation, works) if works else Earlier()


def _promised(session: Session, context: Context, recorded: Recorded, before: Earlier, *, gives: bool) -> Recorded:
    """Write down what is promised by this request, and what it takes over from others.

    :param gives: whether it makes, activates, names or adds somebody or something in a target.
    """
    tenant, holder, claim = context.tenant, recorded.holder, context.times.claim
    if before.repeated is not None:
        promise, given = before.repeated
        if not promises.take_over(session, tenant, promise, holder, seconds=claim):
            raise StaleResource(promise.id)
        goals = {**promise.rows, **recorded.goals}
        return replace(
            recorded,
            changes=given.changes,
            generations=promise.rows,
            goals=goals,
            edges=given.edges,
            promise=promise.id,
        )
    mine = Given(recorded.changes, recorded.edges)
    if before.used is not None:
        promise, given = before.used
        promises.withdraw(session, tenant, promise.id, promise.holder)
        mine = earlier.merged(given, mine)
        rows = {**promise.rows, **recorded.generations}
        goals = {**promise.rows, **recorded.goals}
        recorded = replace(recorded, changes=mine.changes, generations=rows, goals=goals, edges=mine.edges)
    elif not gives:
        return recorded
    promises.make(session, tenant, holder, recorded.generations, mine, seconds=claim)
    return replace(recorded, promise=holder)


def _claim_names(session: Session, context: Context, touches: Sequence[Touch]) -> None:
    for touch in touches:
        if touch.name is None:
            continue
        try:
            target_names.claim(session, context.tenant, touch.target, touch.kind, touch.name, touch.id)
        except HeldByPending as held:
            if any(other.key == (held.id, held.target) for other in touches):
                raise Conflict(
                    f"The name {shown(touch.name)} in {held.target} passes from one {touch.kind} to another: "
                    "take it from the one first, and give it to the other when that is done."
                ) from None
            raise


def _documents(changes: Iterable[Change]) -> dict[str, Resource]:
    return {change.id: change.after for change in changes if change.after is not None and change.kind in PROVISIONED}
