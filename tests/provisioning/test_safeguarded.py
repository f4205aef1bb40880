"""Audit trail, pause and circuit breaker as a client and an operator meet them: through the protocol, with a target."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from core_client import BULK, GROUP, PATCH_OP, USER, path_of
from provisioned import QUICK, World, quick
from scim_gateway_provisioning.backend import ProvisioningBackend
from scim_gateway_provisioning.breaker import Limits
from scim_gateway_provisioning.failpoints import Failpoints
from scim_gateway_provisioning.promises import promises
from scim_gateway_provisioning.safeguards import Safeguards
from scim_gateway_provisioning.unscoped import RECORDED, WINDOW_SECONDS, Unscoped
from scim_gateway_sql.tables import resources
from sqlalchemy import delete, update

from scim_gateway.exchange import Principal
from scim_gateway.provisioned import AuditEvent

Make = Callable[..., World]
INACTIVE = {"op": "replace", "path": "active", "value": False}
ACTIVE = {"op": "replace", "path": "active", "value": True}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[World] = []

    def make(limits: Limits | None = None, **more: Any) -> World:
        world = World(tmp_path, **more)
        if limits is not None:
            directory = world.backend.directory
            world.backend = ProvisioningBackend(
                directory, world.targets, times=QUICK, safeguards=Safeguards(directory.database, "default", (), limits)
            )
            world.core = type(world.core)(world.backend)
        made.append(world)
        return world

    yield make
    for world in made:
        assert world.backend.verify_audit().problems == ()
        world.close()


@pytest.fixture
def world(make: Make) -> World:
    return make()


def told(world: World, after: int = 0) -> list[tuple[str, str | None, str | None, str]]:
    """What the audit trail tells: action, type, name or id, outcome."""
    return [
        (event.action, event.kind, event.name or event.id, event.outcome) for event in world.backend.audit(after=after)
    ]


def newest(world: World) -> AuditEvent:
    [event] = world.backend.audit(limit=1)
    return event


def count(world: World) -> int:
    return world.backend.verify_audit().head.number


def removals(world: World) -> Mapping[str, int]:
    """How many count at present."""
    with world.backend.directory.database.session() as session:
        return world.backend.safeguards.breaker.counts(session)


# Audit


def test_a_change_and_what_came_of_it_are_two_events(world: World) -> None:
    user = world.core.user("bob")
    assert told(world) == [("create", "User", "bob", "accepted"), ("apply", "User", user["id"], "done")]
    assert newest(world).detail == {"targets": {"list": "done"}}


def test_token_request_and_agent_are_recorded_with_both(world: World) -> None:
    headers = {"x-request-id": "req-1", "user-agent": "Okta SCIM Client 1.0.0"}
    world.core.json("POST", "/Users", {"schemas": [USER], "userName": "bob"}, expect=201, headers=headers)
    origins = {(event.actor, event.request_id, event.agent) for event in world.backend.audit()}
    assert origins == {("test", "req-1", "Okta SCIM Client 1.0.0")}


def test_whoever_is_deleted_leaves_the_groups_in_the_trail(world: World) -> None:
    bob = world.core.user("bob")
    world.core.group("staff", bob)
    before = count(world)
    assert world.core.send("DELETE", path_of(bob)).status == 204
    accepted = [entry for entry in told(world, before) if entry[3] == "accepted"]
    assert accepted == [("change", "Group", "staff", "accepted"), ("delete", "User", "bob", "accepted")]
    [membership, _] = [event for event in world.backend.audit(after=before) if event.outcome == "accepted"]
    assert membership.detail["removed"] == [bob["id"]]
    assert [event.sequence for event in world.backend.audit(user="bob", after=before)]


def test_a_request_that_changes_nothing_is_no_event(world: World) -> None:
    bob = world.core.user("bob")
    before = count(world)
    world.core.patch(bob, ACTIVE)
    world.core.get(bob)
    assert told(world, before) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/Users", {"schemas": [USER], "userName": "BOB"}, 409),
        ("POST", "/Users", {"schemas": [USER]}, 400),
        ("POST", "/Users", {"schemas": [USER], "userName": "root"}, 403),
        ("DELETE", "/Users/none", None, 404),
        ("PATCH", "/Groups/none", {"Operations": [INACTIVE]}, 404),
    ],
)
def test_a_refusal_is_recorded_once(world: World, method: str, path: str, body: Any, status: int) -> None:
    world.core.user("bob")
    before = count(world)
    assert world.core.send(method, path, body).status == status
    [event] = world.backend.audit(after=before)
    assert (event.outcome, event.detail["status"]) == ("refused", status)
    assert event.kind in ("User", "Group")


def test_a_token_that_may_only_read_is_recorded_when_it_tries_to_write(world: World) -> None:
    world.core.principal = Principal("reader", frozenset({"read"}))
    assert world.core.send("POST", "/Users", {"schemas": [USER], "userName": "bob"}).status == 403
    assert (newest(world).actor, newest(world).outcome, newest(world).action) == ("reader", "refused", "create")


def test_a_stolen_token_that_may_only_read_does_not_fill_the_trail_and_what_is_left_out_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(world.backend.safeguards, "_unscoped", Unscoped(lambda: now[0]))
    world.core.principal = Principal("reader", frozenset({"read"}))
    data = {"schemas": [USER], "userName": "bob"}
    operations = [{"method": "POST", "path": "/Users", "bulkId": f"b{n}", "data": data} for n in range(30)]
    for _ in range(2):
        status = world.core.json("POST", "/Bulk", {"schemas": [BULK], "Operations": operations}, expect=200)
        assert {each["status"] for each in status["Operations"]} == {"403"}
    assert count(world) == RECORDED
    now[0] += WINDOW_SECONDS
    assert world.core.send("DELETE", "/Users/none").status == 403
    assert count(world) == RECORDED + 1
    assert newest(world).detail["moreBefore"] == 60 - RECORDED
    # Others are recorded all the same, and what is only counted yet is told when the process ends.
    for _ in range(RECORDED):
        world.core.send("DELETE", "/Users/none")
    world.core.principal = Principal("writer", frozenset({"read", "write"}))
    assert world.core.send("DELETE", "/Users/none").status == 404
    assert newest(world).actor == "writer"
    world.backend.safeguards.close()
    assert (newest(world).actor, newest(world).detail) == ("reader", {"status": 403, "moreBefore": 1})


def test_what_a_target_cannot_do_is_recorded_as_accepted_pending_undone_and_refused(world: World) -> None:
    world.target.down()
    assert world.core.refused("POST", "/Users", {"schemas": [USER], "userName": "bob"})[0] == 503
    outcomes = [entry[3] for entry in told(world)]
    assert outcomes[0] == "accepted"
    assert outcomes[-1] == "refused"
    assert {"pending", "undone"} <= set(outcomes[1:-1])
    assert newest(world).detail["status"] == 503


def test_a_target_that_stays_away_does_not_fill_the_trail(world: World) -> None:
    bob = world.core.user("bob")
    world.target.down()
    world.core.patch(bob, INACTIVE, expect=503)
    before = count(world)
    for _ in range(20):
        world.backend.settle_pending()
    assert count(world) == before
    world.target.up()
    world.settle()
    assert [entry[3] for entry in told(world, before)] == ["done"]


def test_each_operation_of_a_bulk_request_is_recorded_by_itself(world: World) -> None:
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"schemas": [USER], "userName": "bob"}},
        {"method": "POST", "path": "/Users", "bulkId": "2", "data": {"schemas": [USER], "userName": "Bob"}},
    ]
    world.core.json("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
    assert [entry[3] for entry in told(world)] == ["accepted", "done", "refused"]


def test_two_processes_continue_one_trail(make: Make) -> None:
    first, second = make(), make()
    first.core.user("ann")
    second.core.user("bob")
    first.core.user("cid")
    names = [event.name for event in second.backend.audit() if event.action == "create"]
    assert names == ["ann", "bob", "cid"]


# Pause


def test_in_a_pause_changes_are_refused_with_the_reason_and_reading_goes_on(world: World) -> None:
    bob = world.core.user("bob")
    world.backend.pause("The cluster moves tonight")
    for method, path, body in (
        ("POST", "/Users", {"schemas": [USER], "userName": "eve"}),
        ("PUT", path_of(bob), {"schemas": [USER], "userName": "rob"}),
        ("PATCH", path_of(bob), {"schemas": [PATCH_OP], "Operations": [INACTIVE]}),
        ("POST", "/Groups", {"schemas": [GROUP], "displayName": "staff"}),
        ("DELETE", path_of(bob), None),
    ):
        answer = world.core.send(method, path, body)
        assert answer.status == 403, method
        assert b"The cluster moves tonight." in answer.body
    assert world.core.get(bob)["userName"] == "bob"
    assert world.core.json("GET", "/Users")["totalResults"] == 1
    assert [account.name for account in world.target.listing.users.values()] == ["bob"]
    assert world.backend.paused() == "The cluster moves tonight."
    world.backend.resume()
    world.core.user("eve")
    world.check_equal()


def test_in_a_pause_the_retry_takes_rights_away_and_gives_none(make: Make) -> None:
    world = make()
    bob = world.core.user("bob")
    world.target.down()
    world.core.patch(bob, INACTIVE, expect=503)
    world.target.up()
    dead = make(times=quick(claim=0.02), failpoints=Failpoints("record.committed:raise"))
    assert dead.core.send("POST", "/Users", {"schemas": [USER], "userName": "eve"}).status == 500
    with world.context.database.operation(write=True) as session:
        session.execute(delete(promises))  # as a version without promises has left it
    time.sleep(0.05)  # its claim is over
    world.backend.pause("x")
    for _ in range(3):
        world.backend.settle_pending()
    assert {each.name: each.revoking for each in world.backend.pending()} == {"eve": False}
    [eve] = world.core.json("GET", "/Users", filter='userName eq "eve"')["Resources"]
    world.core.patch(eve, ACTIVE, expect=403)  # It changes nothing, but would bring about what is pending.
    world.core.patch(bob, INACTIVE)
    assert world.target.rights() == set()
    world.backend.resume()
    world.settle()
    assert {right for _, right in world.target.rights()} == {"log in"}


# Circuit breaker


def test_mass_removals_are_refused_until_they_are_approved_and_the_target_keeps_what_it_has(make: Make) -> None:
    world = make(Limits(removals=3, share=0, minutes=60))
    users = [world.core.user(f"user{number}") for number in range(8)]
    for user in users[:3]:
        world.core.patch(user, INACTIVE)
    for user in users[3:]:
        answer = world.core.send("DELETE", path_of(user))
        assert answer.status == 403
        assert b"4 users and groups would have been removed within 60 minutes, and the limit is 3" in answer.body
    assert newest(world).detail["status"] == 403
    assert {account.active for account in world.target.listing.users.values()} == {True, False}
    assert len(world.target.rights()) == 5
    world.core.user("more")  # What takes nothing away goes on.
    world.core.patch(users[0], ACTIVE)
    world.backend.approve(minutes=5)
    for user in users[3:]:
        assert world.core.send("DELETE", path_of(user)).status == 204
    world.check_equal()


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_group_that_would_lose_too_many_keeps_all_of_them(make: Make, method: str) -> None:
    world = make(Limits(removals=3, share=0, minutes=60))
    users = [world.core.user(f"user{number}") for number in range(6)]
    group = world.core.group("staff", *users)
    kept = [{"value": users[0]["id"]}]
    body: dict[str, Any] = {"schemas": [GROUP], "displayName": "staff", "members": kept}
    if method == "PATCH":
        body = {"Operations": [{"op": "replace", "path": "members", "value": kept}]}
        body["schemas"] = [PATCH_OP]
    answer = world.core.send(method, path_of(group), body)
    assert answer.status == 403
    assert b"5 memberships would have been removed" in answer.body
    assert world.core.members(group) == {user["id"] for user in users}
    world.check_equal()


def test_a_removal_that_has_to_be_sent_again_counts_once(make: Make) -> None:
    world = make(Limits(removals=2, share=0, minutes=60))
    users = [world.core.user(f"user{number}") for number in range(3)]
    world.target.down()
    for _ in range(5):
        world.core.patch(users[0], INACTIVE, expect=503)
    world.target.up()
    world.core.patch(users[0], INACTIVE)
    world.core.patch(users[1], INACTIVE)
    world.core.patch(users[2], INACTIVE, expect=403)


def test_a_user_in_many_groups_is_one_removal(make: Make) -> None:
    world = make(Limits(removals=2, share=0, minutes=60))
    bob = world.core.user("bob")
    for number in range(6):
        world.core.group(f"group{number}", bob)
    assert world.core.send("DELETE", path_of(bob)).status == 204
    assert removals(world) == {"users and groups": 1, "memberships": 0}


def test_what_a_target_refused_for_good_and_was_taken_back_counts_as_nothing_gained(make: Make) -> None:
    world = make(Limits(removals=1, share=0, minutes=60))
    for number in range(4):
        assert world.core.send("POST", "/Users", {"schemas": [USER], "userName": f"refused{number}"}).status == 400
    assert removals(world)["users and groups"] == 0


# What an operator sees at a look


def findings(world: World) -> dict[str, tuple[bool, str]]:
    return {finding.subject: (finding.ok, finding.message) for finding in world.backend.check()}


def test_the_check_tells_how_the_safeguards_stand(make: Make) -> None:
    world = make(Limits(removals=3, share=10, minutes=60))
    world.core.patch(world.core.user("bob"), INACTIVE)
    found = findings(world)
    assert found["audit trail"] == (True, "4 events")
    assert found["circuit breaker"] == (
        True,
        "1 users and groups and 0 memberships removed within 60 minutes; the limit is 3, or 10 % of all",
    )
    assert "pause" not in found
    world.backend.approve(minutes=5)
    assert "somebody approved them" in findings(world)["circuit breaker"][1]


def test_the_check_does_not_pass_over_a_breaker_that_holds(make: Make) -> None:
    world = make(Limits(removals=1, share=0, minutes=60))
    world.core.patch(world.core.user("bob"), INACTIVE)
    [found] = [finding for finding in world.backend.check() if finding.subject == "circuit breaker"]
    assert not found.ok
    assert "1 users and groups" in found.message
    assert "refused" in found.message
    assert "scim-gateway approve" in found.remedy
    world.backend.approve(minutes=5)
    assert findings(world)["circuit breaker"][0]


def test_the_check_does_not_pass_over_a_pause(world: World) -> None:
    world.backend.pause("The cluster moves")
    assert findings(world)["pause"] == (False, "no changes are accepted: The cluster moves.")


def test_the_check_says_when_removals_have_no_limit_and_when_the_key_is_in_the_database(make: Make) -> None:
    world = make(Limits(removals=0))
    assert "switched off" in findings(world)["circuit breaker"][1]
    [trail] = [finding for finding in world.backend.check() if finding.subject == "audit trail"]
    assert "SCIM_GATEWAY_AUDIT_KEY" in trail.remedy


def test_new_names_in_a_target_are_removals_of_the_old_ones(make: Make) -> None:
    world = make(Limits(removals=2, share=0))
    people = [world.core.user(f"u{number}") for number in range(4)]
    for number in range(2):
        world.core.patch(people[number], {"op": "replace", "path": "userName", "value": f"lost{number}"})
        world.core.patch(people[number], {"op": "replace", "path": "userName", "value": f"again{number}"})
    world.core.patch(people[2], {"op": "replace", "path": "userName", "value": "U2"})
    world.core.patch(people[2], {"op": "replace", "path": "title", "value": "Countess"})
    lost = {"op": "replace", "path": "userName", "value": "lost2"}
    error = world.core.json("PATCH", path_of(people[2]), {"schemas": [PATCH_OP], "Operations": [lost]}, expect=403)
    assert "with it, 3 users and groups would have been removed or given another name" in error["detail"]
    assert sorted(world.targets[0].listing.users) == ["U2", "again0", "again1", "u3"]


def test_a_group_that_is_renamed_so_that_a_target_is_not_to_have_it_is_a_removal(make: Make) -> None:
    world = make(Limits(removals=1, share=0))
    ann = world.core.user("ann")
    groups = [world.core.group(f"g{number}", ann) for number in range(3)]
    world.core.patch(groups[0], {"op": "replace", "path": "displayName", "value": "kept"})
    world.core.patch(groups[1], {"op": "replace", "path": "displayName", "value": "private-1"})
    hidden = {"op": "replace", "path": "displayName", "value": "private-2"}
    world.core.json("PATCH", path_of(groups[2]), {"schemas": [PATCH_OP], "Operations": [hidden]}, expect=403)
    assert sorted(world.targets[0].listing.groups) == ["g2", "kept"]


def test_whoever_makes_many_users_cannot_remove_more_of_the_others(make: Make) -> None:
    world = make(Limits(removals=1, share=50))
    people = [world.core.user(f"u{number}") for number in range(10)]
    world.core.patch(people[0], INACTIVE)
    error = world.core.json("PATCH", path_of(people[1]), {"schemas": [PATCH_OP], "Operations": [INACTIVE]}, expect=403)
    assert "the limit is 1 (breaker_removals)" in error["detail"]
    hour_ago = "2011-05-13T04:42:34.000Z"
    with world.backend.directory.database.operation(write=True) as session:
        session.execute(update(resources).values(created=hour_ago))
    for person in people[1:5]:
        world.core.patch(person, INACTIVE)
    world.core.json("PATCH", path_of(people[5]), {"schemas": [PATCH_OP], "Operations": [INACTIVE]}, expect=403)
