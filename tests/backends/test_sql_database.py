"""Operations on a server: done again where others got in between, given up in time, and whole where they read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import scim_gateway_sql.database
import scim_gateway_sql.this_thread
from scim_gateway_sql import SqlBackend, reading
from scim_gateway_sql.database import Session
from scim_gateway_sql.failures import Contended, Lost
from scim_gateway_sql.tables import settings
from servers.fault_proxy import FaultProxy
from servers.mariadb import MariaDb
from sqlalchemy import insert, select

from scim_gateway.abilities import MemberChange
from scim_gateway.backend import Query
from scim_gateway.errors import StaleResource, Unavailable
from scim_gateway.ordering import position_of
from scim_gateway.schema import AttributePath
from scim_gateway.testing import (
    change_members,
    changed,
    create,
    delete,
    get,
    group,
    in_parallel,
    modify,
    resolved,
    sort,
    suite_resource_types,
    user,
)

TYPES = suite_resource_types()
USER = TYPES.by_name["User"]


@pytest.fixture(params=["sqlite", "mariadb"])
def backend(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[SqlBackend]:
    url = f"sqlite:///{tmp_path}/d.db" if request.param == "sqlite" else request.getfixturevalue("mariadb")
    backend = SqlBackend.from_settings({"database_url": url}, TYPES)
    yield backend
    backend.close()


@pytest.fixture
def server(mariadb: str) -> Iterator[SqlBackend]:
    backend = SqlBackend.from_settings({"database_url": mariadb}, TYPES)
    yield backend
    backend.close()


def note(session: Session, name: str) -> str:
    session.execute(insert(settings), {"tenant": "t", "name": name, "payload": b""})
    return name


def notes(backend: SqlBackend) -> list[str]:
    with backend.database.session() as session:
        return list(session.execute(select(settings.c.name).where(settings.c.tenant == "t")).scalars())


def test_work_is_done_again_from_its_start_until_nobody_gets_in_between(backend: SqlBackend) -> None:
    tries = itertools.count(1)

    def work(session: Session) -> str:
        number = next(tries)
        note(session, f"try {number}")
        if number < 4:
            raise StaleResource("x")
        return "done"

    assert backend.database.run(work) == "done"
    assert notes(backend) == ["try 4"]


def test_work_that_is_always_too_late_is_given_up(backend: SqlBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scim_gateway.stale.time.sleep", lambda _seconds: None)

    def work(session: Session) -> None:
        note(session, "never")
        raise StaleResource("x")

    with pytest.raises(Unavailable, match="busy"):
        backend.database.run(work)
    assert notes(backend) == []


def test_work_that_fails_is_not_done_again(backend: SqlBackend) -> None:
    tries = itertools.count(1)

    def work(session: Session) -> None:
        note(session, f"try {next(tries)}")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        backend.database.run(work)
    assert next(tries) == 2
    assert notes(backend) == []


def test_a_statement_of_its_own_that_trouble_undid_is_503_as_nobody_would_do_it_again(
    mariadb_server: MariaDb, mariadb: str
) -> None:
    proxy = FaultProxy(mariadb_server.port)
    url = mariadb.replace(f":{mariadb_server.port}/", f":{proxy.port}/")
    backend = SqlBackend.from_settings({"database_url": url}, TYPES)
    backend.references([])

    def alone() -> None:
        with backend.database.session(write=True) as session:
            proxy.reset()
            note(session, "lost")

    def around() -> None:
        with backend.operation(write=True), backend.database.session(write=True) as session:
            proxy.reset()
            note(session, "lost")

    with pytest.raises(Lost):
        alone()
    with pytest.raises(Contended):
        around()
    assert notes(backend) == []
    backend.close()
    proxy.close()


def test_trouble_that_does_not_end_is_503_in_the_end(server: SqlBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scim_gateway_sql.this_thread, "PATIENCE_SECONDS", 0.2)

    def work(_session: Session) -> None:
        raise Lost("gone")

    with pytest.raises(Unavailable, match="gone"):
        server.database.run(work)
    assert server.database.run(lambda session: note(session, "fine")) == "fine"


@pytest.mark.parametrize("asked", ["by an index", "in an order", "for a part of a text"])
def test_a_page_is_full_though_resources_go_while_it_is_read(
    server: SqlBackend, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """A page that is short would look like the last one, and a client would take the rest for gone."""
    people = [user(f"user{number}", title="x") for number in range(8)]
    create(server, *people)
    users: Any = server.handlers["User"]
    read, gone = users._ids, iter(people[1:3])

    def ids(*arguments: Any) -> Sequence[str]:
        found: Sequence[str] = read(*arguments)
        if (one := next(gone, None)) is not None:
            assert in_parallel([lambda: delete(server, one)]) == [None]
        return found

    monkeypatch.setattr(users, "_ids", ids)
    order = sort(USER, AttributePath(None, "title"))
    query = {
        "by an index": Query(USER, resolved(USER, 'title sw "x"'), count=4, after=position_of(people[0], None)),
        "in an order": Query(USER, None, order, count=4, after=position_of(people[0], order)),
        "for a part of a text": Query(USER, resolved(USER, 'title co "x"'), start_index=2, count=4),
    }[asked]
    page = users.query(query)
    assert [each["id"] for each in page.resources] == [each["id"] for each in people[3:7]]
    assert page.total_results == 6


def test_a_directory_that_changes_faster_than_it_can_be_read_is_503(
    server: SqlBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(server, user("ada", title="x"))
    monkeypatch.setattr(reading, "documents", lambda _session, _tenant, _ids: [])
    with pytest.raises(Unavailable, match="changes faster"):
        server.handlers["User"].query(Query(USER, None, sort(USER, AttributePath(None, "title"))))


def test_what_was_read_twice_in_a_write_is_the_same_or_the_write_is_done_again(server: SqlBackend) -> None:
    """A precondition that was checked on the first reading holds for what is changed after the second."""
    ada = user("ada")
    create(server, ada)
    users = server.handlers["User"]

    def twice() -> None:
        with server.operation(write=True):
            users.get(ada["id"])
            assert in_parallel([lambda: modify(server, ada, changed(ada, title="x"))]) == [None]
            users.get(ada["id"])

    with pytest.raises(StaleResource):
        twice()
    assert get(server, ada)["title"] == "x"


@pytest.mark.parametrize("found_by", ["id", "name"])
def test_a_write_beside_others_asks_what_holds_a_resource_when_it_has_to_know(
    server: SqlBackend, found_by: str
) -> None:
    ada, staff = user("ada"), group("staff")
    create(server, ada, staff)
    users, groups = server.handlers["User"], server.handlers["Group"]
    with server.operation(write=True):
        if found_by == "id":
            users.text(ada["id"])
        else:
            users.texts(Query(USER, resolved(USER, 'userName eq "ada"')))
        assert in_parallel([lambda: change_members(server, staff["id"], add=[ada])]) == [None]
        assert [each.id for each in groups.containing([ada["id"]])[ada["id"]]] == [staff["id"]]


def test_whoever_is_referred_to_is_there_at_the_end_of_the_write(server: SqlBackend) -> None:
    ada, staff = user("ada"), group("staff")
    create(server, ada, staff)
    groups: Any = server.handlers["Group"]

    def add() -> None:
        with server.operation(write=True):
            before = groups.get(staff["id"])
            assert server.references([ada["id"]]).keys() == {ada["id"]}
            assert in_parallel([lambda: delete(server, ada)]) == [None]
            groups.change_members(before, changed(before), MemberChange({ada["id"]: "User"}))

    with pytest.raises(StaleResource):
        add()
    assert get(server, staff) == staff
    change_members(server, staff["id"], remove=["nobody"])
    assert get(server, staff) == staff
