"""The backend ``portal``: a directory in SQL, and the organization that is kept equal to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scim_gateway_provisioning.backend import ProvisioningBackend
from scim_gateway_provisioning.target import Target

from scim_gateway.backend import Finding, Probing
from scim_gateway.schema import ResourceTypes

from .settings import PortalSettings
from .target import PortalTarget


def portal_target(settings: Mapping[str, Any]) -> PortalTarget:
    """The target that the gateway's settings describe.

    :raises scim_gateway.config.ConfigurationError: a setting is missing or makes no sense.
    """
    return PortalTarget(PortalSettings.of(settings), threads=int(settings.get("threads", 8)))


class PortalBackend(ProvisioningBackend, Probing):
    """A directory whose people and groups are members and teams of a SingleStore organization."""

    settings_read = frozenset({"database", "targets", "portal"})

    @classmethod
    def targets_from(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Sequence[Target]:
        return [portal_target(settings)]

    def probe(self) -> Iterator[Finding]:
        for target in self.context.targets.values():
            if isinstance(target, PortalTarget):
                yield from target.probe()
