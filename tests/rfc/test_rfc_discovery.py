"""Discovery: RFC 7643 §5–§7, RFC 7644 §4 (chapter D of docs/conformance.rst)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from scim_http import ENTERPRISE, GROUP, MESSAGES, USER, ScimClient, new_user, patch_op, replace

CORE = "urn:ietf:params:scim:schemas:core:2.0:"
ENDPOINTS = ("/ServiceProviderConfig", "/ResourceTypes", "/Schemas")
ITEMS = ("/ResourceTypes/User", f"/Schemas/{USER}")


def walk(attributes: list[dict[str, Any]], prefix: str = "") -> Any:
    """Every attribute definition with its full name, and whether it is a sub-attribute."""
    for attribute in attributes:
        yield prefix + attribute["name"], attribute, bool(prefix)
        yield from walk(attribute.get("subAttributes", []), f"{prefix}{attribute['name']}.")


@pytest.mark.rfc("D-01", "D-05")
def test_the_configuration_is_one_object(scim: ScimClient) -> None:
    answer = scim.get("/ServiceProviderConfig").expect(200)
    assert answer.headers["Content-Type"].split(";")[0] == "application/scim+json"
    assert answer.body["schemas"] == [f"{CORE}ServiceProviderConfig"]
    assert {"Resources", "id"}.isdisjoint(answer.body)
    assert answer.body["meta"] == {
        "resourceType": "ServiceProviderConfig",
        "location": f"{scim.base_url}/ServiceProviderConfig",
    }


@pytest.mark.rfc("D-02", "N-01")
def test_the_configuration_names_every_feature_with_its_limits(scim: ScimClient) -> None:
    config = scim.get("/ServiceProviderConfig").body
    for feature in ("patch", "bulk", "filter", "changePassword", "sort", "etag"):
        assert type(config[feature]["supported"]) is bool
    for feature, limit in (("bulk", "maxOperations"), ("bulk", "maxPayloadSize"), ("filter", "maxResults")):
        assert type(config[feature][limit]) is int
        assert config[feature][limit] > 0
    pagination = config["pagination"]
    assert pagination["cursor"] is True
    assert pagination["index"] is True
    assert pagination["defaultPaginationMethod"] == "index"
    for limit in ("defaultPageSize", "maxPageSize", "cursorTimeout"):
        assert type(pagination[limit]) is int


@pytest.mark.rfc("D-03")
def test_authentication_schemes_name_the_bearer_token(scim: ScimClient) -> None:
    schemes = scim.get("/ServiceProviderConfig").body["authenticationSchemes"]
    known = {"oauth", "oauth2", "oauthbearertoken", "httpbasic", "httpdigest"}
    assert all(scheme["type"] in known and scheme["name"] and scheme["description"] for scheme in schemes)
    assert [scheme["type"] for scheme in schemes] == ["oauthbearertoken"]


@pytest.mark.rfc("D-04")
def test_announced_features_work(scim: ScimClient) -> None:
    config = scim.get("/ServiceProviderConfig").body
    assert [config[name]["supported"] for name in ("patch", "bulk", "filter", "sort", "etag")] == [True] * 5
    users = [scim.user(title=title) for title in ("b", "a")]
    path = f"/Users/{users[0]['id']}"
    scim.patch(path, [replace("title", "c")]).expect(200)
    scim.bulk({"method": "PATCH", "path": path, "data": patch_op(replace("title", "d"))}).expect(200)
    assert scim.find('title eq "d"').ids == [users[0]["id"]]
    assert scim.get("/Users?sortBy=title").names("title") == ["a", "d"]
    scim.get(path, headers={"If-None-Match": scim.get(path).etag}).expect(304)


@pytest.mark.rfc("D-04", "Q-09", "B-17")
def test_announced_limits_are_those_in_force(make_scim: Any) -> None:
    scim = make_scim(max_results=3, default_count=2, bulk_max_operations=2, bulk_max_payload=2000)
    config = scim.get("/ServiceProviderConfig").body
    assert config["filter"]["maxResults"] == config["pagination"]["maxPageSize"] == 3
    assert config["pagination"]["defaultPageSize"] == 2
    assert config["bulk"] == {"supported": True, "maxOperations": 2, "maxPayloadSize": 2000}
    for _ in range(5):
        scim.user()
    assert len(scim.get("/Users").ids) == 2
    assert len(scim.get("/Users?count=100").ids) == 3
    operation = {"method": "DELETE", "path": "/Users/x"}
    scim.bulk(operation, operation).expect(200)
    assert "2" in scim.bulk(operation, operation, operation).expect(413).detail
    scim.bulk({"method": "POST", "path": "/Users", "bulkId": "1", "data": new_user(title="x" * 3000)}).expect(413)


@pytest.mark.rfc("D-06", "D-07")
def test_resource_types_are_a_list_and_each_can_be_read_alone(scim: ScimClient) -> None:
    answer = scim.get("/ResourceTypes").expect(200)
    assert answer.body["totalResults"] == answer.body["itemsPerPage"] == len(answer.resources) == 2
    for resource in answer.resources:
        assert scim.get(f"/ResourceTypes/{resource['name']}").expect(200).body == resource
        assert resource["meta"]["location"] == f"{scim.base_url}/ResourceTypes/{resource['name']}"
    user = scim.get("/ResourceTypes/User").body
    assert user["schemas"] == [f"{CORE}ResourceType"]
    assert (user["id"], user["name"], user["endpoint"], user["schema"]) == ("User", "User", "/Users", USER)
    assert user["schemaExtensions"] == [{"schema": ENTERPRISE, "required": False}]
    for unknown in ("Nope", "user", "Users"):
        scim.get(f"/ResourceTypes/{unknown}").expect(404)


@pytest.mark.rfc("D-08")
def test_every_urn_in_use_is_a_schema_and_every_endpoint_answers(scim: ScimClient) -> None:
    boss = scim.user()
    scim.user(enterprise={"manager": {"value": boss["id"]}})
    scim.group(members=[boss["id"]])
    used = {urn for resource in scim.get("/").resources for urn in resource["schemas"]}
    for resource in scim.get("/ResourceTypes").resources:
        scim.get(resource["endpoint"]).expect(200)
        used |= {resource["schema"], *(entry["schema"] for entry in resource.get("schemaExtensions", []))}
    for document in (scim.get("/ServiceProviderConfig").body, *scim.get("/ResourceTypes").resources):
        used.update(document["schemas"])
    for schema in scim.get("/Schemas").resources:
        used.update(schema["schemas"])
    assert {USER, GROUP, ENTERPRISE, f"{CORE}Schema", f"{CORE}ResourceType"} <= used
    for urn in used:
        assert scim.get(f"/Schemas/{urn}").expect(200).body["id"] == urn


@pytest.mark.rfc("D-09", "D-10", "D-16")
@pytest.mark.parametrize("query", ["", "?count=1&startIndex=2&sortBy=id&sortOrder=descending", "?count=0", "?cursor="])
def test_schemas_are_listed_whole_whatever_page_is_asked_for(scim: ScimClient, query: str) -> None:
    answer = scim.get(f"/Schemas{query}").expect(200)
    ids = answer.ids
    assert answer.body["totalResults"] == len(ids) == len(set(ids))
    assert {USER, GROUP, ENTERPRISE} <= set(ids)
    assert not any(id.startswith("urn:ietf:params:scim:api:") for id in ids)
    assert scim.get(f"/ResourceTypes{query}").ids == ["User", "Group"]


@pytest.mark.rfc("D-10")
def test_messages_are_no_schemas(scim: ScimClient) -> None:
    for name in ("PatchOp", "ListResponse", "Error", "SearchRequest", "BulkRequest"):
        scim.get(f"/Schemas/{MESSAGES}{name}").expect(404)


@pytest.mark.rfc("D-11")
@pytest.mark.parametrize("form", [USER, USER.upper(), quote(USER, safe=""), USER.lower().replace(":", "%3a")])
def test_a_schema_is_found_by_its_urn_in_any_spelling(scim: ScimClient, form: str) -> None:
    schema = scim.get(f"/Schemas/{form}").expect(200).body
    assert schema["id"] == USER
    assert schema["meta"]["location"] == f"{scim.base_url}/Schemas/{USER}"


@pytest.mark.rfc("D-11")
def test_an_unknown_schema_is_404(scim: ScimClient) -> None:
    scim.get("/Schemas/urn:example:none").expect(404)
    scim.get("/Schemas/User").expect(404)


@pytest.mark.rfc("D-12", "EID-8417")
def test_every_schema_is_a_resource_with_schemas_and_meta(scim: ScimClient) -> None:
    schemas = scim.get("/Schemas").resources
    assert {f"{CORE}{name}" for name in ("ServiceProviderConfig", "ResourceType", "Schema")} <= {
        schema["id"] for schema in schemas
    }
    for schema in schemas:
        assert schema["schemas"] == [f"{CORE}Schema"]
        assert schema["name"]
        assert schema["attributes"]
        assert schema["meta"] == {"resourceType": "Schema", "location": f"{scim.base_url}/Schemas/{schema['id']}"}
        assert scim.get(f"/Schemas/{schema['id']}").body == schema


@pytest.mark.rfc("D-13", "EID-6004", "EID-8415")
def test_every_attribute_is_defined_as_rfc_7643_section_7_asks(scim: ScimClient) -> None:
    types = {"string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"}
    seen = set()
    for schema in scim.get("/Schemas").resources:
        for name, attribute, inside in walk(schema["attributes"]):
            assert attribute["type"] in types, name
            assert type(attribute["multiValued"]) is bool, name
            assert type(attribute["required"]) is bool, name
            assert attribute["description"], name
            assert attribute["mutability"] in ("readOnly", "readWrite", "immutable", "writeOnly"), name
            assert attribute["returned"] in ("always", "never", "default", "request"), name
            if attribute["type"] == "complex":
                assert "uniqueness" not in attribute, name
                assert "caseExact" not in attribute, name
                assert attribute["subAttributes"], name
                # The schema of schemas alone describes subAttributes inside attributes (RFC 7643 §8.7.2).
                assert not inside or schema["id"] == f"{CORE}Schema", name
            else:
                assert "subAttributes" not in attribute, name
                assert type(attribute["caseExact"]) is bool, name
                assert attribute["uniqueness"] in ("none", "server", "global"), name
            seen.add(f"{schema['name']}.{name}")
    assert {"User.emails.value", "Group.members.$ref", "User.x509Certificates.value"} <= seen


@pytest.mark.rfc(
    "D-13",
    "S-65",
    "S-67",
    "EID-5368",
    "EID-5606",
    "EID-5607",
    "EID-6001",
    "EID-6011",
    "EID-7522",
    "EID-8011",
    "EID-8358",
    "EID-8435",
    "EID-8471",
    "EID-8472",
)
def test_errata_of_the_printed_schemas_are_in_force(scim: ScimClient) -> None:
    found: dict[str, dict[str, Any]] = {}
    for schema in scim.get("/Schemas").resources:
        for name, attribute, _ in walk(schema["attributes"]):
            found[f"{schema['id'].rpartition(':')[2]}.{name}"] = attribute
    assert found["Group.displayName"]["required"] is True  # 5368
    assert found["User.x509Certificates.value"]["type"] == "binary"  # 5606
    assert found["Group.members.display"]["type"] == "string"  # 6011
    assert found["User.groups.$ref"]["referenceTypes"] == ["Group"]  # 8471
    enterprise = scim.get(f"/Schemas/{ENTERPRISE}").body
    manager = {name: attribute for name, attribute, _ in walk(enterprise["attributes"])}
    assert manager["manager.value"]["caseExact"] is True  # 8472
    assert manager["manager.displayName"]["mutability"] == "readOnly"
    assert found["ResourceType.schemaExtensions"]["multiValued"] is True  # 7522
    assert found["Schema.attributes.referenceTypes"]["multiValued"] is True  # 5607
    assert "binary" in found["Schema.attributes.type"]["canonicalValues"]  # 8435
    assert "type" in {
        name.rpartition(".")[2] for name in found if name.startswith("ServiceProviderConfig.auth")
    }  # 8011
    for reference in ("User.profileUrl", "User.photos.value", "User.groups.$ref", "Group.members.$ref"):
        assert found[reference]["caseExact"] is True  # 6001
    assert manager["manager.$ref"]["caseExact"] is True
    for name in ("emails", "phoneNumbers", "ims", "photos", "entitlements", "roles", "x509Certificates"):
        assert found[f"User.{name}.display"]["mutability"] == "readWrite"  # 8358
    assert found["User.groups.display"]["mutability"] == "readOnly"
    assert found["User.addresses.primary"]["type"] == "boolean"
    assert found["User.password"]["caseExact"] is True


def sample(attribute: dict[str, Any], ids: dict[str, str]) -> Any:
    """A value that fits an attribute definition."""
    if attribute["type"] == "complex":
        subs = attribute["subAttributes"]
        element = {sub["name"]: sample(sub, ids) for sub in subs if sub["mutability"] != "readOnly"}
        if "$ref" in element:
            element = {"value": ids["User"]}
        value: Any = element
    else:
        value = {
            "string": attribute.get("canonicalValues", ["text"])[0],
            "boolean": True,
            "integer": 3,
            "decimal": 1.5,
            "dateTime": "2024-05-06T07:08:09Z",
            "binary": "AQID",
            "reference": "https://example.com/x",
        }[attribute["type"]]
    return [value] if attribute["multiValued"] else value


@pytest.mark.rfc("D-14")
def test_every_advertised_attribute_can_be_written_and_read_back(strict_scim: ScimClient) -> None:
    scim = strict_scim
    ids = {"User": scim.user()["id"]}
    written = 0
    for kind in scim.get("/ResourceTypes").resources:
        urns = [kind["schema"], *(entry["schema"] for entry in kind.get("schemaExtensions", []))]
        body: dict[str, Any] = {"schemas": urns}
        expected: dict[str, Any] = {}
        for urn in urns:
            owner = body if urn == kind["schema"] else body.setdefault(urn, {})
            shown = expected if urn == kind["schema"] else expected.setdefault(urn, {})
            for attribute in scim.get(f"/Schemas/{urn}").body["attributes"]:
                if attribute["mutability"] == "readOnly":
                    continue
                value = "long enough" if attribute["name"] == "password" else sample(attribute, ids)
                owner[attribute["name"]] = value
                written += 1
                if attribute["returned"] != "never":
                    shown[attribute["name"]] = value
        created = scim.post(kind["endpoint"], body).expect(201).body
        read = scim.get(created["meta"]["location"]).expect(200).body
        for name, value in expected.items():
            assert _within(value, read[name]), (name, value, read[name])
    assert written > 25


def _within(sent: Any, shown: Any) -> bool:
    if isinstance(sent, dict):
        return all(name in shown and _within(value, shown[name]) for name, value in sent.items())
    if isinstance(sent, list):
        return len(sent) == len(shown) and all(map(_within, sent, shown))
    return bool(sent == shown)


@pytest.mark.rfc("D-15")
@pytest.mark.parametrize("path", [*ENDPOINTS, *ITEMS])
@pytest.mark.parametrize("name", ["filter", "FILTER"])
def test_a_filter_on_discovery_is_403(scim: ScimClient, path: str, name: str) -> None:
    scim.get(path, query={name: 'name eq "User"'}).expect(403)


@pytest.mark.rfc("D-17", "O-21")
@pytest.mark.parametrize("path", [*ENDPOINTS, *ITEMS])
def test_discovery_is_readable_without_credentials(scim: ScimClient, path: str) -> None:
    assert scim.with_token(None).get(path).expect(200).body == scim.get(path).body


@pytest.mark.rfc("D-17", "A-06", "O-21")
@pytest.mark.parametrize("path", ENDPOINTS)
def test_discovery_can_be_closed(make_scim: Any, path: str) -> None:
    scim = make_scim(public_discovery="false")
    scim.with_token(None).get(path).expect(401)
    scim.get(path).expect(200)


@pytest.mark.rfc("D-18", "R-09", "T-08")
@pytest.mark.parametrize("path", [*ENDPOINTS, *ITEMS])
def test_discovery_is_read_only(scim: ScimClient, path: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = scim.request(method, path, {"schemas": [USER]}).expect(405)
        assert {word.strip() for word in answer.headers["Allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}
    head = scim.request("HEAD", path).expect(200)
    assert head.raw == b""
    assert head.headers["Content-Length"] == str(len(scim.get(path).raw))
