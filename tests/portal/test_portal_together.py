"""Two gateways with one directory and one organization, asked at once: no change is lost, none is brought back."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from core_client import PATCH_OP, Core, path_of
from portal_world import QUICK, PortalWorld, new_user

PATIENT = replace(QUICK, retry=5.0, claim=15.0, request=60.0)


@pytest.fixture(params=["sqlite", "mariadb"])
def pair(request: pytest.FixtureRequest, portal, tmp_path: Path) -> Iterator[list[PortalWorld]]:
    url = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    worlds = [PortalWorld(portal, tmp_path, times=PATIENT, database_url=url) for _ in range(2)]
    yield worlds
    for world in worlds:
        world.close()


def at_once(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run all at the same moment; what they return, in order."""
    results: list[Any] = [None] * len(tasks)
    start = threading.Barrier(len(tasks))

    def run(number: int) -> None:
        start.wait()
        results[number] = tasks[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_many_creations_of_one_person_exactly_one_succeeds_and_one_invitation_is_sent(pair, portal):
    for number in range(4):
        create = partial(Core.send, method="POST", path="/Users", body=new_user(f"p{number}@example.com"))
        answers = [answer.status for answer in at_once([partial(create, world.core) for world in pair * 3])]
        assert sorted(answers) == [201] + [409] * 5
    assert len(portal.writes()) == 4
    pair[0].check_equal()


def test_memberships_that_are_given_at_once_are_all_there(pair):
    people = [pair[0].member(f"p{number}@example.com") for number in range(6)]
    group = pair[0].core.group("staff")

    def add(number: int) -> int:
        operation = {"op": "add", "path": "members", "value": [{"value": people[number]["id"]}]}
        body = {"schemas": [PATCH_OP], "Operations": [operation]}
        return pair[number % 2].core.send("PATCH", path_of(group), body).status

    answers = at_once([lambda number=number: add(number) for number in range(6)])
    assert all(status in (200, 204) for status in answers)
    assert pair[0].teams == {"staff": {f"p{number}@example.com" for number in range(6)}}


@pytest.mark.parametrize("seed", range(3))
def test_whatever_two_gateways_do_at_once_both_sides_agree_in_the_end(pair, portal, seed):
    emails = [f"p{number}@example.com" for number in range(4)]
    people = [pair[0].member(email) for email in emails]
    groups = [pair[0].core.group(name) for name in ("staff", "readers")]
    seeds = random.Random(seed)

    def life(world: PortalWorld, choose: random.Random) -> list[int]:
        statuses = []
        for _ in range(10):
            if choose.random() < 0.4:
                path = path_of(choose.choice(people))
                operation = {"op": "replace", "path": "active", "value": choose.random() < 0.5}
            else:
                path, person = path_of(choose.choice(groups)), choose.choice(people)["id"]
                operation = choose.choice(
                    [
                        {"op": "add", "path": "members", "value": [{"value": person}]},
                        {"op": "remove", "path": f'members[value eq "{person}"]'},
                    ]
                )
            statuses.append(world.core.send("PATCH", path, {"schemas": [PATCH_OP], "Operations": [operation]}).status)
        return statuses

    choices = [random.Random(seeds.random()) for _ in range(4)]
    lives = at_once([lambda n=n: life(pair[n % 2], choices[n]) for n in range(4)])
    assert {status for statuses in lives for status in statuses} <= {200, 204}
    for email in pair[0].invited:
        portal.organization.accept(email)
    pair[0].look()
    pair[0].check_equal()
    assert pair[1].backend.plan().to_do == []
    assert pair[1].backend.pending() == []
