"""What the tests of backends share: a directory in a file, opened by one process and by another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scim_gateway_sql import SqlBackend
from sql_directory import heard_from, opened


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[SqlBackend]:
    """A directory in a file."""
    backend = opened(tmp_path)
    yield backend
    backend.close()


@pytest.fixture
def other(tmp_path: Path, backend: SqlBackend) -> Iterator[SqlBackend]:
    """The same directory, as another process has it."""
    other = opened(tmp_path)
    yield other
    other.close()


@pytest.fixture
def heard(backend: SqlBackend) -> list[str]:
    """The statements that the backend of a test sends."""
    return heard_from(backend)
