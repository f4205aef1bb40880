"""Rule 4: a unique value has one holder, by a key that no collation decides."""

from __future__ import annotations

import json
from functools import partial

import pytest

from scim_gateway.backend import Backend, Query
from scim_gateway.errors import Conflict, Uniqueness
from scim_gateway.testing.filters import assert_page, resolved
from scim_gateway.testing.samples import NAME_PAIRS, changed, device, group, user
from scim_gateway.testing.steps import create, exchange_names, get, in_parallel, modify
from scim_gateway.testing.suite import BackendSuite


class UniquenessTests(BackendSuite):
    """Names that are the same, and names that only look so."""

    # Rule 4: uniqueness

    @pytest.mark.parametrize(("first", "second", "same"), NAME_PAIRS)
    def test_names_collide_by_their_collision_key(self, backend: Backend, first: str, second: str, same: bool) -> None:
        for make in (user, group):
            create(backend, make(first))
            if same:
                with pytest.raises(Uniqueness):
                    create(backend, make(second))
            else:
                create(backend, make(second))

    @pytest.mark.parametrize(("first", "second", "same"), NAME_PAIRS)
    def test_a_name_is_looked_up_by_its_collision_key(
        self, backend: Backend, first: str, second: str, same: bool
    ) -> None:
        one = user(first)
        create(backend, one)
        kind = self.resource_types.by_name["User"]
        page = assert_page(backend, Query(kind, resolved(kind, f"userName eq {json.dumps(second)}")), [one])
        assert page.total_results == int(same)

    def test_a_case_exact_value_collides_only_with_the_same_text(self, backend: Backend) -> None:
        create(backend, device("S1"), device("s1"))
        with pytest.raises(Uniqueness):
            create(backend, device("S1"))

    def test_a_unique_value_of_an_extension_collides(self, backend: Backend) -> None:
        create(backend, device("S1", badge="b"))
        with pytest.raises(Uniqueness):
            create(backend, device("S2", badge="B"))
        create(backend, device("S3", badge="c"))

    def test_a_modified_resource_may_not_take_the_name_of_another(self, backend: Backend) -> None:
        ada, bob = user("ada"), user("bob")
        create(backend, ada, bob)
        with pytest.raises(Uniqueness):
            modify(backend, bob, changed(bob, userName="ADA"))
        assert get(backend, bob) == bob

    def test_a_resource_may_respell_its_own_name(self, backend: Backend) -> None:
        ada = user("ada")
        create(backend, ada)
        after = changed(ada, userName="Ada")
        modify(backend, ada, after)
        assert get(backend, ada) == after

    def test_a_name_given_up_is_free(self, backend: Backend) -> None:
        ada = user("ada")
        create(backend, ada)
        modify(backend, ada, changed(ada, userName="ada2"))
        create(backend, user("ADA"))
        with pytest.raises(Uniqueness):
            create(backend, user("Ada2"))

    def test_two_resources_exchange_their_names_through_a_third(self, backend: Backend) -> None:
        ada, bob = user("ada"), user("bob")
        create(backend, ada, bob)
        between = changed(ada, userName="between")
        modify(backend, ada, between)
        modify(backend, bob, changed(bob, userName="ada"))
        modify(backend, between, changed(between, userName="bob"))
        assert [get(backend, each)["userName"] for each in (ada, bob)] == ["bob", "ada"]

    def test_names_exchanged_in_one_operation_are_exchanged_or_it_is_refused_whole(self, backend: Backend) -> None:
        ada, bob = user("ada"), user("bob")
        create(backend, ada, bob)
        try:
            exchange_names(backend, ada, bob)
        except Conflict:
            assert [get(backend, each) for each in (ada, bob)] == [ada, bob]
        else:
            assert [get(backend, each)["userName"] for each in (ada, bob)] == ["bob", "ada"]

    def test_resources_of_different_types_may_share_a_name(self, backend: Backend) -> None:
        create(backend, user("same"), group("same"), device("same", label="same"))

    def test_resources_without_an_optional_unique_value_do_not_collide(self, backend: Backend) -> None:
        create(backend, device("S1"), device("S2"))

    def test_a_very_long_name_is_unique(self, backend: Backend) -> None:
        create(backend, user("x" * 5000), user("x" * 4999 + "y"))
        with pytest.raises(Uniqueness):
            create(backend, user("X" * 5000))

    def test_the_error_names_the_attribute_and_what_to_do(self, backend: Backend) -> None:
        create(backend, user("ada"), group("Staff"))
        with pytest.raises(Uniqueness) as of_user:
            create(backend, user("ada"))
        assert "userName" in of_user.value.detail
        with pytest.raises(Uniqueness) as of_group:
            create(backend, group("staff"))
        assert "displayName" in of_group.value.detail
        assert "link the existing group" in of_group.value.detail

    def test_of_many_threads_that_create_one_name_a_single_one_succeeds(self, backend: Backend) -> None:
        for attempt in range(5):
            results = in_parallel([partial(create, backend, user(f"Ada{attempt}")) for _ in range(8)])
            assert results.count(None) == 1
            assert sum(isinstance(result, Uniqueness) for result in results) == 7

    def test_of_many_threads_that_take_one_name_by_a_change_a_single_one_succeeds(self, backend: Backend) -> None:
        many = [user(f"user{number}") for number in range(6)]
        create(backend, *many)
        results = in_parallel([partial(modify, backend, one, changed(one, userName="wanted")) for one in many])
        assert results.count(None) == 1
        assert sum(isinstance(result, Uniqueness) for result in results) == 5
