"""What a target is to have, read from the directory for rows that are claimed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from scim_gateway_sql.database import Session
from scim_gateway_sql.tables import members, resources
from sqlalchemy import and_, bindparam, select

from scim_gateway.errors import InvalidValue
from scim_gateway.schema import Resource

from . import nesting
from .context import Context
from .managed import groups_of, managed_groups
from .operation import active
from .tables import edges, works
from .target import Group, Kind, Known, Target, User
from .work import Work, batches

_DOCUMENTS = select(resources.c.id, resources.c.doc).where(
    resources.c.tenant == bindparam("tenant_"), resources.c.id.in_(bindparam("ids", expanding=True))
)
_EDGES = (
    select(edges.c.group_id, edges.c.member_id, edges.c.edge_no)
    .where(
        edges.c.tenant == bindparam("tenant_"),
        edges.c.target_name == bindparam("target_"),
        edges.c.group_id.in_(bindparam("ids", expanding=True)),
        edges.c.member_id > bindparam("after_"),
        edges.c.deferred_flag <= bindparam("deferred_"),
    )
    .order_by(edges.c.group_id, edges.c.member_id)
    .limit(bindparam("most_"))
)
_MEMBERS = (
    select(
        resources.c.id,
        resources.c.kind,
        resources.c.doc,
        works.c.gen_no,
        works.c.stale_no,
        works.c.absent_flag,
        works.c.known_doc,
        works.c.holder,
    )
    .select_from(
        resources.outerjoin(
            works,
            and_(
                works.c.tenant == resources.c.tenant,
                works.c.resource_id == resources.c.id,
                works.c.target_name == bindparam("target_"),
            ),
        )
    )
    .where(resources.c.tenant == bindparam("tenant_"), resources.c.id.in_(bindparam("ids", expanding=True)))
)
_DIRECT = select(members.c.group_id, members.c.member_id).where(
    members.c.tenant == bindparam("tenant_"),
    members.c.group_id.in_(bindparam("groups", expanding=True)),
    members.c.member_id.in_(bindparam("ids", expanding=True)),
)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group as the target knows it.

    :param generation: of its row; if that moves while a membership is brought about, it is looked at again.
    :param stale: something is pending for the member itself.
    :param holder: who works on that.
    :param fit: whether it may be in groups at all: it is there, and active.
    """

    id: str
    kind: Kind
    known: Known
    generation: int
    stale: bool
    holder: str | None
    fit: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A membership to bring about.

    :param number: the generation that asked for it.
    :param wanted: whether the member has to be in the group.
    :param member: ``None``: the target does not have it, so there is nothing to take away either.
    """

    group: str
    id: str
    number: int
    wanted: bool
    member: Member | None


@dataclass(frozen=True, slots=True)
class Task:
    """A row that is claimed, and what it has to become.

    :param desired: ``None``: the target is not to have it.
    :param edges: memberships to look at, of a group.
    :param more: there are more of them than were read.
    """

    work: Work
    desired: User | Group | None
    edges: Sequence[Edge] = ()
    more: bool = False

    @property
    def kind(self) -> Kind:
        return self.work.kind


@dataclass(frozen=True, slots=True)
class Desired:
    """What was read at one time.

    :param deferred: memberships that wait were looked at as well.
    """

    tasks: Sequence[Task] = field(default_factory=tuple)
    deferred: bool = False


def read_desired(
    session: Session,
    context: Context,
    target: str,
    claimed: Sequence[Work],
    *,
    known: Mapping[str, Resource] | None = None,
    deferred: bool = False,
    after: str = "",
) -> Desired:
    """What claimed rows of one target have to become.

    :param known: resources that need not be read again.
    :param deferred: whether memberships that wait are looked at as well.
    :param after: only memberships of members behind this one.
    """
    reader = _Reader(session, context, context.targets[target], deferred, after)
    return Desired(tuple(reader.tasks(claimed, dict(known or {}))), deferred)


class _Reader:
    def __init__(self, session: Session, context: Context, target: Target, deferred: bool, after: str) -> None:
        self._session = session
        self._context = context
        self._target = target
        self._deferred = deferred
        self._after = after
        self._here = {"tenant_": context.tenant}

    def tasks(self, claimed: Sequence[Work], found: dict[str, Resource]) -> Iterable[Task]:
        self._read_documents({work.id for work in claimed if not work.absent} - found.keys(), found)
        adoptable = self._adoptable(claimed, found)
        groups = [work.id for work in claimed if work.kind == "Group" and not work.absent and work.id in found]
        edges, cut = self._edges(groups)
        for work in sorted(claimed, key=lambda work: work.id):
            resource = None if work.absent else found.get(work.id)
            if resource is None or not self._target.wants(work.kind, resource):
                yield Task(work, None)
            elif work.kind == "User":
                managed = managed_groups(self._context, self._target)
                groups_ = groups_of(self._context, self._target, work.id)
                yield Task(work, User(work.id, resource, active(resource), work.id in adoptable, managed, groups_))
            else:
                more = cut is not None and work.id >= cut
                yield Task(work, Group(work.id, resource, work.id in adoptable), edges.get(work.id, ()), more)

    def _read_documents(self, ids: set[str], found: dict[str, Resource]) -> None:
        for batch in batches(ids):
            for id, doc in self._session.execute(_DOCUMENTS, {**self._here, "ids": batch}):
                found[id] = orjson.loads(doc)

    def _adoptable(self, claimed: Sequence[Work], found: Mapping[str, Resource]) -> set[str]:
        """Ids of those that the target does not have under their names yet, and whose names are listed for adoption."""
        ids: set[str] = set()
        kinds: tuple[Kind, ...] = ("User", "Group")
        for kind in kinds:
            by_key: dict[bytes, str] = {}
            for work in claimed:
                if work.kind == kind and not work.absent and work.id in found:
                    try:
                        name = self._target.name_of(kind, found[work.id])
                    except InvalidValue:
                        continue
                    key = self._target.name_key(kind, name)
                    if "name" not in work.known or key != self._target.name_key(kind, work.known["name"]):
                        by_key[key] = work.id
            if by_key:
                allowed = self._context.adoption.allowed(self._session, self._target.name, kind, by_key.keys())
                ids.update(by_key[key] for key in allowed)
        return ids

    def _edges(self, groups: Sequence[str]) -> tuple[dict[str, list[Edge]], str | None]:
        """Memberships to look at, by group; and the first group of which not all were read."""
        if not groups:
            return {}, None
        most = self._context.slice
        rows: list[Any] = []
        for batch in batches(groups):
            limits = {"deferred_": int(self._deferred), "after_": self._after, "most_": most + 1 - len(rows)}
            rows += self._session.execute(_EDGES, {**self._at_target, **limits, "ids": batch}).all()
            if len(rows) > most:
                break
        cut = rows[most].group_id if len(rows) > most else None
        rows = rows[:most]
        people = self._members({row.member_id for row in rows})
        reached = self._reached(rows)
        found: dict[str, list[Edge]] = {}
        for group, id, number in rows:
            member = people.get(id)
            wanted = member is not None and member.fit and (group, id) in reached
            found.setdefault(group, []).append(Edge(group, id, number, wanted, member))
        return found, cut

    def _members(self, ids: set[str]) -> dict[str, Member]:
        found: dict[str, Member] = {}
        kinds = ("User", "Group") if self._target.nests else ("User",)
        for batch in batches(ids):
            for row in self._session.execute(_MEMBERS, {**self._at_target, "ids": batch}):
                if row.gen_no is None or row.kind not in kinds:
                    continue
                fit = not row.absent_flag and (row.kind == "Group" or active(orjson.loads(row.doc)))
                kind: Kind = "Group" if row.kind == "Group" else "User"
                known = orjson.loads(row.known_doc)
                found[row.id] = Member(row.id, kind, known, row.gen_no, row.stale_no > 0, row.holder, fit)
        return found

    def _reached(self, rows: Sequence[Any]) -> set[tuple[str, str]]:
        """Those of the memberships that the directory has, directly or through nested groups."""
        wanted = {(row.group_id, row.member_id) for row in rows}
        groups = sorted({group for group, _ in wanted})
        reached: set[tuple[str, str]] = set()
        for batch in batches({member for _, member in wanted}):
            found = self._session.execute(_DIRECT, {**self._here, "groups": groups, "ids": batch})
            reached.update((group, member) for group, member in found)
        reached &= wanted
        rest = wanted - reached
        if rest and not self._target.nests:
            above = nesting.above(self._session, self._context.tenant, {member for _, member in rest})
            reached.update((group, member) for group, member in rest if group in above[member])
        return reached

    @property
    def _at_target(self) -> dict[str, Any]:
        return {**self._here, "target_": self._target.name}
