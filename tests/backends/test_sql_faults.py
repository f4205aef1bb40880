"""A network and a server that fail, at every moment of a write: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import scim_gateway_sql.breaker
import scim_gateway_sql.connections
import scim_gateway_sql.database
import scim_gateway_sql.mysql
import scim_gateway_sql.mysql_connection
import scim_gateway_sql.mysql_dialect
import scim_gateway_sql.this_thread
from core_client import GROUP, PATCH_OP, USER, Core
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.failures import Locked
from scim_gateway_sql.mysql import MysqlDriver
from scim_gateway_sql.mysql_connection import ServerConnection
from scim_gateway_sql.tables import settings
from scim_http import ScimClient
from servers.fault_proxy import Cut, FaultProxy
from servers.mariadb import MariaDb
from sqlalchemy import event, insert

from scim_gateway.app import create_app
from scim_gateway.backend import Query
from scim_gateway.definitions import standard_resource_types
from scim_gateway.errors import NotFound, Unavailable
from scim_gateway.testing import change_members, changed, create, get, group, in_parallel, member_ids, retried, user
from scim_gateway.tokens import new_token

TYPES = standard_resource_types()
CUTS = pytest.mark.parametrize("how", ["before", "after"])


@pytest.fixture
def proxy(mariadb_server: MariaDb) -> Iterator[FaultProxy]:
    proxy = FaultProxy(mariadb_server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def url(mariadb_server: MariaDb, mariadb: str, proxy: FaultProxy) -> str:
    return mariadb.replace(f":{mariadb_server.port}/", f":{proxy.port}/")


@pytest.fixture
def backend(url: str) -> Iterator[SqlBackend]:
    backend = SqlBackend.from_settings({"database_url": url, "threads": 16}, TYPES)
    backend.references([])
    yield backend
    backend.close()


@contextlib.contextmanager
def impatience(backend: SqlBackend) -> Iterator[None]:
    """A block in which a server that does not answer is given up in fractions of a second.

    Only while there is no answer to come: whatever is answered here could be late on a slow machine.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scim_gateway_sql.connections, "CONNECT_SECONDS", 0.2)
        patch.setattr(scim_gateway_sql.this_thread, "PATIENCE_SECONDS", 0.2)
        patch.setattr(scim_gateway_sql.mysql, "CONNECT_SECONDS", 0.4)
        patch.setattr(scim_gateway_sql.mysql, "ANSWER_SECONDS", 0.4)
        patch.setattr(scim_gateway_sql.mysql_connection, "ANSWER_SECONDS", 0.4)
        patch.setattr(scim_gateway_sql.mysql_dialect, "PING_SECONDS", 0.4)
        patch.setattr(scim_gateway_sql.breaker, "SECONDS", 0.1)
        for _, _, connection in backend.database.connections._idle:
            line = connection.connection.driver_connection
            assert isinstance(line, ServerConnection)
            line.answer_within(0.4)
        yield


def names(backend: SqlBackend) -> list[str]:
    with backend.operation(write=False):
        page = backend.handlers["User"].query(Query(TYPES.by_name["User"], count=10_000))
    return [each["userName"] for each in page.resources]


# A commit without an answer


@CUTS
def test_a_create_whose_commit_got_lost_is_made_once(backend: SqlBackend, proxy: FaultProxy, how: Cut) -> None:
    ada = user("ada")
    proxy.cut_commits(how)
    seen = proxy.commits
    retried(backend, lambda: backend.handlers["User"].create(ada))
    assert get(backend, ada) == ada
    assert names(backend) == ["ada"]
    # Sent again only where it had not arrived; the look at what is stored ends with a COMMIT of its own.
    assert proxy.commits - seen == (3 if how == "before" else 2)


@CUTS
def test_a_change_whose_commit_got_lost_is_made_once(backend: SqlBackend, proxy: FaultProxy, how: Cut) -> None:
    ada = user("ada")
    create(backend, ada)
    proxy.cut_commits(how)

    def rename() -> None:
        before = backend.handlers["User"].get(ada["id"])
        backend.handlers["User"].modify(before, changed(before, userName="lovelace"))

    retried(backend, rename)
    assert get(backend, ada) == changed(ada, userName="lovelace")
    create(backend, user("ada"))


@CUTS
def test_a_change_of_members_whose_commit_got_lost_is_made_once(
    backend: SqlBackend, proxy: FaultProxy, how: Cut
) -> None:
    ada, bob = user("ada"), user("bob")
    staff = group("staff", bob)
    create(backend, ada, bob, staff)
    proxy.cut_commits(how)
    change_members(backend, staff["id"], add=[ada], remove=[bob["id"]])
    assert member_ids(backend, staff["id"]) == {ada["id"]}
    assert get(backend, staff)["meta"]["version"] == "2"


@CUTS
def test_a_delete_whose_commit_got_lost_is_made(backend: SqlBackend, proxy: FaultProxy, how: Cut) -> None:
    ada = user("ada")
    create(backend, ada)
    proxy.cut_commits(how)
    retried(backend, lambda: backend.handlers["User"].delete(ada))
    with pytest.raises(NotFound):
        get(backend, ada)
    create(backend, user("ada"))


@CUTS
@pytest.mark.parametrize("times", [2, 3])
def test_commits_that_get_lost_again_and_again_are_made_in_the_end(
    backend: SqlBackend, proxy: FaultProxy, how: Cut, times: int
) -> None:
    proxy.cut_commits(how, times)
    retried(backend, lambda: backend.handlers["User"].create(user("ada")))
    assert names(backend) == ["ada"]


@CUTS
def test_clients_see_nothing_of_lost_commits(backend: SqlBackend, proxy: FaultProxy, how: Cut) -> None:
    core = Core(backend)
    proxy.cut_commits(how)
    ada = core.json("POST", "/Users", {"schemas": [USER], "userName": "ada"}, expect=201)["id"]
    proxy.cut_commits(how)
    body = {"schemas": [GROUP], "displayName": "staff", "members": [{"value": ada}]}
    staff = core.json("POST", "/Groups", body, expect=201)["id"]
    proxy.cut_commits(how)
    operation = {"op": "replace", "value": {"active": False}}
    patched = core.json("PATCH", f"/Users/{ada}", {"schemas": [PATCH_OP], "Operations": [operation]})
    assert patched["active"] is False
    assert patched["meta"]["version"].startswith('W/"2-')
    proxy.cut_commits(how)
    assert core.send("DELETE", f"/Users/{ada}").status == 204
    found = core.json("GET", f"/Groups/{staff}")
    assert "members" not in found
    assert found["meta"]["version"] == 'W/"2"'


def test_a_commit_of_which_nobody_can_tell_is_503_and_says_so(backend: SqlBackend, proxy: FaultProxy) -> None:
    _, token = new_token("okta")
    proxy.cut_commits("after")
    with pytest.raises(Unavailable, match="did not confirm") as raised:
        backend.tokens.add(token)
    assert "Retry-After" in raised.value.headers
    assert backend.tokens.find(token.id) == token


def test_a_check_that_loses_its_connection_says_so(backend: SqlBackend, proxy: FaultProxy) -> None:
    backend.references([])

    def cut(_connection: object, _cursor: object, text: str, *_: object) -> None:
        if text.startswith("INSERT INTO scim_setting"):
            proxy.reset()

    event.listen(backend.database.connections.engine, "before_cursor_execute", cut)
    [finding] = backend.check()
    assert (finding.subject, finding.ok) == ("database", False)
    assert "connection to the database was lost" in finding.message


@CUTS
def test_a_commit_that_later_writes_have_covered_up_is_done_again_on_what_they_left(
    backend: SqlBackend, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, how: Cut
) -> None:
    ada = user("ada")
    create(backend, ada)
    users, outcome = backend.handlers["User"], backend.database._outcome

    def change(**attributes: Any) -> None:
        now = users.get(ada["id"])
        users.modify(now, changed(now, **attributes))

    def later(engine: Any, proofs: Any) -> bool | None:
        monkeypatch.undo()
        retried(backend, lambda: change(title="x"))
        retried(backend, lambda: change(nickName="y"))
        return outcome(engine, proofs)

    monkeypatch.setattr(backend.database, "_outcome", later)
    proxy.cut_commits(how)
    retried(backend, lambda: change(displayName="Ada"))
    found = get(backend, ada)
    assert (found["displayName"], found["title"], found["nickName"]) == ("Ada", "x", "y")


def test_a_commit_that_a_lost_connection_still_holds_back_is_503_and_says_so(
    backend: SqlBackend, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(session: Any) -> bool | None:
        raise Locked("busy")

    def write() -> None:
        with backend.database.operation(write=True) as session:
            session.execute(insert(settings), {"tenant": "t", "name": "n", "payload": b""})
            session.prove_by(locked)

    monkeypatch.setattr(scim_gateway_sql.database, "PROOF_SECONDS", 0.2)
    proxy.cut_commits("before")
    with pytest.raises(Unavailable, match="did not confirm"):
        write()


def test_a_change_of_members_is_not_taken_for_another_one_with_the_same_document(
    backend: SqlBackend, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes of members in one millisecond make the same document; only one of them was made."""
    ada, bob, staff = user("ada"), user("bob"), group("staff")
    create(backend, ada, bob, staff)
    outcome = backend.database._outcome

    def another_one_first(engine: Any, proofs: Any) -> bool | None:
        monkeypatch.undo()
        change_members(backend, staff["id"], add=[bob])
        return outcome(engine, proofs)

    monkeypatch.setattr(backend.database, "_outcome", another_one_first)
    proxy.cut_commits("before")
    change_members(backend, staff["id"], add=[ada])
    assert member_ids(backend, staff["id"]) == {ada["id"], bob["id"]}
    assert get(backend, staff)["meta"]["version"] == "3"


def test_a_lost_commit_of_a_write_that_changed_nothing_is_nothing(backend: SqlBackend, proxy: FaultProxy) -> None:
    ada = user("ada")
    create(backend, ada)
    proxy.cut_commits("before")
    with backend.operation(write=True):
        assert backend.handlers["User"].get(ada["id"]) == ada


# Connections that end


def test_a_connection_that_was_reset_between_requests_is_not_noticed(backend: SqlBackend, proxy: FaultProxy) -> None:
    create(backend, user("ada"))
    for number in range(5):
        proxy.reset()
        assert "ada" in names(backend)
        proxy.reset()
        create(backend, user(f"user{number}"))


def test_a_read_whose_connection_is_reset_goes_on_with_another_one(backend: SqlBackend, proxy: FaultProxy) -> None:
    ada = user("ada")
    create(backend, ada)
    with backend.operation(write=False):
        assert get(backend, ada) == ada
        proxy.reset()
        assert get(backend, ada) == ada


def test_a_write_whose_connection_is_reset_is_done_again_as_a_whole(backend: SqlBackend, proxy: FaultProxy) -> None:
    resets = iter([True, True, False])

    def work() -> None:
        backend.handlers["User"].create(user("ada"))
        if next(resets):
            proxy.reset()
        backend.handlers["User"].create(user("bob"))

    retried(backend, work)
    assert names(backend) == ["ada", "bob"]


def test_a_short_refusal_only_takes_time(
    backend: SqlBackend, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scim_gateway_sql.connections, "CONNECT_SECONDS", 60.0)
    proxy.refuse()
    threading.Timer(0.4, proxy.serve).start()
    create(backend, user("ada"))
    assert names(backend) == ["ada"]


def test_a_slow_network_only_takes_time(backend: SqlBackend, proxy: FaultProxy) -> None:
    proxy.delay = 0.02
    create(backend, user("ada"))
    assert names(backend) == ["ada"]


# A server that is away


@pytest.fixture
def scim(url: str) -> Iterator[tuple[ScimClient, str, SqlBackend]]:
    """A gateway with one user, whose only token is kept in the database, and its backend."""
    app = create_app({"SCIM_GATEWAY_DATABASE_URL": url})
    backend = app.extensions["scim-gateway"].backend
    text, token = new_token("okta")
    backend.tokens.add(token)
    client = ScimClient(app, token=text)
    ada = client.post("/Users", json={"schemas": [USER], "userName": "ada"}).expect(201).body["id"]
    yield client, ada, backend
    backend.close()


@pytest.mark.parametrize("fault", ["refusing", "swallowing"])
def test_a_database_that_is_away_is_503_and_nothing_else(
    scim: tuple[ScimClient, str, SqlBackend], proxy: FaultProxy, fault: str
) -> None:
    client, ada, backend = scim
    with impatience(backend), getattr(proxy, fault)():
        for answer in (
            client.get("/Users", query={"filter": 'userName eq "ada"'}),
            client.get("/Users"),
            client.get(f"/Users/{ada}"),
            client.post("/Users", json={"schemas": [USER], "userName": "bob"}),
            client.delete(f"/Users/{ada}"),
            client.get("/Groups/unknown"),
        ):
            answer.expect(503)
            assert int(answer.headers["Retry-After"]) > 0
            assert "database" in answer.detail
            assert "127.0.0.1" not in answer.detail
    time.sleep(0.15)
    assert client.get(f"/Users/{ada}").expect(200).body["userName"] == "ada"
    assert [each["userName"] for each in client.get("/Users").resources] == ["ada"]


def test_a_token_is_never_said_to_be_wrong_because_the_database_is_away(
    scim: tuple[ScimClient, str, SqlBackend], proxy: FaultProxy
) -> None:
    client, _, backend = scim
    stranger = ScimClient(client.target, token="scimgw_0123456789ab_" + "x" * 43)
    with impatience(backend), proxy.refusing():
        assert stranger.get("/Users").status == 503
        assert stranger.get("/Nonsense").status == 503
    time.sleep(0.15)
    assert stranger.get("/Users").status == 401


def test_after_some_failures_only_one_in_a_while_asks_the_server(
    backend: SqlBackend, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = itertools.count()
    driver, engine = backend.database.driver, backend.database.connections.engine
    assert isinstance(driver, MysqlDriver)
    assert engine is not None
    connect = driver.connect

    def counted() -> Any:
        next(attempts)
        return connect()

    monkeypatch.setattr(engine.pool, "_creator", counted)
    monkeypatch.setattr(engine.pool, "_invoke_creator", lambda _record: counted())
    with impatience(backend), proxy.refusing():
        monkeypatch.setattr(scim_gateway_sql.breaker, "SECONDS", 3600)
        for _ in range(scim_gateway_sql.breaker.FAILURES):
            with pytest.raises(Unavailable):
                create(backend, user("ada"))
        asked = next(attempts)
        assert asked > 0
        for _ in range(20):
            with pytest.raises(Unavailable, match="cannot be reached"):
                create(backend, user("ada"))
        assert next(attempts) == asked + 1
    monkeypatch.setattr(backend.database.connections._breaker, "_closed_until", 0.0)
    create(backend, user("ada"))
    create(backend, user("bob"))


def test_a_server_that_stands_still_is_503_and_serves_again(mariadb_server: MariaDb, backend: SqlBackend) -> None:
    create(backend, user("ada"))
    with impatience(backend), mariadb_server.frozen(), pytest.raises(Unavailable):
        retried(backend, lambda: backend.handlers["User"].create(user("bob")))
    retried(backend, lambda: backend.handlers["User"].create(user("eve")))
    assert set(names(backend)) >= {"ada", "eve"}


@pytest.mark.parametrize("number", range(12))
def test_a_start_that_loses_its_connection_anywhere_begins_again(
    url: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whatever is being asked or made at that moment, and by whichever way."""
    numbers = itertools.count()
    query = ServerConnection.query

    def cut(self: ServerConnection, sql: Any, unbuffered: bool = False) -> int:
        # The first statements set the session up, before there is anything to lose.
        if next(numbers) == 8 + number:
            proxy.reset()
        return query(self, sql, unbuffered)

    monkeypatch.setattr(ServerConnection, "query", cut)
    backend = SqlBackend.from_settings({"database_url": url}, TYPES)
    ada = user("ada")
    retried(backend, lambda: backend.handlers["User"].create(ada))
    assert get(backend, ada) == ada
    assert next(numbers) > 20
    backend.close()


# Under use


def test_a_server_that_is_killed_and_started_again_under_use_loses_nothing(
    mariadb_server: MariaDb, backend: SqlBackend
) -> None:
    done = threading.Event()
    acknowledged: list[str] = []

    def create_one(name: str) -> None:
        backend.handlers["User"].create(user(name))

    def work(number: int) -> None:
        for count in itertools.count():
            if done.is_set():
                return
            name = f"user{number}.{count}"
            retried(backend, partial(create_one, name))
            acknowledged.append(name)

    def restart() -> None:
        for end in (mariadb_server.kill, mariadb_server.stop):
            wanted = len(acknowledged) + 20
            while len(acknowledged) < wanted:
                time.sleep(0.005)
            end()
            mariadb_server.start()
        done.set()

    assert in_parallel([*(partial(work, number) for number in range(4)), restart]) == [None] * 5
    assert Counter(names(backend)) == Counter(acknowledged)


def test_changes_of_members_under_mixed_faults_are_exactly_those_that_were_answered(
    backend: SqlBackend, proxy: FaultProxy
) -> None:
    people = [user(f"user{number}") for number in range(60)]
    staff = group("staff", *people[30:])
    create(backend, *people, staff)
    done = threading.Event()
    changes = threading.Semaphore(3)

    def work(number: int) -> None:
        for come, go in zip(people[number:30:3], people[30 + number :: 3], strict=True):
            change_members(backend, staff["id"], add=[come])
            changes.release()
            change_members(backend, staff["id"], remove=[go["id"]])
            changes.release()

    def fail() -> None:
        faults = itertools.cycle(
            [proxy.reset, lambda: proxy.cut_commits("after"), lambda: proxy.cut_commits("before", 2), proxy.reset]
        )
        # One for each change that was made: by the clock, a slow machine would come to nothing between two of them.
        while changes.acquire() and not done.is_set():
            next(faults)()

    thread = threading.Thread(target=fail)
    thread.start()
    results = in_parallel([partial(work, number) for number in range(3)])
    done.set()
    changes.release()
    thread.join()
    assert results == [None] * 3
    assert member_ids(backend, staff["id"]) == {each["id"] for each in people[:30]}
    assert get(backend, staff)["meta"]["version"] == "61"


# Locks that last


def test_a_row_that_stays_locked_is_503_after_a_while_and_nothing_changes(
    mariadb_server: MariaDb, mariadb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = tuple(each.replace("timeout = 4", "timeout = 1") for each in scim_gateway_sql.mysql._COMMON)
    monkeypatch.setattr(scim_gateway_sql.mysql, "_COMMON", quick)
    monkeypatch.setattr(scim_gateway_sql.this_thread, "PATIENCE_SECONDS", 0.0)
    backend = SqlBackend.from_settings({"database_url": mariadb}, TYPES)
    ada = user("ada")
    create(backend, ada)
    blocker = mariadb_server.connect(mariadb.rpartition("/")[2])
    with blocker.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM scim_resource WHERE id = %s FOR UPDATE", (ada["id"],))
        with pytest.raises(Unavailable, match="busy") as raised:
            retried(backend, lambda: backend.handlers["User"].modify(ada, changed(ada, title="x")))
        cursor.execute("ROLLBACK")
    blocker.close()
    assert raised.value.headers["Retry-After"] == "1"
    assert get(backend, ada) == ada
    retried(backend, lambda: backend.handlers["User"].modify(ada, changed(ada, title="x")))
    backend.close()
