"""Resources of one type in SQL: reading, writing the difference, and memberships as rows of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, delete, func, insert, select, update

from scim_gateway.backend import MemberChange, MembershipHandler, Page, Query, Reference, ResourceHandler, value_taken
from scim_gateway.errors import Conflict, NotFound, StaleResource
from scim_gateway.schema import Resource, ResourceType

from .database import Database, Session
from .failures import Duplicate
from .indexing import Index, Rows, value_rows
from .pushdown import FEW, Plan, Translator
from .tables import identifiers, members, resources, values

BATCH = 500
"""Ids in one statement, resources in one fetch."""

_HERE = and_(resources.c.tenant == bindparam("tenant_"), resources.c.id == bindparam("id_"))
_OF_KIND = resources.c.kind == bindparam("kind_")
_UNCHANGED = and_(_HERE, _OF_KIND, resources.c.revision == bindparam("before_"))

_GET = select(resources.c.doc).where(_HERE, _OF_KIND)
_EXISTS = select(resources.c.id).where(_HERE, _OF_KIND)
_CREATE = insert(resources)
_MODIFY = (
    update(resources)
    .where(_UNCHANGED)
    .values(revision=bindparam("revision_"), display=bindparam("display_"), doc=bindparam("doc_"))
)
_DELETE = delete(resources).where(_UNCHANGED)

_CLAIM = insert(identifiers)
_RELEASE = delete(identifiers).where(
    identifiers.c.tenant == bindparam("tenant_"),
    identifiers.c.kind == bindparam("kind_"),
    identifiers.c.attr == bindparam("attr_"),
    identifiers.c.name_key == bindparam("name_key_"),
    identifiers.c.resource_id == bindparam("id_"),
)
_ADD_VALUE = insert(values)
_DROP_VALUE = delete(values).where(
    values.c.tenant == bindparam("tenant_"),
    values.c.attr == bindparam("attr_"),
    values.c.sortable == bindparam("sortable_"),
    values.c.resource_id == bindparam("resource_id_"),
    values.c.elem == bindparam("elem_"),
)
_DOCS = select(resources.c.id, resources.c.doc).where(
    resources.c.tenant == bindparam("tenant_"), resources.c.id.in_(bindparam("ids", expanding=True))
)
_FIRST = (
    select(resources.c.doc)
    .where(resources.c.tenant == bindparam("tenant_"), _OF_KIND)
    .order_by(resources.c.created, resources.c.id)
    .limit(bindparam("count_"))
    .offset(bindparam("offset_"))
)

_CUT = select(values.c.elem).where(values.c.tenant == bindparam("tenant_"), values.c.attr == bindparam("cut_")).limit(1)

_JOIN = insert(members).prefix_with("OR IGNORE", dialect="sqlite").prefix_with("IGNORE", dialect="mysql")
_LEAVE = delete(members).where(
    members.c.tenant == bindparam("tenant_"),
    members.c.group_id == bindparam("group_"),
    members.c.member_id == bindparam("member_"),
)
_DISBAND = delete(members).where(members.c.tenant == bindparam("tenant_"), members.c.group_id == bindparam("id_"))
_LEAVE_ALL = delete(members).where(members.c.tenant == bindparam("tenant_"), members.c.member_id == bindparam("id_"))
_MEMBER_IDS = select(members.c.member_id).where(
    members.c.tenant == bindparam("tenant_"), members.c.group_id == bindparam("id_")
)
_MEMBER_IDS_AMONG = _MEMBER_IDS.where(members.c.member_id.in_(bindparam("among", expanding=True)))
_MEMBER_COUNT = (
    select(func.count())
    .select_from(members)
    .where(members.c.tenant == bindparam("tenant_"), members.c.group_id == bindparam("id_"))
)
# An inner join: were a membership ever left behind by a member that is gone, nobody would see it.
_MEMBERS = (
    select(members.c.group_id, resources.c.id, resources.c.kind, resources.c.display)
    .join(resources, and_(resources.c.tenant == members.c.tenant, resources.c.id == members.c.member_id))
    .where(members.c.tenant == bindparam("tenant_"), members.c.group_id.in_(bindparam("groups", expanding=True)))
    .order_by(members.c.group_id, members.c.member_id)
)
_CONTAINING = (
    select(members.c.member_id, resources.c.id, resources.c.kind, resources.c.display)
    .join(resources, and_(resources.c.tenant == members.c.tenant, resources.c.id == members.c.group_id))
    .where(
        members.c.tenant == bindparam("tenant_"),
        members.c.member_id.in_(bindparam("ids", expanding=True)),
        _OF_KIND,
    )
    .order_by(resources.c.created, resources.c.id)
)


def batches(items: Iterable[str], size: int = BATCH) -> Iterator[list[str]]:
    """The items in lists that fit one statement, sorted: rows are locked in one order everywhere."""
    everything = sorted(items)
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


class SqlHandler(ResourceHandler):
    """Resources of a type without members."""

    def __init__(self, resource_type: ResourceType, database: Database, tenant: str) -> None:
        self.resource_type = resource_type
        self.index = Index(resource_type)
        self._database = database
        self._tenant = tenant
        self._kind = resource_type.name
        # Columns of rows to insert; with an underscore the parameters of conditions.
        self._row = {"tenant": tenant, "kind": self._kind}
        self._at = {"tenant_": tenant, "kind_": self._kind}
        self._translator = Translator(self.index, tenant)

    def get(self, id: str, *, without: Collection[str] = ()) -> Resource:
        with self._database.session() as session:
            doc = session.execute(_GET, {**self._at, "id_": id}).scalar()
            if doc is None:
                raise NotFound(f"There is no {self._kind} with id {id!r}.")
            resource: Resource = orjson.loads(doc)
            self._complete(session, (resource,), without)
            return resource

    def create(self, resource: Resource) -> None:
        with self._database.session(write=True) as session:
            row = {**self._row, "id": resource["id"], "created": resource["meta"]["created"]}
            try:
                session.execute(_CREATE, {**row, **self._state(resource)})
            except Duplicate:
                raise Conflict(f"There is a resource with id {resource['id']!r} already.") from None
            self._claim(session, resource["id"], self.index.unique_keys(resource))
            self._add_values(session, resource["id"], self.index.rows(resource))

    def modify(self, before: Resource, after: Resource) -> None:
        with self._database.session(write=True) as session:
            id = before["id"]
            state = {f"{column}_": value for column, value in self._state(after).items()}
            self._replace(session, _MODIFY, before, state)
            held, wanted = self.index.unique_keys(before), self.index.unique_keys(after)
            self._release(session, id, {attr: key for attr, key in held.items() if wanted.get(attr) != key})
            self._claim(session, id, {attr: key for attr, key in wanted.items() if held.get(attr) != key})
            old, new = self.index.rows(before), self.index.rows(after)
            self._drop_values(session, id, {at: form for at, form in old.items() if new.get(at) != form})
            self._add_values(session, id, {at: form for at, form in new.items() if old.get(at) != form})

    def delete(self, resource: Resource) -> None:
        with self._database.session(write=True) as session:
            self._replace(session, _DELETE, resource, {})
            self._release(session, resource["id"], self.index.unique_keys(resource))
            session.execute(_LEAVE_ALL, {"tenant_": self._tenant, "id_": resource["id"]})
            self._drop_values(session, resource["id"], self.index.rows(resource))

    def query(self, query: Query) -> Page:
        with self._database.session() as session:
            page = self._looked_up(session, query)
            if page is None:
                plan = self._translator.plan(query, lambda: self._has_cut(session))
                if plan.segments:
                    page = self._page(session, query, plan)
                else:
                    with_members = self._translator.mentions_members(query)
                    rest = replace(query, filter=None) if plan.exact else query
                    page = rest.run(self._candidates(session, plan, with_members))
                    if with_members:
                        return page
            self._complete(session, page.resources, query.without)
            return page

    def _looked_up(self, session: Session, query: Query) -> Page | None:
        """The page of a filter that a single look-up answers with few resources."""
        lookup = self._translator.lookup(query)
        if lookup is None:
            return None
        docs = session.execute(*lookup).scalars().all()
        if len(docs) > FEW:
            return None
        return replace(query, filter=None).run([orjson.loads(doc) for doc in docs])

    def _page(self, session: Session, query: Query, plan: Plan) -> Page:
        offset = max(0, query.start_index - 1) if query.after is None else 0
        if query.count == 0:
            docs: list[bytes] = []
        elif query.filter is None and query.sort is None and query.after is None:
            here = {**self._at, "count_": query.count, "offset_": offset}
            docs = list(session.execute(_FIRST, here).scalars())
        else:
            docs = self._docs(session, self._ids(session, plan, offset, query.count))
        if query.after is None and offset == 0 and len(docs) < query.count:
            total = len(docs)
        else:
            total = session.execute(plan.total()).scalar_one()
        return Page([orjson.loads(doc) for doc in docs], total)

    def _ids(self, session: Session, plan: Plan, offset: int, count: int) -> list[str]:
        """The ids of a page; only they are sorted, not the documents."""
        found: list[str] = []
        for segment in plan.segments:
            wanted = count - len(found)
            if wanted == 0:
                break
            statement = segment.ids if segment.behind is None else segment.ids.where(segment.behind)
            ids = list(session.execute(statement.limit(wanted).offset(offset)).scalars())
            found += ids
            if ids:
                offset = 0
            elif offset and segment is not plan.segments[-1]:
                length = segment.ids.order_by(None).with_only_columns(func.count(), maintain_column_froms=True)
                offset -= session.execute(length).scalar_one()
        return found

    def _docs(self, session: Session, ids: Sequence[str]) -> list[bytes]:
        """Documents in the order of the ids."""
        docs: dict[str, bytes] = {}
        for batch in batches(ids):
            docs.update((id, doc) for id, doc in session.execute(_DOCS, {"tenant_": self._tenant, "ids": batch}))
        return [docs[id] for id in ids if id in docs]

    def _has_cut(self, session: Session) -> bool:
        return session.execute(_CUT, {"tenant_": self._tenant, "cut_": self.index.cut}).first() is not None

    def _candidates(self, session: Session, plan: Plan, with_members: bool) -> Iterator[Resource]:
        """All that may match, with members only where the core looks at them."""
        rows = session.execute(plan.candidates()).scalars()
        while docs := rows.fetchmany(BATCH):
            found = [orjson.loads(doc) for doc in docs]
            if with_members:
                self._complete(session, found, ())
            yield from found

    def _complete(self, session: Session, found: Sequence[Resource], without: Collection[str]) -> None:
        """Add to documents as stored what is kept in other tables."""

    def _state(self, resource: Resource) -> dict[str, Any]:
        return {
            "revision": resource["meta"]["version"],
            "display": self.resource_type.display_of(resource),
            "doc": orjson.dumps(resource),
        }

    def _replace(self, session: Session, statement: Any, before: Resource, state: Mapping[str, Any]) -> None:
        """Change or delete the row if it still is what the core read; its lock is taken before any other."""
        found = {**self._at, "id_": before["id"], "before_": before["meta"]["version"]}
        if session.execute(statement, {**found, **state}).rowcount != 1:
            raise StaleResource(before["id"])

    def _release(self, session: Session, id: str, keys: Mapping[str, bytes]) -> None:
        if keys:
            rows = [{**self._at, "attr_": attr, "name_key_": key, "id_": id} for attr, key in keys.items()]
            session.execute(_RELEASE, rows)

    def _claim(self, session: Session, id: str, keys: Mapping[str, bytes]) -> None:
        for attr, key in keys.items():
            try:
                session.execute(_CLAIM, {**self._row, "attr": attr, "name_key": key, "resource_id": id})
            except Duplicate:
                raise value_taken(self.resource_type, self.index.unique[attr].path) from None

    def _add_values(self, session: Session, id: str, rows: Rows) -> None:
        if rows:
            session.execute(_ADD_VALUE, value_rows(self._tenant, id, rows))

    def _drop_values(self, session: Session, id: str, rows: Rows) -> None:
        if rows:
            found = value_rows(self._tenant, id, rows)
            session.execute(_DROP_VALUE, [{f"{name}_": value for name, value in row.items()} for row in found])


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
            session.execute(_DISBAND, {"tenant_": self._tenant, "id_": resource["id"]})

    def member_ids(self, id: str, *, among: Collection[str] | None = None) -> set[str]:
        key = {"tenant_": self._tenant, "id_": id}
        with self._database.session() as session:
            if among is None:
                return set(session.execute(_MEMBER_IDS, key).scalars())
            found: set[str] = set()
            for batch in batches(among):
                found.update(session.execute(_MEMBER_IDS_AMONG, {**key, "among": batch}).scalars())
            return found

    def member_count(self, id: str) -> int:
        with self._database.session() as session:
            count: int = session.execute(_MEMBER_COUNT, {"tenant_": self._tenant, "id_": id}).scalar_one()
            return count

    def change_members(self, before: Resource, after: Resource, change: MemberChange) -> None:
        with self._database.session(write=True) as session:
            self.modify(before, after)
            if change.remove:
                key = {"tenant_": self._tenant, "group_": before["id"]}
                session.execute(_LEAVE, [{**key, "member_": member} for member in sorted(change.remove)])
            self._add_members(session, before["id"], change.add)

    def containing(self, ids: Collection[str]) -> Mapping[str, Sequence[Reference]]:
        found: dict[str, list[Reference]] = {}
        with self._database.session() as session:
            for batch in batches(set(ids)):
                for member, *reference in session.execute(_CONTAINING, {**self._at, "ids": batch}):
                    found.setdefault(member, []).append(Reference(*reference))
        return found

    def _add_members(self, session: Session, id: str, ids: Iterable[str]) -> None:
        rows = [{"tenant": self._tenant, "group_id": id, "member_id": member} for member in sorted(ids)]
        if rows:
            session.execute(_JOIN, rows)

    def _state(self, resource: Resource) -> dict[str, Any]:
        return super()._state({name: value for name, value in resource.items() if name != self._attribute})

    def _complete(self, session: Session, found: Sequence[Resource], without: Collection[str]) -> None:
        if self._attribute in without or not found:
            return
        by_id = {resource["id"]: resource for resource in found}
        for batch in batches(by_id):
            rows = session.execute(_MEMBERS, {"tenant_": self._tenant, "groups": batch})
            for group, id, kind, display in rows:
                member = {"value": id, "type": kind}
                if display is not None:
                    member["display"] = display
                by_id[group].setdefault(self._attribute, []).append(member)
