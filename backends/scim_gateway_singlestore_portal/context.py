"""What the calls of one session share: the API, the organization, the rules, and patience within the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from scim_gateway_provisioning.target import Unreachable

from .answers import Member, Organization
from .client import Client
from .owners import DefaultRights
from .protection import Protection
from .settings import PortalSettings
from .sight import Sight

LAG = timedelta(minutes=5)
"""So long what was just done may not show in a list before that means something."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


@dataclass(frozen=True, slots=True)
class Context:
    """What the calls of one session share.

    :param me: whose key it is.
    """

    client: Client
    settings: PortalSettings
    sight: Sight
    protection: Protection
    rights: DefaultRights
    organization: Organization
    me: Member

    def members(self) -> list[Member]:
        """Everybody in the organization.

        :raises Unreachable: the list is not whole.
        """
        members = self.client.members()
        if not any(member.id == self.me.id for member in members):
            raise Unreachable("The SingleStore Portal's list of members does not hold the owner of the API key.")
        return members

    def until(self, shown: Callable[[], bool], otherwise: str) -> None:
        """Look until something is shown; lists may be a moment behind.

        :raises Unreachable: it was not shown in time; with this text.
        """
        pause = _FIRST_PAUSE
        while not shown():
            if pause >= self.client.deadline.left():
                raise Unreachable(otherwise)
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
