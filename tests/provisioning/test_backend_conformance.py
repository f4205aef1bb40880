"""The backend with a target passes the suite for backends, as the directory alone does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from doubles.listed_target import ListTarget
from provisioned import provisioned, quick
from scim_gateway_provisioning.backend import ProvisioningBackend

from scim_gateway.errors import Conflict
from scim_gateway.testing import BackendTests, create, exchange_names, get, user


class TestProvisioningBackend(BackendTests):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[Callable[[], ProvisioningBackend]]:
        times, target = quick(request=60.0), ListTarget(limit=10**6)
        with ExitStack() as stack:
            yield lambda: stack.enter_context(
                closing(provisioned(tmp_path, target, resource_types=self.resource_types, times=times))
            )

    @pytest.fixture
    def backend(self, opened: Callable[[], ProvisioningBackend]) -> ProvisioningBackend:
        return opened()

    @pytest.fixture
    def another(self, opened: Callable[[], ProvisioningBackend]) -> ProvisioningBackend:
        return opened()

    @pytest.fixture
    def make_unreachable(self, backend: ProvisioningBackend, tmp_path: Path) -> Callable[[], None]:
        def make() -> None:
            backend.directory.close()
            for file in tmp_path.glob("scim-gateway.db-*"):
                file.unlink()
            (tmp_path / "scim-gateway.db").write_bytes(b"This is not a database. " * 400)

        return make

    def test_names_exchanged_in_one_operation_are_refused_whole(self, backend: ProvisioningBackend) -> None:
        ada, bob = user("ada"), user("bob")
        create(backend, ada, bob)
        with pytest.raises(Conflict, match="take it from the one first"):
            exchange_names(backend, ada, bob)
        assert [get(backend, each)["userName"] for each in (ada, bob)] == ["ada", "bob"]
