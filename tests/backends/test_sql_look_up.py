"""A look-up in SQLite is one statement without a transaction, and still sees one moment (``glance.py``)."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from core_client import Core
from scim_gateway_sql import SqlBackend

from scim_gateway.bench import people
from scim_gateway.errors import NotFound, StaleResource


@pytest.fixture
def core(backend: SqlBackend) -> Core:
    return Core(backend)


@pytest.fixture
def other(other: SqlBackend) -> Core:
    return Core(other)


def backend_of(core: Core) -> SqlBackend:
    assert isinstance(core.backend, SqlBackend)
    return core.backend


def nested(core: Core) -> tuple[str, str, str]:
    """A user in a group that is in a group."""
    user = core.json("POST", "/Users", people.user(1), expect=201)["id"]
    inner = core.json("POST", "/Groups", people.group("inner", [user]), expect=201)["id"]
    outer = core.json("POST", "/Groups", people.group("outer", [inner]), expect=201)["id"]
    return str(user), str(inner), str(outer)


def read_both(backend: SqlBackend, group: str, user: str) -> None:
    backend.handlers["Group"].text(group)
    backend.handlers["User"].text(user)


def begun(core: Core) -> list[str]:
    """What is sent to the file beyond the statements themselves, from now on."""
    sent: list[str] = []
    database = backend_of(core).database
    real = database.driver.begin

    def begin(connection: Any, write: bool) -> None:
        sent.append("write" if write else "read")
        real(connection, write)

    database.driver.begin = begin
    return sent


def test_a_look_up_by_id_or_by_name_begins_no_transaction(core: Core) -> None:
    user = core.json("POST", "/Users", people.user(1), expect=201)["id"]
    sent = begun(core)
    assert core.json("GET", f"/Users/{user}")["id"] == user
    assert core.json("GET", "/Users", filter=f'userName eq "{people.user_name(1)}"')["totalResults"] == 1
    assert core.send("GET", "/Users/nobody").status == 404
    assert sent == []


def test_what_takes_more_than_a_statement_reads_in_a_transaction(core: Core) -> None:
    user, _, outer = nested(core)
    sent = begun(core)
    groups = core.json("GET", f"/Users/{user}")["groups"]
    assert [group["display"] for group in groups] == ["inner", "outer"]
    assert sent == ["read"]
    assert core.json("GET", f"/Groups/{outer}")["displayName"] == "outer"
    assert sent == ["read", "read"]


def test_a_change_between_two_statements_of_a_look_up_makes_it_start_again(
    core: Core, other: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, inner, _ = nested(core)
    database = backend_of(core).database
    real, changes = database.driver.begin, [people.leaving(user)]

    def begin(connection: Any, write: bool) -> None:
        if changes:
            other.json("PATCH", f"/Groups/{inner}", changes.pop())
        real(connection, write)

    monkeypatch.setattr(database.driver, "begin", begin)
    assert "groups" not in core.json("GET", f"/Users/{user}")
    assert not changes


def test_two_statements_that_would_see_two_moments_are_refused(core: Core, other: Core) -> None:
    user, inner, _ = nested(core)
    backend = backend_of(core)
    with backend.look_up():
        backend.handlers["User"].text(user)
        other.json("PATCH", f"/Groups/{inner}", people.leaving(user))
        with pytest.raises(StaleResource):
            backend.handlers["Group"].text(inner)


def test_a_change_of_something_else_does_not_disturb(core: Core, other: Core) -> None:
    user, inner, _ = nested(core)
    backend = backend_of(core)
    with backend.look_up():
        before = backend.handlers["User"].text(user)
        other.json("POST", "/Users", people.user(2), expect=201)
        backend.handlers["Group"].text(inner)
        assert backend.handlers["User"].text(user) == before


def test_after_a_look_up_that_failed_the_connection_serves_on(core: Core) -> None:
    user, inner, _ = nested(core)
    backend = backend_of(core)
    for _ in range(3):
        with pytest.raises(NotFound), backend.look_up():
            read_both(backend, inner, "nobody")
    core.json("PATCH", f"/Users/{user}", people.activation(False), expect=200)
    assert core.json("GET", f"/Users/{user}")["active"] is False


def test_inside_an_operation_a_look_up_is_part_of_it(core: Core, other: Core) -> None:
    user, _, _ = nested(core)
    backend = backend_of(core)
    with backend.operation(write=False):
        before = backend.handlers["User"].text(user)
        other.json("PATCH", f"/Users/{user}", people.activation(False), expect=200)
        with backend.look_up():
            assert backend.handlers["User"].text(user) == before


def test_listeners_hear_of_the_statement_of_a_look_up(core: Core, heard: list[str]) -> None:
    user = core.json("POST", "/Users", people.user(1), expect=201)["id"]
    heard.clear()
    core.json("GET", f"/Users/{user}")
    assert [text.partition(" ")[0] for text in heard] == ["SELECT"]


def test_a_connection_whose_transaction_could_not_be_ended_serves_no_other_look_up(
    core: Core, other: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, _, _ = nested(core)

    def rollback(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(backend_of(core).database.driver, "rollback", rollback)
        assert len(core.json("GET", f"/Users/{user}")["groups"]) == 2
    other.json("PATCH", f"/Users/{user}", people.activation(False), expect=200)
    assert core.json("GET", f"/Users/{user}")["active"] is False
