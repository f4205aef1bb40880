"""What one write operation has read and changed so far: collected by the handlers, recorded at its end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from scim_gateway.abilities import MemberChange
from scim_gateway.schema import Resource

from .journal import Change
from .target import Deadline

PROVISIONED = ("User", "Group")
"""The resource types that targets know; all others are the directory's alone."""


@dataclass(slots=True)
class Operation:
    """One write operation.

    :param deadline: of the request.
    :param changes: what was changed, by id, in the order in which it was changed first.
    :param named: ids of users and groups that were read: what is pending for them is settled before the answer.
    :param missed: ids that were asked for and are not there.
    :param reached: users in groups that are deleted by this operation, as they were.
    :param asked: by group, the members that the request is about; ``None``: all there are.
    """

    deadline: Deadline
    changes: dict[str, Change] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    missed: set[str] = field(default_factory=set)
    reached: dict[str, set[str]] = field(default_factory=dict)
    asked: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def created(self, kind: str, after: Resource, members: str | None) -> None:
        """A resource was created."""
        change = self._change(kind, after["id"], None)
        change.after = {name: value for name, value in after.items() if name != members}
        for element in after.get(members, ()) if members else ():
            change.added[element["value"]] = element.get("type", "")

    def modified(self, kind: str, before: Resource, after: Resource, members: MemberChange | None = None) -> None:
        """A resource was changed, perhaps its memberships too."""
        change = self._change(kind, before["id"], before)
        change.after = after
        if members is None:
            return
        for id in members.remove:
            if change.added.pop(id, None) is None:
                change.removed.add(id)
        for id, type in members.add.items():
            if id in change.removed:
                change.removed.discard(id)
            else:
                change.added[id] = type

    def deleted(self, kind: str, before: Resource, members: Collection[str] = ()) -> None:
        """A resource was deleted, a group with its members."""
        change = self._change(kind, before["id"], before)
        change.after = None
        change.disbanded = frozenset(members)

    @property
    def deletes(self) -> bool:
        """Whether a resource is deleted: what else is read then only held it, and was not named by the client."""
        return any(change.after is None for change in self.changes.values())

    def _change(self, kind: str, id: str, before: Resource | None) -> Change:
        change = self.changes.get(id)
        if change is None:
            change = self.changes[id] = Change(kind, id, before, None)
        return change


def active(resource: Resource | None) -> bool:
    """Whether the directory says of a user that it may log in: without a word, it may (RFC 7643 §4.1.1)."""
    return resource is not None and resource.get("active", True) is not False
