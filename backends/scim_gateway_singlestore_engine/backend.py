"""The backend ``engine``: a directory in SQL, and the accounts of a SingleStore cluster that are kept equal to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scim_gateway_provisioning.backend import ProvisioningBackend
from scim_gateway_provisioning.target import Target

from scim_gateway.backend import Finding, Probing
from scim_gateway.schema import ResourceTypes

from .settings import EngineSettings
from .target import EngineTarget


class EngineBackend(ProvisioningBackend, Probing):
    """A directory whose people and groups are users and groups of the Engine."""

    settings_read = frozenset({"database", "targets", "engine"})

    @classmethod
    def targets_from(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Sequence[Target]:
        return [EngineTarget(EngineSettings.of(settings, resource_types))]

    def probe(self) -> Iterator[Finding]:
        for target in self.context.targets.values():
            if isinstance(target, EngineTarget):
                yield from target.probe()
