"""Types of values: RFC 7643 §2.3, §2.4 (chapter S of docs/conformance.rst, S-29 to S-42)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from declared import BADGE, badge
from scim_http import ENTERPRISE, ScimClient, add, new_group, new_user, replace


@pytest.mark.rfc("S-29", "C-05")
@pytest.mark.parametrize(
    "wrong",
    [
        {"userName": 5},
        {"userName": {"value": "x"}},
        {"userName": True},
        {"active": 3},
        {"name": 7},
        {"name": "J"},
        {"title": ["a", "b"]},
        {"title": {"a": "b"}},
        {"emails": 5},
        {"emails": [7]},
        {"emails": [{"value": 7}]},
        {"emails": [{"primary": 1}]},
        {"emails": [["a"]]},
        {"profileUrl": 1},
        {"externalId": 12},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_json_type_is_refused(scim: ScimClient, wrong: dict[str, Any]) -> None:
    answer = scim.post("/Users", {**new_user(), **wrong}).expect(400)
    assert answer.body["scimType"] in ("invalidValue", "invalidSyntax")
    assert next(iter(wrong)) in answer.detail
    assert scim.get("/Users").body["totalResults"] == 0


@pytest.mark.rfc("S-29")
@pytest.mark.parametrize("wrong", [{"emails": {"value": "a@b"}}, {"emails": "a@b"}, {"emails": ["a@b"]}], ids=str)
def test_strict_lifts_nothing_into_an_array_or_object(strict_scim: ScimClient, wrong: dict[str, Any]) -> None:
    strict_scim.post("/Users", {**new_user(), **wrong}).expect(400)


@pytest.mark.rfc("S-29")
@pytest.mark.parametrize("sent", [{"value": "a@b"}, "a@b", ["a@b"]], ids=str)
def test_by_default_a_bare_value_is_lifted_into_an_element(scim: ScimClient, sent: Any) -> None:
    assert scim.user(emails=sent)["emails"] == [{"value": "a@b"}]


@pytest.mark.rfc("S-30", "O-16")
@pytest.mark.parametrize(("word", "value"), [("True", True), ("true", True), ("FALSE", False), ("False", False)])
def test_by_default_boolean_words_are_booleans(scim: ScimClient, word: str, value: bool) -> None:
    assert scim.user(active=word)["active"] is value
    assert scim.user(emails=[{"value": "a@b", "primary": word}])["emails"][0].get("primary", False) is value


@pytest.mark.rfc("S-30", "O-16")
def test_other_words_are_no_booleans_and_strict_takes_none(scim: ScimClient, strict_scim: ScimClient) -> None:
    for word in ("maybe", "", "1", "yes"):
        scim.post("/Users", new_user(active=word)).expect(400, "invalidValue")
    strict_scim.post("/Users", new_user(active="true")).expect(400, "invalidValue")


@pytest.mark.rfc("S-31")
@pytest.mark.parametrize(
    "text", ["日本 😀", "e\u0301 combining", "ﬁ ligature", "a\u200bb", " blanks ", 'quote " and \\']
)
def test_texts_come_back_as_they_were_sent(scim: ScimClient, text: str) -> None:
    user = scim.user(displayName=text, externalId=text)
    again = scim.get(f"/Users/{user['id']}").body
    assert again["displayName"] == again["externalId"] == text


@pytest.mark.rfc("S-31")
def test_the_nul_character_is_refused_and_the_answer_says_where(scim: ScimClient) -> None:
    answer = scim.post("/Users", new_user(name={"familyName": "a\x00b"})).expect(400)
    assert "name.familyName" in answer.detail


@pytest.mark.rfc("S-32")
@pytest.mark.parametrize("number", ["5", "-7", "9223372036854775807"])
def test_integers_are_kept(badge_scim: ScimClient, number: str) -> None:
    body = json.dumps(badge(number="NUMBER")).replace('"NUMBER"', number)
    assert badge_scim.post("/Users", data=body).expect(201).body[BADGE] == {"number": int(number)}


@pytest.mark.rfc("S-32")
@pytest.mark.parametrize("number", ["5.5", "5.0", "1e3", '"5"', "true", "9223372036854775808", "[5]"])
def test_what_is_no_integer_is_refused(badge_scim: ScimClient, number: str) -> None:
    body = json.dumps(badge(number="NUMBER")).replace('"NUMBER"', number)
    badge_scim.post("/Users", data=body).expect(400)


@pytest.mark.rfc("S-32")
def test_decimals_are_numbers(badge_scim: ScimClient) -> None:
    assert badge_scim.post("/Users", badge(weight=2.5)).expect(201).body[BADGE] == {"weight": 2.5}
    assert badge_scim.post("/Users", badge(weight=3)).expect(201).body[BADGE] == {"weight": 3}
    for wrong in ("2.5", True, [2.5]):
        badge_scim.post("/Users", badge(weight=wrong)).expect(400)
    for half in (".5", "1."):
        body = json.dumps(badge(weight="WEIGHT")).replace('"WEIGHT"', half)
        badge_scim.post("/Users", data=body).expect(400, "invalidSyntax")


@pytest.mark.rfc("S-33")
@pytest.mark.parametrize(
    "moment",
    ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00+02:00", "2024-01-01T00:00:00.123456Z", "2024-01-01T00:00:00"],
)
def test_a_date_time_has_date_and_time_and_comes_back_as_sent(badge_scim: ScimClient, moment: str) -> None:
    assert badge_scim.post("/Users", badge(validFrom=moment)).expect(201).body[BADGE] == {"validFrom": moment}


@pytest.mark.rfc("S-33")
@pytest.mark.parametrize(
    "wrong", ["2024-01-01", "now", "2024-13-01T00:00:00Z", "10:00:00", 1704067200, "20240101T000000Z"]
)
def test_what_is_no_date_time_is_refused(badge_scim: ScimClient, wrong: Any) -> None:
    badge_scim.post("/Users", badge(validFrom=wrong)).expect(400, "invalidValue")


@pytest.mark.rfc("S-34")
@pytest.mark.parametrize("sent", ["AQID", "AQI=", "AQI", "AQ=="])
def test_base64_with_and_without_padding_comes_back_the_same(badge_scim: ScimClient, sent: str) -> None:
    shown = badge_scim.post("/Users", badge(seal=sent)).expect(201).body[BADGE]["seal"]
    padding = "=" * (-len(sent) % 4)
    assert base64.b64decode(shown + "=" * (-len(shown) % 4)) == base64.b64decode(sent + padding)


@pytest.mark.rfc("S-34")
@pytest.mark.parametrize("wrong", ["@@@", "A", "AQI D", "ä", 5])
def test_what_is_no_base64_is_refused(badge_scim: ScimClient, wrong: Any) -> None:
    badge_scim.post("/Users", badge(seal=wrong)).expect(400, "invalidValue")


@pytest.mark.rfc("S-35")
@pytest.mark.parametrize(
    "form", ["Users/{id}", "/Users/{id}", "../Users/{id}", "https://h/Users/{id}", "https://h/v2/Users/{id}"]
)
def test_references_in_every_form_mean_the_same_resource(scim: ScimClient, form: str) -> None:
    user = scim.user()
    sent = [{"value": user["id"], "$ref": form.format(id=user["id"])}]
    group = scim.post("/Groups", new_group() | {"members": sent}).expect(201).body
    assert group["members"][0]["$ref"] == user["meta"]["location"]
    scim.get(group["members"][0]["$ref"]).expect(200)


@pytest.mark.rfc("S-35")
def test_every_reference_that_is_shown_can_be_read(scim: ScimClient) -> None:
    boss = scim.user()
    user = scim.user(enterprise={"manager": {"value": boss["id"]}})
    inner = scim.group(members=[user["id"]])
    scim.group(members=[inner["id"], boss["id"]])
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend([value["$ref"]] if "$ref" in value else [])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(scim.get("/").resources)
    assert len(found) == 7  # one manager, three members, three groups of users
    for reference in found:
        scim.get(reference).expect(200)


@pytest.mark.rfc("S-36", "S-68", "O-17")
def test_a_reference_to_nothing_is_refused_everywhere_and_names_the_id(scim: ScimClient) -> None:
    user, group = scim.user(), scim.group()
    nobody = "00000000-0000-0000-0000-000000000000"
    for answer in (
        scim.post("/Groups", new_group(members=[user["id"], nobody])),
        scim.put(f"/Groups/{group['id']}", new_group(group["displayName"], [nobody])),
        scim.patch(f"/Groups/{group['id']}", [add("members", [{"value": nobody}])]),
        scim.post("/Users", new_user(enterprise={"manager": {"value": nobody}})),
        scim.patch(f"/Users/{user['id']}", [replace(f"{ENTERPRISE}:manager", {"value": nobody})]),
        scim.post("/Users", new_user(enterprise={"manager": {"value": group["id"]}})),
    ):
        answer.expect(400, "invalidValue")
        assert user["id"] not in answer.detail
        assert nobody in answer.detail or group["id"] in answer.detail
    assert "members" not in scim.get(f"/Groups/{group['id']}").body


@pytest.mark.rfc("S-37")
def test_the_order_of_json_members_means_nothing(scim: ScimClient) -> None:
    body = new_user(title="x", name={"familyName": "f", "givenName": "g"}, enterprise={"department": "d"})
    user = scim.post("/Users", body).expect(201).body
    shuffled = {name: body[name] for name in reversed(body)}
    shuffled["name"] = {"givenName": "g", "familyName": "f"}
    assert scim.put(f"/Users/{user['id']}", shuffled).expect(200).body == user


@pytest.mark.rfc("S-38", "EID-8358")
@pytest.mark.parametrize(
    "name", ["emails", "phoneNumbers", "ims", "photos", "entitlements", "roles", "x509Certificates"]
)
def test_multi_valued_attributes_take_the_default_sub_attributes(scim: ScimClient, name: str) -> None:
    value = {"photos": "https://example.com/p.png", "x509Certificates": "AQID"}.get(name, "v")
    element = {"value": value, "display": "shown", "type": "work", "primary": True}
    assert scim.user(**{name: [element]})[name] == [element]


@pytest.mark.rfc("S-38")
def test_an_address_has_no_value(strict_scim: ScimClient) -> None:
    address = {"streetAddress": "1 Rue", "locality": "Bern", "country": "CH", "type": "work", "primary": True}
    assert strict_scim.user(addresses=[address])["addresses"] == [address]
    strict_scim.post("/Users", new_user(addresses=[{"value": "x"}])).expect(400)


@pytest.mark.rfc("S-39")
def test_primary_is_true_at_most_once_and_never_invented(scim: ScimClient) -> None:
    two = [{"value": "a@b", "primary": True}, {"value": "c@d", "primary": True}]
    scim.post("/Users", new_user(emails=two)).expect(400, "invalidValue")
    user = scim.user(emails=[{"value": "a@b"}, {"value": "c@d"}])
    assert not any("primary" in element for element in user["emails"])
    scim.put(f"/Users/{user['id']}", new_user(user["userName"], emails=two)).expect(400, "invalidValue")
    assert scim.get(f"/Users/{user['id']}").body == user
    scim.user(emails=[two[0]], phoneNumbers=[{"value": "1", "primary": True}])


@pytest.mark.rfc("S-40")
def test_a_pair_of_type_and_value_is_kept_once(scim: ScimClient) -> None:
    work, home = {"value": "a@b", "type": "work"}, {"value": "a@b", "type": "home"}
    assert scim.user(emails=[work, home, work])["emails"] == [work, home]


@pytest.mark.rfc("S-41")
def test_canonical_values_suggest_and_do_not_restrict(strict_scim: ScimClient) -> None:
    element = {"value": "a@b", "type": "private"}
    assert strict_scim.user(emails=[element])["emails"] == [element]


@pytest.mark.rfc("S-42")
def test_elements_keep_their_order(scim: ScimClient) -> None:
    values = ["c@x", "a@x", "b@x"]
    user = scim.user(emails=[{"value": value} for value in values])
    assert [element["value"] for element in scim.get(f"/Users/{user['id']}").body["emails"]] == values
    added = scim.patch(f"/Users/{user['id']}", [add("emails", {"value": "0@x"})]).body["emails"]
    assert [element["value"] for element in added] == [*values, "0@x"]
