"""A gateway over the double, as the protocol drives it: directory and organization side by side."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from core_client import USER, Core
from doubles.portal.server import PortalDouble
from scim_gateway_provisioning.backend import ProvisioningBackend
from scim_gateway_provisioning.breaker import Limits
from scim_gateway_provisioning.context import Times
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_provisioning.safeguards import Safeguards
from scim_gateway_provisioning.target import Target
from scim_gateway_singlestore_portal import PortalBackend, PortalTarget
from scim_gateway_singlestore_portal.settings import PortalSettings
from scim_gateway_sql import SqlBackend

from scim_gateway.definitions import standard_resource_types

QUICK = Times(retry=0.05, first_pause=0.001, pause=0.01, poll=0.005, backoff=0.001, backoff_limit=0.01, waiting=0.001)


class PortalWorld:
    """One process of a gateway; the same folder gives another process's view of the same directory.

    :param others: targets beside the portal.
    :param target: in place of one that is made for this: what it has learned of the API it knows.
    :param database_url: of the directory, in place of a file in the folder.
    :param chosen: settings of the portal, without ``portal_``.
    """

    def __init__(
        self,
        double: PortalDouble,
        folder: Path,
        *,
        times: Times = QUICK,
        kind: type[ProvisioningBackend] = PortalBackend,
        others: Sequence[Target] = (),
        target: PortalTarget | None = None,
        database_url: str | None = None,
        **chosen: Any,
    ) -> None:
        self.double = double
        directory = SqlBackend.from_settings(
            {"data_dir": str(folder), "database_url": database_url},
            standard_resource_types(),
            migrations=(PROVISIONING,),
        )
        self.target = target or PortalTarget(PortalSettings(**{"url": double.url, "api_key": double.key, **chosen}))
        safeguards = Safeguards(directory.database, directory.tenant, (), Limits(0))
        self.backend = kind(directory, [*others, self.target], times=times, safeguards=safeguards)
        self.core = Core(self.backend)

    def close(self) -> None:
        self.backend.close()

    def person(self, email: str, **attributes: Any) -> dict[str, Any]:
        """A new user with this address."""
        user: dict[str, Any] = self.core.json("POST", "/Users", {**new_user(email), **attributes}, expect=201)
        return user

    def member(self, email: str, **attributes: Any) -> dict[str, Any]:
        """A new user who has accepted the invitation."""
        user = self.person(email, **attributes)
        self.accept(email)
        return user

    def accept(self, email: str) -> None:
        """The person accepts, and the gateway looks until it waits for nothing of it any more."""
        self.double.organization.accept(email)
        self.look()

    def look(self, *, minutes: float = 2) -> None:
        """Let the retry look at what waits, now and some minutes later."""
        self.backend.settle_pending()
        self.double.organization.clock_ahead += timedelta(minutes=minutes)
        self.backend.settle_pending()
        self.backend.settle_pending()

    def waiting(self, resource: dict[str, Any]) -> str | None:
        """What the portal waits for."""
        text: str | None = self.backend.state_of(resource["id"])["portal"].get("waiting")
        return text

    def waiting_for_nothing(self) -> bool:
        return not self.backend.pending()

    def wanted(self) -> tuple[set[str], dict[str, set[str]]]:
        """What the directory says: addresses of those who are active, and by group those of its active members."""
        users = {user["id"]: user for user in self.core.json("GET", "/Users").get("Resources", ())}
        groups = {group["id"]: group for group in self.core.json("GET", "/Groups").get("Resources", ())}
        active = {id: user["emails"][0]["value"] for id, user in users.items() if user.get("active", True)}
        names = {**active, **{id: group["displayName"] for id, group in groups.items()}}
        members = {
            group["displayName"]: {names[one["value"]] for one in group.get("members", ()) if one["value"] in names}
            for group in groups.values()
        }
        return set(active.values()), members

    def check_equal(self) -> None:
        """Directory and organization say the same; who has not accepted is in no team yet."""
        people, groups = self.wanted()
        invited = self.invited
        assert self.members | invited == people
        assert not self.members & invited
        assert self.teams == {name: members - invited for name, members in groups.items()}
        pending = [one.email for one in self.double.organization.invitations.values() if one.state == "Pending"]
        assert len(pending) == len(set(pending)), "nobody is invited twice"

    @property
    def members(self) -> set[str]:
        """Addresses of the members whom somebody invited."""
        everybody = {member.email for member in self.double.organization.members.values()}
        return everybody - {"owner@example.com", "keeper@example.com"}

    @property
    def invited(self) -> set[str]:
        return {one.email for one in self.double.organization.invitations.values() if one.state == "Pending"}

    @property
    def teams(self) -> dict[str, set[str]]:
        """Addresses of the people, and names of the teams, by the name of the team."""
        organization = self.double.organization
        return {
            team.name: organization.emails(team.name) | {organization.teams[id].name for id in team.teams}
            for team in organization.teams.values()
            if not team.predefined
        }


def with_address(email: str) -> dict[str, Any]:
    """The attribute that makes somebody known by this address."""
    return {"emails": [{"value": email, "primary": True, "type": "work"}]}


def new_user(email: str) -> dict[str, Any]:
    """A User as an identity provider sends it."""
    return {"schemas": [USER], "userName": email, **with_address(email)}
