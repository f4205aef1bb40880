"""Many requests at once, in two gateways with one directory: nobody's change is lost, none is brought back."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from core_client import Core
from doubles.listed_target import CALLS, ListTarget
from provisioned import Open, World, provisioned, quick
from scim_gateway_provisioning import settle
from scim_gateway_provisioning.tables import works
from scim_gateway_provisioning.target import Unreachable
from scim_gateway_sql.portable import Clock
from sqlalchemy import select, update

PATIENT = quick(request=30.0, retry=1.0, claim=20.0)

Ask = Callable[[Core], int]


@pytest.fixture
def world(open_directory: Open, tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, times=PATIENT, directory=open_directory())
    yield world
    world.close()


@pytest.fixture
def cores(world: World, open_directory: Open) -> Iterator[list[Core]]:
    """Two gateways: the world's, and another one on the same directory and the same target."""
    other = provisioned(world.folder, world.target, times=PATIENT, directory=open_directory())
    yield [world.core, Core(other)]
    other.close()


def at_once(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run all at the same moment; what they return, in order."""
    results: list[Any] = [None] * len(tasks)
    start = threading.Barrier(len(tasks))

    def run(number: int, task: Callable[[], Any]) -> None:
        start.wait()
        results[number] = task()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return results


def patch(core: Core, resource: dict, *operations: dict) -> int:
    kind = resource["meta"]["resourceType"] + "s"
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}
    answer = core.send("PATCH", f"/{kind}/{resource['id']}", body)
    if answer.status >= 500:
        print(answer.body.decode())  # shown with the test that fails because of it
    return answer.status


def add(core: Core, group: dict, *members: dict) -> int:
    return patch(core, group, {"op": "add", "path": "members", "value": [{"value": each["id"]} for each in members]})


def remove(core: Core, group: dict, member: dict) -> int:
    return patch(core, group, {"op": "remove", "path": f'members[value eq "{member["id"]}"]'})


def test_of_fifty_that_create_the_same_at_once_one_succeeds(world, cores):
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "bob", "externalId": "00u1"}
    answers = at_once([lambda core=cores[n % 2]: core.send("POST", "/Users", body) for n in range(50)])
    counted = Counter((answer.status, answer.scim_type) for answer in answers)
    assert counted == {(201, None): 1, (409, "uniqueness"): 49}
    assert len(world.target.listing.users) == 1
    world.check_equal()


def test_members_added_at_once_are_all_there(world, cores):
    users = [world.core.user(f"user{number}") for number in range(16)]
    group = world.core.group("staff")
    tasks = [lambda core=cores[n % 2], user=user: add(core, group, user) for n, user in enumerate(users)]
    assert at_once(tasks) == [200] * 16
    world.check_equal()
    assert world.backend.pending() == []


def test_members_who_come_and_go_at_once_are_as_the_last_answer_says(world, cores):
    users = [world.core.user(f"user{number}") for number in range(6)]
    group = world.core.group("staff", *users[:3])

    def toggle(core: Core, user: dict, inside: bool) -> list[int]:
        answers = []
        for _ in range(6):
            answers.append(remove(core, group, user) if inside else add(core, group, user))
            inside = not inside
        return answers

    tasks = [lambda n=n, user=user: toggle(cores[n % 2], user, n < 3) for n, user in enumerate(users)]
    assert at_once(tasks) == [[200] * 6] * 6
    assert world.core.members(group) == {user["id"] for user in users[:3]}
    world.check_equal()
    assert world.backend.pending() == []


def test_a_rename_while_the_user_joins_and_leaves_groups_loses_nothing(world, cores):
    user = world.core.user("bob")
    groups = [world.core.group(f"group{number}") for number in range(5)]
    leaving = [world.core.group(f"left{number}", user) for number in range(5)]

    def rename() -> list[int]:
        return [
            patch(cores[0], user, {"op": "replace", "path": "userName", "value": name})
            for name in ("rob", "robert", "bob", "bobby")
        ]

    tasks: list[Callable[[], Any]] = [rename]
    tasks += [lambda n=n, group=group: add(cores[n % 2], group, user) for n, group in enumerate(groups)]
    tasks += [lambda n=n, group=group: remove(cores[n % 2], group, user) for n, group in enumerate(leaving)]
    assert at_once(tasks) == [[200] * 4, *[200] * 10]
    assert set(world.target.listing.users) == {"bobby"}
    world.check_equal()


def test_who_is_deactivated_while_he_joins_groups_has_no_rights(world, cores):
    users = [world.core.user(f"user{number}") for number in range(4)]
    groups = [world.core.group(f"group{number}") for number in range(3)]
    tasks: list[Callable[[], Any]] = []
    for number, user in enumerate(users):
        tasks.append(
            lambda core=cores[number % 2], user=user: patch(
                core, user, {"op": "replace", "path": "active", "value": False}
            )
        )
        tasks += [lambda group=group, user=user: add(cores[0], group, user) for group in groups]
    assert set(at_once(tasks)) == {200}
    assert world.target.rights() == set()
    for user in users:
        assert patch(world.core, user, {"op": "replace", "path": "active", "value": True}) == 200
    world.check_equal()


def test_who_is_deleted_while_he_joins_a_group_is_in_none(world, cores):
    users = [world.core.user(f"user{number}") for number in range(5)]
    group = world.core.group("staff")
    tasks: list[Callable[[], Any]] = []
    for number, user in enumerate(users):
        core = cores[number % 2]
        tasks.append(lambda core=core, user=user: core.send("DELETE", f"/Users/{user['id']}").status)
        tasks.append(lambda core=core, user=user: add(core, group, user))
    answers = at_once(tasks)
    assert set(answers[::2]) == {204}
    assert set(answers[1::2]) <= {200, 400}
    world.check_equal()
    assert world.target.listing.users == {}
    assert world.core.members(group) == set()


def test_groups_that_are_nested_while_members_come_and_go_reach_everybody(world, cores):
    users = [world.core.user(f"user{number}") for number in range(6)]
    inner, middle, outer = (world.core.group(name) for name in ("inner", "middle", "outer"))
    add(world.core, inner, *users[:3])
    tasks: list[Callable[[], Any]] = [
        lambda: add(cores[0], outer, middle),
        lambda: add(cores[1], middle, inner),
        *(lambda n=n, user=user: add(cores[n % 2], inner, user) for n, user in enumerate(users[3:])),
        *(lambda n=n, user=user: remove(cores[n % 2], inner, user) for n, user in enumerate(users[:2])),
        lambda: patch(cores[0], users[2], {"op": "replace", "path": "active", "value": False}),
    ]
    assert set(at_once(tasks)) == {200}
    world.check_equal()
    assert world.backend.pending() == []


def one_within_the_other(
    world: World, cores: Sequence[Core], monkeypatch: pytest.MonkeyPatch, slow: Ask, quickly: Ask
) -> list[int]:
    """Two changes, of which the second is made while the first is being recorded; what they are answered."""
    recording, other_done = threading.Event(), threading.Event()
    safeguards, recorded = world.backend.safeguards, world.backend.safeguards.recorded

    def slowly(session, changes, *, undone=False) -> None:
        recording.set()
        # In vain where writes come one after the other, as all of SQLite's do.
        other_done.wait(1 if world.context.database.driver.concurrent else 0.1)
        recorded(session, changes, undone=undone)

    monkeypatch.setattr(safeguards, "recorded", slowly)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(slow(cores[0])))
    thread.start()
    assert recording.wait(20)
    answers.append(quickly(cores[1]))
    other_done.set()
    thread.join()
    return answers


@pytest.mark.parametrize("first", ["activate", "nest"])
def test_who_becomes_active_while_his_group_is_nested_has_what_both_together_give(world, cores, monkeypatch, first):
    """Two changes with no row in common: each is recorded while the other one cannot be seen yet."""
    bob = world.core.user("bob", active=False)
    inner, outer = world.core.group("inner", bob), world.core.group("outer")
    changes: list[Ask] = [
        lambda core: patch(core, bob, {"op": "replace", "path": "active", "value": True}),
        lambda core: add(core, outer, inner),
    ]
    slow, quickly = changes if first == "activate" else reversed(changes)
    assert one_within_the_other(world, cores, monkeypatch, slow, quickly) == [200, 200]
    world.check_equal()
    assert (bob["id"], outer["id"]) in world.target.rights()


@pytest.mark.parametrize("first", ["add", "nest"])
def test_who_joins_a_group_while_one_above_it_is_nested_has_what_both_together_give(world, cores, monkeypatch, first):
    bob = world.core.user("bob")
    inner, middle, outer = (world.core.group(name) for name in ("inner", "middle", "outer"))
    add(world.core, middle, inner)
    changes: list[Ask] = [lambda core: add(core, inner, bob), lambda core: add(core, outer, middle)]
    slow, quickly = changes if first == "add" else reversed(changes)
    assert one_within_the_other(world, cores, monkeypatch, slow, quickly) == [200, 200]
    world.check_equal()
    assert (bob["id"], outer["id"]) in world.target.rights()


@pytest.mark.parametrize("first", ["add", "want"])
def test_who_joins_a_group_while_one_above_it_becomes_wanted_has_what_both_together_give(
    world, cores, monkeypatch, first
):
    bob = world.core.user("bob")
    inner = world.core.group("inner")
    outer = world.core.group("private-outer", inner)
    changes: list[Ask] = [
        lambda core: add(core, inner, bob),
        lambda core: patch(core, outer, {"op": "replace", "path": "displayName", "value": "outer"}),
    ]
    slow, quickly = changes if first == "add" else reversed(changes)
    assert one_within_the_other(world, cores, monkeypatch, slow, quickly) == [200, 200]
    world.check_equal()
    assert (bob["id"], outer["id"]) in world.target.rights()


def test_of_two_renames_at_once_the_later_keeps_its_name(tmp_path):
    world = World(tmp_path, ListTarget(attribute="nickName"), times=PATIENT)
    bob = world.core.user("bob@one.example", nickName="bob")
    held, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        held.set()
        assert go_on.wait(20)

    def rename(name: str) -> int:
        return patch(world.core, bob, {"op": "replace", "path": "nickName", "value": name})

    world.target.fault("put_user", "middle", wait)
    answers: list[int] = []
    first = threading.Thread(target=lambda: answers.append(rename("rob")))
    first.start()
    assert held.wait(20)
    recorded = threading.Event()
    world.context.failpoints.set("record.committed", recorded.set)
    second = threading.Thread(target=lambda: answers.append(rename("robert")))
    second.start()
    assert recorded.wait(20)
    go_on.set()
    first.join()
    second.join()
    assert answers == [200, 200]
    assert set(world.target.listing.users) == {"robert"}
    body = {"userName": "bob@two.example", "nickName": "Robert"}
    assert world.core.refused("POST", "/Users", body) == (409, "uniqueness")
    for free in ("bob", "rob"):
        world.core.user(f"{free}@three.example", nickName=free)
    world.close()


def test_one_change_does_not_wait_for_another_resource(world, cores):
    bob, eve = world.core.user("bob"), world.core.user("eve")
    held, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        held.set()
        assert go_on.wait(20)

    world.target.fault("put_user", "middle", wait)
    answers: list[int] = []
    slow = threading.Thread(
        target=lambda: answers.append(patch(cores[0], bob, {"op": "replace", "path": "active", "value": False}))
    )
    slow.start()
    assert held.wait(20)
    assert patch(cores[1], eve, {"op": "replace", "path": "active", "value": False}) == 200
    go_on.set()
    slow.join()
    assert answers == [200]


def test_who_waits_too_long_for_another_is_told_so_and_nothing_is_given(tmp_path):
    world = World(tmp_path, times=quick(request=0.5, retry=0.2, claim=20.0))
    bob, eve = world.core.user("bob"), world.core.user("eve")
    group = world.core.group("staff")
    held, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        held.set()
        assert go_on.wait(20)

    world.target.fault("change_members", "before", wait)
    answers: list[int] = []
    slow = threading.Thread(target=lambda: answers.append(add(world.core, group, bob)))
    slow.start()
    assert held.wait(20)
    answer = world.core.send(
        "PATCH",
        f"/Groups/{group['id']}",
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "add", "path": "members", "value": [{"value": eve["id"]}]}],
        },
    )
    assert answer.status == 503
    assert world.core.members(group) == {bob["id"]}
    go_on.set()
    slow.join()
    world.settle()
    world.check_equal()
    world.close()


def test_a_claim_that_ran_out_is_taken_over_and_the_one_who_lost_it_marks_nothing(tmp_path):
    world = World(tmp_path, ListTarget(careless=True), times=quick(request=20.0, claim=0.1, retry=3.0))
    bob = world.core.user("bob")
    held, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        held.set()
        assert go_on.wait(20)

    world.target.fault("put_user", "before", hang)
    answers: list[int] = []
    slow = threading.Thread(
        target=lambda: answers.append(patch(world.core, bob, {"op": "replace", "path": "title", "value": "clerk"}))
    )
    slow.start()
    assert held.wait(20)
    time.sleep(0.15)
    assert patch(world.core, bob, {"op": "replace", "path": "active", "value": False}) == 200
    assert world.target.rights() == set()
    go_on.set()
    slow.join()
    assert answers == [200]
    assert world.target.rights() == set()
    world.check_equal()
    world.close()


def test_a_claim_is_renewed_in_a_call_that_takes_long(tmp_path, monkeypatch):
    world = World(tmp_path, times=quick(request=60.0, claim=30.0))
    bob = world.core.user("bob")
    left: list[int] = []

    def pass_time(seconds: int) -> None:
        with world.context.database.session(write=True) as session:
            session.execute(update(works).values(held_until_ms=works.c.held_until_ms - seconds * 1000))
        with monkeypatch.context() as patched:
            patched.setattr(settle, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + seconds))
            world.target.deadline.check()
        with world.context.database.session(write=False) as session:
            left.append(session.execute(select(works.c.held_until_ms - Clock())).scalar_one() // 1000)

    def take_long() -> None:
        pass_time(9)
        pass_time(11)

    world.target.fault("put_user", "middle", take_long)
    assert patch(world.core, bob, {"op": "replace", "path": "active", "value": False}) == 200
    assert left[0] <= 21 < left[1], "when a third of it is over"
    world.close()


def test_who_lost_his_claim_does_nothing_more(tmp_path):
    world = World(tmp_path, times=quick(request=20.0, claim=0.1, retry=3.0))
    bob = world.core.user("bob")
    held, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        held.set()
        assert go_on.wait(20)

    world.target.fault("put_user", "before", hang)
    slow = threading.Thread(target=lambda: patch(world.core, bob, {"op": "replace", "path": "title", "value": "x"}))
    slow.start()
    assert held.wait(20)
    time.sleep(0.15)
    assert patch(world.core, bob, {"op": "replace", "path": "active", "value": False}) == 200
    seen: list[set[tuple[str, str]]] = []
    world.target.watch = lambda: seen.append(world.target.rights())
    go_on.set()
    slow.join()
    assert set().union(*seen) == set()
    assert world.target.rights() == set()
    world.close()


def test_what_is_made_after_the_removal_by_one_who_lost_his_claim_is_removed(tmp_path):
    world = World(tmp_path, ListTarget(careless=True), times=quick(request=20.0, claim=0.1, retry=3.0))
    bob = world.core.user("bob")
    held, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        held.set()
        assert go_on.wait(20)

    world.target.fault("put_user", "before", hang)
    slow = threading.Thread(
        target=lambda: patch(world.core, bob, {"op": "replace", "path": "userName", "value": "rob"})
    )
    slow.start()
    assert held.wait(20)
    time.sleep(0.15)
    assert world.core.send("DELETE", f"/Users/{bob['id']}").status == 204
    assert world.target.listing.users == {}
    go_on.set()
    slow.join()
    assert world.target.listing.users == {}
    assert world.backend.pending() == []
    world.core.user("bob")
    world.close()


def test_random_requests_of_many_clients_with_faults_end_in_agreement(world, cores):
    rng = random.Random(7)
    users = [world.core.user(f"user{number}") for number in range(5)]
    groups = [world.core.group(f"group{number}") for number in range(3)]

    def client(number: int) -> set[int]:
        chance = random.Random(number)
        core = cores[number % 2]
        answers: set[int] = set()
        for _ in range(15):
            user, group = chance.choice(users), chance.choice(groups)
            match chance.randrange(6):
                case 0:
                    value = chance.random() < 0.5
                    answers.add(patch(core, user, {"op": "replace", "path": "active", "value": value}))
                case 1 | 2:
                    answers.add(add(core, group, user))
                case 3:
                    answers.add(remove(core, group, user))
                case 4:
                    answers.add(add(core, group, chance.choice(groups[:2])))
                case 5:
                    name = f"{user['userName']}-{chance.randrange(3)}"
                    answers.add(patch(core, user, {"op": "replace", "path": "userName", "value": name}))
        return answers

    for _ in range(12):
        moment = rng.choice(("before", "middle", "after"))
        world.target.fault(rng.choice(CALLS), moment, Unreachable("It is cut."), rng.choice((1, 2)))
    answers = at_once([lambda number=number: client(number) for number in range(6)])
    assert set().union(*answers) <= {200, 204, 503}
    world.target.up()
    world.settle()
    world.check_equal()
    assert not world.backend.verify_audit().problems


def test_a_name_that_has_passed_to_somebody_else_gives_nobody_anothers_membership(world, cores):
    """Who adds a member reads its name; until the target is called, the name may be somebody else's."""
    bob, group = world.core.user("bob"), world.core.group("staff")
    held, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        held.set()
        assert go_on.wait(20)

    world.target.fault("change_members", "before", wait)
    slow = threading.Thread(target=lambda: add(cores[0], group, bob))
    slow.start()
    assert held.wait(20)
    assert patch(cores[1], bob, {"op": "replace", "path": "userName", "value": "rob"}) == 200
    other = cores[1].user("bob")
    go_on.set()
    slow.join()
    assert (other["id"], group["id"]) not in world.target.rights()
    assert (bob["id"], group["id"]) in world.target.rights()
    world.check_equal()


def test_a_name_that_has_passed_to_somebody_else_takes_nobodys_membership(world, cores):
    bob = world.core.user("bob")
    group = world.core.group("staff", bob)
    held, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        held.set()
        assert go_on.wait(20)

    world.target.fault("change_members", "before", wait)
    slow = threading.Thread(target=lambda: remove(cores[0], group, bob))
    slow.start()
    assert held.wait(20)
    assert patch(cores[1], bob, {"op": "replace", "path": "userName", "value": "rob"}) == 200
    other = cores[1].user("bob")
    joining = threading.Thread(target=lambda: add(cores[1], group, other))
    joining.start()
    go_on.set()
    slow.join()
    joining.join()
    assert world.target.rights() == world.wanted()
    assert (other["id"], group["id"]) in world.target.rights()
