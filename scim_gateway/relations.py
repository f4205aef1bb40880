"""Who is in what: groups of a user, directly and through nested groups; members of a group (RFC 7643 §4.1.2, §4.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from scim_gateway.abilities import ContainingHandler, MemberChange, MembershipHandler
from scim_gateway.backend import Backend, Reference, ResourceHandler
from scim_gateway.batches import TERMS, chunks, every
from scim_gateway.changes import changed
from scim_gateway.errors import NotFound, StaleResource
from scim_gateway.filter import Comparison, Filter, Or
from scim_gateway.schema import AttributePath, Resource


@dataclass(frozen=True, slots=True)
class Membership:
    """One group that holds a resource; ``direct`` unless only a group in the group holds it."""

    group: Reference
    direct: bool


class Relations:
    """Memberships across all resource types of a backend that have members."""

    def __init__(self, backend: Backend) -> None:
        self._handlers = backend.handlers
        self._containers = tuple(handler for handler in backend.handlers.values() if handler.resource_type.members)
        # Asked once: what an object can do is a long question for each request.
        self._telling = tuple(
            handler.containing if isinstance(handler, ContainingHandler) else partial(_search_containing, handler)
            for handler in self._containers
        )

    def containing(self, ids: Collection[str]) -> dict[str, list[Reference]]:
        """For each id that is a direct member of something: what holds it."""
        found: dict[str, list[Reference]] = {}
        for containing in self._telling:
            for id, references in containing(ids).items():
                if references:
                    found.setdefault(id, []).extend(references)
        return found

    def memberships(self, ids: Collection[str]) -> dict[str, list[Membership]]:
        """For each id: every group it is in, each once, the direct ones first; groups in a circle are no problem."""
        parents = self.containing(ids)
        if not parents:
            return {id: [] for id in ids}
        contained = _contained(parents)
        if not contained:
            return {id: [Membership(group, True) for group in parents.get(id, ())] for id in ids}
        known = set(ids)
        level = contained - known
        while level:
            known |= level
            above = self.containing(level)
            parents |= above
            level = _contained(above) - known
        return {id: list(_climb(id, parents)) if id in parents else [] for id in ids}

    def members_within(self, group_id: str) -> set[str]:
        """Ids of the members of a group and of the groups in it, at any depth."""
        found: set[str] = set()
        pending = [group_id]
        opened = {group_id}
        while pending:
            for element in self._members(pending.pop()):
                id = element["value"]
                found.add(id)
                if id not in opened and self._is_container(element.get("type")):
                    opened.add(id)
                    pending.append(id)
        return found

    def lock_containing(self, id: str) -> list[tuple[ResourceHandler, Resource]]:
        """The other groups that directly hold a resource, read for a change in the global order: type, then id."""
        names = self._holders(id)
        locked: list[tuple[ResourceHandler, Resource]] = []
        for handler in self._containers:
            kind = handler.resource_type
            for group_id in sorted(group_id for group_id, name in names.items() if name == kind.name):
                try:
                    locked.append((handler, handler.get(group_id, without=_unread(handler))))
                except NotFound:
                    raise StaleResource(group_id) from None
        return locked

    def detach(self, id: str, holders: Sequence[tuple[ResourceHandler, Resource]]) -> None:
        """Take a resource out of the groups that hold it; each gets a new version (RFC 7644 §3.6).

        :raises StaleResource: it has joined another group since they were read.
        """
        if self._holders(id).keys() != {group["id"] for _, group in holders}:
            raise StaleResource(id)
        for handler, before in holders:
            after = dict(before)
            if isinstance(handler, MembershipHandler):
                handler.change_members(before, changed(before, after), MemberChange(remove=frozenset({id})))
                continue
            name = handler.resource_type.members
            assert name is not None
            after[name] = [element for element in before[name] if element["value"] != id]
            if not after[name]:
                del after[name]
            handler.modify(before, changed(before, after))

    def _holders(self, id: str) -> dict[str, str]:
        # A group that holds itself goes as a whole.
        return {group.id: group.resource_type for group in self.containing([id]).get(id, ()) if group.id != id}

    def _members(self, group_id: str) -> Sequence[Mapping[str, Any]]:
        for handler in self._containers:
            try:
                members: Sequence[Mapping[str, Any]] = handler.get(group_id).get(
                    handler.resource_type.members or "", ()
                )
            except NotFound:
                continue
            return members
        return ()

    def _is_container(self, name: str | None) -> bool:
        handler = self._handlers.get(name or "")
        return handler is None or handler.resource_type.members is not None


def _search_containing(handler: ResourceHandler, ids: Collection[str]) -> dict[str, list[Reference]]:
    """What :meth:`ContainingHandler.containing` gives, by a filter."""
    kind = handler.resource_type
    assert kind.members is not None
    path = AttributePath(None, kind.members, "value")
    found: dict[str, list[Reference]] = {}
    for some in chunks(sorted(set(ids)), TERMS):
        terms: tuple[Filter, ...] = tuple(Comparison(path, "eq", id) for id in some)
        for group in every(handler, terms[0] if len(terms) == 1 else Or(terms)):
            reference = Reference(group["id"], kind.name, kind.display_of(group))
            for id in {element["value"] for element in group[kind.members]}.intersection(some):
                found.setdefault(id, []).append(reference)
    return found


def _contained(parents: Mapping[str, Sequence[Reference]]) -> set[str]:
    """The groups that may be in other groups."""
    return {group.id for groups in parents.values() for group in groups if group.contained}


def _climb(id: str, parents: Mapping[str, Sequence[Reference]]) -> Iterator[Membership]:
    """The groups above a resource, nearest first."""
    seen = {id}
    level = [(group, True) for group in parents.get(id, ())]
    while level:
        above: list[tuple[Reference, bool]] = []
        for group, direct in level:
            if group.id not in seen or (direct and group.id == id):
                seen.add(group.id)
                yield Membership(group, direct)
                above.extend((parent, False) for parent in parents.get(group.id, ()))
        level = above


def _unread(handler: ResourceHandler) -> tuple[str, ...]:
    """What need not be read of a group to take a member out of it."""
    members = handler.resource_type.members
    return (members,) if members and isinstance(handler, MembershipHandler) else ()
