"""A backend whose targets are a script and whose safeguards are real, over a SQLite file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from provisioned_gadget import ScriptedBackend
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_provisioning.recorded_tokens import RecordedTokens
from scim_gateway_provisioning.safeguarded import Safeguarded
from scim_gateway_provisioning.safeguards import Safeguards
from scim_gateway_sql import SqlBackend

from scim_gateway.schema import ResourceTypes
from scim_gateway.tokens import TokenStore


class GuardedBackend(Safeguarded, ScriptedBackend):
    """Pause, approval of removals and audit trail as they are, all else as the script says."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Self:
        backend = super().from_settings(settings, resource_types)
        backend.directory = SqlBackend.from_settings(settings, resource_types, migrations=(PROVISIONING,))
        backend.safeguards = Safeguards.from_settings(settings, backend.directory.database, backend.directory.tenant)
        return backend

    directory: SqlBackend

    def approve(self, hash: str | None = None, *, minutes: int = 60) -> str:
        return self.safeguards.approve(minutes) if hash is None else super().approve(hash)

    @property
    def tokens(self) -> TokenStore:
        return RecordedTokens(self.directory.tokens, self.directory.database, self.safeguards)

    def close(self) -> None:
        self.directory.close()
