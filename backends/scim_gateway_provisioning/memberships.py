"""Who is a member of a managed group in the target, and who has to be.

Membership is privilege: one that the directory does not know is taken away from an account of the gateway's. An account
that is not the gateway's is not touched in any way, so its membership is told (*unmanaged*) and left to the people who
made it. Groups that are not the gateway's are nobody's business here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scim_gateway.provisioned import Step

from .difference import FOREIGN_MEMBER, INACTIVE_MEMBER, MISSING, NOT_A_MEMBER, Difference, Survey, Wanted
from .matching import Matching
from .target import Inventory


@dataclass(frozen=True, slots=True)
class Memberships:
    """The memberships of one target, after its users and groups were matched.

    :param nests: whether groups can be members.
    """

    target: str
    survey: Survey
    inventory: Inventory
    users: Matching
    groups: Matching
    nests: bool

    def differences(self) -> Iterator[Difference]:
        """Every membership that is not as it has to be, or that is not the gateway's."""
        for group in self.survey.groups.wanted.values():
            if group.id in self.survey.moving or group.id in self.groups.blocked:
                continue
            key = self.groups.standing.get(group.id)
            here = self.inventory.members.get(key, frozenset()) if key is not None else frozenset()
            wanted = self._wanted(group.id)
            for member_key in wanted.keys() - here:
                member = wanted[member_key]
                if not member.waiting:
                    yield from self._change("add", group, member, MISSING, "taken away by hand", "not given yet")
            for member_key in here - wanted.keys():
                yield from self._extra(group, member_key)

    def _wanted(self, group: str) -> dict[bytes, Wanted]:
        """Who has to be a member, by the key under which they stand, or will stand, in the target."""
        found: dict[bytes, Wanted] = {}
        for id in self.survey.members.get(group, ()):
            matching = self._matching_of(id)
            member = matching.side.wanted.get(id)
            if member is not None and id not in matching.blocked and id not in self.survey.moving:
                found[matching.standing.get(id, member.key)] = member
        return found

    def _extra(self, group: Wanted, key: bytes) -> Iterator[Difference]:
        matching = self.groups if self.nests and key not in self.users.observed else self.users
        id = matching.holder.get(key)
        if id is not None:
            member = matching.side.wanted[id]
            effect = NOT_A_MEMBER if member.active else INACTIVE_MEMBER
            yield from self._change("remove", group, member, effect, "given by hand", "not taken away yet")
        elif key not in matching.silent:
            seen = matching.observed.get(key)
            shown = seen.name if seen is not None else key.decode(errors="replace")
            reason = FOREIGN_MEMBER if seen is None or seen.protected is None else f"protected: {seen.protected}"
            action = "unmanaged" if reason is FOREIGN_MEMBER else "protected"
            step = Step(self.target, action, "Membership", self._name_of(group), shown, reason, group.id)
            yield Difference(step, "")

    def _change(
        self, action: str, group: Wanted, member: Wanted, effect: str, by_hand: str, pending: str
    ) -> Iterator[Difference]:
        edge = (group.id, member.id)
        if edge in self.survey.moving_edges:
            return
        group_name, member_name = self._name_of(group), self._name_of(member)
        protected = self._protected(group) or self._protected(member)
        if protected is not None:
            reason = f"protected: {protected}; {effect}"
            step = Step(self.target, "protected", "Membership", group_name, member_name, reason, group.id)
            yield Difference(step, "")
            return
        confirmed = edge not in self.survey.pending and group.confirmed and member.confirmed
        reason = f"{effect}, {by_hand if confirmed else pending}"
        step = Step(self.target, action, "Membership", group_name, member_name, reason, group.id)
        yield Difference(step, effect, group.id, member.id)

    def _matching_of(self, id: str) -> Matching:
        return self.users if id in self.survey.users.wanted else self.groups

    def _name_of(self, resource: Wanted) -> str:
        matching = self._matching_of(resource.id)
        key = matching.standing.get(resource.id)
        return resource.name if key is None else matching.observed[key].name

    def _protected(self, resource: Wanted) -> str | None:
        matching = self._matching_of(resource.id)
        key = matching.standing.get(resource.id)
        return None if key is None else matching.observed[key].protected
