"""The memory backend passes the suite for backends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scim_gateway_memory import MemoryBackend

from scim_gateway.testing import BackendTests


class TestMemoryBackend(BackendTests):
    @pytest.fixture
    def backend(self) -> Iterator[MemoryBackend]:
        backend = MemoryBackend.from_settings({}, self.resource_types)
        yield backend
        backend.close()
