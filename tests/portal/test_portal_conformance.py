"""The backend with the organization behind it passes the suite for backends, as the directory alone does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from doubles.portal.fixtures import DOMAIN
from doubles.portal.server import PortalDouble
from scim_gateway_provisioning.breaker import Limits
from scim_gateway_provisioning.context import Times
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_provisioning.safeguards import Safeguards
from scim_gateway_singlestore_portal import PortalBackend, PortalTarget
from scim_gateway_singlestore_portal.settings import PortalSettings
from scim_gateway_sql import SqlBackend

from scim_gateway.testing import BackendTests


class TestPortalBackend(BackendTests):
    @pytest.fixture
    def opened(self, portal: PortalDouble, tmp_path: Path) -> Iterator[Callable[[], PortalBackend]]:
        def open_one() -> PortalBackend:
            # Most users of the suite have names by which nobody could be invited, and share their email addresses.
            chosen = {"address": "username", "email_domain": DOMAIN, "without_address": "skip"}
            target = PortalTarget(PortalSettings(url=portal.url, api_key=portal.key, **chosen))
            directory = SqlBackend.from_settings(
                {"data_dir": str(tmp_path)}, self.resource_types, migrations=(PROVISIONING,)
            )
            # Operations of the suite are larger than an identity provider's, and nothing limits removals here.
            times = Times(request=300.0)
            safeguards = Safeguards(directory.database, directory.tenant, (), Limits(0))
            return PortalBackend(directory, [target], times=times, safeguards=safeguards)

        with ExitStack() as stack:
            yield lambda: stack.enter_context(closing(open_one()))

    @pytest.fixture
    def backend(self, opened: Callable[[], PortalBackend]) -> PortalBackend:
        return opened()

    @pytest.fixture
    def another(self, opened: Callable[[], PortalBackend]) -> PortalBackend:
        return opened()

    @pytest.fixture
    def make_unreachable(self, backend: PortalBackend, tmp_path: Path) -> Callable[[], None]:
        def make() -> None:
            backend.directory.close()
            for file in tmp_path.glob("scim-gateway.db*"):
                file.unlink()
            (tmp_path / "scim-gateway.db").mkdir()

        return make
