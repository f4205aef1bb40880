"""The backend that feeds both systems passes the suite for backends, as the directory alone does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from doubles.portal.fixtures import DOMAIN
from doubles.portal.server import PortalDouble
from doubles.singlestore.serving import engine_environ
from scim_gateway_provisioning.breaker import Limits
from scim_gateway_provisioning.context import Times
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_provisioning.safeguards import Safeguards
from scim_gateway_singlestore import EngineAndPortalBackend
from scim_gateway_sql import SqlBackend

from scim_gateway.config import load
from scim_gateway.testing import BackendTests


class TestEngineAndPortalBackend(BackendTests):
    @pytest.fixture
    def opened(self, portal: PortalDouble, tmp_path: Path) -> Iterator[Callable[[], EngineAndPortalBackend]]:
        with engine_environ() as engine:
            environ = {
                **engine,
                "DATA_DIR": str(tmp_path),
                "PORTAL_URL": portal.url,
                "PORTAL_API_KEY": portal.key,
                # Most users of the suite have names by which nobody could be invited, and share email addresses.
                "PORTAL_ADDRESS": "username",
                "PORTAL_EMAIL_DOMAIN": DOMAIN,
                "PORTAL_WITHOUT_ADDRESS": "skip",
                "ENGINE_USER_ATTRIBUTE": "id",
            }
            settings = load({f"SCIM_GATEWAY_{name}": value for name, value in environ.items()})

            def open_one() -> EngineAndPortalBackend:
                directory = SqlBackend.from_settings(settings, self.resource_types, migrations=(PROVISIONING,))
                safeguards = Safeguards(directory.database, directory.tenant, (), Limits(0))
                targets = EngineAndPortalBackend.targets_from(settings, self.resource_types)
                times = Times(request=300.0)
                return EngineAndPortalBackend(directory, targets, times=times, safeguards=safeguards)

            with ExitStack() as stack:
                yield lambda: stack.enter_context(closing(open_one()))

    @pytest.fixture
    def backend(self, opened: Callable[[], EngineAndPortalBackend]) -> EngineAndPortalBackend:
        return opened()

    @pytest.fixture
    def another(self, opened: Callable[[], EngineAndPortalBackend]) -> EngineAndPortalBackend:
        return opened()

    @pytest.fixture
    def make_unreachable(self, backend: EngineAndPortalBackend, tmp_path: Path) -> Callable[[], None]:
        def make() -> None:
            backend.directory.close()
            for file in tmp_path.glob("scim-gateway.db*"):
                file.unlink()
            (tmp_path / "scim-gateway.db").mkdir()

        return make
