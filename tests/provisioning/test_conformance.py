"""The backend with a target passes the suite for backends, as the directory alone does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doubles.listed_target import ListTarget
from provisioned import QUICK, provisioned
from scim_gateway_provisioning.backend import ProvisioningBackend

from scim_gateway.testing import BackendTests


class TestProvisioningBackend(BackendTests):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[ProvisioningBackend]:
        target = ListTarget(limit=10**6)
        backend = provisioned(tmp_path, target, resource_types=self.resource_types, times=QUICK)
        yield backend
        backend.close()

    @pytest.fixture
    def make_unreachable(self, backend: ProvisioningBackend, tmp_path: Path) -> Callable[[], None]:
        def make() -> None:
            backend.directory.close()
            for file in tmp_path.glob("directory.db*"):
                file.unlink()
            (tmp_path / "scim-gateway.db").unlink()
            (tmp_path / "scim-gateway.db").mkdir()

        return make
