"""Users, groups and memberships of a SingleStore database, kept equal to the directory over PyMySQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from scim_gateway.backend import Backend
from scim_gateway.config import ConfigurationError
from scim_gateway.schema import ResourceTypes


class EngineBackend(Backend):
    """A directory whose people and groups are users and groups of the Engine."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> NoReturn:
        raise ConfigurationError("The backend 'engine' is not part of this version.")
