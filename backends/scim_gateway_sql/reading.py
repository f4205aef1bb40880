"""Resources of one type in SQL, read: one by its id, and the page that answers a query."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import orjson
from sqlalchemy import and_, bindparam, func, or_, select

from scim_gateway.abilities import Text, TextHandler, Texts
from scim_gateway.backend import Page, Query
from scim_gateway.errors import NotFound, Unavailable
from scim_gateway.schema import Resource, ResourceType

from .database import Database, Session
from .filter_statements import statement_for
from .holders import document_of, with_holders
from .indexing import Index
from .pages import FEW, FEW_MATCHES, cut, documents, page_among, scans
from .prepared import BATCH, Prepared
from .pushdown import Plan, Translator
from .tables import resources
from .vocabulary import Stored, Vocabularies

_TRIES = 5

HERE = and_(resources.c.tenant == bindparam("tenant_"), resources.c.id == bindparam("id_"))
OF_KIND = resources.c.kind == bindparam("kind_")

_GET = Prepared(select(resources.c.doc).where(HERE, OF_KIND))
_GET_WITH_HOLDERS = with_holders(
    lambda found: and_(
        found.c.tenant == bindparam("tenant_"), found.c.kind == bindparam("kind_"), found.c.id == bindparam("id_")
    )
)
_FIRST = Prepared(
    select(resources.c.doc)
    .where(resources.c.tenant == bindparam("tenant_"), OF_KIND)
    .order_by(resources.c.created, resources.c.id)
    .limit(bindparam("count_"))
    .offset(bindparam("offset_"))
)

_TOTAL = Prepared(
    select(func.count()).select_from(resources).where(resources.c.tenant == bindparam("tenant_"), OF_KIND)
)
_LAST = Prepared(
    select(resources.c.doc)
    .where(resources.c.tenant == bindparam("tenant_"), OF_KIND)
    .order_by(resources.c.created.desc(), resources.c.id.desc())
    .limit(bindparam("count_"))
    .offset(bindparam("offset_"))
)
_BEHIND = Prepared(
    select(resources.c.doc)
    .where(
        resources.c.tenant == bindparam("tenant_"),
        OF_KIND,
        resources.c.created >= bindparam("created_"),
        or_(resources.c.created > bindparam("created_"), resources.c.id > bindparam("after_")),
    )
    .order_by(resources.c.created, resources.c.id)
    .limit(bindparam("count_"))
)


class SqlReader(TextHandler):
    """Reads resources of a type; :class:`.handlers.SqlHandler` writes them, too."""

    def __init__(self, resource_type: ResourceType, database: Database, tenant: str) -> None:
        self.resource_type = resource_type
        self.index = Index(resource_type)
        self._database = database
        self._tenant = tenant
        self._kind = resource_type.name
        # What holds a resource is read with it. Not where writes run side by side: there what was read of a resource is
        # locked, and what holds it is asked later.
        self._has_holders = resource_type.containers is not None
        # Columns of rows to insert; with an underscore the parameters of conditions.
        self._row = {"tenant": tenant, "kind": self._kind}
        self._at = {"tenant_": tenant, "kind_": self._kind}
        self._translator = Translator(self.index, tenant)
        self._vocabularies = Vocabularies(tenant, self.index)

    def get(self, id: str, *, without: Collection[str] = ()) -> Resource:
        with self._database.session() as session:
            resource: Resource = orjson.loads(self._stored(session, id))
            if session.locks is not None:
                session.locks.read(self._tenant, id, resource["meta"]["version"])
            self._complete(session, (resource,), without)
            return resource

    def text(self, id: str) -> Text:
        with self._database.session() as session:
            found = self._stored(session, id)
            return Text(found, holders=session.holders.get(id))

    def _stored(self, session: Session, id: str) -> bytes:
        here = {**self._at, "id_": id}
        if self._has_holders and session.locks is None:
            found = document_of(session, _GET_WITH_HOLDERS, here)
        else:
            row = _GET.first(session, here)
            found = None if row is None else row[0]
        if found is None:
            raise self._missing(id)
        return found

    def _missing(self, id: str) -> NotFound:
        return NotFound(f"There is no {self._kind} with id {id!r}.")

    def query(self, query: Query) -> Page:
        with self._database.session() as session:
            found = self._found(session, query)
            if isinstance(found, Page):
                return found
            page = Page([orjson.loads(doc) for doc in found.json], found.total_results)
            self._complete(session, page.resources, query.without)
            return page

    def texts(self, query: Query) -> Texts | Page:
        with self._database.session() as session:
            return self._found(session, query)

    def _found(self, session: Session, query: Query) -> Texts | Page:
        """A page as stored, or complete where that is not enough to find it."""
        found = self._by_one_statement(session, query)
        if found is None and query.filter is None and query.sort is None:
            found = self._in_order(session, query)
        if found is not None:
            return found
        stored = Stored(session, self._tenant, self.index, self._vocabularies)
        few = self._translator.matches(session, query, stored)
        if few is not None and len(few) <= FEW_MATCHES:
            return page_among(session, self._at, few, query)
        plan = self._translator.plan(query, stored)
        if plan.segments:
            return self._page(session, query, plan, many=few is not None)
        with_members = self._translator.mentions_members(query)
        rest = replace(query, filter=None) if plan.exact else query
        page = rest.run(self._candidates(session, plan, with_members))
        if not with_members:
            self._complete(session, page.resources, query.without)
        return page

    def _by_one_statement(self, session: Session, query: Query) -> Texts | Page | None:
        """The page of a filter for which there is a single statement, which finds few resources."""
        ready = statement_for(self.index, self._tenant, query)
        if ready is None:
            return None
        if self._has_holders and session.locks is None and ready.with_holders is not None:
            only = document_of(session, ready.with_holders, ready.parameters)
            docs = [] if only is None else [only]
            if query.after is None and query.start_index == 1:
                return Texts(docs[: query.count], len(docs), session.holders)
        else:
            rows = ready.statement.rows(session, ready.parameters)
            if len(rows) > FEW:
                return None
            if query.sort is None:
                return cut(query, rows)
            docs = [row[0] for row in rows]
        page = replace(query, filter=None).run(map(orjson.loads, docs))
        self._complete(session, page.resources, query.without)
        return page

    def _in_order(self, session: Session, query: Query) -> Texts:
        """A page of everything, in the default order."""
        total = self._total(session)
        offset, count = query.start_index - 1, query.count
        if query.after is not None:
            place = {"created_": query.after.created, "after_": query.after.id}
            rows = _BEHIND.rows(session, {**self._at, **place, "count_": count}) if count else ()
        elif count == 0 or offset >= total:
            rows = ()
        elif 2 * offset <= total:
            rows = _FIRST.rows(session, {**self._at, "count_": count, "offset_": offset})
        else:
            # From the end it is shorter. Where the directory grew since it was counted, the page has moved with it.
            count = min(count, total - offset)
            behind = total - offset - count
            rows = _LAST.rows(session, {**self._at, "count_": count, "offset_": behind})[::-1]
        return Texts([doc for (doc,) in rows], total)

    def _total(self, session: Session) -> int:
        """How many resources there are of the type."""
        state, known = session.state(), session.known
        if state is not None and known.get(self._kind, (None, 0))[0] == state:
            return known[self._kind][1]
        ((total,),) = _TOTAL.rows(session, self._at)
        if state is not None:
            known[self._kind] = state, int(total)
        return int(total)

    def _page(self, session: Session, query: Query, plan: Plan, *, many: bool) -> Texts:
        offset = max(0, query.start_index - 1) if query.after is None else 0
        if not many and query.filter is not None and query.after is None and scans(query.filter):
            ids = self._ids(session, plan, 0, FEW_MATCHES + 1)
            if len(ids) <= FEW_MATCHES:
                wanted = ids[offset : offset + query.count]
                docs = documents(session, self._tenant, wanted)
                if len(docs) == len(wanted):
                    return Texts(docs, len(ids))
                # One was deleted since its id was read.
        docs = self._docs_in_order(session, plan, offset, query.count) if query.count else []
        if query.after is None and offset == 0 and len(docs) < query.count:
            total = len(docs)
        else:
            total = session.execute(plan.total()).scalar_one()
        return Texts(docs, total)

    def _ids(self, session: Session, plan: Plan, offset: int, count: int) -> list[str]:
        """The ids of a page; only they are sorted, not the documents."""
        found: list[str] = []
        for segment in plan.segments:
            wanted = count - len(found)
            if wanted == 0:
                break
            statement = segment.ids if segment.behind is None else segment.ids.where(segment.behind)
            ids = session.execute(statement.limit(wanted).offset(offset)).scalars().all()
            found += ids
            if ids:
                offset = 0
            elif offset and segment is not plan.segments[-1]:
                length = segment.ids.order_by(None).with_only_columns(func.count(), maintain_column_froms=True)
                offset -= session.execute(length).scalar_one()
        return found

    def _docs_in_order(self, session: Session, plan: Plan, offset: int, count: int) -> list[bytes]:
        """The documents of a page; where one was deleted since its id was read, the page is read again.

        A page that is short for that reason would look like the last one.
        """
        for _ in range(_TRIES):
            ids = self._ids(session, plan, offset, count)
            docs = documents(session, self._tenant, ids)
            if len(docs) == len(ids):
                return docs
        raise Unavailable("The directory changes faster than it can be read; try again.", retry_after=1)

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
