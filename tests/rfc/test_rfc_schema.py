"""Frame and names of a resource: RFC 7643 §2.1, §2.5, §3 (chapter S of docs/conformance.rst, S-01 to S-28)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from declared import BADGE, DEVICE, SITE
from scim_http import ENTERPRISE, GROUP, USER, ScimClient, add, new_group, new_user, patch_op, remove, replace

from scim_gateway.app import create_app
from scim_gateway.changes import new_id
from scim_gateway.config import ConfigurationError

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


@pytest.mark.rfc("S-05", "O-02")
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


@pytest.mark.rfc("S-07")
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


@pytest.mark.rfc("S-26", "O-01")
def test_unknown_attributes_are_ignored_by_default_at_every_level(scim: ScimClient) -> None:
    body = new_user(name={"familyName": "x", "colour": "red"}, enterprise={"department": "d", "shoe": 43})
    user = scim.post("/Users", {**body, "colour": "red", "urn:example:x": {"a": 1}}).expect(201).body
    assert user["name"] == {"familyName": "x"}
    assert user[ENTERPRISE] == {"department": "d"}
    assert not {"colour", "urn:example:x"} & set(user)


@pytest.mark.rfc("S-26", "O-01")
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
    misplaced = {USER: {"title": "x"}, "department": "d", ENTERPRISE: {"title": "y"}}
    user = scim.post("/Users", {**new_user(), **misplaced}).expect(201).body
    assert set(user) == {"schemas", "id", "userName", "active", "meta"}
    assert user["schemas"] == [USER]
    placed = scim.user(title="t", enterprise={"department": "d"})
    assert set(placed) == {"schemas", "id", "userName", "active", "meta", "title", ENTERPRISE}
    assert placed[ENTERPRISE] == {"department": "d"}


@pytest.mark.rfc("S-27")
@pytest.mark.parametrize(
    "misplaced", [{USER: {"title": "x"}}, {"department": "d"}, {ENTERPRISE: {"title": "y"}}], ids=["core", "top", "in"]
)
def test_strict_refuses_attributes_in_a_wrong_place(strict_scim: ScimClient, misplaced: dict[str, Any]) -> None:
    strict_scim.post("/Users", {**new_user(), **misplaced}).expect(400, "invalidSyntax")


@pytest.mark.rfc("S-28", "S-37", "EID-8415", "EID-8924")
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


@pytest.mark.rfc("S-28", "EID-8924")
def test_ref_is_a_name_in_filters_and_paths(scim: ScimClient) -> None:
    user = scim.user()
    group = scim.group(members=[user["id"]])
    ref = scim.get(f"/Groups/{group['id']}").body["members"][0]["$ref"]
    assert scim.find(f'members.$ref eq "{ref}"', "/Groups").ids == [group["id"]]
    assert scim.find('members.$ref eq "https://example.com/x"', "/Groups").ids == []
    answer = scim.get(f"/Groups/{group['id']}?attributes=members.$ref").expect(200)
    assert answer.body["members"] == [{"$ref": ref}]
