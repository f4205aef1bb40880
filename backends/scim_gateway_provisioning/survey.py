"""Reads the whole directory as a target is to have it: in batches by key, each a short transaction of its own.

Between two batches live requests go on. Whatever they change raises the generation of a row of ``scim_work``, so those
rows are read before anything else and once more at the end; about what moved in between nothing is concluded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from scim_gateway_sql.tables import members, resources
from sqlalchemy import and_, bindparam, or_, select

from scim_gateway.errors import Forbidden, InvalidValue
from scim_gateway.schema import Resource

from .context import Context
from .difference import Edge, Side, Survey, Wanted
from .operation import PROVISIONED, active
from .promises import open_promises
from .tables import edges, works
from .target import Inventory, Kind, Target
from .work import Work, selection, work_of

BATCH = 1000
"""Resources in one statement."""

PAIRS = 10_000
"""Memberships in one statement."""

Looked = Callable[[int], None]
"""Called with how many resources were read so far."""

_WORKS = (
    selection()
    .where(
        works.c.tenant == bindparam("tenant_"),
        works.c.target_name == bindparam("target_"),
        works.c.resource_id > bindparam("after_"),
    )
    .order_by(works.c.resource_id)
    .limit(bindparam("count_"))
)
_EDGES = (
    select(edges.c.group_id, edges.c.member_id, edges.c.edge_no, edges.c.deferred_flag)
    .where(
        edges.c.tenant == bindparam("tenant_"),
        edges.c.target_name == bindparam("target_"),
        edges.c.group_id >= bindparam("group_"),
        or_(edges.c.group_id > bindparam("group_"), edges.c.member_id > bindparam("member_")),
    )
    .order_by(edges.c.group_id, edges.c.member_id)
    .limit(bindparam("count_"))
)
_RESOURCES = (
    select(resources.c.id, resources.c.kind, resources.c.doc)
    .where(resources.c.tenant == bindparam("tenant_"), resources.c.id > bindparam("after_"))
    .order_by(resources.c.id)
    .limit(bindparam("count_"))
)
_MEMBERS = (
    select(members.c.group_id, members.c.member_id)
    .where(
        and_(
            members.c.tenant == bindparam("tenant_"),
            members.c.group_id >= bindparam("group_"),
            or_(members.c.group_id > bindparam("group_"), members.c.member_id > bindparam("member_")),
        )
    )
    .order_by(members.c.group_id, members.c.member_id)
    .limit(bindparam("count_"))
)

_PAIR = {"group_": "group_id", "member_": "member_id"}


@dataclass(frozen=True, slots=True)
class State:
    """The work of one target at one time."""

    works: Mapping[str, Work]
    edges: Mapping[Edge, tuple[int, bool]]

    def moved_since(self, before: State) -> tuple[frozenset[str], frozenset[Edge]]:
        """Resources and memberships that were changed, or worked on with success, between two times.

        What is worked on and has not come to an end is pending, whoever works on it, and perhaps he was killed.
        """
        ids = self.works.keys() | before.works.keys()
        moving = {id for id in ids if _moved(before.works.get(id), self.works.get(id))}
        pairs = {pair for pair, _ in self.edges.items() ^ before.edges.items()}
        return frozenset(moving), frozenset(pairs)


def _moved(before: Work | None, after: Work | None) -> bool:
    if before is None or after is None:
        return True
    return (before.generation, before.applied, before.known, before.absent) != (
        after.generation,
        after.applied,
        after.known,
        after.absent,
    )


def survey(
    context: Context, target: Target, observe: Callable[[], Inventory], looked: Looked | None = None
) -> tuple[Survey, Inventory]:
    """Read the target and the directory, and what is being done meanwhile.

    :param observe: reads the target; called after the first look at the work, so that what the target does not show yet
        is known to be in motion.
    :param looked: told of the progress.
    """
    before = read_state(context, target)
    inventory = observe()
    read = _read_resources(context, target, looked)
    pairs = _read_members(context)
    after = read_state(context, target)
    moving, moving_edges = after.moved_since(before)
    moving |= _promised(context, target)
    sides, warnings = _sides(context, target, read, after)
    deferred = {pair for pair, (_, waits) in after.edges.items() if waits}
    found = Survey(
        sides["User"],
        sides["Group"],
        _memberships(target, read, sides, pairs),
        pending=frozenset(after.edges.keys()),
        moving=moving,
        # What waits for its member is neither there nor missing.
        moving_edges=moving_edges | deferred,
        warnings=warnings,
    )
    return found, inventory


def _promised(context: Context, target: Target) -> frozenset[str]:
    """Resources that a request gives something to and is not answered yet."""
    with context.database.session() as session:
        found = open_promises(session, context.tenant)
    return frozenset(id for promise in found for id, name in promise.rows if name == target.name)


def read_state(context: Context, target: Target) -> State:
    """Every row of work and of memberships of a target."""
    found: dict[str, Work] = {}
    here = {"tenant_": context.tenant, "target_": target.name}
    for row in _pages(context, _WORKS, here, {"after_": "resource_id"}, BATCH):
        work = work_of(row)
        found[work.id] = work
    pairs = {
        (row.group_id, row.member_id): (row.edge_no, bool(row.deferred_flag))
        for row in _pages(context, _EDGES, here, _PAIR, PAIRS)
    }
    return State(found, pairs)


@dataclass(frozen=True, slots=True)
class _Read:
    """What matters of a resource of the directory; the document itself is not kept.

    :param name: in the target; ``None``: none can be made, for the reason in ``unfit``.
    """

    kind: Kind
    wanted: bool
    active: bool
    name: str | None
    unfit: str = ""


def _read_resources(context: Context, target: Target, looked: Looked | None) -> dict[str, _Read]:
    found: dict[str, _Read] = {}
    for row in _pages(context, _RESOURCES, {"tenant_": context.tenant}, {"after_": "id"}, BATCH):
        if row.kind in PROVISIONED:
            kind: Kind = "Group" if row.kind == "Group" else "User"
            found[row.id] = _as_read(target, kind, orjson.loads(row.doc))
        if looked is not None and len(found) % BATCH == 0:
            looked(len(found))
    return found


def _as_read(target: Target, kind: Kind, resource: Resource) -> _Read:
    wanted, is_active = target.wants(kind, resource), active(resource)
    try:
        return _Read(kind, wanted, is_active, target.name_of(kind, resource))
    except InvalidValue as error:
        return _Read(kind, wanted, is_active, None, error.detail)


def _read_members(context: Context) -> dict[str, list[str]]:
    """Direct members by group."""
    found: dict[str, list[str]] = {}
    for group, member in _pages(context, _MEMBERS, {"tenant_": context.tenant}, _PAIR, PAIRS):
        found.setdefault(group, []).append(member)
    return found


def _sides(
    context: Context, target: Target, read: Mapping[str, _Read], state: State
) -> tuple[dict[Kind, Side], list[str]]:
    wanted: dict[Kind, dict[str, Wanted]] = {"User": {}, "Group": {}}
    gone: dict[Kind, dict[str, bytes | None]] = {"User": {}, "Group": {}}
    unfit: dict[Kind, dict[str, tuple[bytes | None, str]]] = {"User": {}, "Group": {}}
    warnings: list[str] = []
    for id, work in state.works.items():
        if id not in read or not read[id].wanted:
            gone[work.kind][id] = _noted(target, work)
    for id, resource in read.items():
        if not resource.wanted:
            continue
        kind, row = resource.kind, state.works.get(id)
        left = None if row is None else row.known.get("left")
        if left is not None and kind == "User" and not resource.active:
            gone[kind][id] = target.name_key(kind, left)
            continue
        noted = _noted(target, row)
        name, reason = _name(target, resource, None if noted is None or row is None else str(row.known["name"]))
        if name is None:
            unfit[kind][id] = (noted, reason)
            warnings.append(f"{target.name}: {kind} {id} is not managed there: {reason}")
            continue
        settled = row is not None and not row.stale and not row.absent
        waiting = row is not None and row.waiting is not None
        key = target.name_key(kind, name)
        wanted[kind][id] = Wanted(id, name, key, resource.active, noted, settled=settled, waiting=waiting)
    _allow(context, target, wanted)
    return {kind: Side(wanted[kind], gone[kind], unfit[kind]) for kind in wanted}, warnings


def _name(target: Target, resource: _Read, noted: str | None) -> tuple[str | None, str]:
    """The name that a resource has to have, or why it may not be managed."""
    name = resource.name if noted is None or target.renames else noted
    if name is None:
        return None, resource.unfit
    try:
        target.admit(resource.kind, name)
    except Forbidden as error:
        return None, error.detail
    return name, ""


def _noted(target: Target, work: Work | None) -> bytes | None:
    name = None if work is None else work.known.get("name")
    return None if name is None or work is None else target.name_key(work.kind, name)


def _allow(context: Context, target: Target, wanted: Mapping[Kind, dict[str, Wanted]]) -> None:
    """Note which of those that were never made may take over what exists."""
    for kind, side in wanted.items():
        new = {each.key: each for each in side.values() if each.noted is None}
        if not new:
            continue
        with context.database.session() as session:
            listed = context.adoption.allowed(session, target.name, kind, new.keys())
        for key in listed:
            old = new[key]
            side[old.id] = replace(old, adoptable=True)


def _memberships(
    target: Target, read: Mapping[str, _Read], sides: Mapping[Kind, Side], pairs: Mapping[str, list[str]]
) -> dict[str, Collection[str]]:
    """By wanted group: who has to be a member."""
    if target.nests:
        return {
            id: frozenset(member for member in pairs.get(id, ()) if _may_be_member(read, member))
            for id in sides["Group"].wanted
        }
    return {
        id: frozenset(member for member in _reached(id, read, pairs) if _may_be_member(read, member))
        for id in sides["Group"].wanted
    }


def _may_be_member(read: Mapping[str, _Read], id: str) -> bool:
    resource = read.get(id)
    return resource is not None and (resource.kind == "Group" or resource.active)


def _reached(group: str, read: Mapping[str, _Read], pairs: Mapping[str, list[str]]) -> Iterator[str]:
    """The users in a group, directly or through the groups in it."""
    seen, ahead = {group}, [group]
    while ahead:
        for member in pairs.get(ahead.pop(), ()):
            resource = read.get(member)
            if resource is None:
                continue
            if resource.kind == "User":
                yield member
            elif member not in seen:
                seen.add(member)
                ahead.append(member)


def _pages(
    context: Context, statement: Any, here: Mapping[str, Any], keys: Mapping[str, str], count: int
) -> Iterator[Any]:
    """The rows of a statement that reads from a key on, each page in a transaction of its own.

    :param keys: parameters that say from where on, each with the column of the last row that it is.
    """
    position = dict.fromkeys(keys, "")
    while True:
        with context.database.session() as session:
            rows = session.execute(statement, {**here, **position, "count_": count}).all()
        yield from rows
        if len(rows) < count:
            return
        position = {parameter: getattr(rows[-1], column) for parameter, column in keys.items()}
