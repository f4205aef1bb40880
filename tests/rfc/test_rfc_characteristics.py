"""Characteristics of attributes: RFC 7643 §2.2, §7 (chapter S of docs/conformance.rst, S-43 to S-55)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from declared import BADGE, BADGE_EXTENSION, BADGE_SCHEMA, DEVICE, DEVICE_SCHEMA, DEVICE_TYPE, SITE, SITE_SCHEMA, badge
from scim_http import USER, ScimClient, add, new_user, remove, replace


@pytest.mark.rfc("S-43")
def test_a_bare_attribute_has_the_default_characteristics(badge_scim: ScimClient) -> None:
    schema = badge_scim.get(f"/Schemas/{BADGE}").expect(200).body
    bare = next(attribute for attribute in schema["attributes"] if attribute["name"] == "bare")
    bare.pop("description", None)
    assert bare == {
        "name": "bare",
        "type": "string",
        "multiValued": False,
        "required": False,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
    }
    user = badge_scim.post("/Users", badge(bare="Word")).expect(201).body
    assert user[BADGE] == {"bare": "Word"}
    assert badge_scim.find(f'{BADGE}:bare eq "wORD"').ids == [user["id"]]
    badge_scim.post("/Users", badge(bare="Word")).expect(201)
    badge_scim.post("/Users", badge(bare=["Word"])).expect(400)


@pytest.mark.rfc("S-44")
def test_a_required_sub_attribute_counts_only_where_its_parent_is(badge_scim: ScimClient) -> None:
    badge_scim.post("/Users", badge(bare="x")).expect(201)
    answer = badge_scim.post("/Users", badge(access={"door": "7"})).expect(400, "invalidValue")
    assert "floor" in answer.detail
    user = badge_scim.post("/Users", badge(access={"door": "7", "floor": "2"})).expect(201).body
    path = f"/Users/{user['id']}"
    assert badge_scim.patch(path, [remove(f"{BADGE}:access.floor")]).status == 400
    assert badge_scim.patch(path, [remove(f"{BADGE}:access")]).status == 200


@pytest.mark.rfc("S-45", "C-04")
def test_without_case_exact_case_is_kept_but_not_significant(scim: ScimClient) -> None:
    user = scim.user("BJensen", title="Chief")
    assert user["userName"] == "BJensen"
    assert scim.find('userName eq "bjensen"').names() == ["BJensen"]
    assert scim.find('title eq "cHIEF"').ids == [user["id"]]
    scim.post("/Users", new_user("BJENSEN")).expect(409, "uniqueness")


@pytest.mark.rfc("S-45")
def test_with_case_exact_case_is_significant(badge_scim: ScimClient) -> None:
    user = badge_scim.post("/Users", badge(code="AbC")).expect(201).body
    assert badge_scim.find(f'{BADGE}:code eq "abc"').ids == []
    assert badge_scim.find(f'{BADGE}:code sw "Ab"').ids == [user["id"]]
    badge_scim.post("/Users", badge(code="aBc")).expect(201)
    badge_scim.post("/Users", badge(code="AbC")).expect(409, "uniqueness")


@pytest.mark.rfc("S-46", "C-03", "U-06")
def test_read_only_values_are_ignored_in_post_and_put_and_refused_in_patch(scim: ScimClient) -> None:
    group = scim.group()
    user = scim.user(groups=[{"value": group["id"]}])
    path = f"/Users/{user['id']}"
    assert "groups" not in user
    body = new_user(user["userName"], groups=[{"value": group["id"]}])
    assert scim.put(path, body).expect(200).body == user
    scim.patch(path, [replace("groups", [{"value": group["id"]}])]).expect(400, "mutability")
    scim.patch(path, [replace("meta.created", "1999-01-01T00:00:00Z")]).expect(400, "mutability")
    scim.patch(path, [remove("groups")]).expect(400, "mutability")
    assert "members" not in scim.get(f"/Groups/{group['id']}").body


@pytest.mark.rfc("S-46", "C-03")
def test_a_declared_read_only_attribute_is_not_the_clients(badge_scim: ScimClient) -> None:
    user = badge_scim.post("/Users", badge(level="9", bare="x")).expect(201).body
    assert user[BADGE] == {"bare": "x"}
    badge_scim.patch(f"/Users/{user['id']}", [add(f"{BADGE}:level", "9")]).expect(400, "mutability")


@pytest.mark.rfc("S-47", "U-07")
def test_an_immutable_value_is_set_once(badge_scim: ScimClient) -> None:
    user = badge_scim.post("/Users", badge(bare="x")).expect(201).body
    path, frame = f"/Users/{user['id']}", {"schemas": [USER, BADGE], "userName": user["userName"]}
    assert badge_scim.put(path, {**frame, BADGE: {"serial": "s1"}}).expect(200).body[BADGE] == {"serial": "s1"}
    badge_scim.put(path, {**frame, BADGE: {"serial": "s1"}}).expect(200)
    badge_scim.put(path, {**frame, BADGE: {"serial": "s2"}}).expect(400, "mutability")
    left_out = badge_scim.put(path, {**frame, BADGE: {"bare": "y"}}).expect(200).body
    assert left_out[BADGE] == {"bare": "y", "serial": "s1"}
    badge_scim.patch(path, [replace(f"{BADGE}:serial", "s2")]).expect(400, "mutability")
    badge_scim.patch(path, [replace(f"{BADGE}:serial", "s1")]).expect(200)


@pytest.mark.rfc("S-48", "S-50", "B-21", "R-13")
def test_a_write_only_value_is_accepted_and_shown_nowhere(scim: ScimClient) -> None:
    secret = "correct horse battery staple"
    created = scim.post("/Users", new_user(password=secret)).expect(201)
    path = f"/Users/{created.body['id']}"
    answers = [
        created,
        scim.get(path),
        scim.get(f"{path}?attributes=password"),
        scim.get("/Users"),
        scim.get("/Users?attributes=password,userName"),
        scim.search(attributes=["password"]),
        scim.put(path, new_user(created.body["userName"], password=secret)),
        scim.patch(path, [replace("password", secret)]),
        scim.bulk({"method": "POST", "path": "/Users", "bulkId": "1", "data": new_user(password=secret)}),
        scim.bulk({"method": "POST", "path": "/Users", "bulkId": "1", "data": {"password": secret}}),
        scim.post("/Users", {"schemas": [USER], "password": secret}),
        scim.post("/Users", new_user(password=[secret])),
    ]
    for answer in answers:
        assert secret.encode() not in answer.raw, answer
        assert b'"password":' not in answer.raw, answer


@pytest.mark.rfc("S-49", "S-51", "Q-24")
def test_always_and_default_attributes_follow_the_projection(scim: ScimClient) -> None:
    user = scim.user(displayName="D", title="T")
    path = f"/Users/{user['id']}"
    assert scim.get(path).body["displayName"] == "D"
    assert set(scim.get(f"{path}?attributes=title").body) == {"schemas", "id", "title"}
    assert set(scim.get(f"{path}?attributes=userName").body) == {"schemas", "id", "userName"}
    assert "displayName" not in scim.get(f"{path}?excludedAttributes=displayName").body


@pytest.mark.rfc("S-50", "Q-31")
def test_never_returned_attributes_stay_out_though_named(badge_scim: ScimClient) -> None:
    user = badge_scim.post("/Users", badge(pin="1234", bare="x")).expect(201).body
    assert user[BADGE] == {"bare": "x"}
    named = badge_scim.get(f"/Users/{user['id']}?attributes={BADGE}:pin").expect(200)
    assert BADGE not in named.body
    assert b"1234" not in named.raw


@pytest.mark.rfc("S-52", "Q-31", "C-02")
def test_attributes_returned_on_request_are_shown_when_named_or_sent(badge_scim: ScimClient) -> None:
    created = badge_scim.post("/Users", badge(hint="h", bare="x")).expect(201).body
    assert created[BADGE] == {"hint": "h", "bare": "x"}
    path = f"/Users/{created['id']}"
    assert badge_scim.get(path).body[BADGE] == {"bare": "x"}
    assert badge_scim.get("/Users").resources[0][BADGE] == {"bare": "x"}
    assert badge_scim.get(f"{path}?attributes={BADGE}:hint").body[BADGE] == {"hint": "h"}
    assert badge_scim.patch(path, [replace(f"{BADGE}:hint", "i")]).body[BADGE] == {"hint": "i", "bare": "x"}
    assert badge_scim.patch(path, [replace(f"{BADGE}:bare", "y")]).body[BADGE] == {"bare": "y"}
    frame = {"schemas": [USER, BADGE], "userName": created["userName"]}
    assert badge_scim.put(path, {**frame, BADGE: {"hint": "j"}}).body[BADGE] == {"hint": "j"}


@pytest.mark.rfc("S-53")
def test_characteristics_of_sub_attributes_count_for_themselves(badge_scim: ScimClient) -> None:
    access = {"floor": "2", "door": "7", "secret": "s", "note": "n", "maker": "m"}
    user = badge_scim.post("/Users", badge(access=access)).expect(201).body
    path = f"/Users/{user['id']}"
    assert "secret" not in user[BADGE]["access"]
    assert badge_scim.get(path).body[BADGE]["access"] == {"floor": "2", "door": "7", "maker": "m"}
    named = badge_scim.get(f"{path}?attributes={BADGE}:access.note").body
    assert named[BADGE]["access"] == {"note": "n"}
    badge_scim.patch(path, [replace(f"{BADGE}:access.maker", "other")]).expect(400, "mutability")
    badge_scim.patch(path, [replace(f"{BADGE}:access.door", "8")]).expect(200)


@pytest.mark.rfc("S-54", "C-04", "U-09", "R-06")
def test_uniqueness_holds_for_post_put_patch_and_bulk(scim: ScimClient) -> None:
    taken, other = scim.user("taken@x"), scim.user("other@x")
    path = f"/Users/{other['id']}"
    scim.post("/Users", new_user("Taken@x")).expect(409, "uniqueness")
    scim.put(path, new_user("TAKEN@x")).expect(409, "uniqueness")
    scim.patch(path, [replace("userName", "taken@X")]).expect(409, "uniqueness")
    bulk = scim.bulk(
        {"method": "POST", "path": "/Users", "bulkId": "1", "data": new_user("taken@x")},
        {"method": "PUT", "path": path, "data": new_user("taken@x")},
    )
    assert [result["status"] for result in bulk.body["Operations"]] == ["409", "409"]
    assert scim.get(path).body == other
    scim.put(path, new_user("OTHER@x")).expect(200)
    assert scim.get("/Users").body["totalResults"] == 2
    scim.group("taken@x")  # unique among those of its own type
    assert scim.get(f"/Users/{taken['id']}").body == taken


@pytest.mark.rfc("S-55", "EID-8471")
def test_reference_types_stand_with_references_only_and_name_what_exists(scim: ScimClient) -> None:
    types = {resource["name"] for resource in scim.get("/ResourceTypes").resources} | {"external", "uri"}
    found: dict[str, list[str]] = {}

    def walk(attributes: list[dict[str, Any]], prefix: str) -> None:
        for attribute in attributes:
            name = prefix + attribute["name"]
            assert ("referenceTypes" in attribute) == (attribute["type"] == "reference"), name
            if "referenceTypes" in attribute:
                assert set(attribute["referenceTypes"]) <= types, name
                found[name] = attribute["referenceTypes"]
            walk(attribute.get("subAttributes", []), f"{name}.")

    for schema in scim.get("/Schemas").resources:
        walk(schema["attributes"], f"{schema['name']}.")
    assert found["User.photos.value"] == ["external"]
    assert sorted(found["Group.members.$ref"]) == ["Group", "User"]
    assert found["User.groups.$ref"] == ["Group"]


@pytest.mark.rfc("S-43", "S-45", "S-54", "D-14")
def test_a_declared_resource_type_is_served_like_the_built_in_ones(device_scim: ScimClient) -> None:
    body = {"schemas": [DEVICE, SITE], "label": "d1", "slots": 9, SITE: {"site": "Bern"}}
    device = device_scim.post("/Devices", body).expect(201).body
    device_scim.post("/Devices", body).expect(409, "uniqueness")
    device_scim.post("/Devices", {**body, "label": "D1", "slots": 10}).expect(201)
    assert device["meta"]["resourceType"] == "Device"
    assert device_scim.find("slots lt 10", "/Devices").names("label") == ["d1"]
    assert device_scim.get("/Devices?sortBy=slots&sortOrder=descending").names("slots") == [10, 9]
    assert device_scim.find(f'{SITE}:site eq "bern"', "/Devices").body["totalResults"] == 2
    patched = device_scim.patch(f"/Devices/{device['id']}", [replace("slots", 3)]).expect(200).body
    assert patched["slots"] == 3
    assert device_scim.get("/").body["totalResults"] == 2
    device_scim.delete(f"/Devices/{device['id']}").expect(204)


@pytest.mark.rfc("S-43")
def test_declarations_are_shown_by_discovery(make_scim: Callable[..., ScimClient]) -> None:
    scim = make_scim(
        schemas=[BADGE_SCHEMA, DEVICE_SCHEMA, SITE_SCHEMA], extensions=[BADGE_EXTENSION], resource_types=[DEVICE_TYPE]
    )
    types = {resource["name"]: resource for resource in scim.get("/ResourceTypes").resources}
    assert {"schema": BADGE, "required": False} in types["User"]["schemaExtensions"]
    assert types["Device"]["schemaExtensions"] == [{"schema": SITE, "required": True}]
    assert {BADGE, DEVICE, SITE} <= {schema["id"] for schema in scim.get("/Schemas").resources}
