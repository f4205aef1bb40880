"""OneLogin, JumpCloud and the rest: the forms of their requests that differ from Okta's and Entra ID's."""

from __future__ import annotations

from typing import Any

import pytest
from scim_http import ENTERPRISE, USER, ScimClient, new_user

ONLY_ON = ("memory", "sql", "engine+portal")

ONELOGIN_SCHEMAS = ["urn:scim:schemas:core:2.0", "urn:scim:schemas:extension:enterprise:2.0"]


def onelogin(**changes: Any) -> dict[str, Any]:
    """A body from an administrator's template: empty macros stay in it as empty texts."""
    return {
        "schemas": ONELOGIN_SCHEMAS,
        "id": None,
        "userName": "ann@example.com",
        "active": "true",
        "name": {"givenName": "Ann", "familyName": "Archer", "formatted": ""},
        "title": "",
        "manager": {"managerId": ""},
        "emails": [{"value": "ann@example.com", "type": "work", "primary": True}],
        **changes,
    }


def test_onelogin_creates_by_urns_that_are_not_of_the_rfc(scim: ScimClient) -> None:
    body = scim.post("/Users", onelogin(), headers={"Content-Type": "application/json"}).expect(201).body
    assert body["schemas"] == [USER]
    assert body["active"] is True
    assert body["id"]


def test_onelogin_replaces_with_an_empty_query_and_active_as_a_word(scim: ScimClient) -> None:
    id = scim.post("/Users", onelogin()).expect(201).body["id"]
    answer = scim.put(f"/Users/{id}?", onelogin(active="false"), headers={"Content-Type": "application/json"})
    assert answer.expect(200).body["active"] is False


def test_onelogin_looks_up_with_plus_signs_and_an_ampersand_at_the_end(scim: ScimClient) -> None:
    id = scim.post("/Users", onelogin()).expect(201).body["id"]
    headers = {"Content-Type": "application/json"}
    assert scim.get("/Users?filter=userName+eq+%22ann%40example.com%22&", headers=headers).ids == [id]


def test_onelogin_sends_one_e_mail_address_as_an_object(scim: ScimClient) -> None:
    body = scim.post("/Users", onelogin(emails={"value": "ann@example.com"})).expect(201).body
    assert [email["value"] for email in body["emails"]] == ["ann@example.com"]


def test_jumpcloud_patches_an_attribute_an_operation_and_repeats_itself(scim: ScimClient) -> None:
    ann, bob = scim.user()["id"], scim.user()["id"]
    operations = [
        {"op": "replace", "path": "name.givenName", "value": "Ann"},
        {"op": "replace", "path": "name.familyName", "value": "Archer"},
        {"op": "replace", "path": "active", "value": True},
    ]
    assert scim.patch(f"/Users/{ann}", operations).expect(200).body["name"] == {
        "givenName": "Ann",
        "familyName": "Archer",
    }
    group = scim.group()["id"]
    for operation in ("add", "add", "remove", "remove"):
        value = [{"value": ann}, {"value": bob}] if operation == "add" else [{"value": ann}]
        answer = scim.patch(f"/Groups/{group}", [{"op": operation, "path": "members", "value": value}])
        assert answer.status in (200, 204), answer
    assert [member["value"] for member in scim.get(f"/Groups/{group}").body["members"]] == [bob]


def test_jumpclouds_connection_test_makes_a_user_and_a_group_and_deletes_them(scim: ScimClient) -> None:
    for _ in range(2):
        user, group = scim.user("test@example.com")["id"], scim.group("JumpCloud test")["id"]
        scim.delete(f"/Groups/{group}").expect(204)
        scim.delete(f"/Users/{user}").expect(204)


def test_ping_compares_e_mails_as_a_whole(scim: ScimClient) -> None:
    id = scim.user(emails=[{"value": "ann@example.com", "type": "work"}])["id"]
    assert scim.find('emails eq "ANN@example.com"').ids == [id]
    assert scim.find('emails eq "bob@example.com"').ids == []


def test_authentik_gets_back_what_it_sent_so_that_it_need_not_send_it_again(scim: ScimClient) -> None:
    sent = new_user(
        "akuser",
        active=True,
        emails=[{"primary": True, "type": "other", "value": "akuser@goauthentik.io"}],
        externalId="ak-1",
        name={"familyName": "User", "formatted": "Ak User", "givenName": "Ak"},
        displayName="Ak User",
    )
    body = scim.post("/Users", sent).expect(201).body
    assert {key: body[key] for key in sent} == sent
    body = scim.put(f"/Users/{body['id']}", sent).expect(200).body
    assert {key: body[key] for key in sent} == sent


def test_keycloak_sends_enterprise_data_without_its_urn(scim: ScimClient) -> None:
    user = scim.user()
    body = new_user(user["userName"], meta={"location": f"Users/{user['id']}"}) | {ENTERPRISE: {"department": "Sales"}}
    answer = scim.put(f"/Users/{user['id']}", body).expect(200).body
    assert answer["schemas"] == [USER, ENTERPRISE]
    assert answer[ENTERPRISE] == {"department": "Sales"}


@pytest.mark.parametrize("attribute", ["roles", "entitlements"])
def test_plain_texts_in_a_list_of_elements_are_their_values(scim: ScimClient, attribute: str) -> None:
    body = scim.post("/Users", new_user("ann@example.com") | {attribute: ["a", "b"]}).expect(201).body
    assert body[attribute] == [{"value": "a"}, {"value": "b"}]


@pytest.mark.parametrize("value", ["", None])
def test_an_emptied_field_is_cleared_and_never_an_error(scim: ScimClient, value: str | None) -> None:
    id = scim.user(title="Old", nickName="Kept")["id"]
    body = scim.patch(f"/Users/{id}", [{"op": "replace", "path": "title", "value": value}]).expect(200).body
    assert body.get("title", "") == ""
    assert body["nickName"] == "Kept"


def test_an_empty_user_name_is_refused(scim: ScimClient) -> None:
    id = scim.user("ann@example.com")["id"]
    scim.patch(f"/Users/{id}", [{"op": "replace", "path": "userName", "value": ""}]).expect(400)
    assert scim.get(f"/Users/{id}").body["userName"] == "ann@example.com"
