"""A create whose answer was never sent: sent again, it is answered with the same id."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from core_client import Core
from doubles.listed_target import ListTarget
from listed_backend import ListedBackend
from provisioned import World, quick
from scim_gateway_provisioning.backend import ProvisioningBackend
from scim_gateway_provisioning.failpoints import FailpointError, Failpoints

from scim_gateway.config import ConfigurationError, load

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
        assert world.target.listing.users == {}, "what nobody was told of is taken back"
    again = world.core.json("POST", "/Users", BODY, expect=201)
    assert (again["id"] == first["id"]) is not retried
    assert world.target.listing.users["bob"].owner == again["id"]
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


def test_a_failpoint_has_a_name_and_an_action():

    for wrong in ("nowhere:kill", "mark.before:explode", "mark.before"):
        with pytest.raises(ConfigurationError):
            Failpoints(wrong)
    failpoints = Failpoints("mark.before:raise,mark.committed:sleep")
    failpoints.hit("record.before")
    with pytest.raises(FailpointError):
        failpoints.hit("mark.before")


def test_a_failpoint_is_set_by_a_setting(tmp_path):
    settings = load({"SCIM_GATEWAY_DATA_DIR": str(tmp_path), "SCIM_GATEWAY_FAILPOINT": "record.before:raise"})
    backend = ListedBackend.from_settings(settings, settings.resource_types)
    assert Core(backend).send("POST", "/Users", BODY).status == 500
    assert Core(backend).json("GET", "/Users")["totalResults"] == 0
    backend.close()


def test_a_backend_without_a_target_tells_how_to_name_one(tmp_path):
    settings = load({"SCIM_GATEWAY_DATA_DIR": str(tmp_path)})
    with pytest.raises(ConfigurationError, match="engine"):
        ProvisioningBackend.from_settings(settings, settings.resource_types)


def test_two_targets_of_one_name_are_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="same name"):
        World(tmp_path, ListTarget("twin"), ListTarget("twin"))
