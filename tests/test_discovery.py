"""Discovery documents: complete, true to the settings, located below the base URL of the request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scim2_models import ResourceType as OutsideResourceType
from scim2_models import Schema as OutsideSchema
from scim2_models import ServiceProviderConfig as OutsideConfig

from scim_gateway.definitions import load_resource_types, standard_resource_types
from scim_gateway.discovery import Discovery
from scim_gateway.errors import NotFound
from scim_gateway.provider_settings import ProviderSettings
from scim_gateway.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER

BASE = "https://scim.example.com/scim/v2"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
SETTINGS = ProviderSettings(
    max_results=250, default_count=50, bulk_max_operations=7, bulk_max_payload=4096, cursor_timeout=60
)
DISCOVERY = Discovery(standard_resource_types(), SETTINGS)


def definitions(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every attribute definition in a Schema document."""
    pending = list(schema["attributes"])
    while pending:
        definition = pending.pop()
        yield definition
        pending += definition.get("subAttributes", [])


def test_the_configuration_announces_what_the_settings_say() -> None:
    config = DISCOVERY.service_provider_config(BASE)
    assert config["schemas"] == ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"]
    assert config["patch"] == config["sort"] == config["etag"] == {"supported": True}
    assert config["changePassword"] == {"supported": False}
    assert config["bulk"] == {"supported": True, "maxOperations": 7, "maxPayloadSize": 4096}
    assert config["filter"] == {"supported": True, "maxResults": 250}
    assert config["pagination"] == {
        "cursor": True,
        "index": True,
        "defaultPaginationMethod": "index",
        "defaultPageSize": 50,
        "maxPageSize": 250,
        "cursorTimeout": 60,
    }
    assert config["meta"] == {"resourceType": "ServiceProviderConfig", "location": f"{BASE}/ServiceProviderConfig"}
    assert "documentationUri" not in config


def test_clients_authenticate_with_bearer_tokens() -> None:
    schemes = DISCOVERY.service_provider_config(BASE)["authenticationSchemes"]
    assert [scheme["type"] for scheme in schemes] == ["oauthbearertoken"]
    assert all(scheme["name"] and scheme["description"] for scheme in schemes)


def test_help_for_people_is_linked_where_there_is_some() -> None:
    settings = ProviderSettings(documentation_uri="https://help.example.com")
    config = Discovery(standard_resource_types(), settings).service_provider_config(BASE)
    assert config["documentationUri"] == "https://help.example.com"


def test_resource_types_say_where_they_are_served_and_what_they_may_carry() -> None:
    listed = DISCOVERY.resource_types(BASE)
    assert (listed["schemas"], listed["totalResults"], listed["itemsPerPage"], listed["startIndex"]) == (
        [LIST],
        2,
        2,
        1,
    )
    user, group = listed["Resources"]
    assert (user["id"], user["name"], user["endpoint"], user["schema"]) == ("User", "User", "/Users", CORE_USER)
    assert user["schemaExtensions"] == [{"schema": ENTERPRISE_USER, "required": False}]
    assert user["meta"] == {"resourceType": "ResourceType", "location": f"{BASE}/ResourceTypes/User"}
    assert (group["endpoint"], group["schema"]) == ("/Groups", CORE_GROUP)
    assert user == DISCOVERY.resource_type("User", BASE)


def test_every_schema_that_is_named_anywhere_can_be_read() -> None:
    for kind in DISCOVERY.resource_types(BASE)["Resources"]:
        urns = [kind["schema"], *(extension["schema"] for extension in kind.get("schemaExtensions", []))]
        for urn in [*urns, *kind["schemas"], *DISCOVERY.service_provider_config(BASE)["schemas"]]:
            assert DISCOVERY.schema(urn, BASE)["id"] == urn


def test_schemas_are_listed_whole_and_without_those_of_messages() -> None:
    listed = DISCOVERY.schemas(BASE)
    assert listed["totalResults"] == len(listed["Resources"]) == 6
    for schema in listed["Resources"]:
        assert schema["schemas"] == ["urn:ietf:params:scim:schemas:core:2.0:Schema"]
        assert schema["meta"] == {"resourceType": "Schema", "location": f"{BASE}/Schemas/{schema['id']}"}
        assert not schema["id"].startswith("urn:ietf:params:scim:api:")
        assert schema == DISCOVERY.schema(schema["id"], BASE)


def test_attribute_definitions_state_what_applies_to_their_type_and_nothing_of_ours() -> None:
    usual = {"name", "type", "multiValued", "description", "required", "mutability", "returned"}
    for schema in DISCOVERY.schemas(BASE)["Resources"]:
        for definition in definitions(schema):
            simple = {"caseExact", "uniqueness"} if definition["type"] != "complex" else {"subAttributes"}
            extra = {"canonicalValues", "referenceTypes"} if definition["type"] != "complex" else set()
            assert usual | simple <= definition.keys() <= usual | simple | extra, definition["name"]


@pytest.mark.parametrize("spelling", [CORE_USER, CORE_USER.upper(), CORE_USER.lower()])
def test_a_schema_is_found_by_its_urn_in_any_letter_case(spelling: str) -> None:
    assert DISCOVERY.schema(spelling, BASE)["id"] == CORE_USER


@pytest.mark.parametrize("urn", ["nope", "", "urn:ietf:params:scim:api:messages:2.0:PatchOp", "x" * 5000])
def test_an_unknown_schema_is_not_found(urn: str) -> None:
    with pytest.raises(NotFound) as missing:
        DISCOVERY.schema(urn, BASE)
    assert len(missing.value.detail) < 200


@pytest.mark.parametrize("name", ["user", "Nope", "Users"])
def test_an_unknown_resource_type_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        DISCOVERY.resource_type(name, BASE)


def test_locations_follow_the_base_url_of_each_request() -> None:
    assert DISCOVERY.schema(CORE_USER, "http://a")["meta"]["location"] == f"http://a/Schemas/{CORE_USER}"
    assert DISCOVERY.schema(CORE_USER, "http://b/x")["meta"]["location"] == f"http://b/x/Schemas/{CORE_USER}"


def test_what_a_configuration_declares_is_announced_too() -> None:
    schema = {"id": "urn:example:Badge", "name": "Badge", "attributes": [{"name": "label", "default": "x"}]}
    kind = {"name": "Badge", "endpoint": "/Badges", "schema": "urn:example:Badge"}
    discovery = Discovery(load_resource_types([schema], [kind]), SETTINGS)
    assert discovery.resource_type("Badge", BASE)["endpoint"] == "/Badges"
    assert discovery.schema("urn:example:badge", BASE)["attributes"] == [
        {
            "name": "label",
            "type": "string",
            "multiValued": False,
            "description": "",
            "required": False,
            "caseExact": False,
            "mutability": "readWrite",
            "returned": "default",
            "uniqueness": "none",
        }
    ]


def test_an_outside_model_of_the_rfc_reads_all_of_it() -> None:
    config = OutsideConfig.model_validate(DISCOVERY.service_provider_config(BASE))
    types = [OutsideResourceType.model_validate(kind) for kind in DISCOVERY.resource_types(BASE)["Resources"]]
    schemas = [OutsideSchema.model_validate(schema) for schema in DISCOVERY.schemas(BASE)["Resources"]]
    assert config.filter is not None
    assert config.filter.max_results == 250
    assert [kind.name for kind in types] == ["User", "Group"]
    assert [schema.name for schema in schemas][:2] == ["User", "EnterpriseUser"]
