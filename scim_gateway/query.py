"""Queries: over one resource type or all, by index or by cursor (RFC 7644 §3.4.2, §3.4.3, RFC 9865)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, TypeAlias

import orjson

from scim_gateway.abilities import Texts
from scim_gateway.backend import Backend, Page, Query
from scim_gateway.batches import RESOURCES, TERMS, chunks, every
from scim_gateway.call import Answer, Call
from scim_gateway.cursor import Bookmark, Cursors
from scim_gateway.errors import InvalidValue, ScimError, TooMany
from scim_gateway.exchange import Request
from scim_gateway.filter import Comparison, Filter, Never, paths
from scim_gateway.filter_meaning import resolve, text_path
from scim_gateway.filter_parser import parse as parse_filter
from scim_gateway.look_ups import LONGEST, SOME_TEXT, Answering
from scim_gateway.messages import list_response, read_search
from scim_gateway.narrowing import ID, all_of, any_of, conjuncts, group_asked_for, is_nobodys, narrow
from scim_gateway.ordering import Position, Sort, position_of, resolve_sort
from scim_gateway.profile import Profile
from scim_gateway.projection import Projection
from scim_gateway.projection import parse as parse_projection
from scim_gateway.provider_settings import ProviderSettings
from scim_gateway.relations import Relations
from scim_gateway.representation import Representation
from scim_gateway.schema import AttributePath, Resource, ResourceType
from scim_gateway.search import Search, search_of
from scim_gateway.splicing import Splicer

Document: TypeAlias = "Mapping[str, object] | orjson.Fragment"
"""A resource as shown, or its JSON."""


class _Part(NamedTuple):
    """A search as it applies to one resource type."""

    kind: ResourceType
    filter: Filter | None
    sort: Sort | None
    projection: Projection

    def query(self, start_index: int, count: int, after: Position | None = None) -> Query:
        """The query for a page of it."""
        # Positions and entity tags need meta; a cursor needs what is sorted by.
        needed = {"meta", self.sort.target.path.name} if self.sort else {"meta"}
        return Query(self.kind, self.filter, self.sort, start_index, count, after, self.projection.without - needed)


@dataclass(slots=True)
class _Window:
    """Which page is asked for.

    :param start_index: 1-based, for paging by index; ``None`` where a cursor is followed.
    :param place: where the cursor points; ``None`` for the first page.
    """

    count: int
    start_index: int | None
    place: Position | int | None = None


class Searches:
    """Runs searches over a backend."""

    def __init__(
        self,
        backend: Backend,
        settings: ProviderSettings,
        relations: Relations,
        representation: Representation,
        splicers: Mapping[str, Splicer],
    ) -> None:
        self._backend = backend
        self._splicers = splicers
        self._settings = settings
        self._relations = relations
        self._representation = representation
        self._virtual = {kind.name: self._virtual_paths(kind) for kind in backend.resource_types}
        self._ids = {kind.name: self._id_paths(kind) for kind in backend.resource_types}

    def one(self, call: Call) -> Answer:
        """A search over the resources of one type."""
        search = self._read(call)
        kind = call.resource_type
        tree = self._parse(search)
        part = _Part(
            kind,
            None if tree is None else narrow(resolve(tree, kind, call.profile), kind, self._ids[kind.name]),
            resolve_sort(search.sort_by, search.sort_order, kind) if search.sort_by else None,
            parse_projection(search.attributes, search.excluded_attributes, kind),
        )
        window = self._window(search, call)
        if isinstance(part.filter, Never):
            return self._answer((), 0, window)
        with self._backend.operation(write=False):
            if window.start_index is not None:
                shown, total, _ = self._shown(
                    part, part.query(window.start_index, window.count), call.base_url, window.count
                )
                return self._answer(shown, total, window)
            after = window.place if isinstance(window.place, Position) else None
            # One more than asked for tells whether there is a next page.
            query = part.query(1, window.count + 1 if window.count else 0, after)
            shown, total, following = self._shown(part, query, call.base_url, window.count)
        mark = Bookmark(window.count, following) if following else None
        return self._answer(shown, total, window, self._seal(search, call, mark))

    def answering(self, kind: ResourceType, parameters: Mapping[str, str], profile: Profile) -> Answering | None:
        """How searches are answered that differ from this one only in the text that an attribute has to be equal to.

        :param parameters: with :data:`SOME_TEXT` in the filter.
        """
        search, splicer = search_of(parameters), self._splicers.get(kind.name)
        if search.filter is None or len(search.filter) + LONGEST > self._settings.filter_limits.max_length:
            return None
        tree = self._parse(search)
        if not (isinstance(tree, Comparison) and tree.operator == "eq" and tree.value == SOME_TEXT):
            return None
        path = text_path(tree.path, tree.operator, kind, profile)
        if path is None or splicer is None or search.cursor is not None or search.sort_by is not None:
            return None
        projection = parse_projection(search.attributes, search.excluded_attributes, kind)
        part = _Part(kind, Comparison(path, "eq", SOME_TEXT), None, projection)
        index, count = self._page_of(search)
        without = part.query(index, count).without
        if self._is_virtual(part) or not splicer.fits(projection, without):
            return None

        asks_for_id = path in self._ids[kind.name]

        def answer(request: Request, text: str) -> Answer:
            if asks_for_id and is_nobodys(kind, path, text):
                return Answer(200, list_response((), 0, start_index=index))
            query = Query(kind, Comparison(path, "eq", text), None, index, count, None, without)
            with self._backend.look_up():
                shown, total, _ = self._spliced(splicer, part, query, request.base_url, count)
            return Answer(200, list_response(shown, total, start_index=index))

        return answer

    def all(self, call: Call) -> Answer:
        """A search over all resource types (RFC 7644 §3.4.2.1)."""
        search = self._read(call)
        parts = list(self._parts(search, call))
        window = self._window(search, call)
        start = window.start_index or (window.place if isinstance(window.place, int) else 1)
        with self._backend.operation(write=False):
            if any(part.sort for part in parts):
                found, total = self._merged(parts, start, window.count, call.base_url)
            else:
                found, total = self._in_turn(parts, start, window.count, call.base_url)
        documents = self._project(found)
        following = start + len(documents)
        mark = Bookmark(window.count, following) if documents and following <= total else None
        next_cursor = self._seal(search, call, mark) if window.start_index is None else None
        return self._answer(documents, total, window, next_cursor)

    # What is asked for

    def _read(self, call: Call) -> Search:
        return read_search(call.body(), call.profile) if call.method == "POST" else search_of(call.parameters)

    def _parse(self, search: Search) -> Filter | None:
        return None if search.filter is None else parse_filter(search.filter, self._settings.filter_limits)

    def _parts(self, search: Search, call: Call) -> Iterator[_Part]:
        """The resource types that can hold matches; an attribute that a type does not have is absent there."""
        tree = self._parse(search)
        sorts: dict[str, Sort | None] = {}
        errors: list[ScimError] = []
        for kind in self._backend.resource_types:
            try:
                sorts[kind.name] = (
                    resolve_sort(search.sort_by, search.sort_order, kind) if search.sort_by is not None else None
                )
            except ScimError as error:
                sorts[kind.name] = None
                errors.append(error)
        if errors and not any(sorts.values()):
            raise errors[0]
        for kind in self._backend.resource_types:
            projection = parse_projection(search.attributes, search.excluded_attributes, kind)
            resolved = None
            if tree is not None:
                resolved = narrow(resolve(tree, kind, call.profile, unknown_is_absent=True), kind, self._ids[kind.name])
            if not isinstance(resolved, Never):
                yield _Part(kind, resolved, sorts[kind.name], projection)

    def _window(self, search: Search, call: Call) -> _Window:
        start_index, count = self._page_of(search)
        if search.cursor is None:
            return _Window(count, start_index)
        if search.start_index is not None:
            raise InvalidValue("cursor and startIndex exclude each other.")
        if not search.cursor:
            return _Window(count, None)
        asked = None if search.count is None else count
        mark = self._cursors().open(search.cursor, search.fingerprint(call.route.template), asked)
        return _Window(mark.count, None, mark.place)

    def _page_of(self, search: Search) -> tuple[int, int]:
        """The 1-based index of the first resource, and how many there may be."""
        start_index = 1 if search.start_index is None else max(1, search.start_index)
        if search.count is None:
            return start_index, self._settings.default_count
        return start_index, min(max(search.count, 0), self._settings.max_results)

    # What is found

    def _run(self, part: _Part, query: Query, base_url: str) -> tuple[list[Resource], int]:
        """Whole resources of a page, and how many there are."""
        page, whole = self._find(part, query, base_url)
        return self._whole(part, page.resources, whole, base_url), page.total_results

    def _shown(
        self, part: _Part, query: Query, base_url: str, count: int
    ) -> tuple[Sequence[Document], int, Position | None]:
        """A page as shown, how many matches there are, and where it ends if more was found than belongs to it."""
        splicer = self._splicers.get(part.kind.name)
        if splicer is None or not splicer.fits(part.projection, query.without) or self._is_virtual(part):
            page, whole = self._find(part, query, base_url)
            return self._completed(part, page, whole, base_url, count)
        return self._spliced(splicer, part, query, base_url, count)

    def _spliced(
        self, splicer: Splicer, part: _Part, query: Query, base_url: str, count: int
    ) -> tuple[Sequence[Document], int, Position | None]:
        """The same, out of texts if the store gives them."""
        found = splicer.handler.texts(query)
        if not isinstance(found, Texts):
            return self._completed(part, found, False, base_url, count)
        last = orjson.loads(found.json[count - 1]) if len(found.json) > count > 0 else None
        shown = splicer.page(found, count, base_url, part.projection)
        return shown, found.total_results, position_of(last, part.sort) if last else None

    def _completed(
        self, part: _Part, page: Page, whole: bool, base_url: str, count: int
    ) -> tuple[Sequence[Document], int, Position | None]:
        """The same, out of resources."""
        resources = page.resources[:count]
        last = resources[-1] if len(page.resources) > count > 0 else None
        completed = self._whole(part, resources, whole, base_url)
        return self._project([(part, completed)]), page.total_results, position_of(last, part.sort) if last else None

    def _is_virtual(self, part: _Part) -> bool:
        """Whether a search asks for what no store holds."""
        sorted_by = (part.sort.target.path,) if part.sort else ()
        return self._any_virtual(part.kind, (*paths(part.filter), *sorted_by))

    def _any_virtual(self, kind: ResourceType, looked_at: Iterable[AttributePath]) -> bool:
        """Whether one of these attributes is no store's to look up."""
        virtual = self._virtual[kind.name]
        return any(path.name == kind.containers or path in virtual for path in looked_at)

    def _find(self, part: _Part, query: Query, base_url: str) -> tuple[Page, bool]:
        """A page, and whether its resources are whole or as stored."""
        if self._is_virtual(part):
            return query.run(self._candidates(part, base_url)), True
        return self._backend.handlers[part.kind.name].query(query), False

    def _whole(self, part: _Part, found: Sequence[Resource], whole: bool, base_url: str) -> list[Resource]:
        if whole:
            return list(found)
        return self._representation.complete(found, part.kind, base_url, without=part.projection.without)

    def _candidates(self, part: _Part, base_url: str) -> Iterator[Resource]:
        """Whole resources for a search by what no store holds: groups of a user, locations, versions, names of others.

        What the store can tell still narrows them; asked for one group, its members are all there is to look at.
        """
        containers = part.kind.containers
        stored: list[Filter] = []
        ids: set[str] | None = None
        for term in conjuncts(part.filter):
            if group := group_asked_for(term, containers):
                members = self._relations.members_within(group)
                ids = members if ids is None else ids & members
            elif not self._any_virtual(part.kind, paths(term)):
                stored.append(term)
        handler = self._backend.handlers[part.kind.name]
        if ids is None:
            found: Iterable[Resource] = every(handler, all_of(stored))
        else:
            found = (
                resource
                for some in chunks(sorted(ids), TERMS)
                for resource in every(handler, all_of([*stored, any_of([Comparison(ID, "eq", id) for id in some])]))
            )
        for batch in chunks(found, RESOURCES):
            yield from self._representation.complete(batch, part.kind, base_url)

    def _in_turn(
        self, parts: Iterable[_Part], start: int, count: int, base_url: str
    ) -> tuple[list[tuple[_Part, list[Resource]]], int]:
        """One type after the other: an order as good as any, and a page deep inside costs no more than the first."""
        found: list[tuple[_Part, list[Resource]]] = []
        total = 0
        for part in parts:
            page, matches = self._run(part, part.query(max(1, start - total), count), base_url)
            if count:
                found.append((part, page))
            total += matches
            count -= len(page)
        return found, total

    def _merged(
        self, parts: Iterable[_Part], start: int, count: int, base_url: str
    ) -> tuple[list[tuple[_Part, list[Resource]]], int]:
        """Resources of all types in one order; all of them have to be looked at."""
        limit = self._settings.max_root_candidates
        descending = False
        total = 0
        found: list[tuple[tuple[bool, bool, str | float], tuple[str, str], _Part, Resource, bool]] = []
        for part in parts:
            descending = descending or (part.sort is not None and part.sort.descending)
            page, whole = self._find(part, part.query(1, limit + 1), base_url)
            total += page.total_results
            if total > limit:
                raise TooMany(
                    f"More than {limit} resources match; narrow the filter, leave out sortBy, or query one type."
                )
            for resource in page.resources:
                position = position_of(resource, part.sort)
                found.append((_sort_key(position), (position.created, position.id), part, resource, whole))
        found.sort(key=lambda entry: entry[1])
        found.sort(key=lambda entry: entry[0], reverse=descending)
        cut = [entry[2:] for entry in found[start - 1 : start - 1 + count]]
        # Neighbours of one type are completed together.
        runs = [(part, whole, [entry[1] for entry in some]) for (part, whole), some in groupby(cut, itemgetter(0, 2))]
        return [(part, self._whole(part, resources, whole, base_url)) for part, whole, resources in runs], total

    def _virtual_paths(self, kind: ResourceType) -> frozenset[AttributePath]:
        """Attributes, besides its groups, that a resource of the type has only when it is shown."""
        virtual = {AttributePath(None, "meta", "location"), AttributePath(None, "meta", "version")}
        for field in self._representation.fields[kind.name]:
            virtual.add(AttributePath(field.urn, field.attribute.name, "$ref"))
            if field.display and not self._representation.told(kind, field):
                virtual.add(AttributePath(field.urn, field.attribute.name, field.display))
        return frozenset(virtual)

    def _id_paths(self, kind: ResourceType) -> frozenset[AttributePath]:
        """The attributes whose values are ids: its own, of what it refers to, and of what holds it."""
        referring = {
            AttributePath(each.urn, each.attribute.name, "value") for each in self._representation.fields[kind.name]
        }
        holding = {AttributePath(None, kind.containers, "value")} if kind.containers else set()
        return frozenset({ID} | referring | holding)

    # What is answered

    def _project(self, found: Iterable[tuple[_Part, list[Resource]]]) -> list[Document]:
        return [
            shown.document
            for part, resources in found
            for shown in self._representation.project(resources, part.kind, part.projection)
        ]

    def _answer(
        self, documents: Sequence[Document], total: int, window: _Window, next_cursor: str | None = None
    ) -> Answer:
        body = list_response(documents, total, start_index=window.start_index, next_cursor=next_cursor)
        return Answer(200, body)

    def _seal(self, search: Search, call: Call, mark: Bookmark | None) -> str | None:
        return self._cursors().seal(search.fingerprint(call.route.template), mark) if mark else None

    def _cursors(self) -> Cursors:
        return Cursors(self._backend.cursor_key, self._settings.cursor_timeout)


def _sort_key(position: Position) -> tuple[bool, bool, str | float]:
    value = position.value
    if value is None:
        return True, False, 0
    return False, isinstance(value, str), value
