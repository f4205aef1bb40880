"""PATCH of one resource: every kind of path, by the characteristics of its target (RFC 7644 §3.5.2)."""

from __future__ import annotations

from typing import Any

import pytest
from patch_data import ENTERPRISE_URN, USER_URN, add, badge, op, patched, remove, replace, user

from scim_gateway.errors import InvalidFilter, InvalidPath, InvalidSyntax, InvalidValue, Mutability, NoTarget, ScimError
from scim_gateway.messages import PatchOperation
from scim_gateway.profile import LENIENT, OKTA, STRICT, Profile

BOTH = pytest.mark.parametrize("profile", [STRICT, LENIENT], ids=lambda profile: profile.name)


def without(resource: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in names}


class TestSequence:
    """One after the other, all or none (§3.5.2)."""

    def test_each_operation_sees_the_result_of_the_one_before(self) -> None:
        done = patched(user(), add("title", "A"), replace("title", "B"), remove("title"))
        assert done == user()

    def test_two_fields_can_be_swapped(self) -> None:
        done = patched(user(title="a", nickName="b"), replace("title", "b"), replace("nickName", "a"))
        assert (done["title"], done["nickName"]) == ("b", "a")

    def test_nothing_is_applied_when_one_operation_is_refused(self) -> None:
        before = user()
        with pytest.raises(InvalidPath):
            patched(before, replace("title", "X"), replace("nonsense", "Y"))
        assert before == user()

    def test_a_value_that_was_sent_is_not_shared_with_the_result(self) -> None:
        value = [{"value": "a@example.com"}]
        done = patched(user(), replace("emails", value))
        done["emails"][0]["value"] = "changed"
        assert value == [{"value": "a@example.com"}]

    def test_no_operations_change_nothing(self) -> None:
        assert patched(user()) == user()

    @pytest.mark.parametrize(
        "operation",
        [
            add("userName", "bjensen"),
            replace("active", True),
            replace("name.givenName", "Barbara"),
            add("name", {"givenName": "Barbara"}),
            replace("name", {"givenName": "Barbara", "familyName": "Jensen"}),
            add("emails", [{"value": "WORK@example.com", "type": "Work"}]),
            add("emails", {"value": "home@example.com", "type": "home", "display": "at home"}),
            add("emails", []),
            add("emails", None),
            add("title", None),
            replace("title", None),
            replace('emails[type eq "work"].value', "work@example.com"),
            replace('emails[type eq "work"].primary', True),
            add('emails[type eq "work"]', {"primary": True}),
            remove("title"),
            remove('emails[type eq "fax"]'),
            remove('emails[type eq "fax"].value'),
            remove("phoneNumbers"),
            remove(ENTERPRISE_URN),
            remove(f"{ENTERPRISE_URN}:manager.value"),
            remove(f"{ENTERPRISE_URN}:department"),
            add(ENTERPRISE_URN, {}),
            add(None, {}),
            replace(None, {"active": True, "id": "u1"}),
            replace(None, {"schemas": [USER_URN]}),
            add("schemas", [USER_URN]),
            replace("schemas", [USER_URN, ENTERPRISE_URN]),
        ],
        ids=str,
    )
    @BOTH
    def test_what_changes_nothing_leaves_an_equal_resource(self, operation: PatchOperation, profile: Profile) -> None:
        assert patched(user(), operation, profile=profile) == user()

    def test_the_state_at_the_end_is_checked_as_a_whole(self) -> None:
        with pytest.raises(InvalidValue, match=r"chip\.vendor"):
            patched(badge(), add("chip.state", "on"))
        done = patched(badge(), add("chip.state", "on"), add("chip.vendor", "V"))
        assert done["chip"] == {"state": "on", "vendor": "V"}


class TestPath:
    """attrPath / valuePath [subAttr], with or without URN (§3.5.2, §3.10)."""

    @pytest.mark.parametrize(
        "path",
        [
            *("title", "TITLE", f"{USER_URN}:title", f"{USER_URN.upper()}:Title", f"{USER_URN}.title"),
        ],
    )
    @BOTH
    def test_letter_case_and_the_core_urn_make_no_difference(self, path: str, profile: Profile) -> None:
        assert patched(user(), replace(path, "T"), profile=profile) == user(title="T")

    @pytest.mark.parametrize("path", [f"{ENTERPRISE_URN}:department", f"{ENTERPRISE_URN.upper()}:DEPARTMENT"])
    @BOTH
    def test_an_attribute_of_an_extension_by_its_full_name(self, path: str, profile: Profile) -> None:
        assert patched(user(), replace(path, "IT"), profile=profile) == user(enterprise={"department": "IT"})

    @BOTH
    def test_a_value_path_in_any_letter_case(self, profile: Profile) -> None:
        done = patched(user(), replace('EMAILS[TYPE EQ "WORK"].VALUE', "n@example.com"), profile=profile)
        assert done["emails"][0] == {"value": "n@example.com", "type": "work", "primary": True}
        assert done["emails"][1] == user()["emails"][1]

    @pytest.mark.parametrize(
        "path",
        [
            *(
                "emails[",
                "..",
                "name.",
                "a.b.c",
                ".title",
                "title,name",
                "name..familyName",
                'emails[type eq "x"].value.x',
            ),
            *('emails.type[type eq "x"]', 'userName[value eq "x"]', 'name[givenName eq "x"]', "emails]", "[type]"),
        ],
    )
    @pytest.mark.parametrize("name", ["add", "replace", "remove"])
    @BOTH
    def test_what_is_no_path_is_refused(self, path: str, name: Any, profile: Profile) -> None:
        operation = remove(path) if name == "remove" else op(name, path, "x")
        with pytest.raises(InvalidPath):
            patched(user(), operation, profile=profile)

    @pytest.mark.parametrize(
        "path",
        [
            *("foo", "name.foo", "urn:x:y:z", f"{ENTERPRISE_URN}:foo", f"{ENTERPRISE_URN}:manager.foo", USER_URN),
            *('foo[type eq "x"]', 'emails[type eq "work"].foo', "title.foo", "department"),
        ],
    )
    @BOTH
    def test_an_unknown_attribute_is_refused_by_every_profile(self, path: str, profile: Profile) -> None:
        for operation in (add(path, "x"), replace(path, "x"), remove(path)):
            with pytest.raises(InvalidPath):
                patched(user(), operation, profile=profile)

    @pytest.mark.parametrize(
        "path", ['emails[type gg "x"]', "emails[type]", 'emails[foo eq "x"]', "emails[primary eq 5]"]
    )
    @BOTH
    def test_a_bad_filter_in_a_path_is_an_invalid_filter(self, path: str, profile: Profile) -> None:
        for operation in (add(path, {"value": "x"}), replace(path, {"value": "x"}), remove(path)):
            with pytest.raises(InvalidFilter):
                patched(user(), operation, profile=profile)

    @pytest.mark.parametrize(
        "operation", [add("emails.display", "x"), replace("emails.type", "x"), remove("emails.display")]
    )
    @BOTH
    def test_a_sub_attribute_of_many_elements_needs_a_filter(self, operation: PatchOperation, profile: Profile) -> None:
        with pytest.raises(InvalidPath, match="filter"):
            patched(user(), operation, profile=profile)


class TestAdd:
    """§3.5.2.1."""

    @BOTH
    def test_needs_a_value(self, profile: Profile) -> None:
        for path in ("title", None, "emails", 'emails[type eq "work"].value'):
            with pytest.raises(InvalidValue):
                patched(user(), op("add", path), profile=profile)
            with pytest.raises(InvalidValue):
                patched(user(), op("replace", path), profile=profile)

    @BOTH
    def test_without_a_path_merges_an_object(self, profile: Profile) -> None:
        value = {"title": "T", "emails": [{"value": "x@example.com", "type": "other"}], "name": {"middleName": "J"}}
        done = patched(user(), add(None, value), profile=profile)
        assert done["title"] == "T"
        assert done["emails"] == [*user()["emails"], {"value": "x@example.com", "type": "other"}]
        assert done["name"] == {**user()["name"], "middleName": "J"}

    @pytest.mark.parametrize("value", ["x", 5, True, None, [], [{"title": "x"}]])
    @BOTH
    def test_without_a_path_refuses_what_is_no_object(self, value: Any, profile: Profile) -> None:
        for operation in (add(None, value), replace(None, value)):
            with pytest.raises(InvalidValue):
                patched(user(), operation, profile=profile)

    @BOTH
    def test_a_single_value_is_overwritten(self, profile: Profile) -> None:
        assert patched(user(), add("title", "A"), add("title", "B"), profile=profile)["title"] == "B"

    @BOTH
    def test_a_complex_value_is_merged(self, profile: Profile) -> None:
        done = patched(user(), add("name", {"GIVENNAME": "B"}), profile=profile)
        assert done["name"] == {"givenName": "B", "familyName": "Jensen"}

    @BOTH
    def test_a_complex_value_has_to_be_an_object(self, profile: Profile) -> None:
        with pytest.raises(InvalidValue):
            patched(user(), add("name", "B"), profile=profile)

    @BOTH
    def test_a_sub_attribute_makes_its_parent(self, profile: Profile) -> None:
        done = patched(user(name=None), add("name.givenName", "B"), profile=profile)
        assert done["name"] == {"givenName": "B"}

    @pytest.mark.parametrize("several", [True, False])
    @BOTH
    def test_elements_are_appended_in_order(self, several: bool, profile: Profile) -> None:
        new = [{"value": "b@example.com", "type": "other"}, {"value": "a@example.com"}]
        done = patched(user(), add("emails", new if several else new[0]), profile=profile)
        assert done["emails"] == [*user()["emails"], *(new if several else new[:1])]

    @BOTH
    def test_the_same_address_with_another_type_is_another_element(self, profile: Profile) -> None:
        done = patched(user(), add("emails", [{"value": "work@example.com", "type": "other"}]), profile=profile)
        assert len(done["emails"]) == 3

    @BOTH
    def test_details_of_an_element_that_is_there_are_merged(self, profile: Profile) -> None:
        done = patched(
            user(), add("emails", [{"value": "home@example.com", "type": "home", "display": "H"}]), profile=profile
        )
        assert done["emails"][1] == {"value": "home@example.com", "type": "home", "display": "H"}

    @BOTH
    def test_an_address_equal_in_all_its_parts_is_not_repeated(self, profile: Profile) -> None:
        address = {"streetAddress": "1 Main St", "locality": "Bern", "type": "work"}
        before = user(addresses=[address])
        assert patched(before, add("addresses", [dict(address)]), profile=profile) == before
        assert (
            len(patched(before, add("addresses", [{**address, "locality": "Basel"}]), profile=profile)["addresses"])
            == 2
        )

    @BOTH
    def test_simple_values_are_united(self, profile: Profile) -> None:
        assert patched(badge(tags=["a"]), add("tags", ["b", "A"]), profile=profile)["tags"] == ["a", "b"]
        assert patched(badge(), add("tags", "a"), profile=profile)["tags"] == ["a"]

    @BOTH
    def test_null_for_what_has_to_have_a_value_is_refused(self, profile: Profile) -> None:
        for path in ("userName", "active"):
            for operation in (add(path, None), replace(path, None), add(None, {path: None})):
                with pytest.raises(InvalidValue):
                    patched(user(), operation, profile=profile)

    @BOTH
    def test_a_whole_extension_is_merged(self, profile: Profile) -> None:
        before = user(enterprise={"department": "IT"})
        after = user(enterprise={"department": "IT", "costCenter": "7"})
        assert patched(before, add(ENTERPRISE_URN, {"costCenter": "7"}), profile=profile) == after
        assert patched(before, add(None, {ENTERPRISE_URN: {"costCenter": "7"}}), profile=profile) == after
        assert patched(before, replace(None, {ENTERPRISE_URN.upper(): {"COSTCENTER": "7"}}), profile=profile) == after

    def test_a_whole_extension_has_to_be_an_object(self) -> None:
        for operation in (
            add(ENTERPRISE_URN, "x"),
            replace(None, {ENTERPRISE_URN: ["x"]}),
            replace(ENTERPRISE_URN, []),
        ):
            with pytest.raises(InvalidValue):
                patched(user(), operation)


class TestAddByValuePath:
    """``add`` where the path selects elements, or none."""

    @BOTH
    def test_an_object_is_merged_into_each_selected_element(self, profile: Profile) -> None:
        done = patched(user(), add('emails[value co "example"]', {"display": "D"}), profile=profile)
        assert [email["display"] for email in done["emails"]] == ["D", "D"]
        assert [email["type"] for email in done["emails"]] == ["work", "home"]

    @BOTH
    def test_a_sub_attribute_is_set_in_each_selected_element(self, profile: Profile) -> None:
        done = patched(user(), add('emails[value co "example"].display', "D"), profile=profile)
        assert [email["display"] for email in done["emails"]] == ["D", "D"]

    @BOTH
    def test_an_element_is_made_from_the_equalities_of_the_filter(self, profile: Profile) -> None:
        done = patched(user(), add('phoneNumbers[type eq "mobile"].value', "+1"), profile=profile)
        assert done["phoneNumbers"] == [{"type": "mobile", "value": "+1"}]
        done = patched(user(), add('phoneNumbers[type eq "fax" and display eq "F"]', {"value": "+1"}), profile=profile)
        assert done["phoneNumbers"] == [{"type": "fax", "display": "F", "value": "+1"}]

    @BOTH
    def test_equalities_are_typed_by_the_schema(self, profile: Profile) -> None:
        done = patched(user(), add("roles[primary eq true].value", "admin"), profile=profile)
        assert done["roles"] == [{"primary": True, "value": "admin"}]
        done = patched(user(), add("roles[primary eq false].value", "admin"), profile=profile)
        assert done["roles"] == [{"primary": False, "value": "admin"}]

    @BOTH
    def test_two_operations_on_the_same_missing_element_make_one(self, profile: Profile) -> None:
        done = patched(
            user(),
            add('addresses[type eq "work"].streetAddress', "1 Main St"),
            add('addresses[type eq "work"].locality', "Bern"),
            add('addresses[type eq "other"].formatted', "Room 7"),
            profile=profile,
        )
        assert done["addresses"] == [
            {"type": "work", "streetAddress": "1 Main St", "locality": "Bern"},
            {"type": "other", "formatted": "Room 7"},
        ]

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ('emails[type eq "fax" or type eq "pager"].value', "x"),
            ('emails[not (type eq "work") and type eq "fax"].value', "x"),
            ('emails[value co "zzz"].display', "x"),
            ('emails[type eq "fax" and type eq "pager"].value', "x"),
            ('emails[type eq "fax"]', {"type": "pager", "value": "x"}),
            ('emails[value eq "a@example.com"].value', "b@example.com"),
            ("phoneNumbers[type pr].value", "x"),
            ("phoneNumbers[type eq null].value", "x"),
            ('tags[value eq "a"]', "b"),
        ],
    )
    @BOTH
    def test_a_filter_that_does_not_tell_the_element_has_no_target(
        self, path: str, value: Any, profile: Profile
    ) -> None:
        with pytest.raises(NoTarget):
            patched(badge() if path.startswith("tags") else user(), add(path, value), profile=profile)

    @BOTH
    def test_a_simple_value_is_added_if_the_filter_selects_it(self, profile: Profile) -> None:
        assert patched(badge(), add('tags[value eq "a"]', "a"), profile=profile)["tags"] == ["a"]
        assert patched(badge(tags=["a"]), add('tags[value eq "a"]', "a"), profile=profile)["tags"] == ["a"]
        with pytest.raises(InvalidValue):
            patched(badge(tags=["a"]), add('tags[value eq "a"]', "b"), profile=profile)

    @pytest.mark.parametrize("value", ["x", [{"value": "x"}], [], 5, True])
    @BOTH
    def test_the_value_for_a_selected_element_is_one_object(self, value: Any, profile: Profile) -> None:
        for path in ('emails[type eq "work"]', 'emails[type eq "fax"]'):
            with pytest.raises(InvalidValue):
                patched(user(), add(path, value), profile=profile)


class TestRemove:
    """§3.5.2.2."""

    @pytest.mark.parametrize("path", [None, ""])
    @BOTH
    def test_without_a_path_has_no_target(self, path: str | None, profile: Profile) -> None:
        for operation in (remove(path), remove(path, {"title": "x"})):
            with pytest.raises(NoTarget):
                patched(user(title="x"), operation, profile=profile)

    @pytest.mark.parametrize("path", ["title", "name", "emails", "active", "externalId", "nickName"])
    @BOTH
    def test_unassigns(self, path: str, profile: Profile) -> None:
        before = user(title="T", externalId="e", nickName="n")
        assert patched(before, remove(path), profile=profile) == without(before, path)

    @BOTH
    def test_takes_one_sub_attribute(self, profile: Profile) -> None:
        assert patched(user(), remove("name.givenName"), profile=profile)["name"] == {"familyName": "Jensen"}

    @BOTH
    def test_the_last_sub_attribute_takes_its_parent_along(self, profile: Profile) -> None:
        done = patched(user(), remove("name.givenName"), remove("name.familyName"), profile=profile)
        assert "name" not in done

    @BOTH
    def test_a_filter_selects_what_goes(self, profile: Profile) -> None:
        done = patched(user(), remove('emails[type eq "work"]'), profile=profile)
        assert done["emails"] == user()["emails"][1:]

    @BOTH
    def test_the_last_element_takes_the_attribute_along(self, profile: Profile) -> None:
        assert "emails" not in patched(user(), remove("emails[value pr]"), profile=profile)

    @BOTH
    def test_a_filter_and_a_sub_attribute_take_only_that_part(self, profile: Profile) -> None:
        done = patched(user(), remove('emails[type eq "home"].display'), profile=profile)
        assert done["emails"] == [user()["emails"][0], {"value": "home@example.com", "type": "home"}]

    @BOTH
    def test_an_element_without_any_part_left_goes(self, profile: Profile) -> None:
        before = user(emails=[{"display": "only"}, {"value": "a@example.com"}])
        assert patched(before, remove('emails[display eq "only"].display'), profile=profile)["emails"] == [
            {"value": "a@example.com"}
        ]

    @pytest.mark.parametrize(
        "path", ["userName", "id", "meta.created", "meta", "groups", 'groups[value eq "x"]', "schemas"]
    )
    @BOTH
    def test_what_is_required_or_read_only_stays(self, path: str, profile: Profile) -> None:
        with pytest.raises(Mutability):
            patched(user(), remove(path), profile=profile)

    @BOTH
    def test_the_last_value_of_what_is_required_stays(self, profile: Profile) -> None:
        assert patched(badge(), remove("codes[value eq 1]"), profile=profile)["codes"] == [2]
        for path in ("codes", "codes[value gt 0]"):
            with pytest.raises(Mutability):
                patched(badge(), remove(path), profile=profile)

    @BOTH
    def test_a_required_sub_attribute_stays(self, profile: Profile) -> None:
        with pytest.raises(Mutability):
            patched(badge(chip={"vendor": "V", "state": "on"}), remove("chip.vendor"), profile=profile)

    @BOTH
    def test_the_urn_leaves_schemas_with_the_last_attribute(self, profile: Profile) -> None:
        before = user(enterprise={"department": "IT", "costCenter": "7"})
        done = patched(before, remove(f"{ENTERPRISE_URN}:department"), profile=profile)
        assert done == user(enterprise={"costCenter": "7"})
        assert patched(done, remove(f"{ENTERPRISE_URN}:costCenter"), profile=profile) == user()

    @BOTH
    def test_a_whole_extension_goes(self, profile: Profile) -> None:
        before = user(enterprise={"department": "IT", "manager": {"value": "u2"}})
        assert patched(before, remove(ENTERPRISE_URN), profile=profile) == user()
        assert patched(before, replace(None, {ENTERPRISE_URN: None}), profile=profile) == user()
        assert patched(before, replace(ENTERPRISE_URN, None), profile=profile) == user()
        assert patched(before, add(ENTERPRISE_URN, None), profile=profile) == before

    @BOTH
    def test_removing_the_primary_element_appoints_no_other(self, profile: Profile) -> None:
        done = patched(user(), remove("emails[primary eq true]"), profile=profile)
        assert [email.get("primary") for email in done["emails"]] == [None]


class TestReplace:
    """§3.5.2.3."""

    @BOTH
    def test_without_a_path_sets_the_named_attributes(self, profile: Profile) -> None:
        done = patched(
            user(), replace(None, {"active": False, "emails": [{"value": "n@example.com"}]}), profile=profile
        )
        assert done == user(active=False, emails=[{"value": "n@example.com"}])

    @BOTH
    def test_what_is_not_there_is_added(self, profile: Profile) -> None:
        assert patched(user(), replace("nickName", "Babs"), profile=profile) == user(nickName="Babs")

    @BOTH
    def test_only_the_named_sub_attributes_of_a_complex_value_change(self, profile: Profile) -> None:
        done = patched(user(), replace("name", {"familyName": "X"}), profile=profile)
        assert done["name"] == {"givenName": "Barbara", "familyName": "X"}

    @BOTH
    def test_a_null_sub_attribute_is_cleared(self, profile: Profile) -> None:
        done = patched(user(), replace("name", {"familyName": None, "middleName": "M"}), profile=profile)
        assert done["name"] == {"givenName": "Barbara", "middleName": "M"}

    @BOTH
    def test_a_multi_valued_attribute_is_replaced_whole(self, profile: Profile) -> None:
        new = [{"value": "a@example.com", "type": "work"}, {"value": "b@example.com"}]
        assert patched(user(), replace("emails", new), profile=profile)["emails"] == new

    @pytest.mark.parametrize("nothing", [None, []])
    @BOTH
    def test_null_and_the_empty_array_clear(self, nothing: Any, profile: Profile) -> None:
        assert patched(user(), replace("emails", nothing), profile=profile) == without(user(), "emails")
        assert patched(user(), replace(None, {"emails": nothing}), profile=profile) == without(user(), "emails")

    @BOTH
    def test_null_and_the_empty_array_do_not_clear_what_is_required(self, profile: Profile) -> None:
        for value in (None, []):
            with pytest.raises(InvalidValue):
                patched(badge(), replace("codes", value), profile=profile)

    @BOTH
    def test_every_selected_element_is_replaced(self, profile: Profile) -> None:
        done = patched(
            user(), replace('emails[type eq "home"]', {"value": "n@example.com", "type": "home"}), profile=profile
        )
        assert done["emails"] == [user()["emails"][0], {"value": "n@example.com", "type": "home"}]

    @BOTH
    def test_a_sub_attribute_is_set_in_every_selected_element(self, profile: Profile) -> None:
        before = user(addresses=[{"type": "work", "locality": "A"}, {"type": "home"}, {"type": "work", "region": "R"}])
        done = patched(before, replace('addresses[type eq "work"].streetAddress', "S"), profile=profile)
        assert done["addresses"] == [
            {"type": "work", "locality": "A", "streetAddress": "S"},
            {"type": "home"},
            {"type": "work", "region": "R", "streetAddress": "S"},
        ]

    def test_a_filter_that_selects_nothing_has_no_target(self) -> None:
        for path, value in (('emails[type eq "nope"].value', "x"), ('emails[type eq "nope"]', {"value": "x"})):
            with pytest.raises(NoTarget):
                patched(user(), replace(path, value), profile=STRICT)
            with pytest.raises(NoTarget):
                patched(user(), replace(path, value), profile=OKTA)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            *(("active", "maybe"), ("active", 1), ("active", []), ("emails", "x"), ("emails", 5), ("emails", [5])),
            *(
                ("userName", None),
                ("userName", ""),
                ("userName", "  "),
                ("userName", {"a": 1}),
                ("title", 5),
                ("title", ["a"]),
            ),
            *(("title", {"value": "x"}), ("name", "x"), ("name", []), ("name", 5), ("name.givenName", 7)),
            *(('emails[type eq "work"].primary', "+1 555"), ('emails[type eq "work"].value', {"a": 1})),
            *(("emails", [{}]), ("emails", [None]), ("emails", [{"value": "a"}, {"value": None}]), ("emails", [[]])),
            *(('emails[type eq "work"]', []), ('emails[type eq "work"]', {}), (f"{ENTERPRISE_URN}:manager", 5)),
        ],
    )
    def test_a_value_that_does_not_fit_is_refused(self, path: str, value: Any) -> None:
        with pytest.raises(InvalidValue):
            patched(user(), replace(path, value), profile=STRICT)

    def test_one_object_in_place_of_all_values_is_refused(self) -> None:
        with pytest.raises(InvalidValue):
            patched(user(), replace("emails", {"value": "x@example.com"}), profile=STRICT)


class TestErrors:
    """What an administrator reads."""

    def test_an_unknown_sub_attribute_is_refused_by_the_strict_profile(self) -> None:
        for operation in (replace("name", {"foo": "x"}), replace("emails", [{"value": "x", "foo": "y"}])):
            with pytest.raises(InvalidSyntax, match="foo"):
                patched(user(), operation, profile=STRICT)

    def test_a_name_given_twice_is_refused(self) -> None:
        with pytest.raises(InvalidSyntax):
            patched(user(), replace("name", {"givenName": "a", "GIVENNAME": "b"}))
        with pytest.raises(InvalidValue):
            patched(user(), replace(None, {"title": "a", "TITLE": "b"}))

    @pytest.mark.parametrize(
        "operation",
        [
            replace("x" * 3000, "y"),
            replace(None, {"\x00\u202e" * 500: "y"}),
            replace('emails[type eq "' + "x" * 3000 + '"].value', "y"),
            replace("name", {"secret": "y"}),
        ],
        ids=["path", "key", "filter", "sub-attribute"],
    )
    def test_details_are_short_printable_and_without_values(self, operation: PatchOperation) -> None:
        with pytest.raises(ScimError) as refused:
            patched(user(), operation, profile=STRICT)
        assert len(refused.value.detail) < 400
        assert refused.value.detail.isprintable()
