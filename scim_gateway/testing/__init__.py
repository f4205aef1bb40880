"""The conformance suite for backends: each rule of :mod:`scim_gateway.backend` as tests named by the fact they check.

A plugin passes it with a class of its own in its tests, and this line in its ``conftest.py`` for readable failures::

    pytest.register_assert_rewrite("scim_gateway.testing")


    class TestMyBackend(BackendTests):
        @pytest.fixture
        def backend(self):
            return MyBackend.from_settings({}, self.resource_types)
"""

from __future__ import annotations

from scim_gateway.testing.changes import ChangeTests
from scim_gateway.testing.filters import DEVICE_FILTERS, SORTS, USER_FILTERS, assert_page, resolved, sort
from scim_gateway.testing.memberships import MembershipTests
from scim_gateway.testing.processes import ProcessTests
from scim_gateway.testing.queries import QueryTests
from scim_gateway.testing.samples import (
    NAME_PAIRS,
    changed,
    device,
    devices,
    group,
    nearly_its_id,
    people,
    resource,
    user,
)
from scim_gateway.testing.steps import (
    change_members,
    create,
    delete,
    exchange_names,
    get,
    in_parallel,
    look_up,
    member_ids,
    modify,
    references,
    retried,
)
from scim_gateway.testing.storage import StorageTests
from scim_gateway.testing.surroundings import SurroundingsTests
from scim_gateway.testing.texts import TextTests
from scim_gateway.testing.types import DEPOT_URN, DEVICE, DEVICE_URN, suite_resource_types
from scim_gateway.testing.uniqueness import UniquenessTests

__all__ = [
    "DEPOT_URN",
    "DEVICE",
    "DEVICE_FILTERS",
    "DEVICE_URN",
    "NAME_PAIRS",
    "SORTS",
    "USER_FILTERS",
    "BackendTests",
    "assert_page",
    "change_members",
    "changed",
    "create",
    "delete",
    "device",
    "devices",
    "exchange_names",
    "get",
    "group",
    "in_parallel",
    "look_up",
    "member_ids",
    "modify",
    "nearly_its_id",
    "people",
    "references",
    "resolved",
    "resource",
    "retried",
    "sort",
    "suite_resource_types",
    "user",
]


class BackendTests(
    StorageTests, UniquenessTests, ChangeTests, QueryTests, MembershipTests, TextTests, ProcessTests, SurroundingsTests
):
    """Inherit this, and override the fixture ``backend`` with one that gives an empty backend of yours.

    Two more fixtures are for what a store may have: ``another`` for one that several processes may serve (it has to be
    overridden where ``shared`` is true), ``make_unreachable`` for one that can be out of reach.
    """
