"""A grant that was not answered with success is not given later: not after the directory's database was away at the
worst moment, nor after the gateway was killed; what takes rights away is, and so is whatever is asked for again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from core_client import PATCH_OP, Core
from doubles.listed_target import ListTarget
from provisioned import Open, World, provisioned, quick
from scim_gateway_provisioning import withdrawal
from scim_gateway_provisioning.promises import open_promises
from scim_gateway_provisioning.reconcile import Reconciler
from scim_gateway_provisioning.tables import works
from scim_gateway_provisioning.target import Unreachable
from sqlalchemy import update

from scim_gateway.errors import Unavailable

LOST = Unreachable("It is cut.")
PATIENT = quick(request=60.0, claim=600.0)
"""Nothing gets old by itself, however slow the machine is."""

Request = tuple[str, str, Any]


@pytest.fixture
def stored(open_directory: Open, tmp_path: Path) -> Iterator[World]:
    """A gateway whose directory is in a file, or on a server."""
    world = World(tmp_path, times=PATIENT, directory=open_directory())
    yield world
    world.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, times=PATIENT)
    yield world
    world.close()


@pytest.fixture
def other(world: World) -> Iterator[Core]:
    """Another gateway with the same directory and the same target."""
    backend = provisioned(world.folder, world.target, times=PATIENT)
    yield Core(backend)
    backend.close()


def patch(resource: dict, *operations: dict) -> Request:
    path = f"/{resource['meta']['resourceType']}s/{resource['id']}"
    return "PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)}


def activation(user: dict, **more: Any) -> Request:
    return patch(user, {"op": "replace", "value": {"active": True, **more}})


def joining(group: dict, *users: dict) -> Request:
    return patch(group, {"op": "add", "path": "members", "value": values(*users)})


def leaving(group: dict, user: dict) -> Request:
    return patch(group, {"op": "remove", "path": f'members[value eq "{user["id"]}"]'})


def values(*resources: dict) -> list[dict[str, str]]:
    return [{"value": resource["id"]} for resource in resources]


def die(world: World, failpoint: str, request: Request) -> None:
    """A request whose process dies; what was in its memory is lost, what it had claimed is not given back."""

    def dead() -> None:
        raise KeyboardInterrupt

    world.context.failpoints.set(failpoint, dead)
    with pytest.raises(KeyboardInterrupt):
        world.core.send(*request)
    world.context.failpoints.set(failpoint, None)


def fail(world: World, failpoint: str, request: Request) -> None:
    """A request that is answered 503 because the directory's database goes away at a moment, target and all."""

    def away() -> None:
        raise Unavailable("The database is away.")

    world.context.failpoints.set(failpoint, away)
    assert world.core.send(*request).status == 503
    world.context.failpoints.set(failpoint, None)


def down(world: World) -> None:
    for target in world.targets:
        for call in ("put_user", "put_group", "change_members", "remove_user", "remove_group"):
            target.fault(call, "middle", LOST, times=1000)


def up(world: World) -> None:
    for target in world.targets:
        target.up()


def promised(world: World) -> int:
    with world.context.database.operation(write=False) as session:
        return len(open_promises(session, world.context.tenant))


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


# What is asked for while target and database fail


def create(_world: World) -> Request:
    return "POST", "/Users", {"userName": "kim"}


def activate(world: World) -> Request:
    user = world.core.user("bob", active=False)
    world.core.group("staff", user)
    return activation(user, title="head")


def rename(world: World) -> Request:
    return patch(world.core.user("bob"), {"op": "replace", "path": "userName", "value": "rob"})


def join(world: World) -> Request:
    bob, eve = world.core.user("bob"), world.core.user("eve")
    return joining(world.core.group("staff", eve), bob)


def found(world: World) -> Request:
    members = values(world.core.user("bob"), world.core.user("eve"))
    return "POST", "/Groups", {"displayName": "staff", "members": members}


def nest(world: World) -> Request:
    inner = world.core.group("inner", world.core.user("bob"))
    outer = world.core.group("outer")
    world.core.group("top", outer)
    return joining(outer, inner)


REQUESTS = (create, activate, rename, join, found, nest)


@pytest.mark.parametrize("ask", REQUESTS, ids=lambda ask: ask.__name__)
def test_what_the_database_could_not_take_back_is_taken_back_by_the_retry(stored, ask):
    request = ask(stored)
    before, names = stored.target.rights(), set(stored.target.listing.users)
    down(stored)
    fail(stored, "compensate.before", request)
    up(stored)
    assert stored.backend.settle_pending().done == 0, "it may still be at it"
    assert stored.target.rights() == before
    stored.die_of_age()
    stored.settle()
    assert stored.target.rights() == stored.wanted() == before
    assert set(stored.target.listing.users) == names
    assert promised(stored) == 0
    assert not stored.backend.verify_audit().problems
    assert stored.core.send(*request).status in (200, 201)
    stored.check_equal()
    assert promised(stored) == 0
    assert ask is rename or stored.target.rights() > before


@pytest.mark.parametrize("ask", REQUESTS, ids=lambda ask: ask.__name__)
def test_what_the_target_got_is_taken_back_when_the_database_could_not_note_it(stored, ask):
    request = ask(stored)
    before = stored.target.rights()
    fail(stored, "mark.before", request)
    stored.die_of_age()
    stored.settle()
    assert stored.target.rights() == stored.wanted() == before
    assert stored.core.send(*request).status in (200, 201)
    stored.check_equal()


@pytest.mark.parametrize("ask", REQUESTS, ids=lambda ask: ask.__name__)
@pytest.mark.parametrize("old", [False, True])
def test_who_sends_it_again_gets_it(stored, ask, old):
    request = ask(stored)
    before = stored.target.rights()
    down(stored)
    fail(stored, "compensate.before", request)
    up(stored)
    if old:
        stored.die_of_age()
    assert stored.core.send(*request).status in (200, 201)
    stored.check_equal()
    assert ask is rename or stored.target.rights() > before
    stored.die_of_age()
    stored.settle()
    stored.check_equal()
    assert promised(stored) == 0
    assert ask is rename or stored.target.rights() > before


def test_of_a_request_that_gives_and_takes_only_what_it_takes_is_done(stored):
    bob, eve, kim = (stored.core.user(name) for name in ("bob", "eve", "kim"))
    group = stored.core.group("staff", bob, eve)
    down(stored)
    fail(
        stored,
        "compensate.before",
        ("PUT", f"/Groups/{group['id']}", {"displayName": "people", "members": values(eve, kim)}),
    )
    up(stored)
    stored.die_of_age()
    stored.settle()
    stored.check_equal()
    assert stored.core.get(group)["displayName"] == "staff"
    assert stored.core.members(group) == {eve["id"]}


def test_a_request_that_only_takes_promises_nothing_and_is_done_by_the_retry(stored):
    bob, eve = stored.core.user("bob"), stored.core.user("eve")
    group = stored.core.group("staff", bob, eve)
    for request in (
        patch(bob, {"op": "replace", "path": "active", "value": False}),
        leaving(group, eve),
        ("DELETE", f"/Users/{eve['id']}", None),
    ):
        down(stored)
        fail(stored, "compensate.before", request)
        assert promised(stored) == 0
    up(stored)
    stored.settle()
    stored.check_equal()
    assert stored.target.rights() == set()


# Who else is there


def test_another_member_is_given_and_the_one_nobody_was_told_of_is_not(stored):
    bob, eve, group = stored.core.user("bob"), stored.core.user("eve"), stored.core.group("staff")
    die(stored, "record.committed", joining(group, bob))
    stored.die_of_age()
    assert stored.core.send(*joining(group, eve)).status == 200
    assert stored.core.members(group) == {eve["id"]}
    stored.settle()
    stored.check_equal()


def test_a_group_that_is_asked_for_other_members_does_not_give_those_that_nobody_was_told_of(world):
    bob, eve, group = world.core.user("bob"), world.core.user("eve"), world.core.group("staff")
    die(world, "record.committed", joining(group, bob, eve))
    world.die_of_age()
    assert world.core.send(*joining(group, bob)).status == 200
    assert world.core.members(group) == {bob["id"]}
    world.check_equal()


def test_a_change_of_something_else_does_not_activate(world):
    user = world.core.user("bob", active=False)
    die(world, "record.committed", activation(user))
    world.die_of_age()
    assert world.core.send(*patch(user, {"op": "replace", "path": "title", "value": "head"})).status == 200
    after = world.core.get(user)
    assert (after["active"], after["title"]) == (False, "head")
    world.check_equal()
    assert world.target.rights() == set()


def test_who_waits_for_a_dead_request_and_changes_more_is_not_told_that_all_is_given(world, other):
    user = world.core.user("bob", active=False)
    die(world, "record.committed", activation(user))
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(other.send(*activation(user, title="head")).status))
    waiting.start()
    until(lambda: _recorded(world, user, "head"))
    world.die_of_age()
    waiting.join()
    assert answers == [503]
    world.settle()
    assert world.core.get(user)["active"] is False
    assert other.send(*activation(user, title="head")).status == 200
    world.check_equal()
    assert world.target.rights() == {(user["id"], "log in")}


def _recorded(world: World, user: dict, title: str) -> bool:
    stored = world.backend.directory.handlers["User"].get(user["id"])
    return stored.get("title") == title


def test_what_another_request_brings_about_on_its_way_is_taken_back_when_nobody_asked_for_it(stored):
    bob, eve, group = stored.core.user("bob"), stored.core.user("eve"), stored.core.group("staff")
    down(stored)
    fail(stored, "compensate.before", joining(group, bob))
    up(stored)
    assert stored.core.send(*joining(group, eve)).status == 200
    stored.die_of_age()
    stored.settle()
    stored.check_equal()
    assert stored.core.members(group) == {eve["id"]}


def test_what_another_request_asked_for_too_and_was_told_of_stays(stored):
    bob, eve, group = stored.core.user("bob"), stored.core.user("eve"), stored.core.group("staff")
    zoe = stored.core.user("zoe", active=False)
    down(stored)
    fail(stored, "compensate.before", joining(group, bob))
    fail(stored, "compensate.before", activation(zoe))
    up(stored)
    body = {"displayName": "staff", "members": values(bob, eve)}
    assert stored.core.send("PUT", f"/Groups/{group['id']}", body).status == 200
    assert stored.core.send(*activation(zoe, title="head")).status == 200
    stored.die_of_age()
    stored.settle()
    stored.check_equal()
    assert stored.core.members(group) == {bob["id"], eve["id"]}
    assert stored.core.get(zoe)["active"] is True
    assert promised(stored) == 0


@pytest.mark.parametrize("old", [False, True])
def test_what_is_there_by_now_is_answered_for_by_who_asks_for_it_again(stored, old):
    """Another request has brought about what was promised: nothing is pending, and nothing changes any more."""
    bob, eve, group = stored.core.user("bob"), stored.core.user("eve"), stored.core.group("staff")
    down(stored)
    fail(stored, "compensate.before", joining(group, bob))
    up(stored)
    assert stored.core.send(*joining(group, eve)).status == 200
    assert stored.target.listing.groups["staff"].members == {"bob", "eve"}
    if old:
        stored.die_of_age()
    assert stored.core.send(*joining(group, bob)).status == 200
    assert promised(stored) == 0
    stored.die_of_age()
    stored.settle()
    stored.check_equal()
    assert stored.core.members(group) == {bob["id"], eve["id"]}


@pytest.mark.parametrize("old", [False, True])
def test_what_is_there_by_now_is_answered_for_by_who_asks_for_it_and_more(stored, old):
    bob, eve, zoe = (stored.core.user(name) for name in ("bob", "eve", "zoe"))
    group = stored.core.group("staff")
    down(stored)
    fail(stored, "compensate.before", joining(group, bob))
    up(stored)
    assert stored.core.send(*joining(group, eve)).status == 200
    if old:
        stored.die_of_age()
    body = {"displayName": "staff", "members": values(bob, eve, zoe)}
    assert stored.core.send("PUT", f"/Groups/{group['id']}", body).status == 200
    stored.die_of_age()
    stored.settle()
    stored.check_equal()
    assert stored.core.members(group) == {bob["id"], eve["id"], zoe["id"]}


def test_all_who_were_added_leave_a_large_group_of_which_the_target_had_got_a_part(tmp_path):
    world = World(tmp_path, times=PATIENT, most=2)
    users = [world.core.user(f"user{number}") for number in range(5)]
    group = world.core.group("staff")
    die(world, "mark.committed", joining(group, *users))
    assert len(world.target.listing.groups["staff"].members) == 2
    world.die_of_age()
    world.settle()
    world.check_equal()
    assert world.core.members(group) == set()
    world.close()


def test_a_request_that_waits_for_the_claim_of_a_dead_one_gives_only_what_it_was_asked_for(world, other):
    bob, eve, group = world.core.user("bob"), world.core.user("eve"), world.core.group("staff")
    die(world, "record.committed", joining(group, bob))
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(other.send(*joining(group, eve)).status))
    waiting.start()
    until(lambda: world.core.members(group) == {bob["id"], eve["id"]})
    with world.context.database.operation(write=True) as session:
        session.execute(update(works).values(held_until_ms=0))
    waiting.join()
    assert answers == [200]
    assert world.core.members(group) == {eve["id"]}
    world.settle()
    world.check_equal()


def test_a_deactivation_waits_for_nothing(world):
    user = world.core.user("bob", active=False)
    down(world)
    fail(world, "compensate.before", activation(user))
    up(world)
    assert world.core.send(*patch(user, {"op": "replace", "path": "active", "value": False})).status == 200
    world.die_of_age()
    world.settle()
    assert world.core.get(user)["active"] is False
    assert world.target.rights() == set()


def test_a_user_of_a_dead_request_that_somebody_found_and_changes_is_his(world):
    die(world, "put_user.after", ("POST", "/Users", {"userName": "bob"}))
    [user] = world.core.json("GET", "/Users")["Resources"]
    world.die_of_age()
    assert world.core.send(*patch(user, {"op": "replace", "path": "title", "value": "head"})).status == 200
    world.check_equal()
    assert world.target.rights() == {(user["id"], "log in")}
    assert promised(world) == 0


def test_a_user_of_a_dead_request_whose_next_change_fails_too_was_never_there(world):
    die(world, "put_user.after", ("POST", "/Users", {"userName": "bob"}))
    [user] = world.core.json("GET", "/Users")["Resources"]
    world.die_of_age()
    down(world)
    assert world.core.send(*patch(user, {"op": "replace", "path": "title", "value": "head"})).status == 503
    up(world)
    world.settle()
    world.check_equal()
    assert world.target.listing.users == {}


def test_a_member_of_a_group_is_not_taken_away_with_the_request_that_made_him(world):
    group = world.core.group("staff")
    die(world, "record.committed", ("POST", "/Users", {"userName": "bob"}))
    [user] = world.core.json("GET", "/Users")["Resources"]
    world.die_of_age()
    assert world.core.send(*joining(group, user)).status == 200
    world.settle()
    world.check_equal()
    assert world.target.rights() == {(user["id"], "log in"), (user["id"], group["id"])}


def test_who_stood_still_until_it_was_taken_back_is_not_answered_with_success(world, other):
    user = world.core.user("bob", active=False)

    def stand_still() -> None:
        world.context.failpoints.set("mark.before", None)
        world.die_of_age()
        other.backend.settle_pending()

    world.context.failpoints.set("mark.before", stand_still)
    assert world.core.send(*activation(user)).status == 503
    world.settle()
    assert world.core.get(user)["active"] is False
    assert world.target.rights() == set()


def test_of_two_who_send_the_same_the_failure_of_the_first_undoes_nothing(world, other):
    user = world.core.user("bob", active=False)
    down(world)

    def meanwhile() -> None:
        world.context.failpoints.set("compensate.before", None)
        up(world)
        assert other.send(*activation(user)).status == 200

    world.context.failpoints.set("compensate.before", meanwhile)
    assert world.core.send(*activation(user)).status == 503
    assert world.core.get(user)["active"] is True
    world.die_of_age()
    world.settle()
    world.check_equal()
    assert world.target.rights() == {(user["id"], "log in")}


def test_of_two_who_send_the_same_and_succeed_both_are_told_so(world, other):
    user = world.core.user("bob", active=False)
    answers: list[int] = []

    def both() -> None:
        thread = threading.Thread(target=lambda: answers.append(other.send(*activation(user)).status))
        thread.start()
        until(lambda: _holder(world) != holder[0])
        threads.append(thread)

    threads: list[threading.Thread] = []
    holder: list[str] = []
    world.context.failpoints.set("put_user.before", lambda: (holder.append(_holder(world)), both()))
    assert world.core.send(*activation(user)).status == 200
    threads[0].join()
    assert answers == [200]
    world.settle()
    assert world.target.rights() == {(user["id"], "log in")}
    assert promised(world) == 0


def _holder(world: World) -> str:
    with world.context.database.operation(write=False) as session:
        [promise] = open_promises(session, world.context.tenant)
    return promise.holder


def test_a_name_that_somebody_else_has_by_now_stays_and_the_activation_does_not(world):
    user = world.core.user("bob", active=False)
    die(world, "put_user.after", activation(user, userName="rob"))
    with world.context.directory.operation(write=True):
        again = {**world.core.get(user), "id": "another", "userName": "bob", "active": True}
        world.context.directory.handlers["User"].create(again)
    world.die_of_age()
    world.backend.settle_pending()
    after = world.core.get(user)
    assert (after["userName"], after["active"]) == ("rob", False)
    assert (user["id"], "log in") not in world.target.rights()


# Several targets


def test_what_one_of_two_targets_has_got_is_taken_back_there(tmp_path):
    world = World(tmp_path, ListTarget("first"), ListTarget("second"), times=PATIENT)
    bob, group = world.core.user("bob"), world.core.group("staff")
    before = world.targets[0].rights()
    for number, request in enumerate(((create(world)), joining(group, bob))):
        world.targets[1].fault("*", "connect", LOST, times=1000)
        fail(world, "compensate.before", request)
        up(world)
        assert world.targets[0].rights() > before, number
        world.die_of_age()
        world.settle()
        world.check_equal()
        assert [target.rights() for target in world.targets] == [before, before]
        assert world.core.send(*request).status in (200, 201)
        world.check_equal()
        before = world.targets[0].rights()
    world.close()


# What the gateway does by itself


def test_neither_retry_nor_repair_gives_what_a_request_may_still_be_at(world):
    user, group = world.core.user("bob"), world.core.group("staff")
    down(world)
    fail(world, "compensate.before", joining(group, user))
    up(world)
    before = world.target.rights()
    reconciler = Reconciler(world.context, world.backend.safeguards.breaker)
    assert not reconciler.plan().to_do
    assert not reconciler.reconcile().done
    assert world.backend.settle_pending().done == 0
    assert world.target.rights() == before
    world.die_of_age()
    [pending] = world.backend.pending()
    assert "send the request again" in (pending.error or "")
    assert "send the request again" in world.backend.state_of(group["id"])["list"]["error"]
    assert not reconciler.reconcile().left.to_do
    world.settle()
    world.check_equal()
    assert world.target.rights() == before


def test_what_nobody_can_take_back_is_held_until_it_is_asked_for(world, monkeypatch):
    user = world.core.user("bob", active=False)
    down(world)
    fail(world, "compensate.before", activation(user))
    up(world)
    world.die_of_age()

    def trip(*_arguments: Any, **_more: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(withdrawal, "take_back", trip)
    for _ in range(3):
        world.backend.settle_pending()
    assert world.target.rights() == set()
    [pending] = world.backend.pending()
    assert "could not be taken back" in (pending.error or "")
    assert world.core.send(*activation(user)).status == 200
    assert world.target.rights() == {(user["id"], "log in")}
    world.settle()
    assert promised(world) == 0
    assert world.target.rights() == {(user["id"], "log in")}


def test_a_deactivation_of_somebody_who_is_held_is_retried(world, monkeypatch):
    user = world.core.user("bob", active=False)
    die(world, "put_user.after", activation(user))
    world.die_of_age()
    assert world.target.rights() == {(user["id"], "log in")}

    def trip(*_arguments: Any, **_more: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(withdrawal, "take_back", trip)
    world.backend.settle_pending()
    world.target.down()
    assert world.core.send(*patch(user, {"op": "replace", "path": "active", "value": False})).status == 503
    up(world)
    world.backend.settle_pending()
    assert world.target.rights() == set()


def test_of_a_group_whose_new_member_is_held_others_can_be_removed(world, monkeypatch):
    bob, eve = world.core.user("bob"), world.core.user("eve")
    group = world.core.group("staff", eve)
    die(world, "record.committed", joining(group, bob))
    world.die_of_age()

    def trip(*_arguments: Any, **_more: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(withdrawal, "take_back", trip)
    world.backend.settle_pending()
    world.target.down()
    assert world.core.send(*leaving(group, eve)).status == 503
    up(world)
    world.backend.settle_pending()
    assert world.target.listing.groups["staff"].members == set()
    assert world.core.send(*joining(group, bob)).status == 200
    world.settle()
    assert world.target.listing.groups["staff"].members == {"bob"}
    assert promised(world) == 0


def test_a_pause_does_not_keep_what_is_to_be_taken_back(world):
    user = world.core.user("bob", active=False)
    die(world, "put_user.after", activation(user))
    world.die_of_age()
    world.backend.pause("Something is wrong.")
    world.backend.settle_pending()
    assert world.core.get(user)["active"] is False
    world.backend.resume()
    world.settle()
    assert world.target.rights() == set()
