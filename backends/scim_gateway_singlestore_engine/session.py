"""A session of the target: one connection for a few calls, each handed to the module that knows the thing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scim_gateway_provisioning.target import (
    Group,
    Inventory,
    Kind,
    Known,
    MemberChanges,
    Outcome,
    Save,
    TargetSession,
    Unreachable,
    User,
)

from scim_gateway.errors import InvalidValue
from scim_gateway.schema import Resource

from .failures import Refused
from .groups import OneGroup
from .inventory import Key, Observation
from .memberships import change_members
from .naming import Naming
from .notes import Note
from .people import Person
from .work import Work


class EngineSession(TargetSession):
    """Calls over one connection.

    :param key: what names are compared by.
    """

    def __init__(self, work: Work, naming: Naming, key: Key) -> None:
        self._work = work
        self._naming = naming
        self._key = key

    def put_user(self, user: User, known: Known, save: Save) -> Outcome:
        note = Note.of(known)
        with _answered():
            return Person(self._work, user.id, note, save).put(user, self._wanted("User", user.resource, note))

    def remove_user(self, id: str, known: Known, save: Save) -> None:
        with _answered():
            Person(self._work, id, Note.of(known), save).remove()

    def put_group(self, group: Group, known: Known, save: Save) -> Outcome:
        note = Note.of(known)
        with _answered():
            return OneGroup(self._work, note, save).put(group, self._wanted("Group", group.resource, note))

    def remove_group(self, id: str, known: Known, save: Save) -> None:
        with _answered():
            OneGroup(self._work, Note.of(known), save).remove()

    def change_members(self, changes: MemberChanges) -> frozenset[str]:
        with _answered():
            change_members(self._work, changes)
        return frozenset()

    def observe(self) -> Inventory:
        with _answered():
            return Observation(self._work, self._key).read()

    def _wanted(self, kind: Kind, resource: Resource, note: Note) -> str:
        """The name that something has to have.

        One that no name can be made of any more keeps the one that it has: that must not be in the way of shutting
        somebody out.
        """
        try:
            return self._naming.of(kind, resource)
        except InvalidValue:
            if note.name is None:
                raise
            return note.name


@contextmanager
def _answered() -> Iterator[None]:
    """Turn what nobody has understood into the word for it: try again later, and let an operator look."""
    try:
        yield
    except Refused as error:
        raise Unreachable(str(error)) from error
