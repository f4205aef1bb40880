"""Which name a resource of the directory has in the Engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scim_gateway_provisioning.target import Kind

from scim_gateway.schema import values_at

from .settings import EngineSettings


class Naming:
    """Names by the operator's choice of attribute and steps."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings

    def of(self, kind: Kind, resource: Mapping[str, Any]) -> str:
        """The name of a resource.

        :raises InvalidValue: none can be made of it.
        """
        rule = self._settings.rules[kind]
        if kind == "Group":
            return rule.name_of(resource.get("displayName"))
        values = values_at(resource, self._settings.attribute)
        return rule.name_of(values[0] if values else None)
