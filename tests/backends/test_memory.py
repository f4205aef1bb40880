"""The memory backend passes the suite for backends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from in_operations import InOperations
from scim_gateway_memory import MemoryBackend

from scim_gateway.testing import BackendTests, create, exchange_names, get, user


class TestMemoryBackend(BackendTests):
    @pytest.fixture
    def backend(self) -> Iterator[MemoryBackend]:
        backend = MemoryBackend.from_settings({}, self.resource_types)
        yield backend
        backend.close()

    def test_names_exchanged_in_one_operation_are_exchanged(self, backend: MemoryBackend) -> None:
        ada, bob = user("ada"), user("bob")
        create(backend, ada, bob)
        exchange_names(backend, ada, bob)
        assert [get(backend, each)["userName"] for each in (ada, bob)] == ["bob", "ada"]


class TestBackendCalledInOperationsAlone(BackendTests):
    """The suite keeps to what the contract says of its calls."""

    @pytest.fixture
    def backend(self) -> InOperations:
        return InOperations.from_settings({}, self.resource_types)
