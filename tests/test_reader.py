"""Reading resources: what the characteristics of an attribute make of the values that clients send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_data import GROUPS, LABELS, THING, THINGS, USERS, thing, user

from scim_gateway.errors import InvalidSyntax, InvalidValue, ScimError
from scim_gateway.profile import ENTRA, LENIENT, OKTA, PROFILES, STRICT, Profile
from scim_gateway.reader import ResourceReader
from scim_gateway.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER, Resource


def read(reader: ResourceReader, body: Any, profile: Profile = STRICT) -> dict[str, Any]:
    """The resource, without what every resource has."""
    resource = reader.read(body, profile)
    del resource["schemas"]
    return {name: value for name, value in resource.items() if name not in ("active", "userName")}


def refused(reader: ResourceReader, body: Any, profile: Profile = STRICT) -> str:
    """The detail of the refusal as an invalid value."""
    with pytest.raises(InvalidValue) as error:
        reader.read(body, profile)
    return error.value.detail


# -- the frame --------------------------------------------------------------------------------------------------------


def test_names_and_urns_are_read_in_any_letter_case_and_kept_as_the_schema_spells_them() -> None:
    body = {
        "SCHEMAS": [CORE_USER.upper()],
        "USERNAME": "a",
        "Name": {"FAMILYNAME": "b"},
        "EMAILS": [{"VALUE": "a@b", "Type": "work"}],
        ENTERPRISE_USER.upper(): {"DEPARTMENT": "d", "Manager": {"VALUE": "1"}},
    }
    assert USERS.read(body, STRICT) == {
        "schemas": [CORE_USER, ENTERPRISE_USER],
        "userName": "a",
        "active": True,
        "name": {"familyName": "b"},
        "emails": [{"value": "a@b", "type": "work"}],
        ENTERPRISE_USER: {"department": "d", "manager": {"value": "1"}},
    }


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_name_given_twice_is_refused_whatever_its_letter_case(profile: Profile) -> None:
    for body in (
        user(username="x"),
        user(title=None, TITLE="x"),
        user(name={"givenName": "a", "GIVENNAME": "b"}),
        user(emails=[{"value": "a", "Value": "b"}]),
        user(**{ENTERPRISE_USER: {"department": "a", "DEPARTMENT": "b"}}),
    ):
        with pytest.raises(InvalidSyntax, match="given twice"):
            USERS.read(body, profile)


def test_what_the_server_sets_is_ignored() -> None:
    body = user(
        id="x",
        meta={"created": "1999"},
        groups=[{"value": "g"}],
        **{ENTERPRISE_USER: {"manager": {"displayName": "B"}}},
    )
    assert USERS.read(body, STRICT) == {"schemas": [CORE_USER], "userName": "bjensen", "active": True}
    members = [{"value": "u1", "display": "a"}, {"value": "u2", "display": None}]
    body = {"schemas": [CORE_GROUP], "displayName": "g", "members": members}
    assert GROUPS.read(body, STRICT)["members"] == [{"value": "u1"}, {"value": "u2"}]


def test_schemas_follow_from_the_content() -> None:
    assert USERS.read(user(schemas=[ENTERPRISE_USER, CORE_USER]), STRICT)["schemas"] == [CORE_USER]
    body = user(**{ENTERPRISE_USER: {"department": "d"}})
    assert USERS.read(body, STRICT)["schemas"] == [CORE_USER, ENTERPRISE_USER]
    body = user(schemas=[CORE_USER, CORE_USER], **{ENTERPRISE_USER: {"department": None}})
    assert USERS.read(body, STRICT)["schemas"] == [CORE_USER]


@pytest.mark.parametrize("schemas", [None, [], CORE_USER, {}, 5, [5]])
def test_schemas_have_to_be_an_array_of_urns(schemas: Any) -> None:
    with pytest.raises(InvalidSyntax, match="schemas has to be an array"):
        USERS.read(user(schemas=schemas), STRICT)
    assert USERS.read(user(schemas=schemas), LENIENT)["schemas"] == [CORE_USER]


def test_missing_schemas_are_inferred_where_the_profile_allows_it() -> None:
    with pytest.raises(InvalidSyntax, match="schemas"):
        USERS.read({"userName": "a"}, STRICT)
    for profile in (LENIENT, OKTA, ENTRA):
        assert USERS.read({"userName": "a"}, profile)["schemas"] == [CORE_USER]


@pytest.mark.parametrize(
    "schemas", [[ENTERPRISE_USER], [CORE_USER, "urn:x:y"], ["urn:scim:schemas:core:2.0"], [CORE_USER, CORE_GROUP]]
)
def test_strictly_schemas_hold_the_base_schema_and_listed_extensions_alone(schemas: list[str]) -> None:
    assert "schemas" in refused(USERS, user(schemas=schemas))
    assert USERS.read(user(schemas=schemas), LENIENT)["schemas"] == [CORE_USER]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_body_that_says_it_is_something_else_is_refused(profile: Profile) -> None:
    for urn in (CORE_GROUP, CORE_GROUP.lower(), "urn:ietf:params:scim:api:messages:2.0:PatchOp"):
        assert CORE_USER in refused(USERS, user(schemas=[urn]), profile)


@pytest.mark.parametrize("body", [None, [], "x", 5, True])
def test_a_body_is_an_object(body: Any) -> None:
    with pytest.raises(InvalidSyntax, match="has to be a JSON object"):
        USERS.read(body, LENIENT)


# -- unknown attributes -----------------------------------------------------------------------------------------------

UNKNOWN = {
    "nope": user(nope=1),
    CORE_USER: user(**{CORE_USER: {"title": "x"}}),
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0User": user(
        **{"urn:ietf:params:scim:schemas:extension:enterprise:2.0User": {"department": "x"}}
    ),
    "name.nope": user(name={"nope": "x"}),
    "roles.displayName": user(roles=[{"displayName": "x"}]),
    f"{ENTERPRISE_USER}:nope": user(**{ENTERPRISE_USER: {"nope": "x"}}),
    f"{ENTERPRISE_USER}:manager.nope": user(**{ENTERPRISE_USER: {"manager": {"nope": "x"}}}),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_attributes_are_dropped_and_told_or_refused_strictly(name: str) -> None:
    told: list[str] = []
    assert USERS.read(UNKNOWN[name], LENIENT, on_unknown=told.extend) == {
        "schemas": [CORE_USER],
        "userName": "bjensen",
        "active": True,
    }
    assert told == [name]
    with pytest.raises(InvalidSyntax) as error:
        USERS.read(UNKNOWN[name], STRICT)
    assert error.value.detail.startswith(f"{name} is no attribute")


def test_nobody_is_told_when_everything_is_known() -> None:
    told: list[str] = []
    USERS.read(user(title="x"), LENIENT, on_unknown=told.append)
    assert told == []


def test_a_long_or_odd_name_is_told_short_and_printable() -> None:
    told: list[str] = []
    USERS.read(user(**{"x" * 5000: 1, "a\nb\x1b": 1}), LENIENT, on_unknown=told.extend)
    assert [len(name) for name in told] == [81, 4]
    assert all(name.isprintable() for name in told)


# -- unassigned -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [STRICT, LENIENT], ids=["strict", "lenient"])
def test_null_and_empty_values_count_as_not_given(profile: Profile) -> None:
    body = user(
        title=None,
        nickName="",
        emails=[],
        phoneNumbers=None,
        ims=[None, {}, {"value": None}, {"value": ""}],
        name={"givenName": None, "familyName": ""},
        externalId="",
        profileUrl="",
        **{ENTERPRISE_USER: {"department": "", "manager": {}}},
    )
    assert USERS.read(body, profile) == {"schemas": [CORE_USER], "userName": "bjensen", "active": True}


def test_blanks_are_a_value_of_an_optional_attribute() -> None:
    assert read(USERS, user(title=" ")) == {"title": " "}


@pytest.mark.parametrize("profile", [STRICT, LENIENT], ids=["strict", "lenient"])
@pytest.mark.parametrize("name", [None, "", "  ", "\u200b", "\u3000"])
def test_a_required_value_is_neither_missing_nor_empty_nor_blank(name: str | None, profile: Profile) -> None:
    assert "userName is required" in refused(USERS, {"schemas": [CORE_USER], "userName": name}, profile)
    assert "userName is required" in refused(USERS, {"schemas": [CORE_USER]}, profile)
    assert "displayName is required" in refused(GROUPS, {"schemas": [CORE_GROUP], "displayName": name}, profile)


def test_a_required_part_counts_where_its_parent_is() -> None:
    assert read(THINGS, thing())["state"] == "new"
    assert refused(THINGS, thing(owner={"x": "a"})) == "owner.name is required and must not be empty or blank."
    assert "parts[1].kind is required" in refused(THINGS, thing(parts=[{"kind": "a"}, {"aliases": ["b"]}]))


def test_a_required_extension_has_to_be_there_with_what_it_requires() -> None:
    assert f"{LABELS} is required" in refused(THINGS, {"schemas": [THING]})
    assert f"{LABELS} is required" in refused(THINGS, {"schemas": [THING], LABELS: {}})
    assert f"{LABELS}:colour is required" in refused(THINGS, {"schemas": [THING], LABELS: {"secret": "x"}})


def test_defaults_are_for_what_was_not_sent_and_null_overrides_them() -> None:
    assert USERS.read(user(), STRICT)["active"] is True
    assert USERS.read(user(active=False), STRICT)["active"] is False
    assert "active" not in USERS.read(user(ACTIVE=None), STRICT)
    assert THINGS.read(thing(), STRICT)[LABELS] == {"colour": "red", "size": 1}
    assert THINGS.read(thing(**{LABELS: {"colour": "red", "SIZE": None}}), STRICT)[LABELS] == {"colour": "red"}


# -- types ------------------------------------------------------------------------------------------------------------

WRONG = {
    "number for string": (USERS, user(title=5), "title has to be a string, not a number."),
    "boolean for string": (USERS, user(externalId=True), "externalId has to be a string, not a boolean."),
    "object for string": (USERS, user(displayName={"a": 1}), "displayName has to be a string, not an object."),
    "array for string": (USERS, user(title=["a"]), "title has to be a string, not an array."),
    "empty array for string": (USERS, user(title=[]), "title has to be a string, not an array."),
    "number for user name": (USERS, user(userName=0), "userName has to be a string, not a number."),
    "number for boolean": (USERS, user(active=3), "active has to be true or false, not a number."),
    "one for boolean": (USERS, user(active=1), "active has to be true or false, not a number."),
    "empty text for boolean": (USERS, user(active=""), "active has to be true or false"),
    "string for complex": (USERS, user(name="J"), "name has to be an object, not a string."),
    "string for many": (USERS, user(emails="a@b"), "emails has to be an array, not a string."),
    "object for many": (USERS, user(emails={"value": "a@b"}), "emails has to be an array, not an object."),
    "string for element": (USERS, user(roles=["admin"]), "roles[0] has to be an object, not a string."),
    "number in element": (USERS, user(emails=[{"value": "a"}, {"value": 5}]), "emails[1].value has to be a string"),
    "word for part": (USERS, user(emails=[{"primary": "yes"}]), "emails[0].primary has to be true or false"),
    "number for id of member": (
        GROUPS,
        {"schemas": [CORE_GROUP], "displayName": "g", "members": [{"value": 1}]},
        "members[0].value",
    ),
    "string for extension": (USERS, user(**{ENTERPRISE_USER: "x"}), f"{ENTERPRISE_USER} has to be an object"),
    "number in extension": (
        USERS,
        user(**{ENTERPRISE_USER: {"department": 5}}),
        f"{ENTERPRISE_USER}:department has to be",
    ),
    "number deep in extension": (
        USERS,
        user(**{ENTERPRISE_USER: {"manager": {"value": 5}}}),
        f"{ENTERPRISE_USER}:manager.value has to be a string, not a number.",
    ),
    "string for manager": (USERS, user(**{ENTERPRISE_USER: {"manager": "1"}}), "manager has to be an object"),
    "string for integer": (THINGS, thing(count="5"), "count has to be an integer"),
    "fraction for integer": (THINGS, thing(count=5.0), "count has to be an integer without fraction or exponent."),
    "boolean for integer": (THINGS, thing(count=True), "count has to be an integer"),
    "integer too large": (THINGS, thing(count=2**63), "count has to fit into 64 bits."),
    "string for decimal": (THINGS, thing(ratio="1.5"), "ratio has to be a number, not a string."),
    "boolean for decimal": (THINGS, thing(ratio=False), "ratio has to be a number, not a boolean."),
    "infinite decimal": (THINGS, thing(ratio=float("inf")), "ratio is a number too large."),
    "date without time": (THINGS, thing(at="2024-01-01"), "at has to be a string with date and time"),
    "word for date": (THINGS, thing(at="now"), "at has to be a string with date and time"),
    "no such day": (THINGS, thing(at="2024-02-30T00:00:00Z"), "at has to be a string with date and time"),
    "number for date": (THINGS, thing(at=5), "at has to be a string with date and time"),
    "no base64": (THINGS, thing(blob="@@@"), "blob has to be base64"),
    "PEM": (THINGS, thing(blob="-----BEGIN CERTIFICATE-----\nAAAA\n"), "blob has to be base64"),
    "one character of base64": (THINGS, thing(blob="A"), "blob has to be base64"),
    "wrong padding": (THINGS, thing(blob="AAAA="), "blob has to be base64"),
    "number for reference": (THINGS, thing(link=5), "link has to be a string with a URI, not a number."),
    "number among texts": (THINGS, thing(tags=["a", 5]), "tags[1] has to be a string, not a number."),
    "array in array": (THINGS, thing(tags=[["a"]]), "tags[0] has to be a string, not an array."),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_value_of_the_wrong_type_is_refused_by_name_strictly(case: str) -> None:
    reader, body, message = WRONG[case]
    assert message in refused(reader, body)


LIFTED = {
    "object for many",
    "string for many",
    "string for element",
    "string for manager",
    "array for string",
    "empty array for string",
}


@pytest.mark.parametrize("case", [case for case in WRONG if case not in LIFTED])
def test_no_profile_takes_a_number_or_object_for_a_string(case: str) -> None:
    reader, body, _ = WRONG[case]
    assert refused(reader, body, LENIENT)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 5),
        ("count", -(2**63)),
        ("ratio", 1.5),
        ("ratio", 2),
        ("at", "2024-01-01T00:00:00+02:00"),
        ("at", "2024-01-01T00:00:00.123456789Z"),
        ("at", "2024-01-01T00:00:00"),
        ("blob", "AAAA"),
        ("blob", "AAA="),
        ("blob", "AAA"),
        ("blob", "AA=="),
        ("link", "../Users/1"),
        ("tags", ["b", "a"]),
        ("ports", [1, 0, 2]),
        ("state", "日本 😀 é"),
        ("parts", [{"kind": "a", "aliases": ["x", "y"]}]),
    ],
)
def test_a_value_that_fits_comes_back_as_it_was_sent(name: str, value: Any) -> None:
    resource = THINGS.read(thing(**{name: value}), STRICT)
    assert resource[name] == value
    assert type(resource[name]) is type(value)


def test_several_faults_are_told_at_once_and_a_long_list_is_cut() -> None:
    detail = refused(USERS, user(title=1, nickName=2, locale=3, timezone=4, emails=[{"value": 1}] * 1000))
    assert detail.count(";") == 3
    assert detail.endswith("more.")
    assert len(detail) < 400


@pytest.mark.parametrize("profile", [STRICT, LENIENT], ids=["strict", "lenient"])
@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_a_character_that_no_store_can_keep_is_refused_everywhere(text: str, profile: Profile) -> None:
    for body in (
        user(userName=text),
        user(title=text),
        user(profileUrl=text),
        user(emails=[{"value": text}]),
        user(**{ENTERPRISE_USER: {"manager": {"value": text}}}),
    ):
        detail = refused(USERS, body, profile)
        assert text not in detail


def test_control_characters_are_refused_in_unique_names_only() -> None:
    assert refused(USERS, user(userName="a\nb")) == "userName must not hold control characters."
    assert refused(GROUPS, {"schemas": [CORE_GROUP], "displayName": "a\x85b"}) == (
        "displayName must not hold control characters."
    )
    assert read(USERS, user(addresses=[{"formatted": "a\nb"}])) == {"addresses": [{"formatted": "a\nb"}]}


def test_a_short_password_is_refused_without_repeating_it() -> None:
    detail = refused(USERS, user(password="hunter2"))
    assert detail == "password needs at least 8 characters."
    assert read(USERS, user(password="1mz050nq")) == {"password": "1mz050nq"}


def test_numbers_of_telephones_come_back_exactly_as_sent() -> None:
    numbers = [{"value": "tel:+1-201-555-0123", "type": "work"}, {"value": "+1 (201) 555 0123", "type": "Büro"}]
    assert read(USERS, user(phoneNumbers=numbers)) == {"phoneNumbers": numbers}


# -- several values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [STRICT, LENIENT], ids=["strict", "lenient"])
def test_one_element_at_most_is_primary(profile: Profile) -> None:
    two = [{"value": "a", "primary": True}, {"value": "b", "primary": True}]
    assert "emails has more than one element with primary true" in refused(USERS, user(emails=two), profile)
    one = [{"value": "a", "primary": True}, {"value": "b", "primary": False}, {"value": "c"}]
    assert read(USERS, user(emails=one), profile) == {"emails": one}


def test_the_same_value_of_the_same_type_is_kept_once_with_all_that_is_known_of_it() -> None:
    emails = [
        {"value": "a", "type": "work"},
        {"value": "b"},
        {"value": "a", "type": "home"},
        {"value": "a", "type": "work", "primary": True},
        {"value": "b"},
    ]
    assert read(USERS, user(emails=emails))["emails"] == [
        {"value": "a", "type": "work", "primary": True},
        {"value": "b"},
        {"value": "a", "type": "home"},
    ]
    assert THINGS.read(thing(tags=["b", "a", "b"], ports=[2, 1, 2]), STRICT)["tags"] == ["b", "a"]


def test_a_primary_element_sent_twice_is_one() -> None:
    twice = [{"value": "a", "type": "work", "primary": True}] * 2
    assert read(USERS, user(emails=twice))["emails"] == twice[:1]


def test_addresses_without_value_stand_side_by_side() -> None:
    addresses = [{"type": "work", "locality": "A"}, {"type": "work", "locality": "B"}]
    assert read(USERS, user(addresses=addresses)) == {"addresses": addresses}


def test_a_member_is_held_once() -> None:
    members = [{"value": "1", "type": "User"}, {"value": "2"}, {"value": "1"}, {"$ref": "Users/3"}]
    group = {"schemas": [CORE_GROUP], "displayName": "g", "members": members}
    assert GROUPS.read(group, STRICT)["members"] == [
        {"value": "1", "type": "User"},
        {"value": "2"},
        {"$ref": "Users/3"},
    ]


def test_members_given_by_reference_alone_are_all_kept() -> None:
    members = [{"$ref": "Users/1"}, {"$ref": "Users/2"}]
    group = {"schemas": [CORE_GROUP], "displayName": "g", "members": members}
    assert GROUPS.read(group, STRICT)["members"] == members


def test_ten_thousand_members_are_read() -> None:
    members = [{"value": f"id-{number}", "type": "User", "display": "x"} for number in range(10_000)]
    group = GROUPS.read({"schemas": [CORE_GROUP], "displayName": "g", "members": members}, STRICT)
    assert [member["value"] for member in group["members"]] == [f"id-{number}" for number in range(10_000)]


def test_canonical_values_only_suggest() -> None:
    assert read(USERS, user(emails=[{"value": "a", "type": "private"}])) == {
        "emails": [{"value": "a", "type": "private"}]
    }


def test_what_is_read_shares_nothing_with_the_body() -> None:
    body = user(name={"givenName": "a"}, emails=[{"value": "a"}])
    resource = USERS.read(body, STRICT)
    body["name"]["givenName"] = body["emails"][0]["value"] = "changed"
    assert (resource["name"], resource["emails"]) == ({"givenName": "a"}, [{"value": "a"}])


# -- lenient forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "value"), [("True", True), ("FALSE", False), ("true", True), ("false", False), (" True ", True)]
)
def test_words_are_booleans_where_the_profile_allows_it(word: str, value: bool) -> None:
    body = user(active=word, roles=[{"value": "a", "primary": word}])
    for profile in (LENIENT, OKTA, ENTRA):
        resource = USERS.read(body, profile)
        assert resource["active"] is value
        assert resource["roles"] == [{"value": "a", "primary": value}]
    assert "active has to be true or false" in refused(USERS, body)


@pytest.mark.parametrize("word", ["maybe", "1", "yes", "tru", ""])
def test_other_words_are_never_booleans(word: str) -> None:
    assert refused(USERS, user(active=word), LENIENT) == "active has to be true or false, not another word."


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ({"emails": {"value": "a@b"}}, {"emails": [{"value": "a@b"}]}),
        ({"emails": "a@b"}, {"emails": [{"value": "a@b"}]}),
        ({"emails": ""}, {}),
        ({"roles": ["a", {"value": "b"}, "a"]}, {"roles": [{"value": "a"}, {"value": "b"}]}),
        ({"roles": ['{"id":"1","value":"25"}']}, {"roles": [{"value": '{"id":"1","value":"25"}'}]}),
        ({ENTERPRISE_USER: {"manager": "1"}}, {ENTERPRISE_USER: {"manager": {"value": "1"}}}),
        ({ENTERPRISE_USER: {"manager": ["1"]}}, {ENTERPRISE_USER: {"manager": {"value": "1"}}}),
        ({ENTERPRISE_USER: {"manager": [{"value": "1"}]}}, {ENTERPRISE_USER: {"manager": {"value": "1"}}}),
        ({ENTERPRISE_USER: {"manager": []}}, {}),
        ({ENTERPRISE_USER: {"manager": ""}}, {}),
        ({"name": ""}, {}),
        ({"name": [{"givenName": "a"}]}, {"name": {"givenName": "a"}}),
    ],
)
def test_values_are_lifted_where_the_profile_allows_it(sent: dict[str, Any], read_as: dict[str, Any]) -> None:
    assert read(USERS, user(**sent), LENIENT) == read_as
    assert refused(USERS, user(**sent), STRICT)


@pytest.mark.parametrize(
    "sent",
    [
        {"name": "J"},
        {"addresses": "Main Street 1"},
        {"emails": 5},
        {"emails": [[{"value": "a"}]]},
        {"title": ["a"]},
        {ENTERPRISE_USER: {"manager": [{"value": "1"}, {"value": "2"}]}},
        {ENTERPRISE_USER: {"manager": [[{"value": "1"}]]}},
    ],
)
def test_what_could_mean_anything_is_not_lifted(sent: dict[str, Any]) -> None:
    assert refused(USERS, user(**sent), LENIENT)


# -- anything ---------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just("True"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "type", "primary", "x", "$ref", "Value"]), inner, max_size=3)
    ),
    max_leaves=8,
)
attribute_names = st.sampled_from(
    [
        "userName",
        "title",
        "active",
        "name",
        "emails",
        "addresses",
        "roles",
        "x509Certificates",
        ENTERPRISE_USER,
        "nope",
        "id",
    ]
)


def read_or_refused(body: dict[str, Any], profile: Profile) -> Resource | ScimError:
    try:
        return USERS.read(body, profile)
    except (InvalidValue, InvalidSyntax) as error:
        return error


@given(st.dictionaries(attribute_names, json_values, max_size=5), st.sampled_from(list(PROFILES.values())))
def test_whatever_is_sent_is_refused_or_becomes_a_resource_that_reads_as_itself(
    body: dict[str, Any], profile: Profile
) -> None:
    resource = read_or_refused({"schemas": [CORE_USER], **body}, profile)
    if isinstance(resource, ScimError):
        assert resource.detail.endswith(".")
        assert len(resource.detail) < 1000
        return
    assert "id" not in resource
    assert all(value not in (None, "", [], {}) for value in resource.values())
    if "active" in resource:
        assert USERS.read(resource, STRICT) == resource
