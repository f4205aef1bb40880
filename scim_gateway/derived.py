"""Searches by what no store holds, as it follows from other resources or from the base URL (RFC 7643 §3.1, §4.1.2).

Groups of a user, locations, versions, names of others. What such a search costs is one look at the directory at most,
and what it finds; of that only the places in the order are kept, and the resources of the page are read again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from scim_gateway.backend import Backend, Page, Query, Reference
from scim_gateway.batches import RESOURCES, chunks
from scim_gateway.candidates import candidates
from scim_gateway.filter import Comparison, Filter, Or, Present, ValuePath, paths
from scim_gateway.filter_predicates import compile_filter, equality_form
from scim_gateway.narrowing import all_of, conjuncts, group_asked_for
from scim_gateway.ordering import position_key, position_of
from scim_gateway.relations import Membership, Relations
from scim_gateway.representation import Representation
from scim_gateway.scanning import Scan
from scim_gateway.schema import AttributePath, Resource, ResourceType

_MANY_GROUPS = 500
"""The members of so many groups are asked for one by one; of more, the resources tell what they are in."""
_VERSION = AttributePath(None, "meta", "version")


class _Terms(NamedTuple):
    """The terms of a filter, by who can tell whether they hold.

    :param stored: those for the store.
    :param derived: those that have to be tried on what is shown of a resource.
    :param ids: the resources for which the others hold, and perhaps more; ``None`` for all.
    """

    stored: list[Filter]
    derived: list[Filter]
    ids: set[str] | None


class DerivedSearches:
    """Tells which searches ask for what no store holds, and runs them."""

    def __init__(self, backend: Backend, relations: Relations, representation: Representation) -> None:
        self._backend = backend
        self._relations = relations
        self._representation = representation
        self._derived = {kind.name: self._derived_paths(kind) for kind in backend.resource_types}

    def concerns(self, kind: ResourceType, looked_at: Iterable[AttributePath]) -> bool:
        """Whether one of these attributes is no store's to look up."""
        derived = self._derived[kind.name]
        return any(path.name == kind.containers or path in derived for path in looked_at)

    def find(self, query: Query, base_url: str) -> Page:
        """A page of whole resources."""
        kind, sort = query.resource_type, query.sort
        terms = self._sorted_out(query, base_url)
        found: list[tuple[Any, ...]] = []
        for batch in self._matching(query, terms, base_url):
            found += [position_key(position_of(resource, sort), sort) for resource in batch]
        found.sort()
        start = query.start_index - 1
        if query.after is not None:
            start = bisect_right(found, position_key(query.after, sort))
        resources: list[Resource] = []
        # What was deleted since it was found leaves room for what follows: a short page would look like the last one.
        while start < len(found) and len(resources) < query.count:
            ids = [key[-1] for key in found[start : start + query.count - len(resources)]]
            start += len(ids)
            resources += self._read(kind, ids, base_url)
        return Page(resources, len(found))

    def _read(self, kind: ResourceType, ids: list[str], base_url: str) -> list[Resource]:
        """Whole resources, in the order of the ids."""
        read = {each["id"]: each for each in candidates(self._backend.handlers[kind.name], Query(kind), among=set(ids))}
        return self._representation.complete([read[id] for id in ids if id in read], kind, base_url)

    def _matching(self, query: Query, terms: _Terms, base_url: str) -> Iterator[list[Resource]]:
        """All that match, in batches, each with what is sorted by."""
        if terms.ids is not None and not terms.ids:
            return
        kind = query.resource_type
        sorted_by = [query.sort.target.path] if query.sort else []
        stored, derived = all_of(terms.stored), all_of(terms.derived)
        seen = {path.name for tree in (stored, derived) for path in paths(tree)} | {path.name for path in sorted_by}
        unread = frozenset({kind.members or ""} - seen)
        is_stored = None if stored is None else compile_filter(stored, kind)
        is_derived = None if derived is None else compile_filter(derived, kind)
        # Resources are completed only for what somebody looks at: groups take the most time by far.
        looked_at = [*paths(derived), *sorted_by]
        without = self._without(kind, looked_at) if self.concerns(kind, looked_at) else None
        asked = Query(kind, stored, without=unread, scan=query.scan)
        found = candidates(self._backend.handlers[kind.name], asked, among=terms.ids)
        for batch in chunks(found, RESOURCES):
            if query.scan is not None:
                query.scan.step()
            matching = _those(is_stored, batch, query.scan)
            if without is not None:
                matching = self._representation.complete(matching, kind, base_url, without=without)
            yield _those(is_derived, matching, query.scan)

    def _without(self, kind: ResourceType, looked_at: Iterable[AttributePath]) -> frozenset[str]:
        """What need not be added to a resource for a look at these attributes."""
        looked_at = set(looked_at)
        names = {path.name for path in looked_at}
        without = {field.attribute.name for field in self._representation.fields[kind.name]} - names
        if kind.containers not in names and _VERSION not in looked_at:
            without |= {kind.containers or "", "meta"}
        return frozenset(without)

    # Groups first

    def _sorted_out(self, query: Query, base_url: str) -> _Terms:
        kind = query.resource_type
        terms = _Terms([], [], None)
        groups = None
        for term in dict.fromkeys(conjuncts(query.filter)):
            if not self.concerns(kind, paths(term)):
                terms.stored.append(term)
                continue
            found, exact = None, False
            if group := group_asked_for(term, kind.containers):
                found = self._members_of(group, kind)
                exact = isinstance(term.filter if isinstance(term, ValuePath) else term, Comparison)
            elif _asks_for_one_group(term, kind.containers):
                groups = groups or _Groups(self._relations, self._representation, base_url, query.scan)
                found, exact = groups.members(term, kind)
            # A group in a circle is a member of what is in it, but is not shown in itself.
            if not exact or kind.members:
                terms.derived.append(term)
            if found is not None:
                terms = terms._replace(ids=found if terms.ids is None else terms.ids & found)
        return terms

    def _members_of(self, group: str, kind: ResourceType) -> set[str]:
        target = kind.resolve(AttributePath(None, kind.containers or "", "value"))
        assert target is not None
        return self._relations.members_within([str(equality_form(target.leaf, group))])

    def _derived_paths(self, kind: ResourceType) -> frozenset[AttributePath]:
        """Attributes, besides its groups, that a resource of the type has only when it is shown."""
        derived = {AttributePath(None, "meta", "location"), _VERSION}
        for field in self._representation.fields[kind.name]:
            derived.add(AttributePath(field.urn, field.attribute.name, "$ref"))
            if field.display and not self._representation.told(kind, field):
                derived.add(AttributePath(field.urn, field.attribute.name, field.display))
        return frozenset(derived)


def _those(matches: Callable[[Resource], bool] | None, resources: list[Resource], scan: Scan | None) -> list[Resource]:
    """The resources that match; to try them all may take long."""
    if matches is None:
        return resources
    return [each for each in (resources if scan is None else scan.over(resources)) if matches(each)]


class _Groups:
    """All groups as those in them show them, for one search."""

    def __init__(self, relations: Relations, representation: Representation, base_url: str, scan: Scan | None) -> None:
        self._relations = relations
        self._known: dict[str, Reference] = relations.groups(scan)
        self._shown = {
            id: [representation.group(Membership(group, direct), base_url) for direct in (True, False)]
            for id, group in self._known.items()
        }

    def members(self, term: Filter, kind: ResourceType) -> tuple[set[str] | None, bool]:
        """Ids of those for which a term about one of their groups may hold, and whether it holds for all of them.

        ``None`` instead of the ids if too many groups are such a group.
        """
        matches, name = compile_filter(term, kind), kind.containers or ""
        exact, chosen = True, []
        for id, ways in self._shown.items():
            direct, indirect = (matches({name: [shown]}) for shown in ways)
            if direct or indirect:
                chosen.append(id)
                exact = exact and direct and indirect
        if len(chosen) > _MANY_GROUPS:
            return None, False
        return self._relations.members_within(chosen, self._known), exact


def _asks_for_one_group(term: Filter, containers: str | None) -> bool:
    """Whether a term holds for a resource exactly if it holds for one that is in one of its groups alone."""
    match term:
        case Comparison(path, operator):
            return path.urn is None and path.name == containers and operator != "ne"
        case Present(path) | ValuePath(path):
            return path.urn is None and path.name == containers
        case Or(terms):
            return all(_asks_for_one_group(each, containers) for each in terms)
    return False
