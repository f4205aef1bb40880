"""Never an owner: in some editions an invited person becomes an owner of the organization, unless somebody looks.

The default rights are told by no call. They show on whoever accepted an invitation last: at ``check``, before somebody
is invited, and at each acceptance.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Literal

from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import Forbidden
from scim_gateway.text import collision_key, shown

from .answers import ACCEPTED, STANDARD, Member
from .client import Client, TeamUpdate
from .protection import Protection

REMEMBERED_SECONDS = 600.0
PROOF = 3
"""So many new owners in a row are the edition's doing, not people's."""
_security = logging.getLogger("scim_gateway.security")

Evidence = Literal["owners", "members", "unknown"]


class DefaultRights:
    """What an invited person becomes, and what is done about it.

    :param policy: ``refuse``: nobody is invited where invited people become owners; ``remove``: they are taken out of
        the teams that make them so.
    """

    def __init__(self, policy: str, protection: Protection) -> None:
        self._policy = policy
        self._protection = protection
        self._lock = threading.Lock()
        self._evidence: Evidence = "unknown"
        self._until = 0.0

    def evidence(self, client: Client, me: Member) -> Evidence:
        """What the person who accepted last became; remembered for a while."""
        with self._lock:
            if time.monotonic() < self._until:
                return self._evidence
        self._remember(self._look(client, me))
        return self._evidence

    def permit(self, client: Client, me: Member) -> None:
        """Refuse to invite where that would make an owner and nobody may take the rights away again.

        :raises Forbidden: the reason, and what to do.
        """
        if self._policy == "refuse" and self.evidence(client, me) == "owners":
            raise Forbidden(
                "Nobody is invited: THIS ORGANIZATION MAKES EVERYBODY WHO ACCEPTS AN INVITATION AN OWNER (as the "
                "Shared edition does). Change the edition, or set portal_default_owner to remove: the gateway then "
                "takes new members out of the owners' team."
            )

    def accepted(self, client: Client, member: Member, me: Member) -> None:
        """Look at somebody who has joined by our doing; they must be no owner afterwards.

        :raises Forbidden: they became an owner, and are out of the organization again because that is not wanted.
        :raises Unreachable: they still are one.
        """
        role = self._protection.privilege(client, member, me)
        if role is None:
            return
        self._remember("owners")
        _security.warning("%s BECAME AN OWNER OF THE ORGANIZATION BY ACCEPTING AN INVITATION", shown(member.email))
        if self._policy == "remove":
            self._take_out(client, member, me)
            return
        client.remove_member(member.id)
        if client.member(member.id) is not None:
            raise Unreachable(f"{shown(member.email)} became an owner, was removed, and is still shown as a member.")
        raise Forbidden(
            f"{shown(member.email)} accepted the invitation, WAS MADE AN OWNER (role {shown(role)}) by this "
            "organization's edition, and is out of the organization again. Change the edition, or set "
            "portal_default_owner to remove."
        )

    def _take_out(self, client: Client, member: Member, me: Member) -> None:
        for team in self._protection.privileged_teams_of(client, member):
            client.update_team(team.id, TeamUpdate(remove_users=[member.id]))
        role = self._protection.privilege(client, member, me)
        if role is not None:
            raise Unreachable(
                f"{shown(member.email)} accepted an invitation and STILL IS AN OWNER (role {shown(role)}): take the "
                "role away in the Portal."
            )

    def _look(self, client: Client, me: Member) -> Evidence:
        """Those who accepted last and are still here, and were not invited into a team that makes owners.

        One of them who is no owner is proof; one who is may have been promoted by hand, all of them hardly.
        """
        accepted = [one for one in client.invitations(ACCEPTED) if one.acted is not None]
        if not accepted:
            return "unknown"
        members = {collision_key(one.email): one for one in client.members() if one.kind == STANDARD}
        teams = {team.id: team for team in client.teams()}
        looked_at: set[str] = set()
        for invitation in sorted(accepted, key=lambda one: str(one.acted), reverse=True):
            member = members.get(collision_key(invitation.email))
            into = [teams[id] for id in invitation.teams if id in teams]
            if member is None or any(self._protection.privileged_by_look(team) for team in into):
                continue
            if self._protection.privilege(client, member, me) is None:
                return "members"
            looked_at.add(member.id)
            if len(looked_at) == PROOF:
                break
        return "owners" if looked_at else "unknown"

    def _remember(self, evidence: Evidence) -> None:
        with self._lock:
            # Who was made an owner and taken out again leaves no trace: what was seen once is not forgotten for that.
            if evidence != "unknown" or self._evidence != "owners":
                self._evidence = evidence
            self._until = time.monotonic() + REMEMBERED_SECONDS
