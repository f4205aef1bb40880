"""What a store may be able to do besides (:mod:`.backend`): classes for its handlers to inherit, each by itself.

The core asks for them and makes use of what is there; without any of them all the same is answered, with more work.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from scim_gateway.backend import Page, Query, Reference, ResourceHandler
from scim_gateway.schema import Resource


@dataclass(frozen=True, slots=True)
class MemberChange:
    """A change of membership as a set difference; ``add`` and ``remove`` have no id in common.

    :param add: ids that are no members yet, each with the name of its resource type.
    :param remove: ids that are members.
    """

    add: Mapping[str, str] = field(default_factory=dict)
    remove: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)


class ContainingHandler(ResourceHandler):
    """Ability: tells what holds a member without a look into every resource that has members."""

    @abstractmethod
    def containing(self, ids: Collection[str]) -> Mapping[str, Sequence[Reference]]:
        """For each id that is a direct member: the resources of this type that hold it, in default order."""


class MembershipHandler(ContainingHandler):
    """Ability: each membership is kept apart, so one person joins a group of any size at the same cost.

    ``get`` and ``query`` return ``members`` complete, each element with ``value`` and the current ``type`` and
    ``display``, unless ``without`` names the attribute. ``create`` stores the members of the resource it is given.
    ``modify`` is called with resources that came without members, and leaves the memberships alone.
    """

    @abstractmethod
    def member_ids(self, id: str, *, among: Collection[str] | None = None) -> set[str]:
        """Ids of the direct members; only those in ``among`` where that is given."""

    def has_more_members(self, id: str, than: int) -> bool:
        """Whether it has more direct members than that; a store that can count does not read them all."""
        return len(self.member_ids(id)) > than

    @abstractmethod
    def change_members(self, before: Resource, after: Resource, change: MemberChange) -> None:
        """Like :meth:`modify`, and change the memberships by the difference, in proportion to it.

        :raises Uniqueness: a unique value is taken by another resource.
        :raises StaleResource: ``before`` is not what is stored any more.
        """


class Text(NamedTuple):
    """A resource as JSON.

    :param json: what ``orjson.dumps`` made of the resource that ``create`` or ``modify`` was given; without the members
        where a :class:`MembershipHandler` keeps them apart.
    :param state: equal only to that of a text of the same resource with the same members by the same names, whatever
        happened in between; ``None`` if that cannot be told.
    :param holders: what holds it directly, as :meth:`ContainingHandler.containing` tells it, if that came with it.
    """

    json: bytes
    state: Hashable = None
    holders: Sequence[Reference] | None = None


class Texts(NamedTuple):
    """One page of an answer, like :class:`Page`, as JSON (:class:`Text`).

    :param holders: what holds a resource directly, by its id, of those where that came with it.
    """

    json: Sequence[bytes]
    total_results: int
    holders: Mapping[str, Sequence[Reference]] = MappingProxyType({})


class TextHandler(ResourceHandler):
    """Ability: gives resources as the JSON that was stored; asked only in an operation that reads, or a look-up."""

    @abstractmethod
    def text(self, id: str) -> Text:
        """What :meth:`get` gives, as JSON.

        :raises NotFound: there is none of this type.
        """

    @abstractmethod
    def texts(self, query: Query) -> Texts | Page:
        """What :meth:`query` gives, as JSON; or just that, where something had to look into the resources anyway."""


class MemberTextHandler(TextHandler, MembershipHandler):
    """Ability: gives resources as JSON, and apart from that their members."""

    @abstractmethod
    def members(self, id: str) -> Iterable[tuple[str, str, str | None]]:
        """``value``, ``type`` and ``display`` of the direct members, in the order in which ``get`` gives them.

        Each ``value`` is an id as the core sets them (rule 1): it is put into JSON as it is.
        """
