"""A create whose answer was never sent: sent again, it is answered with the same id."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from core_client import Core
from doubles.listed_target import ListTarget
from provisioned import World, provisioned, quick
from scim_gateway_provisioning.failpoints import FailpointError, Failpoints

from scim_gateway.config import ConfigurationError

BODY = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "bob", "externalId": "00u1"}
BEFORE_THE_MARK = (
    "record.committed",
    "put_user.before",
    "save.before",
    "save.committed",
    "put_user.after",
    "mark.before",
)


def die() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    # A claim of a process that died is soon over.
    world = World(tmp_path, times=quick(claim=0.05))
    yield world
    world.close()


def crash(world: World, failpoint: str, method: str, path: str, body: object) -> None:
    """A request whose process dies; what was in its memory is lost, what it had claimed is not given back."""
    world.context.failpoints.set(failpoint, die)
    with pytest.raises(KeyboardInterrupt):
        world.core.send(method, path, body)
    world.context.failpoints.set(failpoint, None)


@pytest.mark.parametrize("failpoint", BEFORE_THE_MARK)
@pytest.mark.parametrize("retried", [False, True])
def test_a_user_is_made_once_and_gets_its_id_when_it_is_sent_again(world, failpoint, retried):
    crash(world, failpoint, "POST", "/Users", BODY)
    first = world.core.json("GET", "/Users")["Resources"][0]
    threading.Event().wait(0.06)
    if retried:
        world.settle()
    again = world.core.json("POST", "/Users", BODY, expect=201)
    assert again["id"] == first["id"]
    assert world.target.listing.users["bob"].owner == first["id"]
    assert world.backend.pending() == []
    assert world.core.refused("POST", "/Users", BODY) == (409, "uniqueness")


@pytest.mark.parametrize("failpoint", ["record.committed", "put_group.after", "change_members.after", "mark.before"])
def test_a_group_is_made_once_and_gets_its_id_when_it_is_sent_again(world, failpoint):
    people = [world.core.user(name) for name in ("bob", "eve")]
    body = {"displayName": "staff", "members": [{"value": user["id"]} for user in people]}
    crash(world, failpoint, "POST", "/Groups", body)
    first = world.core.json("GET", "/Groups")["Resources"][0]
    threading.Event().wait(0.06)
    body["members"].reverse()
    assert world.core.json("POST", "/Groups", body, expect=201)["id"] == first["id"]
    world.check_equal()
    assert world.core.refused("POST", "/Groups", body) == (409, "uniqueness")


def test_another_content_is_another_request(world):
    crash(world, "put_user.before", "POST", "/Users", BODY)
    threading.Event().wait(0.06)
    assert world.core.refused("POST", "/Users", {**BODY, "title": "clerk"}) == (409, "uniqueness")


def test_who_uses_the_id_knows_it(world):
    crash(world, "put_user.before", "POST", "/Users", BODY)
    threading.Event().wait(0.06)
    first = world.core.json("GET", "/Users")["Resources"][0]
    world.core.patch(first, {"op": "replace", "path": "userName", "value": "bob"})
    assert world.core.refused("POST", "/Users", BODY) == (409, "uniqueness")


def test_a_create_that_is_under_way_is_no_lost_one(tmp_path):
    world = World(tmp_path)
    held, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        held.set()
        assert go_on.wait(10)

    world.target.fault("put_user", "middle", wait)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(world.core.send("POST", "/Users", BODY).status))
    thread.start()
    assert held.wait(10)
    assert world.core.refused("POST", "/Users", BODY) == (409, "uniqueness")
    go_on.set()
    thread.join()
    assert answers == [201]
    world.close()


def test_of_fifty_that_create_the_same_at_once_one_succeeds(tmp_path):
    target = ListTarget()
    backends = [provisioned(tmp_path, target) for _ in range(2)]
    cores = [Core(backend) for backend in backends]
    start = threading.Barrier(50)
    answers: list[tuple[int, str | None]] = []

    def create(core: Core) -> None:
        start.wait()
        response = core.send("POST", "/Users", BODY)
        answers.append((response.status, response.scim_type))

    threads = [threading.Thread(target=create, args=(cores[number % 2],)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(answers) == {(201, None): 1, (409, "uniqueness"): 49}
    assert len(target.listing.users) == 1
    for backend in backends:
        backend.close()


def test_a_failpoint_has_a_name_and_an_action():

    for wrong in ("nowhere:kill", "mark.before:explode", "mark.before"):
        with pytest.raises(ConfigurationError):
            Failpoints(wrong)
    failpoints = Failpoints("mark.before:raise,mark.committed:sleep")
    failpoints.hit("record.before")
    with pytest.raises(FailpointError):
        failpoints.hit("mark.before")
