"""The backend with a cluster behind it passes the suite for backends, as the directory alone does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from engine_world import EngineWorld
from scim_gateway_provisioning.breaker import Limits
from scim_gateway_provisioning.context import Times
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_provisioning.safeguards import Safeguards
from scim_gateway_singlestore_engine import EngineBackend
from scim_gateway_sql import SqlBackend

from scim_gateway.testing import BackendTests


class TestEngineBackend(BackendTests):
    @pytest.fixture
    def opened(self, world: EngineWorld, tmp_path: Path, looks_at_once: None) -> Iterator[Callable[[], EngineBackend]]:
        def open_one() -> EngineBackend:
            directory = SqlBackend.from_settings(
                {"data_dir": str(tmp_path)}, self.resource_types, migrations=(PROVISIONING,)
            )
            # Users of the suite have names that no account may have, 5,000 characters or quotes: accounts are named by
            # id. Its operations are larger than an identity provider's, and nothing limits removals here.
            target = world.another_target(authentication="jwt", require="ssl", user_attribute="id")
            safeguards = Safeguards(directory.database, directory.tenant, (), Limits(0))
            return EngineBackend(directory, [target], times=Times(request=300.0), safeguards=safeguards)

        with ExitStack() as stack:
            yield lambda: stack.enter_context(closing(open_one()))

    @pytest.fixture
    def backend(self, opened: Callable[[], EngineBackend]) -> EngineBackend:
        return opened()

    @pytest.fixture
    def another(self, opened: Callable[[], EngineBackend]) -> EngineBackend:
        return opened()

    @pytest.fixture
    def make_unreachable(self, backend: EngineBackend, tmp_path: Path) -> Callable[[], None]:
        def make() -> None:
            backend.directory.close()
            for file in tmp_path.glob("scim-gateway.db*"):
                file.unlink()
            (tmp_path / "scim-gateway.db").mkdir()

        return make
