"""The backend ``engine+portal``: one directory, whose people and groups are in a database and in an organization.

Each target has its own settings, pending work and plans; which groups go where is said by ``engine_groups`` and
``portal_groups``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scim_gateway_provisioning.backend import ProvisioningBackend
from scim_gateway_provisioning.target import Target
from scim_gateway_singlestore_engine import EngineBackend
from scim_gateway_singlestore_engine.target import EngineTarget
from scim_gateway_singlestore_portal import PortalBackend, PortalTarget

from scim_gateway.backend import Finding, Probing
from scim_gateway.schema import ResourceTypes

__all__ = ["EngineAndPortalBackend"]


class EngineAndPortalBackend(ProvisioningBackend, Probing):
    """A directory that feeds SingleStore's Engine and its Portal."""

    settings_read = frozenset({"database", "targets", "engine", "portal"})

    @classmethod
    def targets_from(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Sequence[Target]:
        return [
            *EngineBackend.targets_from(settings, resource_types),
            *PortalBackend.targets_from(settings, resource_types),
        ]

    def probe(self) -> Iterator[Finding]:
        for target in self.context.targets.values():
            if isinstance(target, EngineTarget | PortalTarget):
                yield from target.probe()
