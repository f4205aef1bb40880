"""What all parts of the suite are given: the backend under test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest

from scim_gateway.backend import Backend
from scim_gateway.schema import ResourceTypes
from scim_gateway.testing.types import suite_resource_types


class BackendSuite:
    """The fixtures that a plugin overrides."""

    resource_types: ClassVar[ResourceTypes] = suite_resource_types()

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        """An empty backend for :attr:`resource_types`."""
        pytest.fail("The class that inherits this suite has to override the fixture 'backend'.")

    @pytest.fixture
    def make_unreachable(self, backend: Backend) -> Callable[[], None]:
        """A function that cuts the backend off from its store; override it where there is something to cut."""
        pytest.skip("the store of this backend is always there")

    @pytest.fixture
    def another(self, backend: Backend) -> Iterator[Backend]:
        """A second backend over the store of ``backend``, as another process has it; override it if ``shared``."""
        if backend.shared:
            pytest.fail("Several processes may serve this backend (shared): its tests have to override 'another'.")
        pytest.skip("this backend is served by one process")
