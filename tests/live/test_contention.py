"""Many clients at the same moment: one winner where there can be one, nothing lost where all can have their way."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from gateway_process import GatewayProcess
from scim_http import Answer, ScimClient, new_group, new_user

pytest_plugins = ["live_fixtures"]
ALSO_ON = ("mariadb",)


def at_once(gateway: GatewayProcess, number: int, request: Callable[[ScimClient, int], Answer]) -> list[Answer]:
    """The answers to requests that are sent by as many clients at the same moment."""
    barrier = threading.Barrier(number)

    def one(index: int) -> Answer:
        client = gateway.client()
        client.get("/Users", query="count=0").expect(200)  # the connection is open before the start
        barrier.wait(30)
        try:
            return request(client, index)
        finally:
            client.close()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def members(client: ScimClient, id: str) -> set[str]:
    return {member["value"] for member in client.get(f"/Groups/{id}").expect(200).body.get("members", [])}


@pytest.mark.rfc("C-12")
@pytest.mark.parametrize(
    ("path", "body"),
    [("/Users", new_user("same.name@example.com")), ("/Groups", new_group("Same name"))],
    ids=["users", "groups"],
)
def test_of_50_identical_creates_exactly_one_wins(
    gateway: GatewayProcess, live: ScimClient, path: str, body: dict[str, object]
) -> None:
    answers = at_once(gateway, 50, lambda client, _: client.post(path, body))
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 49}
    for answer in answers:
        if answer.status == 409:
            answer.expect(409, "uniqueness")
    attribute = "userName" if path == "/Users" else "displayName"
    assert len(live.find(f'{attribute} eq "{body[attribute]}"', path).resources) == 1


@pytest.mark.rfc("C-12", "S-54")
def test_names_that_differ_only_in_case_are_one_name_under_a_race(gateway: GatewayProcess, live: ScimClient) -> None:
    spellings = ["race.case@example.com", "RACE.case@example.com", "Race.Case@Example.Com", "race.CASE@example.com"]
    answers = at_once(gateway, 16, lambda client, index: client.post("/Users", new_user(spellings[index % 4])))
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 15}


def test_40_clients_that_each_add_another_member_are_all_heard(gateway: GatewayProcess, live: ScimClient) -> None:
    group = live.group()["id"]
    ids = [live.user()["id"] for _ in range(40)]
    answers = at_once(
        gateway,
        40,
        lambda client, index: client.patch(
            f"/Groups/{group}", [{"op": "add", "path": "members", "value": [{"value": ids[index]}]}]
        ),
    )
    assert {answer.status for answer in answers} <= {200, 204}, [str(answer) for answer in answers]
    assert members(live, group) == set(ids)


def test_members_who_leave_and_join_at_once_end_where_their_own_client_put_them(
    gateway: GatewayProcess, live: ScimClient
) -> None:
    leavers = [live.user()["id"] for _ in range(12)]
    joiners = [live.user()["id"] for _ in range(12)]
    group = live.group(members=leavers)["id"]

    def move(client: ScimClient, index: int) -> Answer:
        if index < 12:
            operation = {"op": "remove", "path": f'members[value eq "{leavers[index]}"]'}
        else:
            operation = {"op": "Add", "path": "members", "value": [{"value": joiners[index - 12]}]}
        return client.patch(f"/Groups/{group}", [operation])

    answers = at_once(gateway, 24, move)
    assert {answer.status for answer in answers} <= {200, 204}, [str(answer) for answer in answers]
    assert members(live, group) == set(joiners)


def test_a_rename_by_put_and_member_changes_at_once_end_in_a_state_that_some_order_gives(
    gateway: GatewayProcess, live: ScimClient
) -> None:
    stays, added = live.user()["id"], [live.user()["id"] for _ in range(10)]
    group = live.group(members=[stays])

    def act(client: ScimClient, index: int) -> Answer:
        if index == 0:
            return client.put(f"/Groups/{group['id']}", new_group(f"{group['displayName']} renamed", [stays]))
        value = [{"value": added[index - 1]}]
        return client.patch(f"/Groups/{group['id']}", [{"op": "add", "path": "members", "value": value}])

    answers = at_once(gateway, 11, act)
    assert {answer.status for answer in answers} <= {200, 204}, [str(answer) for answer in answers]
    assert live.get(f"/Groups/{group['id']}").body["displayName"].endswith("renamed")
    # PUT means "exactly these": who was added before it is gone, who was added behind it is there.
    found = members(live, group["id"])
    assert stays in found
    assert found <= {stays, *added}


def test_patches_of_different_attributes_of_one_user_all_stay(gateway: GatewayProcess, live: ScimClient) -> None:
    id = live.user()["id"]
    names = ["title", "nickName", "displayName", "locale", "timezone", "userType", "preferredLanguage", "externalId"]
    answers = at_once(
        gateway,
        len(names),
        lambda client, index: client.patch(f"/Users/{id}", [{"op": "replace", "path": names[index], "value": "en-GB"}]),
    )
    assert {answer.status for answer in answers} == {200}, [str(answer) for answer in answers]
    body = live.get(f"/Users/{id}").expect(200).body
    assert {name: body.get(name) for name in names} == dict.fromkeys(names, "en-GB")


@pytest.mark.rfc("E-10")
def test_of_many_writers_with_the_same_if_match_one_wins(gateway: GatewayProcess, live: ScimClient) -> None:
    answer = live.get(f"/Users/{live.user()['id']}")
    id, etag = answer.body["id"], answer.etag
    answers = at_once(
        gateway,
        12,
        lambda client, index: client.patch(
            f"/Users/{id}",
            [{"op": "replace", "path": "title", "value": f"Writer {index}"}],
            headers={"If-Match": etag},
        ),
    )
    assert Counter(answer.status for answer in answers) == {200: 1, 412: 11}


def test_members_join_while_they_are_deleted_and_no_group_keeps_a_ghost(
    gateway: GatewayProcess, live: ScimClient
) -> None:
    group = live.group()["id"]
    ids = [live.user()["id"] for _ in range(12)]

    def act(client: ScimClient, index: int) -> Answer:
        id = ids[index // 2]
        if index % 2:
            return client.delete(f"/Users/{id}")
        return client.patch(f"/Groups/{group}", [{"op": "add", "path": "members", "value": [{"value": id}]}])

    answers = at_once(gateway, 24, act)
    assert {answer.status for answer in answers} <= {200, 204, 400}, [str(answer) for answer in answers]
    assert members(live, group) == set()


def test_groups_and_users_are_read_whole_while_they_are_changed(gateway: GatewayProcess, live: ScimClient) -> None:
    ids = [live.user()["id"] for _ in range(6)]
    group = live.group("Both or none", members=ids[:3])["id"]
    halves = [set(ids[:3]), set(ids[3:])]

    def act(client: ScimClient, index: int) -> Answer:
        if index < 2:
            for turn in range(10):
                client.put(f"/Groups/{group}", new_group("Both or none", halves[(turn + index) % 2])).expect(200)
        else:
            for _ in range(10):
                assert members(client, group) in halves
        return client.get(f"/Groups/{group}")

    answers = at_once(gateway, 8, act)
    assert {answer.status for answer in answers} == {200}
