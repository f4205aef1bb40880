"""A backend whose target is a list in a file, named in settings as ``listed_backend:ListedBackend``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from doubles.listed_target import ListTarget
from scim_gateway_provisioning.backend import ProvisioningBackend
from scim_gateway_provisioning.target import Target

from scim_gateway.schema import ResourceTypes


class ListedBackend(ProvisioningBackend):
    """The directory in a SQLite file, the target beside it."""

    @classmethod
    def targets_from(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Sequence[Target]:
        return [target_in(Path(settings["data_dir"]))]


def target_in(folder: Path) -> ListTarget:
    """The target of the gateway whose data are in that folder."""
    folder.mkdir(exist_ok=True)
    return ListTarget(path=folder / "target.json")
