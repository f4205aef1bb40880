"""SingleStore's page "IdP Configuration - Okta", step by step and remark by remark, as an administrator meets them.

https://docs.singlestore.com/cloud/security/portal-access/scim-user-provisioning/idp-configuration-okta/
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from click.testing import CliRunner
from scim_http import GROUP, TOKEN, USER, MakeScim, ScimClient

from scim_gateway.cli import main
from scim_gateway.guides import connection_lines

ALSO_ON = ("mariadb",)

OKTA = {
    "Accept": "application/scim+json",
    "Accept-Charset": "utf-8",
    "Accept-Encoding": "gzip,deflate",
    "User-Agent": "Okta SCIM Client 1.0.0",
}
WRITE = {**OKTA, "Content-Type": "application/scim+json; charset=utf-8"}


def profile(name: str = "ann@example.com", **changes: Any) -> dict[str, Any]:
    """A user as Okta's custom app creates it."""
    return {
        "schemas": [USER],
        "userName": name,
        "name": {"givenName": "Ann", "familyName": "Archer"},
        "emails": [{"primary": True, "value": name, "type": "work"}],
        "displayName": "Ann Archer",
        "locale": "en-US",
        "externalId": f"00u{name}",
        "groups": [],
        "password": "1mz050nq",
        "active": True,
        **changes,
    }


def look_up(scim: ScimClient, value: str, path: str = "/Users", attribute: str = "userName") -> Any:
    query = {"filter": f'{attribute} eq "{value}"', "startIndex": "1", "count": "100"}
    return scim.get(path, query=query, headers=OKTA).expect(200).body


def assign(scim: ScimClient, name: str = "ann@example.com") -> dict[str, Any]:
    """Match, then create."""
    assert look_up(scim, name)["totalResults"] == 0
    body: dict[str, Any] = scim.post("/Users", profile(name), headers=WRITE).expect(201).body
    return body


def write_back(scim: ScimClient, id: str, **changes: Any) -> dict[str, Any]:
    """GET, merge, PUT: all that a custom app ever does to a user who exists."""
    read = scim.get(f"/Users/{id}", headers=OKTA).expect(200).body
    body: dict[str, Any] = scim.put(f"/Users/{id}", {**read, **changes}, headers=WRITE).expect(200).body
    return body


def push_group(scim: ScimClient, name: str = "Analysts") -> str:
    assert look_up(scim, name, "/Groups", "displayName")["totalResults"] == 0
    body = {"schemas": [GROUP], "displayName": name, "members": []}
    return str(scim.post("/Groups", body, headers=WRITE).expect(201).body["id"])


def put_group(scim: ScimClient, id: str, name: str, *members: str) -> dict[str, Any]:
    body = {
        "schemas": [GROUP],
        "id": id,
        "displayName": name,
        "members": [{"value": member, "display": None} for member in members],
    }
    answer: dict[str, Any] = scim.put(f"/Groups/{id}", body, headers=WRITE).expect(200).body
    return answer


def members(scim: ScimClient, id: str) -> set[str]:
    body = scim.get(f"/Groups/{id}", headers=OKTA).expect(200).body
    return {member["value"] for member in body.get("members", [])}


# -- Configure SCIM Provisioning --------------------------------------------------------------------------------------


def printed(*arguments: str, **settings: str) -> str:
    """What the command prints for a gateway with these settings."""
    environ = {f"SCIM_GATEWAY_{name}": value for name, value in settings.items()}
    result = CliRunner().invoke(main, list(arguments), obj=environ)
    assert result.exit_code == 0, result.output
    return result.output


def test_steps_1_to_3_the_guide_says_that_a_custom_application_is_meant() -> None:
    text = printed("okta")
    assert "custom application" in text
    assert "General > App Settings > Edit > Provisioning: SCIM > Save" in text
    assert "not one of the Okta Integration Network" in " ".join(text.split())


def test_step_4_the_guide_leads_to_the_page_with_the_fields() -> None:
    text = printed("okta")
    assert text.index("> Save") < text.index("Provisioning > Settings > Integration > Edit")
    assert text.index("Provisioning > Settings > Integration > Edit") < text.index("SCIM connector base URL: ")


def test_steps_4_to_9_the_guide_and_the_first_start_name_the_fields_as_the_page_does() -> None:
    url = "https://scim.example.com/scim/v2"
    fields = {
        "SCIM connector base URL": url,
        "Unique identifier field for users": "userName",
        "Supported provisioning actions": "Push New Users, Push Profile Updates, Push Groups",
        "Authentication Mode": "HTTP Header",
    }
    guide = printed("okta", PUBLIC_URL=url)
    start = "\n".join(connection_lines(url, "the-token"))
    for label, value in fields.items():
        assert f"{label}: {value}\n" in guide
        assert f"{label}: {value}\n" in start
    assert start.endswith("Authorization: the-token")
    assert json.loads(printed("okta", "--json", PUBLIC_URL=url)).items() >= fields.items()


def test_steps_10_to_12_the_guide_goes_on_as_the_page_does() -> None:
    text = printed("okta")
    places = [
        text.index(words)
        for words in (
            *("Test Connector Configuration", "Provisioning > To App > Edit"),
            *("Create Users", "Update User Attributes", "Deactivate Users"),
        )
    ]
    assert places == sorted(places)


def test_the_remarks_of_the_page_are_in_the_guide() -> None:
    text = " ".join(printed("okta").split())
    for words in ("Push Groups", "assigned", "unlinked", "link the existing group", "refresh", "do not delete groups"):
        assert words in text, words


def test_no_token_is_printed_by_the_guide() -> None:
    assert TOKEN not in printed("okta", TOKEN=TOKEN)


def test_step_6_user_name_is_a_unique_identifier_in_any_letter_case(scim: ScimClient) -> None:
    assign(scim)
    answer = scim.post("/Users", profile("ANN@example.com"), headers=WRITE).expect(409, "uniqueness")
    assert "userName" in answer.detail
    assert look_up(scim, "Ann@Example.com")["totalResults"] == 1


def test_step_7_1_push_new_users_matches_first_and_creates_once(scim: ScimClient) -> None:
    user = assign(scim)
    assert user["userName"] == "ann@example.com"
    assert user["active"] is True
    assert "password" not in user
    found = look_up(scim, "ann@example.com")
    assert found["totalResults"] == 1
    assert found["Resources"][0]["id"] == user["id"]


def test_step_7_1_push_new_users_links_to_an_account_that_is_there_already(scim: ScimClient) -> None:
    id = assign(scim)["id"]
    found = look_up(scim, "ann@example.com")["Resources"][0]
    assert found["id"] == id
    assert write_back(scim, found["id"], displayName="Linked")["displayName"] == "Linked"


def test_step_7_2_push_profile_updates_replaces_the_profile_and_keeps_the_id(scim: ScimClient) -> None:
    id = assign(scim)["id"]
    updated = write_back(scim, id, name={"givenName": "Anna", "familyName": "Archer"}, title="Analyst")
    assert updated["id"] == id
    assert updated["name"]["givenName"] == "Anna"
    again = write_back(scim, id)
    assert again["title"] == "Analyst"
    assert {key: again[key] for key in again if key != "meta"} == {
        key: updated[key] for key in updated if key != "meta"
    }


def test_step_7_2_an_attribute_without_mapping_is_cleared(scim: ScimClient) -> None:
    id = assign(scim)["id"]
    write_back(scim, id, title="Analyst")
    body = profile()
    del body["password"]
    assert "title" not in scim.put(f"/Users/{id}", body, headers=WRITE).expect(200).body


def test_step_7_3_push_groups_creates_the_group_and_puts_its_members(scim: ScimClient) -> None:
    ann, bob = assign(scim)["id"], assign(scim, "bob@example.com")["id"]
    group = push_group(scim)
    put_group(scim, group, "Analysts", ann, bob)
    assert members(scim, group) == {ann, bob}
    put_group(scim, group, "Analysts", bob)
    assert members(scim, group) == {bob}
    assert put_group(scim, group, "Analysts renamed", bob)["displayName"] == "Analysts renamed"
    put_group(scim, group, "Analysts renamed")
    assert members(scim, group) == set()


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "{}"])
def test_steps_8_and_9_http_header_mode_takes_the_token_with_and_without_bearer(scim: ScimClient, header: str) -> None:
    headers = {**OKTA, "Authorization": header.format(TOKEN)}
    scim.get("/Users", query="startIndex=1&count=2", headers=headers).expect(200)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"]
)
def test_step_9_any_other_authorization_is_refused_with_a_text_that_okta_can_show(
    scim: ScimClient, header: str | None
) -> None:
    answer = scim.get("/Users", query="startIndex=1&count=2", headers={**OKTA, "Authorization": header})
    answer.expect(401)
    assert answer.detail
    assert TOKEN not in answer.detail
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_step_10_test_connector_configuration_reads_two_users(scim: ScimClient) -> None:
    body = scim.get("/Users", query="startIndex=1&count=2", headers=OKTA).expect(200).body
    assert body["totalResults"] == 0
    for number in range(3):
        assign(scim, f"user{number}@example.com")
    body = scim.get("/Users", query="startIndex=1&count=2", headers=OKTA).expect(200).body
    numbers = [body[name] for name in ("totalResults", "startIndex", "itemsPerPage")]
    assert numbers == [3, 1, 2]
    assert all(type(number) is int for number in numbers), "Okta stops at numbers that are strings"


def test_step_5_the_base_url_works_with_a_slash_at_its_end(scim: ScimClient) -> None:
    id = assign(scim)["id"]
    scim.get(f"//Users/{id}", headers=OKTA).expect(200)


def test_step_12_1_create_users_returns_what_okta_needs_to_link(scim: ScimClient) -> None:
    answer = scim.post("/Users", profile(), headers=WRITE).expect(201)
    assert answer.body["id"]
    assert answer.headers["Location"] == answer.body["meta"]["location"]
    assert answer.headers["Location"].endswith(f"/Users/{answer.body['id']}")
    assert answer.body["externalId"] == "00uann@example.com"


def test_step_12_1_a_repeated_create_is_a_conflict_and_changes_nothing(scim: ScimClient) -> None:
    user = assign(scim)
    scim.post("/Users", profile(displayName="Other"), headers=WRITE).expect(409, "uniqueness")
    assert scim.get(f"/Users/{user['id']}").expect(200).body == user


def test_step_12_2_update_user_attributes_leaves_activation_and_memberships_alone(scim: ScimClient) -> None:
    ann, group = assign(scim)["id"], push_group(scim)
    put_group(scim, group, "Analysts", ann)
    department = {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Research"}}
    updated = write_back(scim, ann, schemas=[USER, *department], nickName="Annie", **department)
    assert updated["nickName"] == "Annie"
    assert updated.items() >= department.items()
    assert updated["active"] is True
    assert [shown["value"] for shown in updated["groups"]] == [group]
    assert members(scim, group) == {ann}
    # What was merged into the read profile comes back in the next update, and is no change any more.
    assert write_back(scim, ann) == updated


def test_step_12_2_an_update_of_a_deactivated_user_does_not_activate_it(scim: ScimClient) -> None:
    ann = assign(scim)["id"]
    write_back(scim, ann, active=False)
    assert write_back(scim, ann, title="On leave")["active"] is False


def test_step_12_3_deactivate_users_keeps_the_user_findable_and_inactive(scim: ScimClient) -> None:
    id = assign(scim)["id"]
    assert write_back(scim, id, active=False)["active"] is False
    found = look_up(scim, "ann@example.com")
    assert [(user["id"], user["active"]) for user in found["Resources"]] == [(id, False)]
    assert [user["active"] for user in scim.get("/Users", headers=OKTA).resources] == [False]


def test_step_12_3_reactivation_shows_in_its_own_answer(scim: ScimClient) -> None:
    id = assign(scim)["id"]
    write_back(scim, id, active=False)
    assert write_back(scim, id, active=True)["active"] is True
    assert write_back(scim, id, title="Back")["active"] is True


# -- Remarks ----------------------------------------------------------------------------------------------------------


def test_remark_1_the_same_name_pushed_after_unlinking_is_a_conflict_that_says_how_to_link(scim: ScimClient) -> None:
    push_group(scim, "Analysts")  # then unlinked at Okta, and left in place here
    body = {"schemas": [GROUP], "displayName": "analysts", "members": []}
    answer = scim.post("/Groups", body, headers=WRITE).expect(409, "uniqueness")
    assert "displayName" in answer.detail
    assert re.search(r"\blink", answer.detail, re.IGNORECASE), answer.detail


def test_remark_1_linking_instead_finds_the_group_and_takes_it_over(scim: ScimClient) -> None:
    group = push_group(scim)
    ann = assign(scim)["id"]
    found = look_up(scim, "Analysts", "/Groups", "displayName")
    assert [resource["id"] for resource in found["Resources"]] == [group]
    put_group(scim, group, "Analysts", ann)
    assert members(scim, group) == {ann}


def test_remark_1_unlinking_with_delete_frees_the_name(scim: ScimClient) -> None:
    group = push_group(scim)
    scim.delete(f"/Groups/{group}", headers=OKTA).expect(204)
    assert push_group(scim) != group


def test_remark_2_a_member_who_was_never_assigned_is_named_and_nothing_changes(scim: ScimClient) -> None:
    ann, group = assign(scim)["id"], push_group(scim)
    put_group(scim, group, "Analysts", ann)
    body = {"schemas": [GROUP], "displayName": "Analysts", "members": [{"value": ann}, {"value": "never-assigned"}]}
    answer = scim.put(f"/Groups/{group}", body, headers=WRITE).expect(400, "invalidValue")
    assert "never-assigned" in answer.detail
    assert ann not in answer.detail
    assert members(scim, group) == {ann}


def test_remark_2_group_pushes_do_not_touch_assignments(scim: ScimClient) -> None:
    ann, group = assign(scim)["id"], push_group(scim)
    put_group(scim, group, "Analysts", ann)
    put_group(scim, group, "Analysts")
    scim.delete(f"/Groups/{group}", headers=OKTA).expect(204)
    assert scim.get(f"/Users/{ann}").expect(200).body["active"] is True


def test_remark_3_a_new_and_empty_endpoint_answers_old_ids_by_404_so_that_okta_creates_anew(
    scim: ScimClient, make_scim: MakeScim
) -> None:
    ann, group = assign(scim)["id"], push_group(scim)
    fresh = make_scim()
    for path in (f"/Users/{ann}", f"/Groups/{group}"):
        fresh.get(path, headers=OKTA).expect(404)
        fresh.delete(path, headers=OKTA).expect(404)
    fresh.put(f"/Users/{ann}", profile(), headers=WRITE).expect(404)
    fresh.put(f"/Groups/{group}", {"schemas": [GROUP], "displayName": "Analysts"}, headers=WRITE).expect(404)
    rename = {"op": "replace", "value": {"id": group, "displayName": "Analysts"}}
    fresh.patch(f"/Groups/{group}", [rename], headers=WRITE).expect(404)
    assert fresh.get("/Users").body["totalResults"] == 0, "PUT never creates"

    assert assign(fresh)["id"] != ann
    assert push_group(fresh) != group


def test_remark_3_groups_deleted_in_the_target_first_come_back_by_a_new_push(scim: ScimClient) -> None:
    group = push_group(scim)
    scim.delete(f"/Groups/{group}").expect(204)  # by an administrator, behind Okta's back
    answer = scim.put(f"/Groups/{group}", {"schemas": [GROUP], "displayName": "Analysts"}, headers=WRITE).expect(404)
    assert answer.detail
    new = push_group(scim)
    assert look_up(scim, "Analysts", "/Groups", "displayName")["Resources"][0]["id"] == new


def test_remark_4_after_a_refresh_every_look_up_of_the_changed_endpoint_is_an_empty_list(scim: ScimClient) -> None:
    for path, attribute in (("/Users", "userName"), ("/Groups", "displayName")):
        body = look_up(scim, "whoever@example.com", path, attribute)
        assert body["totalResults"] == 0
        assert body.get("Resources", []) == []


def test_remark_5_a_change_of_the_primary_e_mail_updates_the_same_user(scim: ScimClient) -> None:
    ann = assign(scim)
    group = push_group(scim)
    put_group(scim, group, "Analysts", ann["id"])
    new = "ann.archer@example.com"
    changed = write_back(scim, ann["id"], userName=new, emails=[{"primary": True, "value": new, "type": "work"}])
    assert changed["id"] == ann["id"]
    assert changed["userName"] == changed["emails"][0]["value"] == new
    assert changed["meta"]["created"] == ann["meta"]["created"]
    assert look_up(scim, new)["Resources"][0]["id"] == ann["id"]
    assert look_up(scim, "ann@example.com")["totalResults"] == 0
    assert members(scim, group) == {ann["id"]}


def test_remark_5_a_primary_e_mail_that_is_not_the_user_name_changes_alone(scim: ScimClient) -> None:
    ann = assign(scim)
    emails = [
        {"primary": True, "value": "ann.archer@example.com", "type": "work"},
        {"primary": False, "value": "ann@example.com", "type": "home"},
    ]
    changed = write_back(scim, ann["id"], emails=emails)
    assert changed["id"] == ann["id"]
    assert changed["userName"] == "ann@example.com"
    assert [email["value"] for email in changed["emails"] if email.get("primary")] == ["ann.archer@example.com"]
    for text in ('emails.value eq "ANN.ARCHER@example.com"', 'emails[primary eq true and value sw "ann.archer"]'):
        assert scim.find(text).ids == [ann["id"]]


def test_remark_5_the_old_e_mail_address_is_free_for_somebody_else(scim: ScimClient) -> None:
    ann = assign(scim)["id"]
    new = "ann.archer@example.com"
    write_back(scim, ann, userName=new, emails=[{"primary": True, "value": new, "type": "work"}])
    assert assign(scim, "ann@example.com")["id"] != ann


def test_remark_5_an_e_mail_address_that_is_somebody_elses_user_name_is_a_conflict(scim: ScimClient) -> None:
    ann = assign(scim)["id"]
    assign(scim, "bob@example.com")
    read = scim.get(f"/Users/{ann}").expect(200).body
    scim.put(f"/Users/{ann}", {**read, "userName": "bob@example.com"}, headers=WRITE).expect(409, "uniqueness")
    assert look_up(scim, "ann@example.com")["totalResults"] == 1


def test_the_id_is_opaque_and_says_nothing_about_the_user(scim: ScimClient) -> None:
    user = assign(scim)
    assert "ann" not in user["id"].lower()
    assert "/" not in user["id"]
    assert user["id"] not in (user["userName"], user["externalId"])
    scim.delete(f"/Users/{user['id']}").expect(204)
    assert assign(scim)["id"] != user["id"], "an id is never used again"
