"""Resources with members in SQL: each membership is a row of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, insert, select

from scim_gateway.backend import MemberChange, MembershipHandler, Reference
from scim_gateway.errors import StaleResource
from scim_gateway.schema import Resource, ResourceType

from .database import Database, Session
from .failures import Duplicate
from .handlers import OF_KIND, SqlHandler, batches
from .holders import is_contained, kept
from .prepared import Prepared
from .tables import members, resources

# What a row of memberships belongs to is the group, whose own row is locked by whoever changes them.
_IN_GROUP = and_(members.c.tenant == bindparam("tenant_"), members.c.group_id == bindparam("id_"))
_JOIN = Prepared(insert(members))
_LEAVE = Prepared(
    delete(members).where(_IN_GROUP, members.c.member_id.in_(bindparam("leaving", expanding=True))), among="leaving"
)
_DISBAND = Prepared(delete(members).where(_IN_GROUP))
_MEMBER_IDS = Prepared(select(members.c.member_id).where(_IN_GROUP))
_MEMBER_IDS_AMONG = Prepared(
    select(members.c.member_id).where(_IN_GROUP, members.c.member_id.in_(bindparam("among", expanding=True))),
    among="among",
)
_MEMBER_COUNT = Prepared(select(func.count()).select_from(members).where(_IN_GROUP))
# An inner join: were a membership ever left behind by a member that is gone, nobody would see it.
_MEMBERS = Prepared(
    select(members.c.group_id, resources.c.id, resources.c.kind, resources.c.display)
    .join(resources, and_(resources.c.tenant == members.c.tenant, resources.c.id == members.c.member_id))
    .where(members.c.tenant == bindparam("tenant_"), members.c.group_id.in_(bindparam("groups", expanding=True)))
    .order_by(members.c.group_id, members.c.member_id),
    among="groups",
)
_CONTAINING = Prepared(
    select(members.c.member_id, resources.c.id, resources.c.kind, resources.c.display, is_contained(resources))
    .join(resources, and_(resources.c.tenant == members.c.tenant, resources.c.id == members.c.group_id))
    .where(
        members.c.tenant == bindparam("tenant_"),
        members.c.member_id.in_(bindparam("ids", expanding=True)),
        OF_KIND,
    )
    .order_by(resources.c.created, resources.c.id),
    among="ids",
)


class SqlMembershipHandler(SqlHandler, MembershipHandler):
    """Resources of a type with members: the document is stored without them."""

    def __init__(self, resource_type: ResourceType, database: Database, tenant: str) -> None:
        super().__init__(resource_type, database, tenant)
        self._attribute = resource_type.members or ""

    def create(self, resource: Resource) -> None:
        with self._database.session(write=True) as session:
            super().create(resource)
            ids = {element["value"] for element in resource.get(self._attribute, ())}
            self._add_members(session, resource["id"], ids)

    def delete(self, resource: Resource) -> None:
        with self._database.session(write=True) as session:
            super().delete(resource)
            _DISBAND.changed(session, {"tenant_": self._tenant, "id_": resource["id"]})

    def member_ids(self, id: str, *, among: Collection[str] | None = None) -> set[str]:
        with self._database.session() as session:
            if among is not None:
                return self._among(session, id, among)
            return {member for (member,) in _MEMBER_IDS.rows(session, {"tenant_": self._tenant, "id_": id})}

    def member_count(self, id: str) -> int:
        with self._database.session() as session:
            ((count,),) = _MEMBER_COUNT.rows(session, {"tenant_": self._tenant, "id_": id})
            return int(count)

    def change_members(self, before: Resource, after: Resource, change: MemberChange) -> None:
        with self._database.session(write=True) as session:
            if session.locks is not None:
                session.prove_by(lambda later: self._is_changed(later, before, after, change))
            self.modify(before, after)
            for batch in batches(change.remove):
                _LEAVE.changed(session, {"tenant_": self._tenant, "id_": before["id"], "leaving": batch})
            self._add_members(session, before["id"], change.add)

    def containing(self, ids: Collection[str]) -> Mapping[str, Sequence[Reference]]:
        found: dict[str, list[Reference]] = {}
        with self._database.session() as session:
            if (known := kept(session, ids, self._kind)) is not None:
                return known
            for batch in batches(set(ids)):
                for member, id, kind, display, contained in _CONTAINING.rows(session, {**self._at, "ids": batch}):
                    found.setdefault(member, []).append(Reference(id, kind, display, bool(contained)))
        return found

    def _add_members(self, session: Session, id: str, ids: Iterable[str]) -> None:
        rows = [{"tenant": self._tenant, "group_id": id, "member_id": member} for member in sorted(ids)]
        if rows:
            try:
                _JOIN.each(session, rows)
            except Duplicate:
                raise StaleResource(id) from None

    def _is_changed(self, session: Session, before: Resource, after: Resource, change: MemberChange) -> bool | None:
        """Whether memberships were changed, by what is stored after a commit without an answer.

        The document is no proof by itself: another one's change of members in the same millisecond makes the same.
        """
        stored = self._is_stored(session, before["id"], self._state(after), before)
        if not stored:
            return stored
        return self._among(session, before["id"], change.add.keys() | change.remove) == change.add.keys()

    def _among(self, session: Session, id: str, ids: Collection[str]) -> set[str]:
        found: set[str] = set()
        for batch in batches(ids):
            key = {"tenant_": self._tenant, "id_": id, "among": batch}
            found.update(member for (member,) in _MEMBER_IDS_AMONG.rows(session, key))
        return found

    def _state(self, resource: Resource) -> dict[str, Any]:
        return super()._state({name: value for name, value in resource.items() if name != self._attribute})

    def _complete(self, session: Session, found: Sequence[Resource], without: Collection[str]) -> None:
        if self._attribute in without or not found:
            return
        by_id = {resource["id"]: resource for resource in found}
        for batch in batches(by_id):
            rows = _MEMBERS.rows(session, {"tenant_": self._tenant, "groups": batch})
            for group, of_group in groupby(rows, itemgetter(0)):
                by_id[group][self._attribute] = [
                    {"value": id, "type": kind} if display is None else {"value": id, "type": kind, "display": display}
                    for _, id, kind, display in of_group
                ]
