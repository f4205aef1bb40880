"""PATCH of what has rules of its own: one primary element, mutability, ``schemas``, members (RFC 7644 §3.5.2)."""

from __future__ import annotations

from typing import Any

import pytest
from patch_data import (
    BADGE_URN,
    ENTERPRISE_URN,
    LOCK_URN,
    USER_URN,
    add,
    badge,
    group,
    ids,
    op,
    patch_result,
    patched,
    remove,
    replace,
    user,
)

from scim_gateway.errors import InvalidValue, Mutability, NoTarget
from scim_gateway.messages import PatchOperation
from scim_gateway.patch import PatchResult, apply
from scim_gateway.profile import LENIENT, STRICT, Profile
from scim_gateway.reader import ResourceReader
from scim_gateway.schema import Attribute, ResourceType, Schema

BOTH = pytest.mark.parametrize("profile", [STRICT, LENIENT], ids=lambda profile: profile.name)


class TestPrimary:
    """The server lets one element be primary (§3.5.2, P-29, P-53)."""

    @pytest.mark.parametrize(
        "operation",
        [
            add("emails", [{"value": "n@example.com", "type": "other", "primary": True}]),
            add("emails", {"value": "home@example.com", "type": "home", "primary": True}),
            replace('emails[type eq "home"].primary', True),
            add('emails[type eq "home"].primary', True),
            add('emails[type eq "home"]', {"primary": True}),
            replace('emails[type eq "home"]', {"value": "n@example.com", "primary": True}),
            add('emails[type eq "other"]', {"value": "n@example.com", "primary": True}),
            add('emails[type eq "other" and primary eq true].value', "n@example.com"),
            add(None, {"emails": [{"value": "n@example.com", "primary": True}]}),
        ],
        ids=str,
    )
    @BOTH
    def test_primary_is_handed_over(self, operation: PatchOperation, profile: Profile) -> None:
        done = patched(user(), operation, profile=profile)
        assert done["emails"][0] == {**user()["emails"][0], "primary": False}
        assert [email.get("primary") for email in done["emails"]].count(True) == 1

    @BOTH
    def test_of_two_operations_the_last_wins(self, profile: Profile) -> None:
        done = patched(
            user(),
            replace('emails[type eq "home"].primary', True),
            replace('emails[type eq "work"].primary', True),
            profile=profile,
        )
        assert [email["primary"] for email in done["emails"]] == [True, False]

    @pytest.mark.parametrize("path", ["emails", None])
    @pytest.mark.parametrize("name", ["add", "replace"])
    @BOTH
    def test_two_primary_elements_in_one_value_are_refused(self, name: Any, path: str | None, profile: Profile) -> None:
        two = [{"value": "a@example.com", "primary": True}, {"value": "b@example.com", "primary": True}]
        with pytest.raises(InvalidValue):
            patched(user(), op(name, path, two if path else {"emails": two}), profile=profile)

    @BOTH
    def test_a_filter_cannot_make_two_elements_primary(self, profile: Profile) -> None:
        for operation in (replace("emails[value pr].primary", True), add("emails[value pr]", {"primary": True})):
            with pytest.raises(InvalidValue):
                patched(user(), operation, profile=profile)

    @BOTH
    def test_other_attributes_keep_theirs(self, profile: Profile) -> None:
        before = user(phoneNumbers=[{"value": "1", "primary": True}])
        done = patched(before, replace('emails[type eq "home"].primary', True), profile=profile)
        assert done["phoneNumbers"] == before["phoneNumbers"]


class TestMutability:
    """readOnly, immutable, writeOnly, of attributes and of sub-attributes (RFC 7643 §7)."""

    @pytest.mark.parametrize(
        "path",
        [
            "id",
            "meta",
            "meta.version",
            "meta.created",
            "groups",
            'groups[value eq "g"]',
            "groups[value eq 'g'].display",
        ],
    )
    @BOTH
    def test_read_only_by_path_is_refused_whatever_the_value(self, path: str, profile: Profile) -> None:
        path = path.replace("'", '"')
        for operation in (add(path, "u1"), replace(path, "u1"), remove(path)):
            with pytest.raises(Mutability):
                patched(user(), operation, profile=profile)

    @pytest.mark.parametrize("value", [{"groups": []}, {"id": "other"}, {"meta": {"version": "4"}}])
    def test_read_only_without_a_path_is_refused_by_the_strict_profile(self, value: dict[str, Any]) -> None:
        for change in (add, replace):
            with pytest.raises(Mutability):
                patched(user(), change(None, value), profile=STRICT)

    def test_the_own_id_without_a_path_passes(self) -> None:
        assert patched(user(), replace(None, {"id": "u1", "title": "T"}), profile=STRICT) == user(title="T")

    def test_read_only_parts_of_a_value_are_ignored_as_in_post(self) -> None:
        done = patched(badge(chip={"vendor": "V", "seen": "today"}), replace("chip", {"state": "on", "seen": "never"}))
        assert done["chip"] == {"vendor": "V", "seen": "today", "state": "on"}

    @BOTH
    def test_immutable_can_be_set_once(self, profile: Profile) -> None:
        done = patched(badge(), add("serial", "A1"), profile=profile)
        assert done == badge(serial="A1")
        assert patched(done, replace("serial", "A1"), profile=profile) == done
        for operation in (replace("serial", "a1"), add("serial", "B"), remove("serial"), replace("serial", None)):
            with pytest.raises(Mutability):
                patched(done, operation, profile=profile)

    @BOTH
    def test_immutable_is_compared_by_case_exact(self, profile: Profile) -> None:
        assert patched(badge(maker="ACME"), replace("maker", "acme"), profile=profile) == badge(maker="ACME")

    @BOTH
    def test_immutable_with_many_values_takes_no_more(self, profile: Profile) -> None:
        before = badge(seals=["a", "b"])
        assert patched(before, add("seals", ["B", "a"]), profile=profile) == before
        assert patched(before, remove('seals[value eq "c"]'), profile=profile) == before
        for operation in (add("seals", ["c"]), remove('seals[value eq "a"]'), replace("seals", []), remove("seals")):
            with pytest.raises(Mutability):
                patched(before, operation, profile=profile)

    @BOTH
    def test_an_immutable_sub_attribute(self, profile: Profile) -> None:
        before = badge(chip={"number": "1", "vendor": "V"})
        assert patched(before, add("chip", {"number": "1", "state": "on"}), profile=profile)["chip"]["state"] == "on"
        for operation in (replace("chip.number", "2"), add("chip", {"number": "2"}), remove("chip.number")):
            with pytest.raises(Mutability):
                patched(before, operation, profile=profile)

    @BOTH
    def test_an_immutable_part_of_an_element(self, profile: Profile) -> None:
        before = badge(doors=[{"value": "d", "hinge": "left", "opened": "often"}])
        done = patched(before, replace('doors[value eq "d"]', {"value": "e"}), profile=profile)
        assert done["doors"] == [{"value": "e", "hinge": "left", "opened": "often"}]
        for value in ({"value": "d", "hinge": "right"}, {"hinge": "right"}):
            with pytest.raises(Mutability):
                patched(before, replace('doors[value eq "d"]', value), profile=profile)
            with pytest.raises(Mutability):
                patched(before, add('doors[value eq "d"]', value), profile=profile)

    @BOTH
    def test_elements_of_a_list_are_given_as_wholes_but_keep_what_was_left_out(self, profile: Profile) -> None:
        before = badge(doors=[{"value": "d", "hinge": "left", "opened": "often"}, {"value": "e"}])
        done = patched(before, replace("doors", [{"value": "d", "type": "x"}, {"value": "d"}]), profile=profile)
        assert done["doors"] == [{"value": "d", "type": "x"}, {"value": "d", "hinge": "left", "opened": "often"}]

    @BOTH
    def test_write_only_is_validated_and_not_in_the_result(self, profile: Profile) -> None:
        for operation in (replace("password", "correct horse"), add(None, {"password": "correct horse"})):
            result = patch_result(user(), operation, profile=profile)
            assert (result.resource, result.write_only) == (user(), True)
        for value in ("short", 12345678, {"a": 1}):
            with pytest.raises(InvalidValue) as refused:
                patched(user(), replace("password", value), profile=profile)
            assert str(value) not in refused.value.detail

    @BOTH
    def test_removing_what_is_write_only_changes_nothing(self, profile: Profile) -> None:
        result = patch_result(user(), remove("password"), replace("password", None), profile=profile)
        assert (result.resource, result.write_only) == (user(), False)

    def test_what_is_required_but_never_kept_does_not_stand_in_the_way(self) -> None:
        secrets = (Attribute("pin", mutability="writeOnly", required=True), Attribute("label"))
        schema = Schema(BADGE_URN, "Badge", attributes=secrets)
        kind = ResourceType("Badge", "/Badges", schema)
        before = {"schemas": [BADGE_URN], "id": "b1", "label": "Blue"}
        result = apply(before, [replace("label", "Red")], kind, ResourceReader(kind), STRICT)
        assert result == PatchResult({**before, "label": "Red"})
        with pytest.raises(InvalidValue):
            apply(before, [replace("pin", None)], kind, ResourceReader(kind), STRICT)

    @pytest.mark.parametrize(
        ("operation", "chip"),
        [
            (add("chip", {"vendor": "V", "key": "k"}), {"vendor": "V"}),
            (add("chip.key", "k"), None),
        ],
    )
    def test_a_write_only_sub_attribute(self, operation: PatchOperation, chip: Any) -> None:
        result = patch_result(badge(), operation)
        assert (result.resource.get("chip"), result.write_only) == (chip, True)

    def test_a_write_only_part_of_an_element(self) -> None:
        for operation in (
            add("doors", [{"value": "d", "code": "1"}]),
            replace("doors", [{"value": "d", "code": "1"}]),
            add('doors[value eq "d"].code', "1"),
        ):
            result = patch_result(badge(), operation)
            assert (result.resource["doors"], result.write_only) == ([{"value": "d"}], True)

    @BOTH
    def test_an_extension_that_goes_leaves_what_a_client_cannot_remove(self, profile: Profile) -> None:
        lock = {"model": "M", "firmware": "1.0"}
        before = badge(**{"schemas": [BADGE_URN, LOCK_URN], LOCK_URN: lock})
        assert patched(before, remove(LOCK_URN), profile=profile)[LOCK_URN] == {"firmware": "1.0"}
        before = badge(**{"schemas": [BADGE_URN, LOCK_URN], LOCK_URN: {**lock, "installed": "1999"}})
        with pytest.raises(Mutability):
            patched(before, remove(LOCK_URN), profile=profile)


class TestSchemas:
    """``schemas`` follows from the content (RFC 7643 §3.3, P-18)."""

    def test_the_urn_of_an_extension_comes_with_its_first_attribute(self) -> None:
        done = patched(user(), add(f"{ENTERPRISE_URN}:department", "IT"))
        assert done["schemas"] == [USER_URN, ENTERPRISE_URN]

    @pytest.mark.parametrize(
        "operation",
        [
            remove(f'schemas[value eq "{USER_URN}"]'),
            replace("schemas", [ENTERPRISE_URN]),
            replace("schemas", [USER_URN]),
            remove(f'schemas[value eq "{ENTERPRISE_URN}"]'),
            replace("schemas", [USER_URN, ENTERPRISE_URN, 5]),
            replace("schemas", []),
        ],
        ids=str,
    )
    @BOTH
    def test_a_list_that_contradicts_the_content_is_refused(self, operation: PatchOperation, profile: Profile) -> None:
        with pytest.raises(InvalidValue):
            patched(user(enterprise={"department": "IT"}), operation, profile=profile)

    def test_an_urn_that_is_no_schema_of_the_type_is_refused_by_the_strict_profile(self) -> None:
        with pytest.raises(InvalidValue):
            patched(user(), add("schemas", ["urn:x:y"]), profile=STRICT)
        assert patched(user(), add("schemas", ["urn:x:y"])) == user()

    @BOTH
    def test_the_urn_can_be_named_in_the_same_request_as_the_data(self, profile: Profile) -> None:
        data, urn = add(f"{ENTERPRISE_URN}:department", "IT"), add("schemas", [ENTERPRISE_URN])
        for operations in ((data, urn), (urn, data), (data, add("schemas", [USER_URN]))):
            assert patched(user(), *operations, profile=profile) == user(enterprise={"department": "IT"})
        gone = (remove(ENTERPRISE_URN), remove(f'schemas[value eq "{ENTERPRISE_URN}"]'))
        assert patched(user(enterprise={"department": "IT"}), *gone, profile=profile) == user()


class TestMembers:
    """Members of a group, as any other elements (RFC 7643 §4.2)."""

    @BOTH
    def test_a_member_who_is_there_stays_as_he_is(self, profile: Profile) -> None:
        before = group("a", "b")
        assert (
            patched(before, add("members", [{"value": "a", "display": "x", "type": "Group"}]), profile=profile)
            == before
        )

    @BOTH
    def test_union_in_order(self, profile: Profile) -> None:
        assert ids(
            patched(group("a"), add("members", [{"value": "c"}, {"value": "a"}, {"value": "b"}]), profile=profile)
        ) == [
            "a",
            "c",
            "b",
        ]

    @BOTH
    def test_the_same_members_sent_again_change_nothing(self, profile: Profile) -> None:
        before = group("a", "b")
        assert patched(before, replace("members", [{"value": "a"}, {"value": "b"}]), profile=profile) == before

    @BOTH
    def test_removal_by_filter(self, profile: Profile) -> None:
        before = group("a", "b", "c")
        assert ids(patched(before, remove('members[value eq "b"]'), profile=profile)) == ["a", "c"]
        assert ids(patched(before, remove('members[value eq "b" or value eq "a"]'), profile=profile)) == ["c"]
        assert patched(before, remove('members[value eq "B"]'), profile=profile) == before
        assert patched(before, remove("members"), profile=profile) == group()

    @pytest.mark.parametrize("value", ["x", [{}], [None], [{"value": ""}], [{"display": "x"}], [{"value": 5}], [["a"]]])
    @BOTH
    def test_members_that_say_nothing_are_refused(self, value: Any, profile: Profile) -> None:
        if value == "x" and profile is LENIENT:
            value = ""
        for change in (add, replace):
            with pytest.raises(InvalidValue):
                patched(group("a"), change("members", value), profile=profile)

    @BOTH
    def test_what_is_said_about_a_member_cannot_be_changed(self, profile: Profile) -> None:
        before = group("a")
        assert patched(before, replace('members[value eq "a"].value', "a"), profile=profile) == before
        assert patched(before, replace('members[value eq "a"].type', "user"), profile=profile) == before
        for operation in (
            replace('members[value eq "a"].value', "b"),
            replace('members[value eq "a"]', {"value": "b"}),
            replace('members[value eq "a"].type', "Group"),
            replace('members[value eq "a"].display', "x"),
            add('members[value eq "a"].display', "x"),
            remove('members[value eq "a"].value'),
            remove('members[value eq "a"].display'),
        ):
            with pytest.raises(Mutability):
                patched(before, operation, profile=profile)

    @BOTH
    def test_replacing_what_is_said_about_nobody_makes_no_member(self, profile: Profile) -> None:
        for path, value in (('members[value eq "b"].type', "User"), ('members[value eq "b"]', {"value": "b"})):
            with pytest.raises(NoTarget):
                patched(group("a"), replace(path, value), profile=profile)

    def test_a_member_named_by_reference_is_the_one_with_that_id(self) -> None:
        before = group("a")
        assert patched(before, add("members", [{"$ref": "https://example.com/scim/v2/Users/a"}])) == before
        assert ids(patched(before, add("members", [{"$ref": "Users/b"}]))) == ["a", "b"]
