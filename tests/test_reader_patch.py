"""Values of PATCH operations, read as the attributes that they are for, and the state that a PATCH leads to."""

from __future__ import annotations

from typing import Any

import pytest
from reader_data import GROUPS, LABELS, THING, THINGS, USERS, target, thing, user

from scim_gateway.errors import InvalidSyntax, InvalidValue
from scim_gateway.profile import ENTRA, LENIENT, STRICT, Profile
from scim_gateway.schema import CORE_USER, ENTERPRISE_USER, Target


def test_a_value_for_an_attribute_is_typed() -> None:
    assert USERS.read_value(target(USERS, "title"), "x", STRICT) == "x"
    assert USERS.read_value(target(USERS, "active"), "False", LENIENT) is False
    assert USERS.read_value(target(USERS, "name"), {"FAMILYNAME": "b"}, STRICT) == {"familyName": "b"}
    assert USERS.read_value(target(USERS, "name", "familyName"), "b", STRICT) == "b"
    assert USERS.read_value(target(USERS, "emails", "primary"), "True", LENIENT) is True
    assert USERS.read_value(target(USERS, "schemas"), [CORE_USER], STRICT) == [CORE_USER]


def test_a_value_for_an_extension_or_its_attributes_is_typed() -> None:
    department = target(USERS, "department", urn=ENTERPRISE_USER)
    manager = target(USERS, "manager", urn=ENTERPRISE_USER)
    manager_id = target(USERS, "manager", "value", urn=ENTERPRISE_USER)
    whole = target(USERS, "", urn=ENTERPRISE_USER)
    assert USERS.read_value(department, "d", STRICT) == "d"
    assert USERS.read_value(manager, "1", ENTRA) == {"value": "1"}
    assert USERS.read_value(manager_id, "1", STRICT) == "1"
    assert USERS.read_value(whole, {"DEPARTMENT": "d", "manager": {"value": "1"}}, STRICT) == {
        "department": "d",
        "manager": {"value": "1"},
    }
    labels = target(THINGS, "", urn=LABELS)
    assert THINGS.read_value(labels, {"colour": "red"}, STRICT) == {"colour": "red"}


@pytest.mark.parametrize("profile", [STRICT, LENIENT], ids=["strict", "lenient"])
def test_one_element_for_many_is_a_list_of_one_in_a_patch(profile: Profile) -> None:
    emails = target(USERS, "emails")
    assert USERS.read_value(emails, {"value": "a"}, profile) == [{"value": "a"}]
    assert USERS.read_value(emails, [{"value": "a"}, {"value": "a"}], profile) == [{"value": "a"}]
    assert THINGS.read_value(target(THINGS, "tags"), "a", profile) == ["a"]


def test_an_element_is_read_alone() -> None:
    emails = target(USERS, "emails")
    assert USERS.read_element(emails, {"VALUE": "a", "type": "work"}, STRICT) == {"value": "a", "type": "work"}
    assert USERS.read_element(emails, {}, STRICT) is None
    assert USERS.read_element(target(GROUPS, "members"), None, STRICT) is None
    with pytest.raises(InvalidValue, match="emails has to be an object, not a string"):
        USERS.read_element(emails, "a", STRICT)


@pytest.mark.parametrize("value", [None, "", [], {}])
def test_a_value_that_unassigns_is_none(value: Any) -> None:
    name = {"": "title", "[]": "emails", "{}": "name", "None": "title"}[str(value)]
    assert USERS.read_value(target(USERS, name), value, STRICT) is None


def test_required_parts_are_left_to_the_final_state() -> None:
    assert THINGS.read_value(target(THINGS, "owner"), {"x": "a"}, STRICT) == {"x": "a"}
    with pytest.raises(InvalidValue, match=r"owner\.name is required"):
        THINGS.check({**thing(), "owner": {"x": "a"}})


def test_a_fault_in_a_patch_value_names_its_place() -> None:
    manager = target(USERS, "manager", urn=ENTERPRISE_USER)
    whole = target(USERS, "", urn=ENTERPRISE_USER)
    cases: list[tuple[Target, Any, str]] = [
        (target(USERS, "active"), "maybe", "active has to be true or false, not another word."),
        (target(USERS, "emails"), [{"value": 5}], "emails[0].value has to be a string, not a number."),
        (target(USERS, "emails", "primary"), "+1 555", "emails.primary has to be true or false, not another word."),
        (manager, {"value": 5}, f"{ENTERPRISE_USER}:manager.value has to be a string, not a number."),
        (whole, {"manager": {"value": 5}}, f"{ENTERPRISE_USER}:manager.value has to be a string, not a number."),
        (whole, "x", f"{ENTERPRISE_USER} has to be an object, not a string."),
        (target(USERS, "password"), "short", "password needs at least 8 characters."),
    ]
    for where, value, message in cases:
        with pytest.raises(InvalidValue) as error:
            USERS.read_value(where, value, LENIENT)
        assert error.value.detail == message


def test_unknown_parts_of_a_patch_value_are_told_or_refused() -> None:
    told: list[str] = []
    roles = target(USERS, "roles")
    value = [{"value": "a", "displayName": "x"}]
    assert USERS.read_value(roles, value, ENTRA, on_unknown=told.extend) == [{"value": "a"}]
    assert told == ["roles.displayName"]
    with pytest.raises(InvalidSyntax, match=r"roles\.displayName"):
        USERS.read_value(roles, value, STRICT)


# The final state


def test_the_state_a_patch_leads_to_is_checked_as_a_whole() -> None:
    USERS.check(USERS.read(user(), STRICT))
    with pytest.raises(InvalidValue, match="userName is required"):
        USERS.check({"schemas": [CORE_USER], "active": True})
    with pytest.raises(InvalidValue, match="more than one element with primary true"):
        USERS.check(user(emails=[{"value": "a", "primary": True}, {"value": "b", "primary": True}]))
    with pytest.raises(InvalidValue, match=f"{LABELS} is required"):
        THINGS.check({"schemas": [THING]})


def test_schemas_and_empty_extensions_are_put_right() -> None:
    with_data = USERS.with_schemas(user(**{ENTERPRISE_USER: {"department": "d"}}))
    assert with_data["schemas"] == [CORE_USER, ENTERPRISE_USER]
    emptied = USERS.with_schemas(user(schemas=[CORE_USER, ENTERPRISE_USER], **{ENTERPRISE_USER: {}}))
    assert emptied == user(schemas=[CORE_USER])
