"""The SQL backend passes the suite for backends, and keeps promises of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scim_gateway_sql import SqlBackend

from scim_gateway.testing import BackendTests


class TestSqlBackend(BackendTests):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[SqlBackend]:
        backend = SqlBackend.from_settings({"data_dir": str(tmp_path)}, self.resource_types)
        yield backend
        backend.close()
