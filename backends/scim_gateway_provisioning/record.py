"""The first step of a change: inside its transaction, what has to be done in which target is written down."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scim_gateway_sql.database import Session

from scim_gateway.errors import Conflict
from scim_gateway.schema import Resource
from scim_gateway.text import shown

from . import target_names
from .context import Context
from .desired import Desired, read_desired
from .journal import Change
from .meaning import Meaning
from .operation import PROVISIONED, Operation
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
    """

    changes: tuple[Change, ...]
    generations: Mapping[WorkKey, int] = field(default_factory=dict)
    goals: Mapping[WorkKey, int] = field(default_factory=dict)
    first: Mapping[str, Desired] = field(default_factory=dict)
    holder: str = ""
    edges: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)


def record(
    session: Session,
    context: Context,
    operation: Operation,
    holder: str,
    *,
    undone: bool = False,
    claiming: Collection[str] | None = None,
) -> Recorded:
    """Write down what the operation means to the targets; the last statements before its end.

    :param holder: name for the claims.
    :param undone: the operation takes back what a target could not do; it is not refused.
    :param claiming: targets whose rows are claimed; all of them, if not given.
    :raises scim_gateway.errors.ScimError: the change is refused.
    :raises HeldByPending: something has to be settled first.
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
    first = {}
    for target in claiming:
        mine = [work for key, work in works.items() if key[1] == target and (work.free or work.holder == holder)]
        if mine:
            first[target] = read_desired(session, context, target, mine, known=_documents(changes))
    if changes:
        context.journal.recorded(session, changes, undone=undone)
    elif named:
        context.journal.named(session, revoking=all(work.revoking for work in named))
    return Recorded(
        changes,
        generations={touch.key: works[touch.key].generation for touch in touches},
        goals=goals,
        first=first,
        holder=holder,
        edges=edges,
    )


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
