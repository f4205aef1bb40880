"""One group: made equal to what the directory says, or removed; with a new name it keeps its members and roles."""

from __future__ import annotations

from dataclasses import replace

from scim_gateway_provisioning.target import Group, Outcome, Unreachable

from scim_gateway.errors import Conflict, InvalidValue
from scim_gateway.text import shown

from .accounts import LONG, leave, too_long
from .failures import Refused, SetupFault
from .memberships import join, member_names
from .named import Named
from .notes import Note
from .protection import not_ours, record, refuse
from .sessions import keep_rights
from .statements import create_group, drop_group, grant_role, groups_like

_RESERVE_SECONDS = 3.0
"""What is left of the time of a request when a large group stops taking its members along: another call goes on."""

_ROUNDS = 4


class OneGroup(Named):
    """One call about one group."""

    kind = "Group"

    def put(self, group: Group, wanted: str) -> Outcome:
        """Make the group equal to what the directory says.

        :param wanted: name that it has to have.
        """
        stands, wanted = self._note.name, self._settled_name(wanted)
        self._clear(wanted)
        if stands is not None and stands != wanted:
            waiting = self._carry(stands, wanted)
            if waiting is not None:
                return Outcome(self._note.known, waiting)
        roles = self._ensure(group, wanted)
        if self._work.protection_by_roles(roles) is None:
            self._give_roles(group, wanted, roles)
        return Outcome(self._note.known)

    def _remove(self, name: str) -> None:
        work = self._work
        work.protected.admit("Group", name)
        roles = work.roles_of(name)
        if roles is None:
            return  # said by an error of its own, not by a list that may be short
        self._refuse_protected(name, roles)
        self._end_rights(name)
        work.run(drop_group(name))
        if work.roles_of(name) is not None:
            raise Unreachable(f"The Engine still has the group {shown(name)} after DROP GROUP.")

    def _end_rights(self, name: str) -> None:
        """Where open sessions keep what a group gave, its members leave one by one, but not for another name."""
        work, stands = self._work, self._note.name
        if not keep_rights(work):  # asked before: who has left is not in the list when the call is repeated
            return
        staying = member_names(work, stands) if stands is not None and stands != name else set()
        for member in sorted(member_names(work, name) - staying):
            leave(work, member, name)

    def _refuse_protected(self, name: str, roles: list[str]) -> None:
        """Refuse to touch a group that makes administrators, or has a role that the operator protects.

        :raises Forbidden: it does.
        """
        reason = self._work.protection_by_roles(roles)
        if reason is not None:
            refuse("Group", name, reason)

    def _ensure(self, group: Group, name: str) -> list[str]:
        """The roles of the group of a name: made if there is none, taken over if it may be."""
        work = self._work
        roles = work.roles_of(name)
        if roles is None:
            with self._intending(Note(making=name)):
                self._make(name)
            roles = []
        else:
            ours = name in (self._began.name, self._began.making) or self._note.name == name
            if self._note.name != name:  # to a group that stands as it is wanted nothing is done
                self._refuse_protected(name, roles)
            if not ours and not group.adoptable:
                raise not_ours("Group", name)
        self._note = self._note.standing(name)
        return roles

    def _make(self, name: str) -> None:
        """Make a group that is not there.

        :raises Conflict: there is one by now, or one that differs in letter case only.
        :raises InvalidValue: the server does not take the name.
        """
        work = self._work
        alike = [str(row[0]) for row in work.line.rows(groups_like(name))]
        if any(other != name for other in alike):
            record("Group", name, f"is too much like {shown(alike[0])}")
            raise Conflict(
                f"The Engine has a group {shown(alike[0])}, which differs from {shown(name)} in letter case only. Use "
                "another name, or adopt that one."
            )
        try:
            work.run(create_group(name))
        except Refused as error:
            if error.meaning == "long":
                raise InvalidValue(too_long("group", "group", name)) from error
            if error.meaning == "syntax":
                raise SetupFault(f"SingleStore {work.can.version} does not take CREATE GROUP (error 1064).") from error
            if work.roles_of(name) is not None:
                raise not_ours("Group", name) from error
            if error.meaning in ("exists", "either"):
                raise Conflict(f"The Engine says that a group like {shown(name)} exists; use another name.") from error
            raise
        if len(name) > LONG and work.roles_of(name) is None:
            work.run(drop_group(name))
            raise InvalidValue(f"{too_long('group', 'group', name)} A group named by its beginning may have been made.")

    def _give_roles(self, group: Group, name: str, roles: list[str]) -> None:
        """Grant the roles that ``engine_roles`` names for the group; what it has besides is nobody's business."""
        display = str(group.resource.get("displayName", ""))
        wanted = {role for pattern, names in self._work.settings.roles if pattern.match(display) for role in names}
        for role in sorted(wanted - set(roles)):
            reason = self._work.protection_by_roles([role])
            if reason is not None:
                refuse("Group", name, f"engine_roles gives it the role {shown(role)}, and {reason}")
            self._grant_role(role, name)

    def _grant_role(self, role: str, name: str) -> None:
        try:
            self._work.run(grant_role(role, name))
        except Refused as error:
            if role in (self._work.roles_of(name) or ()):
                return
            if error.meaning == "gone":
                raise SetupFault(
                    f"engine_roles names the role {shown(role)}, which the Engine does not have."
                ) from error
            raise

    def _carry(self, stands: str, wanted: str) -> str | None:
        """Give the group another name: members first, then roles, so that the new one gives nothing too early.

        :return: what is left to do, where the time of one call is not enough for all members.
        """
        work = self._work
        roles = work.roles_of(stands)
        if roles is None:
            return None  # dropped by hand: it is made under its new name
        self._refuse_protected(stands, roles)
        there = work.roles_of(wanted)
        self._refuse_protected(wanted, there or [])
        if there is not None and wanted not in (self._began.making, self._began.old):
            raise not_ours("Group", wanted)
        if there is None:
            with self._intending(self._note.beginning(wanted)):
                self._make(wanted)
        for _ in range(_ROUNDS):
            left = self._equal_members(stands, wanted)
            if left is None:
                break
            if left:
                return f"{left} members still have to be given the group's new name {shown(wanted)} in the Engine"
        else:
            raise Unreachable(f"The members of the group {shown(stands)} change while it gets another name.")
        for role in sorted(set(roles) - set(there or ())):
            self._grant_role(role, wanted)
        self._equal_members(stands, wanted)
        self._keep(self._note.standing(wanted, instead_of=stands))
        self._remove(stands)
        self._keep(replace(self._note, old=None))
        return None

    def _equal_members(self, stands: str, wanted: str) -> int | None:
        """Give the new name the members of the old one.

        :return: how many are left for another call; ``None``: nothing had to be done.
        """
        work = self._work
        old, new = member_names(work, stands), member_names(work, wanted)
        for name in sorted(new - old):
            leave(work, name, wanted)
        missing = sorted(work.existing(old - new))
        for done, name in enumerate(missing):
            if work.line.deadline.left() < _RESERVE_SECONDS:
                return len(missing) - done
            join(work, name, wanted)
        return 0 if missing or new - old else None
