"""Resources with members in SQL: each membership is a row of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import and_, bindparam, delete, insert, select

from scim_gateway.abilities import MemberChange, MemberTextHandler, Text
from scim_gateway.backend import Reference
from scim_gateway.errors import StaleResource
from scim_gateway.schema import Resource, ResourceType

from .database import Database, Session
from .failures import Duplicate
from .handlers import SqlHandler
from .holders import is_contained, kept
from .prepared import Prepared, batches
from .reading import OF_KIND
from .tables import members, resources, settings

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
# Asked with each change of a membership: what it costs does not grow with the group.
_BEYOND = Prepared(select(members.c.member_id).where(_IN_GROUP).limit(1).offset(bindparam("than_")))
# An inner join: were a membership ever left behind by a member that is gone, nobody would see it.
_MEMBERS = Prepared(
    select(members.c.group_id, resources.c.id, resources.c.kind, resources.c.display)
    .join(resources, and_(resources.c.tenant == members.c.tenant, resources.c.id == members.c.member_id))
    .where(members.c.tenant == bindparam("tenant_"), members.c.group_id.in_(bindparam("groups", expanding=True)))
    .order_by(members.c.group_id, members.c.member_id),
    among="groups",
)
_LISTED = Prepared(
    select(resources.c.id, resources.c.kind, resources.c.display)
    .select_from(
        members.join(resources, and_(resources.c.tenant == members.c.tenant, resources.c.id == members.c.member_id))
    )
    .where(_IN_GROUP)
    .order_by(members.c.member_id)
)
# Only SQLite keeps the row that tells whether a member got another name (ddl.py).
_NAMES = select(settings.c.payload).where(
    settings.c.tenant == bindparam("tenant_"), settings.c.name == bindparam("names_")
)
_DOCUMENT_AND_NAMES = Prepared(
    select(resources.c.doc, _NAMES.scalar_subquery()).where(
        resources.c.tenant == bindparam("tenant_"), resources.c.id == bindparam("id_"), OF_KIND
    )
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


NAMES = "names of members"
"""The setting that becomes another one when a member gets another name."""


class SqlMembershipHandler(SqlHandler, MemberTextHandler):
    """Resources of a type with members: the document is stored without them."""

    def __init__(self, resource_type: ResourceType, database: Database, tenant: str) -> None:
        super().__init__(resource_type, database, tenant)
        self._attribute = resource_type.members or ""

    def text(self, id: str) -> Text:
        with self._database.session() as session:
            if not session.tells_changes:
                return Text(self._stored(session, id))
            row = _DOCUMENT_AND_NAMES.first(session, {**self._at, "id_": id, "names_": NAMES})
            if row is None:
                raise self._missing(id)
            # The document changes with each membership, and whatever else is shown has a name.
            return Text(row[0], row)

    def members(self, id: str) -> Sequence[tuple[str, str, str | None]]:
        with self._database.session() as session:
            rows: Sequence[Any] = _LISTED.rows(session, {"tenant_": self._tenant, "id_": id})
            return rows

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

    def has_more_members(self, id: str, than: int) -> bool:
        with self._database.session() as session:
            return _BEYOND.first(session, {"tenant_": self._tenant, "id_": id, "than_": than}) is not None

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

    def _wrote(self, session: Session, id: str, state: Mapping[str, Any], before: Resource | None = None) -> None:
        session.regrouped = True
        super()._wrote(session, id, state, before)

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
