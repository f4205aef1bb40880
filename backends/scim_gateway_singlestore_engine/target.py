"""The Engine as a target of provisioning: names, protection and connections of one SingleStore cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from scim_gateway_provisioning.target import Deadline, Kind, Target, TargetSession

from scim_gateway.backend import Finding
from scim_gateway.errors import InvalidValue
from scim_gateway.schema import Resource
from scim_gateway.text import collision_key

from .capabilities import CapabilityCache
from .check import findings
from .connection import Connections
from .facts import read_probe
from .naming import Naming
from .probe import probe
from .protection import ProtectedNames
from .session import EngineSession
from .settings import EngineSettings
from .work import Work


class EngineTarget(Target):
    """Users, groups and memberships of SingleStore's Engine.

    :param settings: what the operator chose.
    """

    name = "engine"

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.renames = settings.carry_names
        self.naming_help = (
            "give one of them another name, or let engine_user_attribute and the …_name_steps tell them apart"
        )
        self.connections = Connections(settings.endpoint, settings.concurrency)
        self._naming = Naming(settings)
        self._protected = ProtectedNames(settings.endpoint.user, settings.protected)
        self._capabilities = CapabilityCache(read_probe(settings.data_dir))

    def name_of(self, kind: Kind, resource: Resource) -> str:
        return self._naming.of(kind, resource)

    def name_key(self, kind: Kind, name: str) -> bytes:
        return collision_key(name).encode()

    def admit(self, kind: Kind, name: str) -> None:
        self._protected.admit(kind, name)

    def wants(self, kind: Kind, resource: Resource) -> bool:
        return kind == "User" or self.settings.groups.match(str(resource.get("displayName", "")))

    def concerns(self, kind: Kind, before: Resource, after: Resource) -> bool:
        if self._name(kind, before) != self._name(kind, after):
            return True
        if kind == "Group":
            return self._roles(before) != self._roles(after)
        return bool(before.get("active", True) != after.get("active", True))

    def _name(self, kind: Kind, resource: Resource) -> str | None:
        try:
            return self._naming.of(kind, resource)
        except InvalidValue:
            return None

    def _roles(self, group: Mapping[str, object]) -> list[tuple[str, ...]]:
        display = str(group.get("displayName", ""))
        return [roles for patterns, roles in self.settings.roles if patterns.match(display)]

    @contextmanager
    def session(self, deadline: Deadline) -> Iterator[TargetSession]:
        with self.connections.line(deadline) as line:
            work = Work(line, self.settings, self._capabilities.of(line), self._protected)
            yield EngineSession(work, self._naming, self.name_key)

    def check(self) -> Iterator[Finding]:
        return findings(self.settings, self.connections, read_probe(self.settings.data_dir))

    def probe(self) -> Iterator[Finding]:
        """Try out what the vendor's documents leave open; see :mod:`.probe`."""
        return probe(self.settings, self.connections)

    def close(self) -> None:
        self.connections.close()
