"""Rules 5 and 6: nobody's change is lost, and an operation is all or nothing."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from scim_gateway.backend import Backend, Query
from scim_gateway.errors import StaleResource, Uniqueness
from scim_gateway.testing.filters import assert_page
from scim_gateway.testing.samples import changed, group, user
from scim_gateway.testing.steps import create, delete, get, in_parallel, modify, refer_during_deletion, retried
from scim_gateway.testing.suite import BackendSuite


class ChangeTests(BackendSuite):
    """Changes one after the other, at once, and half-way through."""

    # Rule 5: nobody's change is lost

    def test_a_change_of_something_else_than_is_stored_is_refused(self, backend: Backend) -> None:
        before = user("ada")
        create(backend, before)
        first, second = changed(before, displayName="1"), changed(before, displayName="2")
        modify(backend, before, first)
        with pytest.raises(StaleResource):
            modify(backend, before, second)
        with pytest.raises(StaleResource):
            delete(backend, before)
        assert get(backend, before) == first

    def test_a_change_of_what_was_deleted_is_refused(self, backend: Backend) -> None:
        before = user("ada")
        create(backend, before)
        delete(backend, before)
        with pytest.raises(StaleResource):
            modify(backend, before, changed(before))
        with pytest.raises(StaleResource):
            delete(backend, before)

    def test_concurrent_changes_of_one_resource_lose_nothing(self, backend: Backend) -> None:
        one = user("ada")
        create(backend, one)
        users = backend.handlers["User"]

        def add(number: int) -> None:
            before = users.get(one["id"])
            emails = [*before.get("emails", ()), {"value": f"{number}@example.com"}]
            users.modify(before, changed(before, emails=emails))

        in_parallel([partial(retried, backend, partial(add, number)) for number in range(12)])
        assert len(get(backend, one)["emails"]) == 12
        assert get(backend, one)["meta"]["version"] == "13"

    def test_who_is_referred_to_is_not_deleted_before_the_write_ends(self, backend: Backend) -> None:
        for attempt in range(5):
            assert refer_during_deletion(backend, backend, f"ada{attempt}") == []

    # Rule 6: all or nothing

    def test_a_failed_operation_leaves_nothing(self, backend: Backend) -> None:
        kept, gone, renamed = user("kept"), user("gone"), user("renamed")
        create(backend, kept, gone, renamed)
        users = backend.handlers["User"]

        def fail() -> None:
            with backend.operation(write=True):
                users.create(user("new"))
                users.delete(gone)
                users.modify(renamed, changed(renamed, userName="other"))
                backend.handlers["Group"].create(group("half", kept))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        for kind, expected in (("User", [kept, gone, renamed]), ("Group", [])):
            assert_page(backend, Query(self.resource_types.by_name[kind]), expected)
        create(backend, user("new"), user("other"), group("half"))

    def test_a_refused_write_undoes_what_came_before_it_in_the_operation(self, backend: Backend) -> None:
        create(backend, user("ada"))

        def create_both() -> None:
            with backend.operation(write=True):
                backend.handlers["User"].create(user("first"))
                backend.handlers["User"].create(user("ADA"))

        with pytest.raises(Uniqueness):
            create_both()
        create(backend, user("first"))

    def test_an_operation_reads_what_it_wrote(self, backend: Backend) -> None:
        ada = user("ada")
        with backend.operation(write=True):
            backend.handlers["User"].create(ada)
            assert backend.handlers["User"].get(ada["id"]) == ada
            assert backend.references([ada["id"]]).keys() == {ada["id"]}

    def test_others_see_a_write_when_its_operation_has_ended(self, backend: Backend) -> None:
        ada = user("ada")
        create(backend, ada)
        assert in_parallel([lambda: get(backend, ada)]) == [ada]

    def test_others_never_see_half_of_an_operation(self, backend: Backend) -> None:
        kind = self.resource_types.by_name["User"]
        totals: set[int] = set()
        done = threading.Event()

        def write() -> None:
            try:
                for number in range(15):
                    with backend.operation(write=True):
                        backend.handlers["User"].create(user(f"a{number}"))
                        backend.handlers["User"].create(user(f"b{number}"))
            finally:
                done.set()

        def read() -> None:
            while not done.is_set():
                with backend.operation(write=False):
                    totals.add(backend.handlers["User"].query(Query(kind, count=0)).total_results)

        assert in_parallel([write, read]) == [None, None]
        assert all(total % 2 == 0 for total in totals)
