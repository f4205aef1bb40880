"""What an operation means to the targets: which resources it touches there, which memberships, and what it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from scim_gateway_sql.database import Session

from scim_gateway.errors import InvalidValue
from scim_gateway.schema import Resource

from . import nesting, target_names
from .context import Context
from .journal import Change
from .operation import PROVISIONED, Operation, active
from .record_rows import Touch, caused_by
from .target import Kind, Target
from .work import Work, WorkKey, read


class Meaning:
    """What an operation touches, looked up once for all targets.

    :param admit: whether it may be refused.
    """

    def __init__(self, session: Session, context: Context, operation: Operation, *, admit: bool) -> None:
        self._session = session
        self._tenant = context.tenant
        self._operation = operation
        self._targets = tuple(context.targets.values())
        self._admitting = admit
        self._changes = [change for change in operation.changes.values() if change.kind in PROVISIONED]
        self._gone = {change.id: change.kind for change in operation.changes.values() if change.after is None}
        self._regrouped = [change for change in self._changes if change.after and (change.added or change.removed)]
        self._kinds = self._kinds_of_members()
        self.touched: set[WorkKey] = set()
        self._above, self._below = self._walks()
        ids = {change.id for change in self._changes} | self._named()
        ids.update(group for groups in self._above.values() for group in groups)
        self._works = read(session, self._tenant, ids, lock=bool(self._changes)) if ids else {}
        self.caused = self._caused()

    def _kinds_of_members(self) -> dict[str, str]:
        """The types of members that come and go; of those that go, only their ids were told."""
        kinds = {id: kind for change in self._regrouped for id, kind in change.added.items()}
        left = {id for change in self._regrouped for id in change.removed} - kinds.keys()
        kinds |= {id: kind for id, kind in self._gone.items() if id in left}
        return kinds | nesting.kinds(self._session, self._tenant, left - self._gone.keys())

    def _walks(self) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
        """Groups above the groups that change and the users that become active; users below the groups that move."""
        groups = {change.id for change in self._regrouped}
        users = {change.id for change in self._changes if _activated(change)}
        moved = {id for id, kind in self._kinds.items() if kind == "Group"}
        turn = bool(moved) or any(self._becomes_wanted(change) for change in self._changes)
        if turn:
            nesting.take_turn(self._session, self._tenant)
        above = nesting.above(self._session, self._tenant, groups | users) if groups | users else {}
        if not turn and any(above[id] for id in groups):
            nesting.take_turn(self._session, self._tenant)
            above = nesting.above(self._session, self._tenant, groups | users)
        below = dict(self._operation.reached)
        if ids := moved - below.keys():
            below |= nesting.below(self._session, self._tenant, ids)
        return above, below

    def _becomes_wanted(self, change: Change) -> bool:
        """Whether a target gets a group with all of its members."""
        if change.kind != "Group" or change.before is None or change.after is None:
            return False
        before, after = change.before, change.after
        return any(target.wants("Group", after) and not target.wants("Group", before) for target in self._targets)

    def _named(self) -> set[str]:
        return set() if self._operation.deletes else self._operation.named

    def known(self) -> list[Work]:
        """The rows of resources that the client named."""
        named = self._named() | {change.id for change in self._changes}
        return [work for work in self._works.values() if work.id in named]

    def pending(self) -> list[Work]:
        """What was pending before for resources that the client named."""
        return [work for work in self.known() if work.pending]

    def _caused(self) -> list[Work]:
        """What is pending for other groups because of earlier changes of what the client named."""
        named = self._named() | {change.id for change in self._changes}
        spread = {work.id for work in self._works.values() if work.id in named and work.spread}
        if not spread:
            return []
        keys = caused_by(self._session, self._tenant, spread)
        rows = read(self._session, self._tenant, {id for id, _ in keys}) if keys else {}
        if not rows:
            # Nothing is left of it; the next change of the row notes that.
            self._works = {
                key: replace(work, spread=False) if work.id in spread else work for key, work in self._works.items()
            }
        return [work for key, work in rows.items() if key in keys and work.pending]

    def unanswered(self) -> list[Work]:
        """Rows of resources whose id a client uses although nobody was told it."""
        named = self._named()
        return [work for work in self._works.values() if work.id in named and not work.answered]

    def of_target(self, target: Target) -> list[Touch]:
        """What the operation means to a target."""
        touches: dict[str, Touch] = {}
        for change in self._changes:
            self._resource(target, change, touches)
        for change in self._regrouped:
            self._memberships(target, change, touches)
        found = [touch for touch in touches.values() if touch.matters]
        self.touched |= {touch.key for touch in found}
        return found

    def _resource(self, target: Target, change: Change, touches: dict[str, Touch]) -> None:
        """The resource itself: made, changed, removed."""
        kind: Kind = "Group" if change.kind == "Group" else "User"
        work = self._works.get((change.id, target.name))
        there = work is not None and not work.absent
        before, after = change.before, change.after
        touch = touches.setdefault(change.id, Touch(target, kind, change.id, work))
        if after is None or not target.wants(kind, after):
            if there:
                touch.stale = touch.absent = touch.revoking = True
                self._admit(target, kind, before or {})
            return
        named = _name(target, kind, after)
        was_named = _name(target, kind, before) if before is not None else None
        renamed = not there or (target.renames and not _same_name(target, kind, was_named, named))
        concerned = not there or before is None or target.concerns(kind, before, after)
        if isinstance(named, InvalidValue):
            if renamed and self._admitting:
                raise named
        elif self._admitting and (concerned or change.added or self._removed(change)):
            target.admit(kind, named)
        if not concerned:
            return
        touch.stale = True
        deactivated = kind == "User" and active(before) and not active(after)
        activated = there and _activated(change)
        touch.revoking |= deactivated
        touch.granting |= not there or activated or named != was_named
        if renamed and not isinstance(named, InvalidValue):
            touch.name, touch.renaming = named, there
        if not there or activated:
            self._whole(target, change, touches)

    def _removed(self, change: Change) -> set[str]:
        """Members that are taken out of a group; users who are deleted leave all with their accounts."""
        return {id for id in change.removed if self._gone.get(id) != "User"}

    def _whole(self, target: Target, change: Change, touches: dict[str, Touch]) -> None:
        """Every membership of a resource that the target gets, or gets back."""
        if change.kind == "User":
            for group in sorted(self._groups_of(change.id)):
                if touch := self._group(target, group, touches):
                    touch.edges.add(change.id)
                    touch.causes[change.id] = change.id
                    touches[change.id].spread = True
        elif change.before is not None:
            if target.nests:
                ids = set(nesting.direct(self._session, self._tenant, change.id))
            else:
                ids = nesting.below(self._session, self._tenant, [change.id])[change.id]
            touches[change.id].edges |= ids

    def _groups_of(self, user: str) -> set[str]:
        """The groups above a user, whose rows are read and locked."""
        if user not in self._above:
            # Only a user that the directory had before the target: of all others it was known in advance.
            self._above |= nesting.above(self._session, self._tenant, [user])
            read_already = {id for id, _ in self._works}
            if ids := self._above[user] - read_already:
                self._works |= read(self._session, self._tenant, ids, lock=True)
        return self._above[user]

    def _memberships(self, target: Target, change: Change, touches: dict[str, Touch]) -> None:
        """Memberships that come and go: of the group, and of all groups that it is in."""
        for ids, giving in ((set(change.added), True), (set(change.removed), False)):
            moved = ids if target.nests else self._users(ids)
            moved = moved - self._gone.keys()
            if not moved:
                continue
            groups = {change.id} if target.nests else {change.id, *self._above.get(change.id, ())}
            for group in sorted(groups):
                if touch := self._group(target, group, touches):
                    touch.edges |= moved
                    touch.revoking |= not giving
                    self._spread(change, touch, moved, touches)

    def _spread(self, change: Change, touch: Touch, moved: Iterable[str], touches: Mapping[str, Touch]) -> None:
        """Note whose change it was: of a deleted resource, or of the group that was changed."""
        cause = next(iter(self._gone), change.id)
        if cause != touch.id:
            touch.causes |= dict.fromkeys(moved, cause)
            if cause in touches:
                touches[cause].spread = True

    def _users(self, ids: Iterable[str]) -> set[str]:
        """The users among members, and those in the groups among them."""
        users: set[str] = set()
        for id in ids:
            kind = self._kinds.get(id)
            if kind == "User":
                users.add(id)
            elif kind == "Group":
                users |= self._below.get(id, set())
        return users

    def _group(self, target: Target, id: str, touches: dict[str, Touch]) -> Touch | None:
        """The touch of a group that the target has, or is getting."""
        touch = touches.get(id)
        if touch is not None and touch.stale and not touch.absent:
            return touch
        work = self._works.get((id, target.name))
        if work is None or work.absent or (touch is not None and touch.absent):
            return None
        return touches.setdefault(id, Touch(target, "Group", id, work))

    def _admit(self, target: Target, kind: Kind, resource: Resource) -> None:
        name = _name(target, kind, resource)
        if self._admitting and isinstance(name, str):
            target.admit(kind, name)


def _name(target: Target, kind: Kind, resource: Resource) -> str | InvalidValue:
    try:
        return target.name_of(kind, resource)
    except InvalidValue as error:
        return error


def _same_name(target: Target, kind: Kind, old: str | InvalidValue | None, new: str | InvalidValue) -> bool:
    if isinstance(old, str) and isinstance(new, str):
        return target_names.key_of(target, kind, old) == target_names.key_of(target, kind, new)
    return isinstance(old, InvalidValue) and isinstance(new, InvalidValue)


def _activated(change: Change) -> bool:
    """Whether a user could not log in before, and can now."""
    return change.kind == "User" and change.before is not None and not active(change.before) and active(change.after)
