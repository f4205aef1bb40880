"""Rules 1, 2, 3, 9, 10 and 11: what is stored comes back, what is not there is said to be so."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence

import pytest

from scim_gateway.backend import Backend, Query
from scim_gateway.errors import NotFound, StaleResource, Unavailable
from scim_gateway.schema import Resource
from scim_gateway.testing.filters import assert_page, resolved
from scim_gateway.testing.samples import changed, devices, group, nearly_its_id, people, user
from scim_gateway.testing.steps import create, delete, get, look_up, modify, references
from scim_gateway.testing.suite import BackendSuite
from scim_gateway.tokens import MemoryTokenStore


class StorageTests(BackendSuite):
    """What is stored, what is not there, what is out of reach."""

    # Rules 1 and 2: what is stored

    @pytest.mark.parametrize("number", range(len(people())))
    def test_a_user_comes_back_as_it_was_created(self, backend: Backend, number: int) -> None:
        one = people()[number]
        create(backend, copy.deepcopy(one))
        assert get(backend, one) == one

    @pytest.mark.parametrize("number", range(len(devices())))
    def test_a_resource_of_a_declared_type_comes_back_as_it_was_created(self, backend: Backend, number: int) -> None:
        one = devices()[number]
        create(backend, copy.deepcopy(one))
        assert get(backend, one) == one

    def test_a_resource_comes_back_as_it_was_modified(self, backend: Backend) -> None:
        before = people()[1]
        create(backend, before)
        after = changed(before, "externalId", displayName="New", emails=[{"value": "new@example.com"}])
        modify(backend, before, after)
        assert get(backend, before) == after

    def test_changing_what_was_returned_changes_nothing_stored(self, backend: Backend) -> None:
        one = people()[1]
        create(backend, copy.deepcopy(one))
        found = get(backend, one)
        found["emails"][0]["value"] = "changed"
        found["meta"]["version"] = "99"
        with backend.operation(write=False):
            page = backend.handlers["User"].query(Query(self.resource_types.by_name["User"]))
        page.resources[0]["emails"].clear()
        assert get(backend, one) == one

    def test_changing_what_was_given_changes_nothing_stored(self, backend: Backend) -> None:
        given = people()[1]
        wanted = copy.deepcopy(given)
        create(backend, given)
        given["emails"].append({"value": "later"})
        after = changed(wanted, displayName="Two")
        stored = copy.deepcopy(after)
        modify(backend, wanted, after)
        after["emails"].clear()
        assert get(backend, wanted) == stored

    # Rule 3: what is not there

    def test_an_unknown_id_is_not_found(self, backend: Backend) -> None:
        with pytest.raises(NotFound):
            get(backend, user("nobody"))

    @pytest.mark.parametrize("id", ["", "%", "' or 1=1 --", "..", "\N{GRINNING FACE}", "x" * 3000])
    def test_a_strange_id_is_not_found(self, backend: Backend, id: str) -> None:
        create(backend, user("ada"))
        with pytest.raises(NotFound):
            get(backend, {**user("nobody"), "id": id})

    def test_only_the_exact_text_of_an_id_is_found(self, backend: Backend) -> None:
        ada = user("ada")
        staff = group("staff", ada)
        create(backend, ada, staff)
        for one in (ada, staff):
            for id in nearly_its_id(one):
                for find in (get, look_up):
                    with pytest.raises(NotFound):
                        find(backend, {**one, "id": id})
                assert references(backend, [id]) == {}
            assert references(backend, [*nearly_its_id(one), one["id"]]).keys() == {one["id"]}

    def test_no_filter_finds_more_than_the_exact_text_of_an_id(self, backend: Backend) -> None:
        ada = user("ada")
        staff = group("staff", ada)
        create(backend, ada, staff)
        stored = get(backend, staff)
        for path, kind, one in (("id", "User", ada), ("id", "Group", stored), ("members", "Group", stored)):
            of_kind = self.resource_types.by_name[kind]
            for id in [*nearly_its_id(ada if path == "members" else one), ""]:
                query = Query(of_kind, resolved(of_kind, f"{path} eq {json.dumps(id)}"))
                assert assert_page(backend, query, [one]).total_results == 0

    def test_by_nearly_an_id_nothing_is_changed_or_removed(self, backend: Backend) -> None:
        ada = user("ada")
        staff = group("staff", ada)
        create(backend, ada, staff)
        stored = {each["id"]: get(backend, each) for each in (ada, staff)}
        for one in (ada, {name: value for name, value in staff.items() if name != "members"}):
            for id in nearly_its_id(one):
                wrong = {**one, "id": id}
                with pytest.raises(StaleResource):
                    modify(backend, wrong, changed(wrong, displayName="x"))
                with pytest.raises(StaleResource):
                    delete(backend, wrong)
        assert {each["id"]: get(backend, each) for each in (ada, staff)} == stored

    def test_the_id_of_another_type_is_not_found(self, backend: Backend) -> None:
        ada = user("ada")
        create(backend, ada)
        with backend.operation(write=False), pytest.raises(NotFound):
            backend.handlers["Group"].get(ada["id"])

    # Rule 9: deletion

    def test_what_was_deleted_is_gone_and_its_name_free(self, backend: Backend) -> None:
        ada = user("ada")
        create(backend, ada)
        delete(backend, ada)
        with pytest.raises(NotFound):
            get(backend, ada)
        assert references(backend, [ada["id"]]) == {}
        successor = user("Ada")
        create(backend, successor)
        kind = self.resource_types.by_name["User"]
        assert_page(backend, Query(kind, resolved(kind, 'userName eq "ada"')), [successor])

    # Look-ups

    def test_a_look_up_sees_what_was_committed(self, backend: Backend) -> None:
        ada = user("ada")
        kind = self.resource_types.by_name["User"]

        def named(name: str) -> Sequence[Resource]:
            with backend.look_up():
                return backend.handlers["User"].query(Query(kind, resolved(kind, f'userName eq "{name}"'))).resources

        assert named("ada") == []
        create(backend, ada)
        assert look_up(backend, ada) == ada
        assert named("ADA") == [ada]
        after = changed(ada, userName="countess")
        modify(backend, ada, after)
        assert look_up(backend, ada) == after
        assert (named("ada"), named("countess")) == ([], [after])
        delete(backend, after)
        with pytest.raises(NotFound):
            look_up(backend, ada)
        assert named("countess") == []

    def test_after_a_look_up_that_failed_all_is_as_before(self, backend: Backend) -> None:
        ada = user("ada")
        create(backend, ada)
        with pytest.raises(NotFound):
            look_up(backend, user("nobody"))
        after = changed(ada, displayName="Ada")
        modify(backend, ada, after)
        assert look_up(backend, ada) == get(backend, ada) == after

    # Rule 10: the store is away

    def test_a_store_out_of_reach_is_unavailable(self, backend: Backend, make_unreachable: Callable[[], None]) -> None:
        ada = user("ada")
        create(backend, ada)
        tokens = backend.tokens
        make_unreachable()
        kind = self.resource_types.by_name["User"]
        tasks: tuple[Callable[[], object], ...] = (
            lambda: get(backend, ada),
            lambda: look_up(backend, ada),
            lambda: create(backend, user("bob")),
            lambda: assert_page(backend, Query(kind), []),
            lambda: references(backend, [ada["id"]]),
            # What a backend leaves to the process is in reach as long as that is.
            *(() if isinstance(tokens, MemoryTokenStore) else (lambda: tokens.find("none"),)),
        )
        for task in tasks:
            with pytest.raises(Unavailable) as raised:
                task()
            assert int(raised.value.headers["Retry-After"]) > 0

    # Rule 11: the hint

    def test_attributes_that_will_not_be_shown_may_be_left_out_and_nothing_else(self, backend: Backend) -> None:
        ada = user("ada", displayName="Ada", externalId="1")
        staff = group("staff", ada)
        create(backend, ada, staff)
        for whole, name in ((ada, "displayName"), (staff, "members")):
            handler = backend.handlers[whole["meta"]["resourceType"]]
            query = Query(handler.resource_type, without=frozenset({name}))
            with backend.operation(write=False):
                for found in (handler.get(whole["id"], without={name}), handler.query(query).resources[0]):
                    found.pop(name, None)
                    assert found == {key: value for key, value in whole.items() if key != name}
