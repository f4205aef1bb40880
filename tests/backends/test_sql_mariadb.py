"""The SQL backend on a MariaDB server passes the suite for backends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scim_gateway_sql import SqlBackend

from scim_gateway.testing import BackendTests


class TestSqlBackendOnMariaDb(BackendTests):
    @pytest.fixture
    def backend(self, mariadb: str) -> Iterator[SqlBackend]:
        backend = SqlBackend.from_settings({"database_url": mariadb}, self.resource_types)
        yield backend
        backend.close()
