"""Raises the generation of resources that a target does not have as it should, although nobody changed them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import orjson
from scim_gateway_sql.database import Session
from scim_gateway_sql.tables import resources
from sqlalchemy import bindparam, select

from scim_gateway.errors import ScimError
from scim_gateway.schema import Resource

from . import promises, target_names
from .context import Context
from .desired import Desired, read_desired
from .mark_rows import note
from .record_rows import Touch, add_edges, know_answered, write_touches
from .target import Kind, Target
from .target_names import HeldByPending
from .work import Work, batches, read

_DOCUMENTS = select(resources.c.id, resources.c.doc).where(
    resources.c.tenant == bindparam("tenant_"), resources.c.id.in_(bindparam("ids", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Again:
    """What is to be looked at again.

    :param itself: the resource itself, not only memberships of it.
    :param members: ids of members whose membership is to be looked at.
    :param revoking: whether all that is expected to be done takes rights away.
    :param stands: name under which the target has it, by its own mark; the note did not say so.
    :param beside: names under which the target has it besides, by its own mark: these are to go.
    """

    kind: Kind
    id: str
    itself: bool = True
    members: frozenset[str] = frozenset()
    revoking: bool = False
    stands: str | None = None
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Raised:
    """What was raised, and is claimed as far as nobody else works on it.

    :param goals: generations to reach, by id.
    :param desired: what was read for the rows that are claimed.
    :param problems: what cannot be done at all, a line each.
    """

    goals: Mapping[str, int]
    desired: Desired | None
    problems: list[str] = field(default_factory=list)


def raise_again(session: Session, context: Context, target: Target, wanted: Iterable[Again], holder: str) -> Raised:
    """Raise generations, and claim; the last statements of a transaction.

    :param holder: name for the claims.
    """
    by_id = {again.id: again for again in wanted}
    works = read(session, context.tenant, by_id, target=target.name, lock=True)
    documents = _documents(session, context, by_id)
    promised = {key for promise in promises.touching(session, context.tenant, works.keys()) for key in promise.rows}
    touches: list[Touch] = []
    problems: list[str] = []
    for id in sorted(by_id):
        again, work = by_id[id], works.get((id, target.name))
        if (id, target.name) in promised:
            problems.append(f"{again.kind} {id}: a request that changes it is not answered yet; apply again.")
            continue
        touch = _touch(target, again, work, documents.get(id))
        if touch is None:
            continue
        try:
            _claim_name(session, context, touch, documents.get(id))
        except HeldByPending:
            problems.append(f"{again.kind} {id}: its name is held by another one that is to give it up; apply again.")
        except ScimError as error:
            problems.append(f"{again.kind} {id}: {error.detail}")
        else:
            touches.append(touch)
    if not touches:
        return Raised({}, None, problems)
    written = write_touches(session, context, touches, holder, (target.name,))
    add_edges(session, context.tenant, target.name, touches, written)
    # The directory had them before: a client knows the ids.
    know_answered(session, context, [written[touch.key] for touch in touches if touch.work is None])
    mine = [
        _corrected(session, context, work, by_id[work.id], holder) for work in written.values() if work.holder == holder
    ]
    desired = read_desired(session, context, target.name, mine, known=documents) if mine else None
    return Raised({work.id: work.generation for work in written.values()}, desired, problems)


def _corrected(session: Session, context: Context, work: Work, again: Again, holder: str) -> Work:
    """A row that is claimed, with the names in its note that the target's own mark proves."""
    if work.absent or not (again.stands or again.beside):
        return work
    known = dict(work.known)
    if again.stands:
        known["name"] = again.stands
    if again.beside:
        known["also"] = list(again.beside)
    note(session, context.tenant, work, holder, known)
    return replace(work, known=known)


def _documents(session: Session, context: Context, ids: Collection[str]) -> dict[str, Resource]:
    found: dict[str, Resource] = {}
    for batch in batches(ids):
        for id, doc in session.execute(_DOCUMENTS, {"tenant_": context.tenant, "ids": batch}):
            found[id] = orjson.loads(doc)
    return found


def _touch(target: Target, again: Again, work: Work | None, resource: Resource | None) -> Touch | None:
    """What there is to do; ``None``: nothing, or not before the resource itself is there."""
    touch = Touch(target, again.kind, again.id, work, revoking=again.revoking)
    if resource is None or not target.wants(again.kind, resource):
        if work is None:
            return None
        touch.stale = touch.absent = touch.revoking = True
        return touch
    touch.stale = again.itself or work is None or work.absent
    touch.edges |= again.members
    return touch


def _claim_name(session: Session, context: Context, touch: Touch, resource: Resource | None) -> None:
    """Claim the name that the resource has to have: it may never have been claimed, or settings made it another one.

    :raises scim_gateway.errors.ScimError: no name can be made, it is protected, or another resource has it.
    """
    if resource is None or not touch.stale or touch.absent:
        return
    target, work = touch.target, touch.work
    there = work is not None and "name" in work.known and not work.absent
    if there and not target.renames:
        return
    name = target.name_of(touch.kind, resource)
    target.admit(touch.kind, name)
    if target_names.claim(session, context.tenant, target, touch.kind, name, touch.id):
        touch.renaming = there
