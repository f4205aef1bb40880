"""Versions and conditional requests: RFC 7644 §3.14, RFC 9110 §13 (chapter E of docs/conformance.rst)."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from scim_http import ScimClient, add, new_user, remove, replace


def opaque(tag: str) -> str:
    return tag.removeprefix("W/").strip('"')


@pytest.mark.rfc("E-01", "D-04")
def test_versions_are_announced_and_there(scim: ScimClient) -> None:
    assert scim.get("/ServiceProviderConfig").body["etag"] == {"supported": True}
    assert scim.user()["meta"]["version"]


@pytest.mark.rfc("E-02", "O-22")
def test_every_answer_with_a_resource_has_a_weak_tag(scim: ScimClient) -> None:
    created = scim.post("/Users", new_user("u")).expect(201)
    path = f"/Users/{created.body['id']}"
    for answer in (
        created,
        scim.get(path),
        scim.put(path, new_user("u", title="t")),
        scim.patch(path, [replace("title", "x")]),
        scim.get(f"{path}?attributes=userName"),
    ):
        assert re.fullmatch(r'W/"[^"]+"', answer.etag)
        if "meta" in answer.body:
            assert answer.body["meta"]["version"] == answer.etag


@pytest.mark.rfc("E-03", "P-08")
def test_a_tag_changes_with_each_change_and_only_then(scim: ScimClient) -> None:
    user = scim.user()
    path = f"/Users/{user['id']}"
    assert scim.get(path).etag == scim.get(path).etag == user["meta"]["version"]
    tags = [scim.patch(path, [replace("title", f"t{number}")]).etag for number in range(10)]
    assert len({*tags, user["meta"]["version"]}) == 11
    assert scim.patch(path, [replace("title", "t9")]).etag == tags[-1]


@pytest.mark.rfc("E-04", "E-05", "T-07")
def test_if_none_match_compares_weakly_and_takes_lists_and_the_star(scim: ScimClient) -> None:
    user = scim.user()
    path, tag = f"/Users/{user['id']}", user["meta"]["version"]
    for current in (tag, f'"{opaque(tag)}"', f'"x", {tag}', f'W/"x" , W/"{opaque(tag)}"', "*"):
        answer = scim.get(path, headers={"If-None-Match": current}).expect(304)
        assert answer.etag == tag
        assert answer.raw == b""
        assert scim.request("HEAD", path, headers={"If-None-Match": current}).status == 304
    for other in ('"x"', 'W/"0"', '""', f'"{opaque(tag)}x"'):
        assert scim.get(path, headers={"If-None-Match": other}).expect(200).body == user


@pytest.mark.rfc("E-06", "P-09")
def test_a_stale_if_match_is_412_for_every_change(scim: ScimClient) -> None:
    user = scim.user("u")
    path = f"/Users/{user['id']}"
    now = scim.patch(path, [replace("title", "t")])
    stale = {"If-Match": user["meta"]["version"]}
    scim.put(path, new_user("u"), headers=stale).expect(412)
    scim.patch(path, [replace("title", "x")], headers=stale).expect(412)
    scim.delete(path, headers=stale).expect(412)
    scim.get(path, headers=stale).expect(412)
    assert scim.get(path).body == now.body


@pytest.mark.rfc("E-07", "E-08", "O-22")
def test_if_match_takes_weak_and_strong_tags_lists_and_the_star(scim: ScimClient) -> None:
    path = f"/Users/{scim.user()['id']}"
    for number, form in enumerate(('W/"{}"', '"{}"', '"x", W/"{}"', '"x","{}"', "*")):
        current = opaque(scim.get(path).etag)
        answer = scim.patch(path, [replace("title", f"t{number}")], headers={"If-Match": form.format(current)})
        assert answer.expect(200).body["title"] == f"t{number}"


@pytest.mark.rfc("E-08")
def test_a_condition_on_what_does_not_exist_is_404(scim: ScimClient) -> None:
    for condition in ("*", 'W/"1"'):
        scim.put("/Users/nope", new_user(), headers={"If-Match": condition}).expect(404)
        scim.delete("/Users/nope", headers={"If-Match": condition}).expect(404)


@pytest.mark.rfc("E-09", "A-06")
def test_credentials_existence_conditions_and_body_are_checked_in_this_order(scim: ScimClient) -> None:
    user = scim.user()
    path, stale = f"/Users/{user['id']}", {"If-Match": 'W/"x"'}
    scim.with_token(None).put("/Users/nope", data="{", headers=stale).expect(401)
    scim.put("/Users/nope", data="{", headers=stale).expect(404)
    scim.put(path, data="{", headers=stale).expect(412)
    scim.patch(path, {"schemas": ["x"]}, headers=stale).expect(412)
    scim.put(path, data="{", headers={"If-None-Match": "*"}).expect(412)
    scim.put(path, data="{").expect(400)


@pytest.mark.rfc("E-10")
def test_check_and_write_are_one_step(scim: ScimClient) -> None:
    user = scim.user("u")
    path, condition = f"/Users/{user['id']}", {"If-Match": user["meta"]["version"]}

    def put(number: int) -> int:
        return scim.put(path, new_user("u", title=f"t{number}"), headers=condition).status

    with ThreadPoolExecutor(10) as pool:
        statuses = Counter(pool.map(put, range(20)))
    assert statuses == {200: 1, 412: 19}


@pytest.mark.rfc("E-10")
def test_changes_at_the_same_time_without_conditions_lose_nothing(scim: ScimClient) -> None:
    users = [scim.user()["id"] for _ in range(12)]
    group = scim.group()
    path = f"/Groups/{group['id']}"
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda user: scim.patch(path, [add("members", [{"value": user}])]).status, users))
    assert set(statuses) == {200}
    assert {member["value"] for member in scim.get(path).body["members"]} == set(users)


@pytest.mark.rfc("E-11")
def test_if_none_match_that_matches_stops_a_write(scim: ScimClient) -> None:
    user = scim.user("u")
    path = f"/Users/{user['id']}"
    for condition in ("*", user["meta"]["version"]):
        scim.put(path, new_user("u", title="x"), headers={"If-None-Match": condition}).expect(412)
        scim.patch(path, [replace("title", "x")], headers={"If-None-Match": condition}).expect(412)
        scim.delete(path, headers={"If-None-Match": condition}).expect(412)
    assert scim.get(path).body == user
    scim.patch(path, [replace("title", "x")], headers={"If-None-Match": '"other"'}).expect(200)


@pytest.mark.rfc("E-12", "O-22")
def test_conditions_are_not_required(scim: ScimClient) -> None:
    user = scim.user("u")
    path = f"/Users/{user['id']}"
    scim.put(path, new_user("u", title="x")).expect(200)
    scim.patch(path, [replace("title", "y")]).expect(200)
    scim.delete(path).expect(204)


@pytest.mark.rfc("E-13", "S-71")
def test_the_tag_of_a_group_moves_with_its_members(scim: ScimClient) -> None:
    users = [scim.user()["id"] for _ in range(3)]
    group = scim.group(members=users[:2])
    path = f"/Groups/{group['id']}"
    tags = [group["meta"]["version"]]
    tags.append(scim.patch(path, [add("members", [{"value": users[2]}])]).etag)
    tags.append(scim.patch(path, [remove(f'members[value eq "{users[0]}"]')]).etag)
    scim.delete(f"/Users/{users[1]}").expect(204)
    tags.append(scim.get(path).etag)
    assert len(set(tags)) == 4
    assert scim.get(f"{path}?excludedAttributes=members").etag == tags[-1]
    assert scim.patch(path, [add("members", [{"value": users[2]}])]).etag == tags[-1]


@pytest.mark.rfc("E-13", "S-61")
def test_the_tag_of_a_user_moves_with_its_groups(scim: ScimClient) -> None:
    user = scim.user()
    path = f"/Users/{user['id']}"
    group = scim.group(members=[user["id"]])
    joined = scim.get(path).etag
    assert joined != user["meta"]["version"]
    scim.get(path, headers={"If-None-Match": user["meta"]["version"]}).expect(200)
    scim.put(path, new_user(user["userName"], title="x"), headers={"If-Match": user["meta"]["version"]}).expect(412)
    scim.patch(f"/Groups/{group['id']}", [remove("members")]).expect(200)
    assert scim.get(path).etag == user["meta"]["version"]
