"""Changes of membership as set arithmetic: the members that a group has are not read for it."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from patch_data import BADGE, GROUP, GROUP_URN, USER, add, group, ids, op, patched, reader, remove, replace

from scim_gateway.errors import InvalidFilter, InvalidPath, InvalidSyntax, InvalidValue, NoTarget, ScimError
from scim_gateway.messages import PatchOperation
from scim_gateway.patch import MemberOperations, membership_change
from scim_gateway.profile import LENIENT, OKTA, STRICT, Profile
from scim_gateway.schema import Attribute, ResourceType


def change(*operations: PatchOperation, profile: Profile = LENIENT) -> MemberOperations:
    found = membership_change(operations, GROUP, reader(GROUP), profile)
    assert found is not None
    return found


def difference(*operations: PatchOperation, profile: Profile = LENIENT) -> tuple[bool, list[str], set[str]]:
    found = change(*operations, profile=profile)
    assert found.operations == ()
    return found.replaces, list(found.add), set(found.remove)


class TestArithmetic:
    def test_add(self) -> None:
        found = change(add("members", [{"value": "a", "display": "x", "type": "User"}, {"value": "b"}]))
        assert found == MemberOperations(add={"a": {"value": "a", "type": "User"}, "b": {"value": "b"}})

    @pytest.mark.parametrize("path", ["members", "MEMBERS", f"{GROUP_URN}:members", None])
    def test_by_any_name(self, path: str | None) -> None:
        value: Any = [{"value": "a"}]
        assert difference(add(path, value if path else {"Members": value})) == (False, ["a"], set())

    @pytest.mark.parametrize(
        ("operation", "expected"),
        [
            (add("members", {"value": "a"}), (False, ["a"], set())),
            (add("members", ["a"]), (False, ["a"], set())),
            (add("members", []), (False, [], set())),
            (add("members", None), (False, [], set())),
            (add("members", [{"$ref": "https://x/scim/v2/Users/a"}]), (False, ["a"], set())),
            (remove('members[value eq "a"]'), (False, [], {"a"})),
            (remove('members[value eq "a" or (value eq "b" or VALUE EQ "c")]'), (False, [], {"a", "b", "c"})),
            (remove("members", [{"value": "a", "$ref": None}, {"value": "b"}]), (False, [], {"a", "b"})),
            (remove("members", []), (False, [], set())),
            (remove("members"), (True, [], set())),
            (remove("members", None), (True, [], set())),
            (replace("members", [{"value": "b"}, {"value": "a"}, {"value": "b"}]), (True, ["b", "a"], set())),
            (replace("members", []), (True, [], set())),
            (replace("members", None), (True, [], set())),
            (replace(None, {"members": []}), (True, [], set())),
            (replace(None, {GROUP_URN: {"members": [{"value": "a"}]}}), (True, ["a"], set())),
        ],
        ids=lambda value: None if isinstance(value, tuple) else str(value),
    )
    def test_one_operation(self, operation: PatchOperation, expected: Any) -> None:
        assert difference(operation) == expected

    @pytest.mark.parametrize(
        ("operations", "expected"),
        [
            ([add("members", ["a"]), remove('members[value eq "a"]')], (False, [], {"a"})),
            ([remove('members[value eq "a"]'), add("members", ["a"])], (False, ["a"], set())),
            ([remove("members"), add("members", ["a"]), remove("members", ["b"])], (True, ["a"], set())),
            ([add("members", ["a"]), replace("members", ["b"])], (True, ["b"], set())),
            ([replace("members", ["a", "b"]), remove("members", ["a"])], (True, ["b"], set())),
            ([add("members", ["a"]), add("members", ["b"]), add("members", ["a"])], (False, ["a", "b"], set())),
        ],
    )
    def test_operations_follow_one_another(self, operations: list[PatchOperation], expected: Any) -> None:
        assert difference(*operations) == expected

    def test_what_a_client_says_twice_about_a_new_member_counts_once(self) -> None:
        found = change(
            add("members", [{"value": "a", "type": "User"}]), add("members", [{"value": "a", "type": "Group"}])
        )
        assert found.add == {"a": {"value": "a", "type": "User"}}


class TestOtherOperations:
    def test_are_given_back_in_order(self) -> None:
        others = (replace("displayName", "X"), add("externalId", "e"))
        found = change(others[0], add("members", ["a"]), others[1])
        assert (found.operations, list(found.add)) == (others, ["a"])

    def test_without_members_there_is_nothing_to_compute(self) -> None:
        others = (replace("displayName", "X"), replace(None, {"externalId": "e", "foo": 1}))
        assert change(*others) == MemberOperations(others)

    @pytest.mark.parametrize(
        ("value", "rest"),
        [
            ({"members": ["a"], "displayName": "X", "id": "g1", "foo": 1}, {"displayName": "X", "id": "g1", "foo": 1}),
            ({GROUP_URN: {"members": ["a"], "displayName": "X"}}, {GROUP_URN: {"displayName": "X"}}),
            ({f"{GROUP_URN}:members": ["a"], f"{GROUP_URN}:displayName": "X"}, {f"{GROUP_URN}:displayName": "X"}),
        ],
    )
    def test_a_value_without_a_path_is_divided(self, value: Any, rest: Any) -> None:
        found = change(add(None, value))
        assert (found.operations, list(found.add)) == ((add(None, rest),), ["a"])

    def test_okta_s_rename_reads_no_members(self) -> None:
        rename = replace(None, {"id": "g1", "displayName": "X"})
        assert change(rename, profile=OKTA) == MemberOperations((rename,))


class TestGeneralPath:
    @pytest.mark.parametrize(
        "operation",
        [
            remove('members[type eq "User"]'),
            remove('members[value sw "a"]'),
            remove('members[not (value eq "a")]'),
            remove('members[value eq "a" and type eq "User"]'),
            remove('members[value eq "a" or type eq "User"]'),
            remove("members[value pr]"),
            remove('members[value eq "a"].type'),
            replace('members[value eq "a"]', {"value": "a"}),
            replace('members[value eq "a"].value', "a"),
            add('members[value eq "a"]', {"type": "User"}),
            add('members[value eq "a"].type', "User"),
            add("members", [{"type": "User"}]),
            replace(None, {'members[value eq "a"].type': "User"}),
        ],
        ids=str,
    )
    def test_what_depends_on_the_members_needs_them(self, operation: PatchOperation) -> None:
        assert membership_change([add("members", ["x"]), operation], GROUP, reader(GROUP), LENIENT) is None

    def test_types_without_members_or_with_members_by_other_rules(self) -> None:
        members = GROUP.attributes["members"]
        assert membership_change([add("title", "x")], USER, reader(USER), LENIENT) is None
        assert membership_change([add("tags", "x")], BADGE, reader(BADGE), LENIENT) is None
        for attribute in (
            dataclasses.replace(members, required=True),
            dataclasses.replace(members, mutability="immutable"),
            dataclasses.replace(members, sub_attributes=(Attribute("value"),)),
        ):
            kind = ResourceType(
                "Team", "/Teams", dataclasses.replace(GROUP.schema, attributes=(attribute,)), members="members"
            )
            assert membership_change([add("members", ["a"])], kind, reader(kind), LENIENT) is None


class TestRefused:
    """As in the general case."""

    @pytest.mark.parametrize(
        ("operation", "error"),
        [
            (add("members", ""), InvalidValue),
            (add("members", [{}]), InvalidValue),
            (add("members", [None]), InvalidValue),
            (add("members", [{"value": 5}]), InvalidValue),
            (replace("members", [{"display": "x"}]), InvalidValue),
            (remove("members", [{}]), InvalidValue),
            (op("add", "members"), InvalidValue),
            (remove(None), NoTarget),
            (add("members.value", "a"), InvalidPath),
            (remove("members["), InvalidPath),
            (remove("members[value eq 5]"), InvalidFilter),
            (remove("members[foo]"), InvalidFilter),
        ],
        ids=str,
    )
    def test_alike(self, operation: PatchOperation, error: type[ScimError]) -> None:
        with pytest.raises(error) as general:
            patched(group("a"), operation)
        with pytest.raises(error) as arithmetic:
            change(operation)
        assert arithmetic.value.detail == general.value.detail

    def test_values_in_remove_and_bare_ids_by_the_strict_profile(self) -> None:
        for operation in (
            remove("members", [{"value": "a"}]),
            add("members", ["a"]),
            add("members", [{"value": "a", "x": 1}]),
        ):
            with pytest.raises((InvalidValue, InvalidSyntax)):
                change(operation, profile=STRICT)


def test_large_groups_are_changed_in_good_time() -> None:
    numbers = [f"{number:032x}" for number in range(10_000)]
    before = group(*numbers)
    started = time.process_time()
    elements = [{"value": number, "$ref": None} for number in numbers]
    assert len(change(add("members", elements), remove("members", elements)).remove) == 10_000
    assert ids(patched(before, add("members", elements), remove("members", elements[1:]))) == numbers[:1]
    assert time.process_time() - started < 3
