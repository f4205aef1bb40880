"""Bugs of other SCIM servers that hurt somebody: each is shown not to be one of ours.

The numbers are those of the collection that the tests were written from; :data:`ELSEWHERE` names what no server causes.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from scim_http import ENTERPRISE, GROUP, TOKEN, USER, MakeScim, ScimClient, new_group, new_user

ONLY_ON = ("memory", "sql", "engine+portal")

ELSEWHERE = {
    10: "concurrent changes of one group: tests/live/test_contention.py",
    40: "a rate limiter in front of the server; the gateway has none",
}

Operations = list[dict[str, Any]]


def members(scim: ScimClient, id: str) -> set[str]:
    body = scim.get(f"/Groups/{id}").expect(200).body
    return {member["value"] for member in body.get("members", [])}


def people(scim: ScimClient, count: int = 3) -> list[str]:
    return [scim.user()["id"] for _ in range(count)]


def change(scim: ScimClient, path: str, *operations: Any) -> None:
    answer = scim.patch(path, list(operations))
    assert answer.status in (200, 204), answer


# -- activation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Replace", "path": "active", "value": "false"},
        {"op": "Add", "path": "active", "value": "False"},
        {"op": "replace", "path": "active", "value": False},
        {"op": "replace", "value": {"active": False}},
        {"op": "replace", "value": {"active": "False"}},
        {"op": "replace", "path": f"{USER}:active", "value": False},
        {"op": "Replace", "path": "ACTIVE", "value": "FALSE"},
    ],
    ids=lambda operation: "-".join(map(str, operation.values())),
)
def test_incidents_1_and_2_every_spelling_of_deactivate_deactivates(scim: ScimClient, operation: Any) -> None:
    id = scim.user(active=True)["id"]
    change(scim, f"/Users/{id}", operation)
    assert scim.get(f"/Users/{id}").body["active"] is False


@pytest.mark.parametrize("word", ["no", "0", "", "falsch", "None"])
def test_incident_1_a_word_that_is_no_boolean_is_refused_and_changes_nothing(scim: ScimClient, word: str) -> None:
    user = scim.user(active=True)
    scim.patch(f"/Users/{user['id']}", [{"op": "Replace", "path": "active", "value": word}]).expect(400)
    assert scim.get(f"/Users/{user['id']}").body == user


def test_incident_1_active_as_a_word_in_a_put_body_is_a_boolean_in_the_answer(scim: ScimClient) -> None:
    user = scim.user()
    body = scim.put(f"/Users/{user['id']}", new_user(user["userName"], active="False")).expect(200).body
    assert body["active"] is False


# -- membership -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "remove",
    [
        lambda who: {"op": "Remove", "path": "members", "value": [{"value": who}]},
        lambda who: {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": who}]},
        lambda who: {"op": "remove", "path": "members", "value": {"value": who}},
        lambda who: {"op": "remove", "path": f'members[value eq "{who}"]'},
        lambda who: {"op": "Remove", "path": f'Members[Value EQ "{who}"]'},
    ],
    ids=["value list", "value list with $ref null", "one object", "filter", "filter in other letters"],
)
def test_incidents_3_to_6_one_leaver_leaves_and_nobody_else(scim: ScimClient, remove: Any) -> None:
    ann, bob, cid = people(scim)
    group = scim.group(members=[ann, bob, cid])["id"]
    change(scim, f"/Groups/{group}", remove(bob))
    assert members(scim, group) == {ann, cid}
    change(scim, f"/Groups/{group}", remove(bob))
    assert members(scim, group) == {ann, cid}, "a repeated removal succeeds and does nothing"


def test_incident_5_add_is_a_union(scim: ScimClient) -> None:
    ann, bob, cid = people(scim)
    group = scim.group(members=[ann])["id"]
    change(scim, f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": bob}]})
    change(scim, f"/Groups/{group}", {"op": "Add", "value": {"members": [{"value": cid}]}})
    assert members(scim, group) == {ann, bob, cid}


@pytest.mark.parametrize(
    "value", [[], [{}], [{"display": "Bob"}], {"members": []}, "x"], ids=lambda value: str(value) or "empty"
)
def test_incident_3_a_removal_that_names_nobody_never_empties_the_group(scim: ScimClient, value: Any) -> None:
    ann, bob = people(scim, 2)
    group = scim.group(members=[ann, bob])["id"]
    answer = scim.patch(f"/Groups/{group}", [{"op": "remove", "path": "members", "value": value}])
    assert answer.status in (200, 204, 400), answer
    assert members(scim, group) == {ann, bob}


def test_incident_7_several_removals_in_one_request_take_the_right_people(scim: ScimClient) -> None:
    ids = people(scim, 6)
    group = scim.group(members=ids)["id"]
    leavers = [ids[0], ids[1], ids[4]]
    change(scim, f"/Groups/{group}", *({"op": "remove", "path": f'members[value eq "{id}"]'} for id in leavers))
    assert members(scim, group) == {ids[2], ids[3], ids[5]}


@pytest.mark.parametrize(
    "value",
    [{"displayName": "Renamed"}, {"externalId": "e-1"}, {"id": "ignored", "displayName": "Renamed"}],
    ids=lambda value: "-".join(value),
)
def test_incident_8_a_replace_without_members_leaves_them_alone(scim: ScimClient, value: Any) -> None:
    ann, bob = people(scim, 2)
    group = scim.group(members=[ann, bob])["id"]
    change(scim, f"/Groups/{group}", {"op": "replace", "value": value})
    assert members(scim, group) == {ann, bob}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "members", "value": []},
        {"op": "replace", "value": {"members": []}},
        {"op": "remove", "path": "members"},
        {"op": "remove", "path": "members", "value": None},
    ],
    ids=lambda operation: "-".join(map(str, operation.values())),
)
def test_incident_9_a_group_can_be_emptied(scim: ScimClient, operation: Any) -> None:
    group = scim.group(members=people(scim, 2))["id"]
    change(scim, f"/Groups/{group}", operation)
    assert members(scim, group) == set()
    change(scim, f"/Groups/{group}", operation)
    assert members(scim, group) == set()


def test_incident_11_an_unknown_member_is_named_and_nothing_else_is_said(scim: ScimClient) -> None:
    ann = scim.user()["id"]
    group = scim.group()["id"]
    value = [{"value": "no-such-id"}, {"value": ann}]
    requests = [
        lambda: scim.patch(f"/Groups/{group}", [{"op": "add", "path": "members", "value": value}]),
        lambda: scim.put(f"/Groups/{group}", {"schemas": [GROUP], "displayName": "G", "members": value}),
        lambda: scim.post("/Groups", {"schemas": [GROUP], "displayName": "New", "members": value}),
    ]
    for request in requests:
        answer = request().expect(400, "invalidValue")
        assert "no-such-id" in answer.detail
        assert ann not in answer.detail
        assert "sql" not in answer.detail.lower()
    assert members(scim, group) == set()
    assert scim.find('displayName eq "New"', "/Groups").body["totalResults"] == 0


def test_incidents_12_and_13_members_without_type_and_with_null_display_are_stored(scim: ScimClient) -> None:
    ann = scim.user(displayName="Ann")["id"]
    group = scim.group()
    body = {"schemas": [GROUP], "displayName": group["displayName"], "members": [{"value": ann, "display": None}]}
    stored = scim.put(f"/Groups/{group['id']}", body).expect(200).body["members"]
    assert [(member["value"], member["type"], member["display"]) for member in stored] == [(ann, "User", "Ann")]


def test_incidents_14_and_16_a_second_put_changes_the_members_and_stores_them(scim: ScimClient) -> None:
    ann, bob, cid = people(scim)
    group = scim.group(members=[ann])
    for wanted in ({ann, bob}, {bob, cid}, {cid}, {ann, bob, cid}):
        scim.put(f"/Groups/{group['id']}", new_group(group["displayName"], wanted)).expect(200)
        assert members(scim, group["id"]) == wanted


@pytest.mark.parametrize("path", ["members", None])
def test_incidents_15_and_42_adding_who_is_a_member_already_is_a_success(scim: ScimClient, path: str | None) -> None:
    ann = scim.user()["id"]
    group = scim.group(members=[ann])
    value: Any = [{"value": ann}]
    operation = {"op": "add", "path": path, "value": value} if path else {"op": "add", "value": {"members": value}}
    change(scim, f"/Groups/{group['id']}", operation)
    after = scim.get(f"/Groups/{group['id']}").body
    assert after["meta"]["version"] == group["meta"]["version"], "what changes nothing is no new version"


def test_incident_37_groups_can_be_patched_and_filled(scim: ScimClient) -> None:
    options = scim.request("OPTIONS", "/Groups/some-id")
    assert "PATCH" in options.headers["Allow"]


def test_incident_39_a_read_only_id_in_a_patch_value_is_ignored(scim: ScimClient) -> None:
    ann = scim.user()["id"]
    group = scim.group()["id"]
    value = {"id": group, "displayName": "Named", "members": [{"value": ann}]}
    change(scim, f"/Groups/{group}", {"op": "replace", "value": value})
    assert scim.get(f"/Groups/{group}").body["displayName"] == "Named"
    assert members(scim, group) == {ann}


def test_incident_43_a_patch_of_a_large_group_is_not_answered_with_all_its_members(make_scim: MakeScim) -> None:
    scim = make_scim(patch_answer_members=20)
    group = scim.group(members=people(scim, 19))["id"]
    for status in (200, 204):
        newcomer = [{"value": scim.user()["id"]}]
        answer = scim.patch(f"/Groups/{group}", [{"op": "add", "path": "members", "value": newcomer}]).expect(status)
        assert answer.etag
    assert len(members(scim, group)) == 21


def test_incident_49_a_group_can_be_deleted(scim: ScimClient) -> None:
    group = scim.group(members=people(scim, 1))["id"]
    scim.delete(f"/Groups/{group}").expect(204)
    scim.get(f"/Groups/{group}").expect(404)


# -- value paths, e-mails, managers, external ids ---------------------------------------------------------------------


def test_incident_17_a_value_path_on_a_missing_element_makes_it_and_the_rest_applies(scim: ScimClient) -> None:
    id = scim.user(active=True)["id"]
    change(
        scim,
        f"/Users/{id}",
        {"op": "Replace", "path": 'phoneNumbers[type eq "work"].value', "value": "+1 555 0100"},
        {"op": "Replace", "path": 'addresses[type eq "work"].locality', "value": "Bern"},
        {"op": "Replace", "path": 'addresses[type eq "work"].country', "value": "CH"},
        {"op": "Replace", "path": "active", "value": "False"},
    )
    body = scim.get(f"/Users/{id}").body
    assert body["phoneNumbers"] == [{"type": "work", "value": "+1 555 0100"}]
    assert body["addresses"] == [{"type": "work", "locality": "Bern", "country": "CH"}]
    assert body["active"] is False


def test_incident_18_an_e_mail_address_keeps_its_type_and_is_found_by_it(scim: ScimClient) -> None:
    id = scim.user(emails=[{"value": "Ann@example.com", "type": "work", "primary": True}])["id"]
    assert scim.find('emails[type eq "work"].value eq "ann@example.com"').ids == [id]
    assert scim.find('emails[type eq "home"].value eq "ann@example.com"').ids == []


@pytest.mark.parametrize(
    "operation",
    [
        lambda who: {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": who},
        lambda who: {"op": "Replace", "path": f"{ENTERPRISE}:manager", "value": {"value": who}},
        lambda who: {"op": "add", "path": f"{ENTERPRISE}:manager.value", "value": who},
        lambda who: {"op": "replace", "value": {f"{ENTERPRISE}:manager": who}},
        lambda who: {"op": "replace", "value": {ENTERPRISE: {"manager": {"value": who}}}},
    ],
    ids=["bare id", "object", "sub-attribute", "key with URN", "nested"],
)
def test_incident_19_the_manager_is_taken_as_a_bare_id_and_answered_as_an_object(
    scim: ScimClient, operation: Any
) -> None:
    boss = scim.user(displayName="Boss")["id"]
    id = scim.user()["id"]
    change(scim, f"/Users/{id}", operation(boss))
    body = scim.get(f"/Users/{id}").body
    assert ENTERPRISE in body["schemas"]
    assert body[ENTERPRISE]["manager"]["value"] == boss


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Add", "path": "externalId", "value": "new"},
        {"op": "replace", "path": "externalId", "value": "new"},
        {"op": "add", "value": {"externalId": "new"}},
        {"op": "replace", "value": {"externalId": "new"}},
    ],
    ids=lambda operation: "-".join(map(str, operation)) + operation["op"],
)
def test_incidents_20_and_21_the_external_id_can_be_set_and_the_answer_shows_it(
    scim: ScimClient, operation: Any
) -> None:
    for path, id in (("/Users", scim.user(externalId="old")["id"]), ("/Groups", scim.group(externalId="old")["id"])):
        assert scim.patch(f"{path}/{id}", [operation]).expect(200).body["externalId"] == "new"
        assert scim.find('externalId eq "new"', path).ids == [id]
        assert scim.find('externalId eq "old"', path).ids == []


# -- matching and re-creation -----------------------------------------------------------------------------------------


def test_incidents_22_24_and_47_a_deactivated_user_is_found_listed_and_comes_back_active(scim: ScimClient) -> None:
    user = scim.user("ann@example.com", active=True)
    change(scim, f"/Users/{user['id']}", {"op": "replace", "value": {"active": False}})
    assert scim.find('userName eq "ann@example.com"').ids == [user["id"]]
    assert scim.get("/Users").ids == [user["id"]]
    answer = scim.patch(f"/Users/{user['id']}", [{"op": "replace", "value": {"active": True}}]).expect(200)
    assert answer.body["active"] is True


def test_incident_23_the_same_external_id_does_not_block_a_new_user(scim: ScimClient) -> None:
    old = scim.user("ann@example.com", externalId="00u1")
    scim.delete(f"/Users/{old['id']}").expect(204)
    assert scim.user("ann@example.com", externalId="00u1")["id"] != old["id"]


def test_incident_25_a_conflict_is_named_uniqueness(scim: ScimClient) -> None:
    scim.user("ann@example.com")
    scim.group("Analysts")
    scim.post("/Users", new_user("ANN@example.com")).expect(409, "uniqueness")
    scim.post("/Groups", new_group("analysts")).expect(409, "uniqueness")


@pytest.mark.parametrize("backend", ["memory", "sql", "engine", "portal", "engine+portal"], indirect=True)
def test_incidents_26_and_41_a_second_create_never_takes_over_or_wipes_an_account(
    scim: ScimClient, backend: str
) -> None:
    user = scim.user("ann@example.com", title="Boss", emails=[{"value": "ann@example.com", "type": "work"}])
    scim.post("/Users", new_user("ann@example.com", title="Intruder")).expect(409, "uniqueness")
    other = new_user("mallory@example.com", emails=[{"value": "ann@example.com", "type": "work"}])
    if "portal" in backend:  # where the address is the identity
        scim.post("/Users", other).expect(409, "uniqueness")
    else:
        assert scim.post("/Users", other).expect(201).body["id"] != user["id"]
    assert scim.get(f"/Users/{user['id']}").body == user


def test_incident_46_a_profile_put_after_a_reactivation_succeeds(scim: ScimClient) -> None:
    user = scim.user("ann@example.com", active=True)
    path = f"/Users/{user['id']}"
    for active in (False, True, True):
        read = scim.get(path).body
        assert scim.put(path, {**read, "active": active}).expect(200).body["active"] is active


def test_incident_48_a_disabled_user_can_be_disabled_again_and_changed(scim: ScimClient) -> None:
    id = scim.user(active=False)["id"]
    change(scim, f"/Users/{id}", {"op": "Replace", "path": "active", "value": "False"})
    change(scim, f"/Users/{id}", {"op": "Replace", "path": "title", "value": "Former"})
    body = scim.get(f"/Users/{id}").body
    assert (body["active"], body["title"]) == (False, "Former")


# -- errors and transport ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/Nothing", None, 404),
        ("GET", "/Users/unknown", None, 404),
        ("POST", "/Users/some-id", "{}", 405),
        ("PATCH", "/Users", "{}", 405),
        ("POST", "/Users", "{", 400),
        ("POST", "/Users", "[]", 400),
        ("POST", "/Users", '{"schemas": []}', 400),
        ("PUT", "/Users/unknown", '{"userName": "x"}', 404),
    ],
)
def test_incidents_27_28_and_29_every_error_is_a_plain_scim_error(
    scim: ScimClient, method: str, path: str, body: str | None, status: int
) -> None:
    answer = scim.request(method, path, data=body).expect(status)
    assert answer.headers["Content-Type"].startswith("application/scim+json")
    assert set(answer.body) <= {"schemas", "status", "scimType", "detail"}
    assert answer.detail


def test_incident_27_a_missing_token_and_an_unknown_route_are_scim_errors_too(scim: ScimClient) -> None:
    for path in ("/Users", "/Nothing"):
        scim.with_token(None).get(path).expect(401)


def test_incident_29_names_and_the_external_id_are_optional(scim: ScimClient) -> None:
    body = scim.post("/Users", {"schemas": [USER], "userName": "bare@example.com"}).expect(201).body
    assert "externalId" not in body


@pytest.mark.parametrize(
    "media_type",
    [
        "application/scim+json",
        "application/scim+json; charset=utf-8",
        "application/scim+json;charset=UTF-8",
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/SCIM+JSON",
        None,
    ],
)
def test_incident_30_every_json_media_type_is_read(scim: ScimClient, media_type: str | None) -> None:
    headers = {"Content-Type": media_type}
    body = scim.post("/Users", new_user("ann@example.com"), headers=headers).expect(201).body
    assert body["userName"] == "ann@example.com"


def test_incident_31_the_media_type_of_answers_is_spelled_as_registered(scim: ScimClient) -> None:
    for path in ("/Users", "/ServiceProviderConfig", "/Nothing"):
        assert scim.get(path).headers["Content-Type"].partition(";")[0] == "application/scim+json"


def test_incident_38_a_request_without_user_agent_is_served(scim: ScimClient) -> None:
    scim.get("/Users", headers={"User-Agent": None}).expect(200)
    scim.get("/Users", headers={"User-Agent": ""}).expect(200)


@pytest.mark.parametrize("accept", ["application/scim+json", "application/json", "*/*", None])
def test_incident_45_no_accept_of_an_identity_provider_is_refused(scim: ScimClient, accept: str | None) -> None:
    scim.get("/Users", headers={"Accept": accept}).expect(200)


# -- lists ------------------------------------------------------------------------------------------------------------


def test_incidents_32_and_44_the_numbers_of_a_list_are_integers_and_true(scim: ScimClient) -> None:
    for count, query in ((0, "startIndex=1&count=100"), (3, "startIndex=1&count=100"), (3, "startIndex=999&count=100")):
        while scim.get("/Users").body["totalResults"] < count:
            scim.user()
        body = scim.get("/Users", query=query).expect(200).body
        assert type(body["totalResults"]) is type(body["startIndex"]) is type(body["itemsPerPage"]) is int
        assert body["totalResults"] == count
        assert body["itemsPerPage"] == len(body.get("Resources", []))


def test_incident_33_pages_hold_everybody_once_and_joins_do_not_count_twice(scim: ScimClient) -> None:
    ids = [scim.user(emails=[{"value": f"{n}@a.example"}, {"value": f"{n}@b.example"}])["id"] for n in range(25)]
    for name in ("One", "Two"):
        scim.group(name, members=ids)
    seen: list[str] = []
    for start in range(1, 26, 4):
        answer = scim.get("/Users", query={"startIndex": start, "count": 4, "filter": "emails.value pr"})
        assert answer.body["totalResults"] == 25
        seen += answer.ids
    assert sorted(seen) == sorted(ids)


def test_incident_34_the_filter_comes_before_the_page(scim: ScimClient) -> None:
    users = [
        {"method": "POST", "path": "/Users", "bulkId": f"u{number}", "data": new_user(f"p{number:02}@example.com")}
        for number in range(15)
    ]
    scim.bulk(*users).expect(200)
    first = scim.get("/Users", query={"startIndex": 1, "count": 10}).body
    assert (first["totalResults"], first["itemsPerPage"]) == (15, 10)
    body = scim.get("/Users", query={"filter": 'userName eq "p14@example.com"', "startIndex": 1, "count": 10}).body
    assert (body["totalResults"], body["itemsPerPage"]) == (1, 1)


# -- discovery --------------------------------------------------------------------------------------------------------


def test_incidents_35_and_36_the_discovery_endpoints_are_there(scim: ScimClient) -> None:
    config = scim.get("/ServiceProviderConfig").expect(200).body
    for feature in ("patch", "bulk", "filter", "changePassword", "sort", "etag"):
        assert type(config[feature]["supported"]) is bool
    assert config["bulk"]["maxOperations"] > 0
    for path in ("/ResourceTypes", "/ResourceTypes/User", "/ResourceTypes/Group", "/Schemas", f"/Schemas/{USER}"):
        scim.get(path).expect(200)


def test_incident_35_a_bad_token_is_told_so_also_at_the_discovery_endpoints(scim: ScimClient) -> None:
    scim.with_token(TOKEN + "-wrong").get("/ServiceProviderConfig").expect(401)


def test_every_incident_has_a_test_or_a_reason() -> None:
    covered = set(ELSEWHERE)
    for name in globals():
        if match := re.match(r"test_incidents?_((?:\d+_(?:and_|to_)?)+)", name):
            numbers = [int(number) for number in re.findall(r"\d+", match[1])]
            covered |= set(range(numbers[0], numbers[-1] + 1)) if "_to_" in match[1] else set(numbers)
    assert covered == set(range(1, 50))
