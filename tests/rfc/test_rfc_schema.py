"""Schemas, names, types and characteristics of attributes: RFC 7643 §2, §3, §7 (chapter S of docs/conformance.rst)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from declared import BADGE, BADGE_EXTENSION, BADGE_SCHEMA, DEVICE, DEVICE_SCHEMA, DEVICE_TYPE, SITE, SITE_SCHEMA
from scim_http import ENTERPRISE, GROUP, USER, ScimClient, add, new_group, new_user, patch_op, remove, replace

from scim_gateway.app import create_app
from scim_gateway.changes import new_id
from scim_gateway.config import ConfigurationError


def badge(**attributes: Any) -> dict[str, Any]:
    """The body of a user with these attributes in the declared extension."""
    body = new_user()
    return {**body, "schemas": [*body["schemas"], BADGE], BADGE: attributes}


# The frame of a resource: schemas, id, externalId, meta


@pytest.mark.rfc("S-01", "C-05")
@pytest.mark.parametrize("schemas", [None, [], USER, [5]], ids=["missing", "empty", "a bare string", "a number"])
def test_strict_refuses_a_resource_without_proper_schemas(strict_scim: ScimClient, schemas: Any) -> None:
    body = {**new_user(), "schemas": schemas}
    if schemas is None:
        del body["schemas"]
    strict_scim.post("/Users", body).expect(400)
    assert strict_scim.get("/Users").body["totalResults"] == 0


@pytest.mark.rfc("S-01")
@pytest.mark.parametrize("schemas", [None, [], [USER.upper()]], ids=["missing", "empty", "upper case"])
def test_by_default_missing_schemas_are_inferred(scim: ScimClient, schemas: Any) -> None:
    body = {**new_user(), "schemas": schemas}
    if schemas is None:
        del body["schemas"]
    assert scim.post("/Users", body).expect(201).body["schemas"] == [USER]


@pytest.mark.rfc("S-01")
def test_every_answer_names_its_schemas(scim: ScimClient) -> None:
    user = scim.user()
    for answer in (
        scim.get(f"/Users/{user['id']}"),
        scim.get("/Users"),
        scim.search(),
        scim.get("/Schemas"),
        scim.bulk({"method": "DELETE", "path": f"/Users/{user['id']}"}),
        scim.get("/Users/nope"),
        scim.get("/Nope"),
        scim.delete("/Users"),
        scim.post("/Users", data="{"),
    ):
        assert answer.body["schemas"], answer
        assert all(urn.startswith("urn:ietf:params:scim:") for urn in answer.body["schemas"])


@pytest.mark.rfc("S-02", "C-07")
@pytest.mark.parametrize(
    "schemas",
    [[ENTERPRISE], [GROUP], [USER, GROUP], [USER, "urn:example:unlisted"]],
    ids=["extension alone", "group", "user and group", "unlisted"],
)
def test_strict_refuses_schemas_that_are_not_those_of_the_type(strict_scim: ScimClient, schemas: list[str]) -> None:
    answer = strict_scim.post("/Users", {**new_user(), "schemas": schemas}).expect(400)
    assert answer.body["scimType"] in ("invalidSyntax", "invalidValue")


@pytest.mark.rfc("C-07", "S-02")
def test_a_group_is_no_user_in_any_profile(scim: ScimClient) -> None:
    scim.post("/Users", new_group()).expect(400)
    scim.post("/Groups", new_user()).expect(400)
    assert scim.get("/").body["totalResults"] == 0


@pytest.mark.rfc("S-03")
def test_order_of_schemas_means_nothing_and_none_is_repeated(scim: ScimClient) -> None:
    one = scim.user(enterprise={"department": "a"})
    body = new_user(enterprise={"department": "a"})
    other = scim.post("/Users", {**body, "schemas": [ENTERPRISE, USER, USER]}).expect(201).body
    assert set(one["schemas"]) == set(other["schemas"]) == {USER, ENTERPRISE}
    assert len(other["schemas"]) == 2
    assert scim.get(f"/Users/{other['id']}").body["schemas"] == other["schemas"]


@pytest.mark.rfc("S-04")
def test_schemas_follow_the_extension_data(scim: ScimClient) -> None:
    path = f"/Users/{scim.user()['id']}"
    with_data = scim.patch(path, [add(f"{ENTERPRISE}:department", "Sales")]).expect(200).body
    assert set(with_data["schemas"]) == {USER, ENTERPRISE}
    scim.patch(path, [remove(f"{ENTERPRISE}:department")]).expect(200)
    without = scim.get(path).body
    assert without["schemas"] == [USER]
    assert ENTERPRISE not in without


@pytest.mark.rfc("S-05")
@pytest.mark.parametrize("profile", ["lenient", "strict"])
def test_an_extension_whose_urn_is_not_listed_is_kept_and_listed(
    make_scim: Callable[..., ScimClient], profile: str
) -> None:
    scim = make_scim(profile=profile)
    created = scim.post("/Users", {**new_user(enterprise={"department": "Sales"}), "schemas": [USER]}).expect(201).body
    assert set(created["schemas"]) == {USER, ENTERPRISE}
    assert created[ENTERPRISE] == {"department": "Sales"}


@pytest.mark.rfc("S-06")
def test_a_required_extension_has_to_be_sent_on_post_and_put(device_scim: ScimClient) -> None:
    without = {"schemas": [DEVICE], "label": "d1"}
    device_scim.post("/Devices", without).expect(400, "invalidValue")
    half = {"schemas": [DEVICE, SITE], "label": "d1", SITE: {"room": "7"}}
    device_scim.post("/Devices", half).expect(400, "invalidValue")
    device = device_scim.post("/Devices", {**half, SITE: {"site": "Bern"}}).expect(201).body
    assert device[SITE] == {"site": "Bern"}
    path = f"/Devices/{device['id']}"
    device_scim.put(path, without).expect(400, "invalidValue")
    answer = device_scim.patch(path, [remove(SITE)])
    assert answer.status == 400
    assert device_scim.get(path).body == device


@pytest.mark.rfc("S-07", "C-02")
def test_ids_are_unique_over_all_types_case_exact_and_always_returned(scim: ScimClient) -> None:
    users = [scim.user() for _ in range(5)]
    groups = [scim.group() for _ in range(5)]
    assert len({resource["id"] for resource in users + groups}) == 10
    id = next(user["id"] for user in users if user["id"].upper() != user["id"])
    scim.get(f"/Users/{id.upper()}").expect(404)
    assert scim.find(f'id eq "{id.upper()}"').ids == []
    assert scim.get(f"/Users/{id}?excludedAttributes=id,schemas").body["id"] == id


@pytest.mark.rfc("S-08", "C-03", "U-06")
def test_an_id_in_a_body_is_ignored(scim: ScimClient) -> None:
    created = scim.user(id="x")
    assert created["id"] != "x"
    other = scim.user()
    replaced = scim.put(f"/Users/{created['id']}", {**new_user(created["userName"]), "id": other["id"]}).expect(200)
    assert replaced.body["id"] == created["id"]


@pytest.mark.rfc("S-09")
def test_ids_are_url_safe_and_never_hold_the_word_bulkid() -> None:
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    for id in ids:
        # A UUID in hexadecimal cannot spell bulkId: it has no u, l, k or i.
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", id)


@pytest.mark.rfc("S-10")
def test_external_id_is_the_clients_alone(scim: ScimClient) -> None:
    assert "externalId" not in scim.user()
    first, second = scim.user(externalId="ABC"), scim.user(externalId="ABC")
    assert first["externalId"] == second["externalId"] == "ABC"
    assert sorted(scim.find('externalId eq "ABC"').ids) == sorted([first["id"], second["id"]])
    assert scim.find('externalId eq "abc"').ids == []


@pytest.mark.rfc("S-11", "S-13", "C-03", "U-06")
def test_meta_is_set_by_the_server_alone(scim: ScimClient) -> None:
    sent = {"created": "1999-01-01T00:00:00Z", "lastModified": "1999-01-01T00:00:00Z", "version": 'W/"x"'}
    sent |= {"resourceType": "Group", "location": "https://example.com/"}
    before = datetime.now().astimezone()
    user = scim.user(meta=sent)
    created = datetime.fromisoformat(user["meta"]["created"])
    assert abs((created - before).total_seconds()) < 60
    assert user["meta"]["resourceType"] == "User"
    assert user["meta"]["location"] == f"{scim.base_url}/Users/{user['id']}"
    assert user["meta"]["version"] != 'W/"x"'
    replaced = scim.put(f"/Users/{user['id']}", {**new_user(user["userName"]), "meta": sent}).expect(200).body
    assert replaced["meta"] == user["meta"]


@pytest.mark.rfc("S-12")
def test_resource_type_is_spelled_as_in_resource_types(scim: ScimClient) -> None:
    names = {resource["name"] for resource in scim.get("/ResourceTypes").resources}
    assert scim.user()["meta"]["resourceType"] == "User"
    assert scim.group()["meta"]["resourceType"] == "Group"
    assert names == {"User", "Group"}
    assert {item["meta"]["resourceType"] for item in scim.get("/Schemas").resources} == {"Schema"}
    assert {item["meta"]["resourceType"] for item in scim.get("/ResourceTypes").resources} == {"ResourceType"}
    assert scim.get("/ServiceProviderConfig").body["meta"]["resourceType"] == "ServiceProviderConfig"


@pytest.mark.rfc("S-13", "U-12")
def test_last_modified_moves_with_each_change_and_only_then(scim: ScimClient) -> None:
    user = scim.user(title="a")
    path = f"/Users/{user['id']}"
    assert user["meta"]["lastModified"] == user["meta"]["created"]
    same = scim.put(path, {**new_user(user["userName"]), "title": "a"}).expect(200).body
    assert same["meta"] == user["meta"]
    changed = scim.put(path, {**new_user(user["userName"]), "title": "b"}).expect(200).body
    assert changed["meta"]["created"] == user["meta"]["created"]
    assert datetime.fromisoformat(changed["meta"]["lastModified"]) > datetime.fromisoformat(
        user["meta"]["lastModified"]
    )


@pytest.mark.rfc("S-14")
def test_dates_of_meta_are_utc_with_one_fixed_precision(scim: ScimClient) -> None:
    answers = [scim.user() for _ in range(3)] + [scim.group()]
    dates = [resource["meta"][name] for resource in answers for name in ("created", "lastModified")]
    for date in dates:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", date)


@pytest.mark.rfc("S-15", "C-01")
def test_location_is_one_and_the_same_everywhere_and_answers_get(scim: ScimClient) -> None:
    created = scim.post("/Users", new_user()).expect(201)
    location = created.body["meta"]["location"]
    assert created.headers["Location"] == location
    assert scim.get(location).expect(200).body["id"] == created.body["id"]
    assert scim.get("/Users").resources[0]["meta"]["location"] == location
    assert scim.search().resources[0]["meta"]["location"] == location
    path = f"/Users/{created.body['id']}"
    bulk = scim.bulk({"method": "PATCH", "path": path, "data": patch_op(add("title", "x"))})
    assert bulk.body["Operations"][0]["location"] == location


@pytest.mark.rfc("S-15")
def test_location_follows_a_trusted_proxy_and_no_other(make_scim: Callable[..., ScimClient]) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "scim.example.com"}
    behind = make_scim(trusted_proxies=1).post("/Users", new_user(), headers=forwarded).expect(201)
    assert behind.body["meta"]["location"].startswith("https://scim.example.com/scim/v2/Users/")
    direct = make_scim().post("/Users", new_user(), headers=forwarded).expect(201)
    assert direct.body["meta"]["location"].startswith("http://localhost/scim/v2/Users/")
    public = make_scim(public_url="https://id.example.org/prefix/scim").post("/Users", new_user()).expect(201)
    assert public.headers["Location"].startswith("https://id.example.org/prefix/scim/Users/")


@pytest.mark.rfc("S-16", "E-02", "G-01")
def test_version_is_byte_equal_to_the_etag(scim: ScimClient) -> None:
    created = scim.post("/Users", new_user()).expect(201)
    read = scim.get(f"/Users/{created.body['id']}").expect(200)
    assert created.etag == created.body["meta"]["version"] == read.etag == read.body["meta"]["version"]
    scim.group()
    assert all(item["meta"]["version"] for item in scim.get("/").resources)


@pytest.mark.rfc("S-17")
def test_common_attributes_are_known_to_filter_projection_sort_and_patch(scim: ScimClient) -> None:
    user = scim.user(externalId="x1")
    path = f"/Users/{user['id']}"
    assert scim.find('externalId eq "x1"').ids == [user["id"]]
    assert scim.find('meta.resourceType eq "User"').ids == [user["id"]]
    assert scim.get(f"{path}?attributes=meta.location").body["meta"] == {"location": user["meta"]["location"]}
    later = scim.user()
    created = [meta["created"] for meta in scim.get("/Users?sortBy=meta.created&sortOrder=descending").names("meta")]
    assert created == [later["meta"]["created"], user["meta"]["created"]]
    assert scim.patch(path, [replace("externalId", "x2")]).expect(200).body["externalId"] == "x2"


# Names, URNs, unassigned and unknown


@pytest.mark.rfc("S-18")
def test_names_are_read_in_any_case_and_written_as_in_the_schema(strict_scim: ScimClient) -> None:
    body = {"schemas": [USER], "USERNAME": "a", "Name": {"FAMILYNAME": "b"}, "EMails": [{"VALUE": "a@b.ch"}]}
    user = strict_scim.post("/Users", body).expect(201).body
    assert user["userName"] == "a"
    assert user["name"] == {"familyName": "b"}
    assert user["emails"] == [{"value": "a@b.ch"}]
    path = f"/Users/{user['id']}"
    assert strict_scim.find('USERNAME eq "a" and NAME.FamilyName eq "b"').ids == [user["id"]]
    assert strict_scim.get(f"{path}?attributes=NAME.FAMILYNAME").body["name"] == {"familyName": "b"}
    assert strict_scim.get("/Users?sortBy=USERname").ids == [user["id"]]
    assert strict_scim.patch(path, [replace("NickNAME", "c")]).expect(200).body["nickName"] == "c"


@pytest.mark.rfc("S-19")
def test_urns_are_read_in_any_case_and_written_as_registered(strict_scim: ScimClient) -> None:
    body = {"schemas": [USER.upper(), ENTERPRISE.upper()], "userName": "a", ENTERPRISE.upper(): {"department": "d"}}
    user = strict_scim.post("/Users", body).expect(201).body
    assert set(user["schemas"]) == {USER, ENTERPRISE}
    assert user[ENTERPRISE] == {"department": "d"}
    assert strict_scim.find(f'{ENTERPRISE.lower()}:department eq "d"').ids == [user["id"]]
    assert strict_scim.get(f"/Schemas/{USER.upper()}").expect(200).body["id"] == USER


@pytest.mark.rfc("S-20")
@pytest.mark.parametrize(
    "body",
    [
        '{"schemas": ["%s"], "userName": "a", "userName": "b"}',
        '{"schemas": ["%s"], "userName": "a", "USERNAME": "b"}',
        '{"schemas": ["%s"], "userName": "a", "name": {"familyName": "x", "familyname": "y"}}',
    ],
    ids=["same", "other case", "inside"],
)
def test_a_name_given_twice_is_refused(scim: ScimClient, body: str) -> None:
    answer = scim.post("/Users", data=body % USER).expect(400, "invalidSyntax")
    assert "name" in answer.detail.lower()
    assert scim.get("/Users").body["totalResults"] == 0


@pytest.mark.rfc("S-21", "S-22", "C-09", "S-25")
def test_null_and_empty_are_the_same_as_absent(strict_scim: ScimClient) -> None:
    user = strict_scim.user(title=None, emails=[], name={}, addresses=[{}], roles=[None], nickName=None)
    assert set(user) == {"schemas", "id", "userName", "active", "meta"}
    for name in ("title", "emails", "name", "addresses", "roles"):
        assert strict_scim.find(f"{name} pr").ids == []


@pytest.mark.rfc("S-23")
def test_an_explicit_null_overrides_the_default_of_active(scim: ScimClient) -> None:
    assert scim.user()["active"] is True
    user = scim.user(active=None)
    assert "active" not in user
    path = f"/Users/{user['id']}"
    assert "active" not in scim.get(path).body
    assert scim.put(path, {**new_user(user["userName"]), "active": None}).expect(200).body.get("active") is None
    assert scim.put(path, new_user(user["userName"])).expect(200).body["active"] is True


@pytest.mark.rfc("S-24", "C-05", "U-08")
@pytest.mark.parametrize("name", [None, "", "  "], ids=["null", "empty", "blank"])
def test_a_required_value_that_is_empty_is_refused_on_post_put_and_patch(scim: ScimClient, name: Any) -> None:
    scim.post("/Users", {"schemas": [USER], "userName": name}).expect(400, "invalidValue")
    user = scim.user()
    path = f"/Users/{user['id']}"
    scim.put(path, {"schemas": [USER], "userName": name}).expect(400, "invalidValue")
    scim.patch(path, [replace("userName", name)]).expect(400)
    assert scim.get(path).body == user


@pytest.mark.rfc("S-25")
@pytest.mark.parametrize("profile", ["lenient", "strict"])
def test_an_empty_text_counts_as_unassigned(make_scim: Callable[..., ScimClient], profile: str) -> None:
    scim = make_scim(profile=profile)
    user = scim.user(title="", name={"givenName": ""}, emails=[{"value": "a@b", "display": ""}])
    assert not {"title", "name"} & set(user)
    assert user["emails"] == [{"value": "a@b"}]
    assert scim.find("title pr").ids == []
    path = f"/Users/{user['id']}"
    scim.patch(path, [add("title", "x")]).expect(200)
    assert "title" not in scim.put(path, new_user(user["userName"], title="")).expect(200).body


@pytest.mark.rfc("S-26")
def test_unknown_attributes_are_ignored_by_default_at_every_level(scim: ScimClient) -> None:
    body = new_user(name={"familyName": "x", "colour": "red"}, enterprise={"department": "d", "shoe": 43})
    user = scim.post("/Users", {**body, "colour": "red", "urn:example:x": {"a": 1}}).expect(201).body
    assert user["name"] == {"familyName": "x"}
    assert user[ENTERPRISE] == {"department": "d"}
    assert not {"colour", "urn:example:x"} & set(user)


@pytest.mark.rfc("S-26")
@pytest.mark.parametrize(
    "extra",
    [{"colour": "red"}, {"name": {"colour": "red"}}, {"enterprise": {"shoe": 43}}, {"urn:example:x": {"a": 1}}],
    ids=["attribute", "sub-attribute", "extension attribute", "extension"],
)
def test_strict_refuses_unknown_attributes_at_every_level(strict_scim: ScimClient, extra: dict[str, Any]) -> None:
    strict_scim.post("/Users", new_user(**extra)).expect(400, "invalidSyntax")
    assert strict_scim.get("/Users").body["totalResults"] == 0


@pytest.mark.rfc("S-27")
def test_core_attributes_live_at_top_level_and_extension_attributes_in_their_object(scim: ScimClient) -> None:
    answer = scim.post("/Users", {**new_user("top"), USER: {"title": "x"}, "department": "d"})
    assert answer.status in (201, 400)
    if answer.status == 201:
        assert USER not in answer.body
        assert "department" not in answer.body
    user = scim.user(enterprise={"department": "d"})
    assert user[ENTERPRISE] == {"department": "d"}
    assert "department" not in {name for name in user if name != ENTERPRISE}


@pytest.mark.rfc("S-28", "S-37")
@pytest.mark.parametrize(
    ("attribute", "named"),
    [
        ({"name": "1abc"}, "1abc"),
        ({"name": "a.b"}, "a.b"),
        ({"name": "$a"}, "$a"),
        ({"name": "a", "type": "complex", "subAttributes": [{"name": "b", "type": "complex"}]}, "complex"),
    ],
    ids=["digit first", "dot", "dollar first", "complex in complex"],
)
def test_a_schema_with_a_bad_attribute_does_not_start(attribute: dict[str, Any], named: str) -> None:
    schema = {"id": BADGE, "name": "Badge", "attributes": [attribute]}
    with pytest.raises(ConfigurationError, match=re.escape(named)):
        create_app({"SCIM_GATEWAY_BACKEND": "memory", "SCIM_GATEWAY_SCHEMAS": json.dumps([schema])})


@pytest.mark.rfc("S-28")
def test_ref_is_a_name_in_filters_and_paths(scim: ScimClient) -> None:
    user = scim.user()
    group = scim.group(members=[user["id"]])
    ref = scim.get(f"/Groups/{group['id']}").body["members"][0]["$ref"]
    assert scim.find(f'members.$ref eq "{ref}"', "/Groups").ids == [group["id"]]
    assert scim.find('members.$ref eq "https://example.com/x"', "/Groups").ids == []
    answer = scim.get(f"/Groups/{group['id']}?attributes=members.$ref").expect(200)
    assert answer.body["members"] == [{"$ref": ref}]


# Types


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


@pytest.mark.rfc("S-29", "S-64")
@pytest.mark.parametrize("sent", [{"value": "a@b"}, "a@b", ["a@b"]], ids=str)
def test_by_default_a_bare_value_is_lifted_into_an_element(scim: ScimClient, sent: Any) -> None:
    assert scim.user(emails=sent)["emails"] == [{"value": "a@b"}]


@pytest.mark.rfc("S-30")
@pytest.mark.parametrize(("word", "value"), [("True", True), ("true", True), ("FALSE", False), ("False", False)])
def test_by_default_boolean_words_are_booleans(scim: ScimClient, word: str, value: bool) -> None:
    assert scim.user(active=word)["active"] is value
    assert scim.user(emails=[{"value": "a@b", "primary": word}])["emails"][0].get("primary", False) is value


@pytest.mark.rfc("S-30")
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


@pytest.mark.rfc("S-36", "S-68")
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


@pytest.mark.rfc("S-38")
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


# Characteristics


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
    assert scim.get(f"/Users/{taken['id']}").body == taken


@pytest.mark.rfc("S-55")
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
