"""Schemas and resource types: the built-in ones as RFC 7643 and its errata have them, declared ones checked."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import pytest

from scim_gateway.definition_parts import DefinitionError
from scim_gateway.definitions import all_schemas, load_resource_types, standard_resource_types
from scim_gateway.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER, Attribute, AttributePath, Schema
from scim_gateway.schema_definitions import SCHEMA_SCHEMA, discovery_schemas, read_schema

USER = standard_resource_types().by_name["User"]
GROUP = standard_resource_types().by_name["Group"]
BADGE = "urn:example:params:scim:schemas:Badge"
DETAILS = "urn:example:params:scim:schemas:extension:Details"


def badge(**changes: Any) -> dict[str, Any]:
    """A declared schema with one attribute."""
    return {"id": BADGE, "attributes": [{"name": "label", "required": True}], **changes}


def badge_type(**changes: Any) -> dict[str, Any]:
    """A declared resource type for it."""
    return {"name": "Badge", "endpoint": "/Badges", "schema": BADGE, **changes}


def walk(schema: Schema) -> Iterator[tuple[str, Attribute, bool]]:
    """Every attribute with its path, and whether it is a sub-attribute."""
    for attribute in schema.attributes:
        yield attribute.name, attribute, False
        for sub in attribute.sub_attributes:
            yield f"{attribute.name}.{sub.name}", sub, True


# -- built in ---------------------------------------------------------------------------------------------------------


def test_user_and_group_are_served_where_the_rfc_says() -> None:
    assert [(kind.name, kind.endpoint, kind.schema.id) for kind in standard_resource_types()] == [
        ("User", "/Users", CORE_USER),
        ("Group", "/Groups", CORE_GROUP),
    ]
    assert [(extension.schema.id, extension.required) for extension in USER.extensions] == [(ENTERPRISE_USER, False)]
    assert (USER.containers, USER.members, GROUP.members) == ("groups", None, "members")


def test_the_user_schema_has_every_attribute_of_rfc_7643() -> None:
    names = [attribute.name for attribute in USER.schema.attributes]
    assert names == [
        *("userName", "name", "displayName", "nickName", "profileUrl", "title", "userType", "preferredLanguage"),
        *("locale", "timezone", "active", "password", "emails", "phoneNumbers", "ims", "photos", "addresses"),
        *("groups", "entitlements", "roles", "x509Certificates"),
    ]
    enterprise = USER.extensions[0].schema
    assert [attribute.name for attribute in enterprise.attributes] == [
        *("employeeNumber", "costCenter", "organization", "division", "department", "manager"),
    ]


@pytest.mark.parametrize(
    "name", ["emails", "phoneNumbers", "ims", "photos", "entitlements", "roles", "x509Certificates"]
)
def test_plural_attributes_of_a_user_have_the_usual_parts(name: str) -> None:
    attribute = USER.schema.by_name[name.lower()]
    assert attribute.multi_valued
    assert [sub.name for sub in attribute.sub_attributes] == ["value", "display", "type", "primary"]


def test_addresses_have_a_primary_and_no_value() -> None:
    addresses = USER.schema.by_name["addresses"]
    assert addresses.sub("primary") is not None
    assert addresses.sub("value") is None


def test_the_names_that_have_to_be_unique_are_user_name_and_the_groups_display_name() -> None:
    assert USER.unique_paths == (AttributePath(None, "userName"),)
    assert GROUP.unique_paths == (AttributePath(None, "displayName"),)


def test_errata_of_rfc_7643_are_worked_in() -> None:
    enterprise = USER.extensions[0].schema
    manager = enterprise.by_name["manager"]
    members, groups = GROUP.schema.by_name["members"], USER.schema.by_name["groups"]
    certificate = USER.schema.by_name["x509certificates"].by_name["value"]
    assert GROUP.schema.by_name["displayname"].required  # 5368
    assert (certificate.type, certificate.case_exact) == ("binary", True)  # 5606, 8435
    assert groups.by_name["$ref"].reference_types == ("Group",)  # 8471
    assert manager.by_name["value"].case_exact  # 8472
    assert members.sub("display") is not None  # 6011
    assert USER.schema.by_name["profileurl"].case_exact  # 6001


def test_members_are_added_and_removed_but_never_edited() -> None:
    members = GROUP.schema.by_name["members"]
    assert {sub.name: sub.mutability for sub in members.sub_attributes} == {
        "value": "immutable",
        "$ref": "immutable",
        "type": "immutable",
        "display": "readOnly",
    }


def test_a_password_is_write_only_and_active_is_true_unless_told_otherwise() -> None:
    password = USER.schema.by_name["password"]
    assert (password.mutability, password.returned, password.min_length) == ("writeOnly", "never", 8)
    assert USER.schema.by_name["active"].default is True


def test_every_reference_says_what_it_refers_to_and_every_attribute_what_it_is_for() -> None:
    for schema in all_schemas(standard_resource_types()):
        assert schema.description, schema.id
        for path, attribute, _ in walk(schema):
            assert bool(attribute.reference_types) == (attribute.type == "reference"), path
            assert attribute.description.endswith("."), path


def test_no_sub_attribute_is_complex_but_the_one_the_rfc_prints() -> None:
    nested = [
        f"{schema.name}.{path}"
        for schema in all_schemas(standard_resource_types())
        for path, attribute, inside in walk(schema)
        if inside and attribute.type == "complex"
    ]
    assert nested == ["Schema.attributes.subAttributes"]


@pytest.mark.parametrize("name", ["User", "Group", "EnterpriseUser", "ServiceProviderConfig", "ResourceType", "Schema"])
def test_schema_files_state_every_characteristic(name: str) -> None:
    document = json.loads((files("scim_gateway") / "schemas" / f"{name}.json").read_bytes())
    usual = {"name", "type", "multiValued", "description", "required", "mutability", "returned"}
    simple = {"caseExact", "uniqueness"}
    pending = list(document["attributes"])
    while pending:
        definition = pending.pop()
        assert usual <= definition.keys(), definition["name"]
        if definition["type"] == "complex":
            assert not simple & definition.keys(), definition["name"]
            pending += definition["subAttributes"]
        else:
            assert simple <= definition.keys(), definition["name"]
    assert document["schemas"] == [SCHEMA_SCHEMA]


def test_the_standard_types_are_made_once() -> None:
    assert load_resource_types() is standard_resource_types()


def test_every_schema_in_use_is_listed_once() -> None:
    ids = [schema.id for schema in all_schemas(standard_resource_types())]
    assert ids[:3] == [CORE_USER, ENTERPRISE_USER, CORE_GROUP]
    assert ids[3:] == [schema.id for schema in discovery_schemas()]


# -- declared ---------------------------------------------------------------------------------------------------------


def test_a_bare_attribute_has_the_defaults_of_the_rfc() -> None:
    schema = read_schema(badge(attributes=[{"name": "plain"}]))
    assert schema.attributes == (Attribute("plain"),)


def test_a_declared_resource_type_stands_behind_the_built_in_ones() -> None:
    types = load_resource_types([badge()], [badge_type(description="Badges.")])
    kind = types.by_endpoint["/Badges"]
    assert [other.name for other in types] == ["User", "Group", "Badge"]
    assert (kind.name, kind.schema.id, kind.description, kind.display) == ("Badge", BADGE, "Badges.", ("label",))


def test_all_that_an_attribute_can_say_is_read() -> None:
    definition = {
        "name": "parts",
        "type": "complex",
        "multiValued": True,
        "description": "Parts.",
        "returned": "request",
        "mutability": "immutable",
        "subAttributes": [
            {"name": "$ref", "type": "reference", "referenceTypes": ["User"], "caseExact": True},
            {"name": "kind", "canonicalValues": ["a", "b"], "minLength": 2, "required": True},
        ],
    }
    attribute = read_schema(badge(attributes=[definition])).attributes[0]
    assert attribute == Attribute(
        "parts",
        "complex",
        True,
        "Parts.",
        returned="request",
        mutability="immutable",
        sub_attributes=(
            Attribute("$ref", "reference", reference_types=("User",), case_exact=True),
            Attribute("kind", canonical_values=("a", "b"), min_length=2, required=True),
        ),
    )


def test_a_declared_extension_joins_those_of_a_built_in_type() -> None:
    extension = {"resourceType": "user", "schema": DETAILS.upper().replace("URN:", "urn:"), "required": True}
    user = load_resource_types([badge(id=DETAILS)], [], [extension]).by_name["User"]
    assert [(entry.schema.id, entry.required) for entry in user.extensions] == [
        (ENTERPRISE_USER, False),
        (DETAILS, True),
    ]
    assert (user.containers, user.display) == (USER.containers, USER.display)
    assert len(USER.extensions) == 1


def test_a_declared_type_may_come_with_extensions_and_name_its_roles() -> None:
    people = {
        "name": "people",
        "type": "complex",
        "multiValued": True,
        "subAttributes": [{"name": "value"}, {"name": "$ref", "type": "reference", "referenceTypes": ["User"]}],
    }
    teams = copy.deepcopy(people) | {"name": "teams", "mutability": "readOnly"}
    schema = badge(attributes=[{"name": "label"}, {"name": "motto"}, people, teams])
    kind = load_resource_types(
        [schema, badge(id=DETAILS)],
        [
            badge_type(
                schemaExtensions=[{"schema": DETAILS, "required": False}],
                display=["MOTTO", "label"],
                members="People",
                containers="teams",
            )
        ],
    ).by_name["Badge"]
    assert (kind.display, kind.members, kind.containers) == (("motto", "label"), "people", "teams")
    assert [extension.schema.id for extension in kind.extensions] == [DETAILS]


def test_display_falls_back_to_the_usual_names() -> None:
    schema = badge(attributes=[{"name": "label", "required": True}, {"name": "name"}, {"name": "displayName"}])
    assert load_resource_types([schema], [badge_type()]).by_name["Badge"].display == ("displayName", "name")


def with_attribute(**definition: Any) -> Mapping[str, Any]:
    return badge(attributes=[{"name": "label", **definition}])


BAD_SCHEMAS = {
    "no object": ("text", "schema 1 has to be an object"),
    "no id": ({"attributes": [{"name": "a"}]}, "schema 1: id is missing"),
    "no URN": (badge(id="badge"), "schema 1: id 'badge' is no URN"),
    "blank in URN": (badge(id="urn:a:b c"), "is no URN"),
    "message URN": (badge(id="urn:ietf:params:scim:api:messages:2.0:Foo"), "name space of protocol messages"),
    "taken": (badge(id=CORE_USER.upper().replace("URN:", "urn:")), "a schema with this URN exists already"),
    "unknown key": (badge(atributes=[]), "unknown key 'atributes'"),
    "no attributes": (badge(attributes=[]), "attributes has to be a list of attribute definitions, and not empty"),
    "attributes no list": (badge(attributes={}), "has to be a list"),
    "name starts with digit": (with_attribute(name="1abc"), "attributes 1: the attribute name '1abc'"),
    "name with dot": (with_attribute(name="a.b"), "the attribute name 'a.b'"),
    "name with dollar": (with_attribute(name="$value"), "the attribute name '$value'"),
    "name no text": (with_attribute(name=5), "name has to be a text"),
    "no name": (badge(attributes=[{}]), "attributes 1: name is missing"),
    "attribute twice": (badge(attributes=[{"name": "a"}, {"name": "A"}]), "the attribute A is defined twice"),
    "unknown type": (
        with_attribute(type="text"),
        "attribute label: type is 'text'; it has to be one of string, boolean",
    ),
    "type in other case": (with_attribute(type="String"), "type is 'String'"),
    "unknown mutability": (with_attribute(mutability="readonly"), "mutability is 'readonly'"),
    "unknown returned": (with_attribute(returned="no"), "returned is 'no'"),
    "unknown uniqueness": (with_attribute(uniqueness="yes"), "uniqueness is 'yes'"),
    "flag no boolean": (with_attribute(required="true"), "required has to be true or false"),
    "complex without parts": (with_attribute(type="complex"), "subAttributes has to be a list"),
    "parts without complex": (
        with_attribute(subAttributes=[{"name": "a"}]),
        "subAttributes belong to the type complex",
    ),
    "complex in complex": (
        with_attribute(
            type="complex", subAttributes=[{"name": "a", "type": "complex", "subAttributes": [{"name": "b"}]}]
        ),
        "attribute a: a sub-attribute cannot be complex itself",
    ),
    "unique and many": (with_attribute(uniqueness="server", multiValued=True), "can be unique"),
    "unique number": (with_attribute(uniqueness="server", type="integer"), "can be unique"),
    "unique part": (
        with_attribute(type="complex", subAttributes=[{"name": "a", "uniqueness": "global"}]),
        "can be unique",
    ),
    "reference types of a string": (
        with_attribute(referenceTypes=["User"]),
        "referenceTypes belong to the type reference",
    ),
    "reference types no list": (with_attribute(type="reference", referenceTypes="User"), "has to be a list of texts"),
    "default of wrong type": (with_attribute(type="boolean", default="true"), "the default 'true' is no boolean"),
    "default is true for a number": (with_attribute(type="integer", default=True), "the default True is no integer"),
    "default of many": (with_attribute(multiValued=True, default="a"), "has a default"),
    "minLength of a number": (with_attribute(type="integer", minLength=3), "minLength is a number of characters"),
    "negative minLength": (with_attribute(minLength=-1), "minLength is a number of characters"),
    "path of an attribute": (
        badge(id=f"{CORE_USER}:userName"),
        f"this is also the path of an attribute of {CORE_USER}",
    ),
}


@pytest.mark.parametrize("case", BAD_SCHEMAS)
def test_a_schema_that_makes_no_sense_is_refused_with_one_line_that_names_the_place(case: str) -> None:
    document, message = BAD_SCHEMAS[case]
    with pytest.raises(DefinitionError) as refused:
        load_resource_types([document])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


BAD_TYPES = {
    "no object": ([], "resource type 1 has to be an object"),
    "no name": ({"endpoint": "/Badges", "schema": BADGE}, "resource type 1: name is missing"),
    "bad name": (badge_type(name="a b"), "the name 'a b'"),
    "taken name": (badge_type(name="user"), "a resource type with this name exists already"),
    "reserved name": (badge_type(name="Schema"), "the name is reserved for discovery"),
    "endpoint without slash": (badge_type(endpoint="Badges"), "the endpoint 'Badges'"),
    "endpoint of two segments": (badge_type(endpoint="/a/b"), "the endpoint '/a/b'"),
    "search": (badge_type(endpoint="/.search"), "the endpoint '/.search'"),
    "bulk": (badge_type(endpoint="/Bulk"), "the endpoint /Bulk is reserved"),
    "me": (badge_type(endpoint="/me"), "the endpoint /me is reserved"),
    "schemas": (badge_type(endpoint="/Schemas"), "the endpoint /Schemas is reserved"),
    "taken endpoint": (badge_type(endpoint="/users"), "the endpoint /users is taken by another resource type"),
    "unknown schema": (badge_type(schema="urn:a:b"), "there is no schema urn:a:b"),
    "schema of discovery": (badge_type(schema=SCHEMA_SCHEMA), f"there is no schema {SCHEMA_SCHEMA}"),
    "unknown key": (badge_type(endpiont="/x"), "unknown key 'endpiont'"),
    "extensions no list": (badge_type(schemaExtensions={}), "schemaExtensions has to be a list"),
    "unknown extension": (badge_type(schemaExtensions=[{"schema": "urn:a:b"}]), "there is no schema urn:a:b"),
    "base as extension": (badge_type(schemaExtensions=[{"schema": BADGE}]), f"the schema {BADGE} is used twice"),
    "display of nothing": (badge_type(display=["nope"]), "display names nope"),
    "members of a text": (badge_type(members="label"), "members names label"),
    "containers of nothing": (badge_type(containers="groups"), "containers names groups"),
}


@pytest.mark.parametrize("case", BAD_TYPES)
def test_a_resource_type_that_makes_no_sense_is_refused(case: str) -> None:
    document, message = BAD_TYPES[case]
    with pytest.raises(DefinitionError) as refused:
        load_resource_types([badge()], [document])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_declared_types_cannot_share_an_endpoint() -> None:
    with pytest.raises(DefinitionError, match="the endpoint /BADGES is taken"):
        load_resource_types([badge()], [badge_type(), badge_type(name="Other", endpoint="/BADGES")])


@pytest.mark.parametrize("name", ["id", "META", "externalId", "schemas"])
def test_a_base_schema_leaves_the_common_attributes_to_the_protocol(name: str) -> None:
    schema = badge(attributes=[{"name": name}])
    with pytest.raises(DefinitionError, match="is common to all resource types"):
        load_resource_types([schema], [badge_type()])


@pytest.mark.parametrize(
    ("extension", "message"),
    [
        ({"resourceType": "Nobody", "schema": DETAILS}, "there is no resource type Nobody; there are User, Group"),
        ({"resourceType": "User", "schema": "urn:x:y"}, "there is no schema urn:x:y"),
        ({"resourceType": "User", "schema": ENTERPRISE_USER}, "is used twice"),
        ({"schema": DETAILS}, "extension 1: resourceType is missing"),
        ({"resourceType": "User", "schema": DETAILS, "required": 1}, "required has to be true or false"),
    ],
)
def test_an_extension_that_makes_no_sense_is_refused(extension: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        load_resource_types([badge(id=DETAILS)], [], [extension])
    assert message in str(refused.value)
