"""User, enterprise extension and Group: RFC 7643 §4 (chapter S of docs/conformance.rst, S-56 to S-71)."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from scim_http import ENTERPRISE, GROUP, USER, ScimClient, add, new_group, new_user, remove, replace

# A certificate that holds nothing: an empty SEQUENCE.
DER = "MAA="
PEM = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"


@pytest.mark.rfc("S-56", "C-04")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("josé", "jose\u0301"),
        ("BJENSEN", "bjensen"),
        ("abc@x", "\uff41\uff42\uff43@x"),
        ("straße", "STRASSE"),
        ("blank", " blank "),
        ("zero", "ze\u200bro"),
    ],
    ids=["composed", "case", "width", "sharp s", "blanks", "invisible"],
)
def test_user_names_that_look_the_same_are_the_same(scim: ScimClient, first: str, second: str) -> None:
    user = scim.user(first)
    scim.post("/Users", new_user(second)).expect(409, "uniqueness")
    assert scim.find(f'userName eq "{second}"').ids == [user["id"]]
    assert user["userName"] == first


@pytest.mark.rfc("S-56")
@pytest.mark.parametrize("other", ["jose", "josè", "josé2"])
def test_accents_tell_user_names_apart(scim: ScimClient, other: str) -> None:
    scim.user("josé")
    scim.user(other)
    assert scim.find('userName eq "josé"').names() == ["josé"]


@pytest.mark.rfc("S-57")
def test_parts_of_a_name_are_not_derived_from_each_other(scim: ScimClient) -> None:
    assert scim.user(name={"formatted": "Ms. B J"})["name"] == {"formatted": "Ms. B J"}
    assert scim.user(name={"givenName": "B", "familyName": "J"})["name"] == {"givenName": "B", "familyName": "J"}


@pytest.mark.rfc("S-58", "EID-6007")
def test_locale_language_and_timezone_are_kept_as_sent(strict_scim: ScimClient) -> None:
    for sent in (
        {"locale": "en-US", "preferredLanguage": "de-DE, en;q=0.7", "timezone": "Europe/Berlin"},
        {"locale": "en_US", "preferredLanguage": "en_US", "timezone": "no such place"},
    ):
        user = strict_scim.user(**sent)
        assert {name: user[name] for name in sent} == sent


@pytest.mark.rfc("S-59")
def test_an_inactive_user_is_readable_listed_and_found(scim: ScimClient) -> None:
    user = scim.user()
    scim.user()
    path = f"/Users/{user['id']}"
    assert scim.patch(path, [replace("active", False)]).expect(200).body["active"] is False
    assert scim.get(path).expect(200).body["active"] is False
    assert scim.find("active eq false").ids == [user["id"]]
    assert user["id"] in scim.get("/Users").ids
    assert scim.find(f'userName eq "{user["userName"]}"').ids == [user["id"]]


@pytest.mark.rfc("S-60", "R-13")
def test_a_short_password_is_refused_without_repeating_it(scim: ScimClient) -> None:
    answer = scim.post("/Users", new_user(password="xyzzy")).expect(400, "invalidValue")
    assert "password" in answer.detail
    assert "xyzzy" not in answer.detail


@pytest.mark.rfc("S-60")
def test_no_password_reaches_the_store(scim: ScimClient, tmp_path: Any) -> None:
    secret = "correct horse battery staple"
    user = scim.user(password=secret)
    scim.patch(f"/Users/{user['id']}", [replace("password", secret[::-1])]).expect(200)
    assert isinstance(scim.target, Flask)
    handler = scim.target.extensions["scim-gateway"].backend.handlers["User"]
    stored = handler.get(user["id"])
    assert not {name.lower() for name in stored} & {"password"}
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        content = file.read_bytes()
        assert secret.encode() not in content, file
        assert secret[::-1].encode() not in content, file


@pytest.mark.rfc("S-61", "E-13")
def test_groups_of_a_user_follow_the_groups(scim: ScimClient) -> None:
    user = scim.user()
    path = f"/Users/{user['id']}"
    inner = scim.group("Inner")
    outer = scim.group("Outer", [inner["id"]])
    scim.patch(f"/Groups/{inner['id']}", [add("members", [{"value": user["id"]}])])
    answer = scim.get(path).expect(200)
    assert sorted(answer.body["groups"], key=lambda group: group["display"]) == [
        {"value": inner["id"], "$ref": inner["meta"]["location"], "display": "Inner", "type": "direct"},
        {"value": outer["id"], "$ref": outer["meta"]["location"], "display": "Outer", "type": "indirect"},
    ]
    assert answer.etag != user["meta"]["version"]
    assert answer.body["meta"]["lastModified"] == user["meta"]["lastModified"]
    scim.patch(f"/Groups/{inner['id']}", [replace("displayName", "Renamed")]).expect(200)
    assert "Renamed" in [group["display"] for group in scim.get(path).body["groups"]]
    scim.delete(f"/Groups/{inner['id']}").expect(204)
    assert scim.get(path).body == user


@pytest.mark.rfc("S-62")
def test_mail_addresses_and_phone_numbers_come_back_as_sent(strict_scim: ScimClient) -> None:
    emails = [{"value": "bjensen@EXAMPLE.COM", "type": "work"}]
    phones = [{"value": "tel:+1-201-555-0123"}, {"value": "+1 201 555 0124"}, {"value": "(201) 555-0125 x9"}]
    user = strict_scim.user(emails=emails, phoneNumbers=phones)
    assert user["emails"] == emails
    assert user["phoneNumbers"] == phones


@pytest.mark.rfc("S-63", "EID-5990", "EID-5991")
def test_countries_photos_and_certificates(scim: ScimClient) -> None:
    # Entra ID sends names of countries; they are taken as they are.
    for country in ("CH", "USA", "United States"):
        assert scim.user(addresses=[{"country": country}])["addresses"] == [{"country": country}]
    photo = [{"value": "https://photos.example.com/p/72930000000Ccne/F", "type": "photo"}]
    assert scim.user(photos=photo)["photos"] == photo
    assert scim.user(x509Certificates=[{"value": DER}])["x509Certificates"] == [{"value": DER}]
    scim.post("/Users", new_user(x509Certificates=[{"value": PEM}])).expect(400, "invalidValue")


@pytest.mark.rfc("S-64")
def test_roles_and_entitlements_have_free_values(scim: ScimClient, strict_scim: ScimClient) -> None:
    for name in ("roles", "entitlements"):
        assert strict_scim.user(**{name: [{"value": "admin"}]})[name] == [{"value": "admin"}]
        strict_scim.post("/Users", new_user(**{name: ["admin"]})).expect(400)
        assert scim.user(**{name: ["admin"]})[name] == [{"value": "admin"}]


@pytest.mark.rfc("S-65", "EID-8472")
def test_enterprise_attributes_and_the_manager(scim: ScimClient) -> None:
    boss = scim.user(displayName="The Boss")
    other = {"employeeNumber": "7", "costCenter": "c", "organization": "o", "division": "d", "department": "e"}
    manager = {"value": boss["id"], "displayName": "made up"}
    user = scim.user(enterprise={**other, "manager": manager})
    assert user[ENTERPRISE] == {
        **other,
        "manager": {"value": boss["id"], "$ref": boss["meta"]["location"], "displayName": "The Boss"},
    }
    scim.patch(f"/Users/{boss['id']}", [replace("displayName", "New Name")]).expect(200)
    assert scim.get(f"/Users/{user['id']}").body[ENTERPRISE]["manager"]["displayName"] == "New Name"
    assert scim.find(f'{ENTERPRISE}:manager.value eq "{boss["id"]}"').ids == [user["id"]]
    assert scim.find(f'{ENTERPRISE}:manager.value eq "{boss["id"].upper()}"').ids == []


@pytest.mark.rfc("S-65", "S-71")
def test_a_manager_that_was_deleted_stays_named_by_id_and_blocks_nothing(scim: ScimClient) -> None:
    boss = scim.user()
    user = scim.user(enterprise={"manager": {"value": boss["id"]}})
    path = f"/Users/{user['id']}"
    scim.delete(f"/Users/{boss['id']}").expect(204)
    assert scim.get(path).body[ENTERPRISE]["manager"] == {"value": boss["id"]}
    changed = scim.patch(path, [replace("title", "x")]).expect(200).body
    assert scim.put(path, changed).expect(200).body == changed


@pytest.mark.rfc("S-66")
def test_by_default_a_manager_may_be_a_bare_id_or_a_list_of_one(scim: ScimClient) -> None:
    boss = scim.user()
    for sent in (boss["id"], [{"value": boss["id"]}]):
        user = scim.user(enterprise={"manager": sent})
        path = f"/Users/{user['id']}"
        assert user[ENTERPRISE]["manager"]["value"] == boss["id"]
        for nothing in (None, ""):
            scim.patch(path, [replace(f"{ENTERPRISE}:manager", boss["id"])]).expect(200)
            assert ENTERPRISE not in scim.patch(path, [replace(f"{ENTERPRISE}:manager", nothing)]).expect(200).body


@pytest.mark.rfc("S-66")
def test_strict_wants_a_manager_object(strict_scim: ScimClient) -> None:
    boss = strict_scim.user()
    strict_scim.post("/Users", new_user(enterprise={"manager": boss["id"]})).expect(400)
    strict_scim.post("/Users", new_user(enterprise={"manager": [{"value": boss["id"]}]})).expect(400)


@pytest.mark.rfc("S-67", "EID-5368")
def test_a_group_needs_a_display_name_and_discovery_says_so(scim: ScimClient) -> None:
    for body in ({"schemas": [GROUP]}, {"schemas": [GROUP], "displayName": ""}):
        answer = scim.post("/Groups", body).expect(400, "invalidValue")
        assert "displayName" in answer.detail
    schema = scim.get(f"/Schemas/{GROUP}").body
    name = next(attribute for attribute in schema["attributes"] if attribute["name"] == "displayName")
    assert name["required"] is True
    assert name["uniqueness"] == "server"


@pytest.mark.rfc("S-67")
def test_names_of_groups_are_unique_as_discovery_announces(scim: ScimClient) -> None:
    group = scim.group("Engineering")
    answer = scim.post("/Groups", new_group("ENGINEERING")).expect(409, "uniqueness")
    assert "displayName" in answer.detail
    other = scim.group("Sales")
    scim.put(f"/Groups/{other['id']}", new_group("engineering")).expect(409, "uniqueness")
    scim.put(f"/Groups/{group['id']}", new_group("ENGINEERING")).expect(200)


@pytest.mark.rfc("S-68")
def test_the_server_completes_members(scim: ScimClient) -> None:
    user, inner = scim.user("u@x", displayName="Person"), scim.group("Inner")
    group = scim.group(members=[user["id"], inner["id"]])
    assert sorted(group["members"], key=lambda member: member["type"]) == [
        {"value": inner["id"], "$ref": inner["meta"]["location"], "type": "Group", "display": "Inner"},
        {"value": user["id"], "$ref": user["meta"]["location"], "type": "User", "display": "Person"},
    ]
    assert scim.get(f"/Groups/{group['id']}").body == group


@pytest.mark.rfc("S-68", "S-47")
@pytest.mark.parametrize("sub", ["value", "type", "$ref"])
def test_a_member_is_added_or_removed_but_not_edited(scim: ScimClient, sub: str) -> None:
    user, other = scim.user(), scim.user()
    group = scim.group(members=[user["id"]])
    path = f"/Groups/{group['id']}"
    value = {"value": other["id"], "type": "Group", "$ref": other["meta"]["location"]}[sub]
    scim.patch(path, [replace(f'members[value eq "{user["id"]}"].{sub}', value)]).expect(400, "mutability")
    assert scim.get(path).body == group


@pytest.mark.rfc("S-69")
def test_value_ref_and_type_of_a_member_have_to_agree(scim: ScimClient) -> None:
    user, other = scim.user(), scim.user()
    for member in (
        {"value": user["id"], "type": "Group"},
        {"value": user["id"], "$ref": other["meta"]["location"]},
        {"value": user["id"], "$ref": f"../Groups/{user['id']}"},
    ):
        scim.post("/Groups", new_group() | {"members": [member]}).expect(400, "invalidValue")
    assert scim.get("/Groups").body["totalResults"] == 0


@pytest.mark.rfc("S-69", "S-40")
def test_a_member_is_held_once_and_named_by_its_own_name(scim: ScimClient) -> None:
    user = scim.user(displayName="Right")
    members = [
        {"value": user["id"], "display": "Wrong", "$ref": None},
        {"value": user["id"], "type": "User", "display": None},
    ]
    group = scim.post("/Groups", new_group() | {"members": members}).expect(201).body
    assert [(member["value"], member["display"]) for member in group["members"]] == [(user["id"], "Right")]
    path = f"/Groups/{group['id']}"
    again = scim.patch(path, [add("members", [{"value": user["id"]}])]).expect(200)
    assert again.body == group
    scim.patch(f"/Users/{user['id']}", [replace("displayName", "Newer")]).expect(200)
    assert scim.get(path).body["members"][0]["display"] == "Newer"


@pytest.mark.rfc("S-70")
def test_groups_may_hold_each_other(scim: ScimClient) -> None:
    user = scim.user()
    a = scim.group("A", [user["id"]])
    b = scim.group("B", [a["id"]])
    scim.patch(f"/Groups/{a['id']}", [add("members", [{"value": b["id"]}])]).expect(200)
    assert {member["display"] for member in scim.get(f"/Groups/{b['id']}").body["members"]} == {"A"}
    assert len(scim.get(f"/Groups/{a['id']}").body["members"]) == 2
    groups = scim.get(f"/Users/{user['id']}").expect(200).body["groups"]
    assert {(group["display"], group["type"]) for group in groups} == {("A", "direct"), ("B", "indirect")}
    scim.patch(f"/Groups/{a['id']}", [add("members", [{"value": a["id"]}])]).expect(200)
    scim.get(f"/Users/{user['id']}").expect(200)
    for group in (a, b):
        scim.delete(f"/Groups/{group['id']}").expect(204)
    assert "groups" not in scim.get(f"/Users/{user['id']}").body


@pytest.mark.rfc("S-71", "E-13")
def test_deleting_a_user_changes_its_groups(scim: ScimClient) -> None:
    user, other = scim.user(), scim.user()
    groups = [scim.group(members=[user["id"], other["id"]]) for _ in range(3)]
    bystander = scim.group(members=[other["id"]])
    scim.delete(f"/Users/{user['id']}").expect(204)
    for group in groups:
        now = scim.get(f"/Groups/{group['id']}").expect(200)
        assert [member["value"] for member in now.body["members"]] == [other["id"]]
        assert now.etag != group["meta"]["version"]
        assert now.body["meta"]["lastModified"] > group["meta"]["lastModified"]
    assert scim.get(f"/Groups/{bystander['id']}").body == bystander


@pytest.mark.rfc("S-18", "S-59")
def test_active_given_by_any_spelling_deactivates(scim: ScimClient) -> None:
    user = scim.user()
    path = f"/Users/{user['id']}"
    for sent in ([replace("ACTIVE", False)], [replace(None, {"Active": "False"})], [replace(f"{USER}:active", False)]):
        assert scim.patch(path, sent).expect(200).body["active"] is False
        assert scim.patch(path, [replace("active", True)]).expect(200).body["active"] is True


@pytest.mark.rfc("S-66", "S-04")
def test_removing_the_manager_removes_the_last_of_the_extension(scim: ScimClient) -> None:
    boss = scim.user()
    user = scim.user(enterprise={"manager": {"value": boss["id"]}})
    after = scim.patch(f"/Users/{user['id']}", [remove(f"{ENTERPRISE}:manager")]).expect(200).body
    assert after["schemas"] == [USER]
    assert ENTERPRISE not in after
