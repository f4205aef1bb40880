"""Answers made of resources as they were stored: spliced, not parsed, where nothing has to look inside (RFC 7644 §3.4).

What was stored is what is answered, but for its end: the version becomes an entity tag, the location follows, then the
groups of a user or the members of a group. A text that ends in another way, or that holds something which is shown in
another form than it is stored, goes the way of :mod:`.representation`; both come to the same bytes.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple, TypeAlias

import orjson

from scim_gateway.abilities import MembershipHandler, MemberTextHandler, TextHandler, Texts
from scim_gateway.backend import Backend, Reference
from scim_gateway.ids import FORM
from scim_gateway.projection import Projection
from scim_gateway.relations import Membership, Relations
from scim_gateway.representation import Representation, digest, tag_of
from scim_gateway.schema import ResourceType

# The end of a text. A quote inside a JSON string has a backslash before it, so these are names and no part of a value;
# and as nothing follows but the two brackets, they are the names of the resource itself.
_ID = b',"id":"'
_END = re.compile(
    rb',"id":"(' + FORM.encode() + rb')","meta":\{"resourceType":"[^"\\]*","created":"[^"\\]*",'
    rb'"lastModified":"[^"\\]*","version":"([0-9]+)"\}\}'
)
_Added: TypeAlias = tuple[str, bytes]
_NOTHING: _Added = ("", b"")
_Groups: TypeAlias = tuple[tuple[str, str, str | None, bool], ...]
"""Id, type and name of each group, and whether it holds the member directly."""
_KEPT_BYTES = 16 * 1024 * 1024
# What few groups add is kept, of so many sets of groups, if it has at most so many bytes.
_KEPT_SETS = 256
_LONGEST_KEPT = 4096


class Spliced(NamedTuple):
    """A resource as it stands in an answer.

    :param tag: its entity tag.
    """

    json: bytes
    tag: str
    location: str


class Answers:
    """The last answers that were long to make, each valid as long as the state that it was made of is the state.

    :param most: bytes that are kept at most.
    """

    def __init__(self, most: int = _KEPT_BYTES) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[Hashable, tuple[Hashable, Spliced]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, state: Hashable) -> Spliced | None:
        """What was kept, if it was made of this state."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept[0] != state:
                return None
            self._kept.move_to_end(key)
            return kept[1]

    def keep(self, key: Hashable, state: Hashable, answer: Spliced) -> None:
        """Keep an answer; the ones that were not asked for the longest go."""
        with self._lock:
            before = self._kept.pop(key, None)
            self._size += len(answer.json) - (len(before[1].json) if before else 0)
            self._kept[key] = state, answer
            while self._size > self._most:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._size -= len(dropped.json)


class Splicer:
    """The answers for one resource type, of a handler that gives texts."""

    def __init__(
        self,
        backend: Backend,
        kind: ResourceType,
        handler: TextHandler,
        relations: Relations,
        representation: Representation,
        answers: Answers,
    ) -> None:
        self.handler = handler
        self._kind = kind
        self._types = backend.resource_types
        self._relations = relations
        self._representation = representation
        self._answers = answers
        self._apart = frozenset({kind.members} if kind.members and isinstance(handler, MembershipHandler) else ())
        self._lists = handler if isinstance(handler, MemberTextHandler) else None
        # Of several, each has its own order.
        self._one_kind_holds = sum(kind.members is not None for kind in self._types) == 1
        self._inside = lru_cache(maxsize=64)(self._look_for)
        self._way = lru_cache(maxsize=64)(self._find_way)
        self._kept: dict[tuple[_Groups, str], _Added] = {}

    def one(self, id: str, base_url: str, projection: Projection) -> Spliced | None:
        """The answer to a GET; ``None`` where the resource has to be read in another way.

        :raises NotFound: there is none of this type.
        """
        way = self._way(projection)
        if way is None:
            return None
        inside, with_members = way
        text = self.handler.text(id)
        key = base_url, self._kind.name, id, projection
        # Groups are no part of the state, so where there may be any, nothing is kept.
        kept = with_members and text.state is not None and not self._kind.containers
        if kept and (known := self._answers.get(key, text.state)) is not None:
            return known
        end = _end_of(text.json, inside)
        if end is None:
            return None if with_members else self._parsed([text.json], base_url, projection)[0]
        members = self._members(id, base_url) if with_members else b""
        answer = self._splice(text.json, end, self._held(id, text.holders, base_url), members, base_url)
        if kept:
            self._answers.keep(key, text.state, answer)
        return answer

    def can_answer(self, projection: Projection) -> bool:
        """Whether a GET with this projection may be answered by :meth:`one`; whether it is, its text tells."""
        return self._way(projection) is not None

    def fits(self, projection: Projection, unread: frozenset[str]) -> bool:
        """Whether a page with this projection may be made of texts.

        :param unread: attributes that nobody looks at.
        """
        return self._apart <= unread and self._inside(projection) is not None

    def page(self, found: Texts, count: int, base_url: str, projection: Projection) -> list[orjson.Fragment]:
        """The resources of a page.

        :param count: of what was found, only so many are shown.
        """
        texts = found.json[:count]
        inside = self._inside(projection)
        if len(texts) == 1 and inside is not None and (end := _end_of(texts[0], inside)):
            # What a look-up finds.
            id = end[1].decode()
            held = self._held(id, found.holders.get(id), base_url)
            return [orjson.Fragment(self._splice(texts[0], end, held, b"", base_url).json)]
        ends = [None if inside is None else _end_of(text, inside) for text in texts]
        holders = self._holders([end[1].decode() for end in ends if end], base_url)
        rest = [text for text, end in zip(texts, ends, strict=True) if end is None]
        parsed = iter(self._parsed(rest, base_url, projection) if rest else ())
        return [
            orjson.Fragment(
                (self._splice(text, end, holders[end[1].decode()], b"", base_url) if end else next(parsed)).json
            )
            for text, end in zip(texts, ends, strict=True)
        ]

    def _find_way(self, projection: Projection) -> tuple[tuple[bytes, ...], bool] | None:
        """What :meth:`_look_for` says, and whether members that are kept apart are shown; ``None``: no text does."""
        inside, with_members = self._inside(projection), not self._apart <= projection.without
        return None if inside is None or (with_members and self._lists is None) else (inside, with_members)

    def _look_for(self, projection: Projection) -> tuple[bytes, ...] | None:
        """How the attributes begin in a text that are not shown as they are stored; ``None``: it has to be parsed."""
        if projection.only is not None or self._kind.containers in projection.cuts:
            return None
        shown_in_part = self._apart & projection.cuts.keys() - projection.without
        if shown_in_part:
            return None
        references = {field.attribute.name for field in self._representation.fields[self._kind.name]}
        return tuple(orjson.dumps(name) + b":" for name in sorted(references | projection.cuts.keys()))

    def _splice(self, text: bytes, end: re.Match[bytes], holders: _Added, members: bytes, base_url: str) -> Spliced:
        id, version = end[1].decode(), end[2].decode()
        held, groups = holders
        tag, location = tag_of(version, held), self._representation.location(self._kind, id, base_url)
        until_version = text[: end.start(2) - 1]
        parts = (until_version, orjson.dumps(tag), b',"location":', orjson.dumps(location), b"}", members, groups, b"}")
        return Spliced(b"".join(parts), tag, location)

    def _parsed(self, texts: Iterable[bytes], base_url: str, projection: Projection) -> list[Spliced]:
        """The same, looking inside."""
        resources = [orjson.loads(text) for text in texts]
        shown = self._representation.show(resources, self._kind, base_url, projection)
        return [Spliced(orjson.dumps(each.document), each.tag, each.location) for each in shown]

    def _held(self, id: str, holders: Sequence[Reference] | None, base_url: str) -> _Added:
        """What its groups add to the entity tag, and to the text, of one resource.

        :param holders: what holds it directly, if that is known.
        """
        if not self._kind.containers:
            return _NOTHING
        if holders is None or not self._one_kind_holds or (holders and any(each.contained for each in holders)):
            return self._added(_groups(self._relations.memberships([id])[id]), base_url)
        return self._added(tuple([(*_of(each), True) for each in holders]), base_url) if holders else _NOTHING

    def _holders(self, ids: Sequence[str], base_url: str) -> Mapping[str, _Added]:
        """For each id what its groups add to the entity tag, and to the text."""
        if not self._kind.containers or not ids:
            return dict.fromkeys(ids, _NOTHING)
        told: dict[_Groups, _Added] = {}
        found: dict[str, _Added] = {}
        for id, memberships in self._relations.memberships(ids).items():
            groups = _groups(memberships)
            # Neighbours are in the same groups as a rule, however many these are.
            if groups not in told:
                told[groups] = self._added(groups, base_url)
            found[id] = told[groups]
        return found

    def _added(self, groups: _Groups, base_url: str) -> _Added:
        """What groups add to the entity tag, and to the text, of whoever is in them.

        Kept from request to request if it is short: of what is long, nobody could say how much there will be.
        """
        if not groups:
            return _NOTHING
        key = groups, base_url
        known = self._kept.get(key)
        if known is None:
            known = self._tell(groups, base_url)
            if len(known[1]) <= _LONGEST_KEPT:
                if len(self._kept) >= _KEPT_SETS:
                    self._kept.clear()
                self._kept[key] = known
        return known

    def _tell(self, groups: _Groups, base_url: str) -> _Added:
        told = [Membership(Reference(id, kind, display), direct) for id, kind, display, direct in groups]
        shown = [self._representation.group(each, base_url) for each in told]
        return digest(told), b"," + orjson.dumps(self._kind.containers) + b":" + orjson.dumps(shown)

    def _members(self, id: str, base_url: str) -> bytes:
        """The attribute with the members, with the comma before it; nothing if there are none."""
        assert self._lists is not None
        # As documents they would be three objects for each member, of which there may be very many.
        kinds = {kind.name: self._kind_of_member(kind, base_url) for kind in self._types}
        parts: list[str] = []
        for member, name, display in self._lists.members(id):
            kind, place = kinds.get(name) or (orjson.dumps(name).decode(), None)
            named = "" if display is None else f',"display":{orjson.dumps(display).decode()}'
            ref = "" if place is None else f',"$ref":"{place}{member}"'
            parts.append(f'{{"value":"{member}","type":{kind}{named}{ref}}}')
        if not parts:
            return b""
        return f",{orjson.dumps(self._kind.members).decode()}:[{','.join(parts)}]".encode()

    def _kind_of_member(self, kind: ResourceType, base_url: str) -> tuple[str, str]:
        """The name of a type and the URL of its resources, as JSON."""
        place = orjson.dumps(self._representation.location(kind, "", base_url))
        return orjson.dumps(kind.name).decode(), place[1:-1].decode()


_of = attrgetter("id", "resource_type", "display")


def _groups(memberships: Iterable[Membership]) -> _Groups:
    return tuple([(*_of(each.group), each.direct) for each in memberships])


def make_splicers(backend: Backend, relations: Relations, representation: Representation) -> Mapping[str, Splicer]:
    """A splicer for each resource type whose handler gives texts, by the name of the type."""
    answers = Answers()
    return {
        kind.name: Splicer(backend, kind, handler, relations, representation, answers)
        for kind in backend.resource_types
        if isinstance(handler := backend.handlers[kind.name], TextHandler)
    }


def _end_of(text: bytes, inside: Iterable[bytes]) -> re.Match[bytes] | None:
    """The end of a text that can be spliced."""
    end = _END.fullmatch(text, max(text.rfind(_ID), 0))
    return None if end is None or any(name in text for name in inside) else end
