"""What the operator chose for the organization, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scim_gateway.config import ConfigurationError


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """The settings ``portal_…`` by their names without that; see :mod:`scim_gateway.setting_portal`."""

    url: str = "https://api.singlestore.com"
    api_key: str = ""
    ca_file: str | None = None
    organization: str | None = None
    address: str = "email"
    email_domain: str | None = None
    without_address: str = "refuse"
    groups: tuple[str, ...] = ("*",)
    nested_groups: bool = True
    add_existing: bool = False
    match_members: bool = False
    default_owner: str = "refuse"
    pending_teams: str = "invitation"
    team_description: str = "Kept equal to a group of the identity provider."
    probe_address: str | None = None
    protected_users: tuple[str, ...] = ()
    protected_teams: tuple[str, ...] = ()
    allowed_teams: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> PortalSettings:
        """Take them out of the gateway's settings.

        :raises ConfigurationError: there is no API key.
        """
        chosen = {name: settings[f"portal_{name}"] for name in cls.__dataclass_fields__ if f"portal_{name}" in settings}
        if not chosen.get("api_key"):
            raise ConfigurationError(
                "The backend portal needs an API key of the organization: make one in the SingleStore Portal, put it "
                "into a file that only the gateway can read, and set SCIM_GATEWAY_PORTAL_API_KEY_FILE to its name."
            )
        return cls(**chosen)
