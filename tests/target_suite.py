"""The conformance suite for backends that feed targets: one promise less, and what is answered instead."""

from __future__ import annotations

import pytest

from scim_gateway.backend import Backend
from scim_gateway.errors import Conflict
from scim_gateway.testing import BackendTests, changed, create, get, user


class TargetBackendTests(BackendTests):
    """The suite; in a target there is no moment at which two accounts could change their names."""

    def test_two_resources_exchange_their_names_through_a_third(self, backend: Backend) -> None:
        """No request asks for it; what does is refused, and nothing is changed."""
        ada, bob = user("ada"), user("bob")
        create(backend, ada, bob)

        def exchange() -> None:
            with backend.operation(write=True):
                users = backend.handlers["User"]
                between = changed(ada, userName="between")
                users.modify(ada, between)
                users.modify(bob, changed(bob, userName="ada"))
                users.modify(between, changed(between, userName="bob"))

        with pytest.raises(Conflict):
            exchange()
        assert [get(backend, each)["userName"] for each in (ada, bob)] == ["ada", "bob"]
