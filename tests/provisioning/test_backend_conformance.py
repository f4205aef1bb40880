"""The backend with a target passes the suite for backends, as the directory alone does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doubles.listed_target import ListTarget
from provisioned import provisioned, quick
from scim_gateway_provisioning.backend import ProvisioningBackend

from scim_gateway.backend import Backend
from scim_gateway.errors import Conflict
from scim_gateway.testing import BackendTests
from scim_gateway.testing.samples import changed, user
from scim_gateway.testing.steps import create, get


class TestProvisioningBackend(BackendTests):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[ProvisioningBackend]:
        target = ListTarget(limit=10**6)
        backend = provisioned(tmp_path, target, resource_types=self.resource_types, times=quick(request=60.0))
        yield backend
        backend.close()

    @pytest.fixture
    def make_unreachable(self, backend: ProvisioningBackend, tmp_path: Path) -> Callable[[], None]:
        def make() -> None:
            backend.directory.close()
            for file in tmp_path.glob("scim-gateway.db-*"):
                file.unlink()
            (tmp_path / "scim-gateway.db").write_bytes(b"This is not a database. " * 400)

        return make

    def test_two_resources_exchange_their_names_through_a_third(self, backend: Backend) -> None:
        """In a target there is no moment at which two accounts could change their names; no request asks for it."""
        ada, bob = user("ada"), user("bob")
        create(backend, ada, bob)

        def exchange() -> None:
            with backend.operation(write=True):
                users = backend.handlers["User"]
                between = changed(ada, userName="between")
                users.modify(ada, between)
                users.modify(bob, changed(bob, userName="ada"))
                users.modify(between, changed(between, userName="bob"))

        with pytest.raises(Conflict):
            exchange()
        assert [get(backend, each)["userName"] for each in (ada, bob)] == ["ada", "bob"]
