"""The total of a file of SQLite is counted once for each state of it, and never a stale one is told."""

from __future__ import annotations

import pytest
from scim_gateway_sql import SqlBackend
from sql_directory import TYPES

from scim_gateway.backend import Query
from scim_gateway.schema import Resource
from scim_gateway.testing import create, delete, user

USER = TYPES.by_name["User"]


def total(backend: SqlBackend) -> int:
    with backend.operation(write=False):
        return backend.handlers["User"].query(Query(USER, count=1)).total_results


def test_what_this_process_changes_is_counted(backend: SqlBackend) -> None:
    ada, bob = user("ada"), user("bob")
    assert total(backend) == 0
    create(backend, ada, bob)
    assert total(backend) == total(backend) == 2
    delete(backend, ada)
    assert total(backend) == 1


def test_what_another_process_changes_is_counted(backend: SqlBackend, other: SqlBackend) -> None:
    create(backend, user("ada"), user("bob"))
    assert total(other) == total(other) == 2
    create(backend, user("eve"))
    assert total(other) == 3


def test_a_reader_goes_on_seeing_the_moment_of_its_transaction(backend: SqlBackend, other: SqlBackend) -> None:
    create(backend, user("ada"), user("bob"))
    users = other.handlers["User"]
    with other.operation(write=False):
        assert users.query(Query(USER, count=1)).total_results == 2
        create(backend, user("eve"))
        assert users.query(Query(USER, count=1)).total_results == 2
        assert len(users.query(Query(USER, start_index=2, count=5)).resources) == 1
    assert total(other) == 3


def test_what_was_counted_in_a_write_that_failed_is_forgotten(backend: SqlBackend) -> None:
    create(backend, user("ada"), user("bob"))
    assert total(backend) == 2

    def fail() -> None:
        with backend.operation(write=True):
            backend.handlers["User"].create(user("eve"))
            assert total(backend) == 3
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert total(backend) == 2


@pytest.mark.parametrize("start", range(1, 13))
@pytest.mark.parametrize("count", [0, 1, 4, 20])
def test_a_page_from_the_end_is_the_page_from_the_beginning(backend: SqlBackend, start: int, count: int) -> None:
    everybody: list[Resource] = [user(f"user{number}") for number in range(10)]
    create(backend, *everybody)
    query = Query(USER, start_index=start, count=count)
    expected = query.run(everybody)
    with backend.operation(write=False):
        page = backend.handlers["User"].query(query)
    assert [each["id"] for each in page.resources] == [each["id"] for each in expected.resources]
    assert page.total_results == expected.total_results == 10
