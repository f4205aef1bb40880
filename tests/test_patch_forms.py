"""PATCH operations as Okta, Entra ID and others send them, and what the profiles make of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from patch_data import (
    ENTERPRISE_URN,
    GROUP_URN,
    USER,
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

from scim_gateway.errors import InvalidFilter, InvalidPath, InvalidSyntax, InvalidValue, Mutability, NoTarget, ScimError
from scim_gateway.messages import PatchOperation
from scim_gateway.patch_forms import normalise
from scim_gateway.profile import ENTRA, LENIENT, OKTA, PROFILES, STRICT, Profile

LOOSE = pytest.mark.parametrize("profile", [ENTRA, LENIENT], ids=lambda profile: profile.name)
OFFICE = f"{ENTERPRISE_URN}:department"


class TestPathKeys:
    """Keys of a path-less value that are paths (P-28)."""

    @pytest.mark.parametrize("name", ["add", "replace"])
    @pytest.mark.parametrize("profile", [ENTRA, OKTA, LENIENT], ids=lambda profile: profile.name)
    def test_dotted_and_prefixed_keys_are_read_as_paths(self, name: Any, profile: Profile) -> None:
        value = {
            "displayName": "B",
            "name.givenName": "K",
            "NAME.FAMILYNAME": "U",
            f"{ENTERPRISE_URN}:employeeNumber": "A",
            f"{ENTERPRISE_URN}.costCenter": "7",
            f"{USER_URN}:title": "T",
            f"{ENTERPRISE_URN}:manager.value": "u2",
        }
        done = patched(user(), op(name, None, value), profile=profile)
        assert done == user(
            displayName="B",
            title="T",
            name={"givenName": "K", "familyName": "U"},
            enterprise={"employeeNumber": "A", "costCenter": "7", "manager": {"value": "u2"}},
        )

    def test_value_paths_as_keys(self) -> None:
        value = {'emails[type eq "work"].value': "n@example.com", 'phoneNumbers[type eq "fax"].value': "+1"}
        for change in (add, replace):
            done = patched(user(), change(None, value))
            assert done["emails"][0]["value"] == "n@example.com"
            assert done["phoneNumbers"] == [{"type": "fax", "value": "+1"}]

    def test_parts_are_set_after_the_whole_whatever_their_order(self) -> None:
        for value in (
            {"name": {"familyName": "N"}, "name.givenName": "G"},
            {"name.givenName": "G", "name": {"familyName": "N"}},
        ):
            assert patched(user(), replace(None, value))["name"] == {"familyName": "N", "givenName": "G"}

    def test_attributes_under_the_urn_of_the_core_schema(self) -> None:
        assert patched(user(), replace(None, {USER_URN: {"title": "T"}})) == user(title="T")

    def test_paths_inside_the_object_of_an_extension(self) -> None:
        done = patched(user(), replace(None, {ENTERPRISE_URN: {"manager.value": "u2", "department": "IT"}}))
        assert done == user(enterprise={"department": "IT", "manager": {"value": "u2"}})

    @pytest.mark.parametrize(
        "value",
        [
            {"title": "a", f"{USER_URN}:title": "b"},
            {"name.givenName": "a", "NAME.givenname": "b"},
            {ENTERPRISE_URN: {"department": "a"}, OFFICE: "b"},
            {ENTERPRISE_URN: {"department": "a"}, ENTERPRISE_URN.upper(): {"department": "b"}},
            {USER_URN: {"title": "a"}, "title": "b"},
        ],
    )
    def test_the_same_attribute_under_two_keys_is_refused(self, value: dict[str, Any]) -> None:
        with pytest.raises(InvalidValue, match="twice"):
            patched(user(), replace(None, value))

    @pytest.mark.parametrize(
        ("key", "error"),
        [
            ("emails[type eq", InvalidPath),
            ('emails[type gg "x"].value', InvalidFilter),
            ('emails[type eq "work"].foo', InvalidPath),
            ("emails.value", InvalidPath),
            ('title[value eq "x"]', InvalidPath),
        ],
    )
    def test_a_broken_path_to_a_known_attribute_is_refused(self, key: str, error: type[ScimError]) -> None:
        with pytest.raises(error):
            patched(user(), replace(None, {"title": "T", key: "x"}))

    @pytest.mark.parametrize(
        "key", ["name.givenName", OFFICE, f"{USER_URN}:title", 'emails[type eq "work"].value', USER_URN, "foo.bar"]
    )
    @pytest.mark.parametrize(
        "profile",
        [STRICT, dataclasses.replace(STRICT, ignore_unknown=True)],
        ids=["strict", "strict but ignoring unknown attributes"],
    )
    def test_where_paths_are_not_read_they_are_refused_and_never_stored(self, key: str, profile: Profile) -> None:
        with pytest.raises(InvalidPath):
            patched(user(), replace(None, {key: {"title": "x"} if key == USER_URN else "x"}), profile=profile)


class TestUnknown:
    """Unknown attributes: dropped and told in values, refused in paths."""

    def test_dropped_from_a_value_without_a_path_and_told(self) -> None:
        value = {"title": "T", "foo": "x", "name.foo": "x", "urn:x:y:z": {"a": 1}, ENTERPRISE_URN: {"bar": 1}, "": 0}
        result = patch_result(user(), replace(None, value))
        assert result.resource == user(title="T")
        assert result.ignored == ("foo", "name.foo", "urn:x:y:z", f"{ENTERPRISE_URN}:bar", "")

    def test_dropped_from_the_value_for_an_extension(self) -> None:
        result = patch_result(user(), add(ENTERPRISE_URN, {"department": "IT", "bar": 1}))
        assert result.resource == user(enterprise={"department": "IT"})
        assert result.ignored == (f"{ENTERPRISE_URN}:bar",)

    def test_dropped_from_complex_values(self) -> None:
        result = patch_result(
            user(),
            replace("name", {"familyName": "N", "nick": "x"}),
            add("emails", [{"value": "n@example.com", "label": "x"}]),
            add('emails[type eq "work"]', {"label": "x"}),
        )
        assert result.resource == user(
            name={"givenName": "Barbara", "familyName": "N"}, emails=[*user()["emails"], {"value": "n@example.com"}]
        )
        assert result.ignored == ("name.nick", "emails.label")

    def test_an_element_of_unknown_attributes_alone_is_refused(self) -> None:
        for operation in (
            replace("emails", [{"label": "x"}]),
            add("emails", [{"value": "n@example.com"}, {"label": "x"}]),
            replace('emails[type eq "work"]', {"label": "x"}),
            remove("emails", [{"label": "x"}]),
        ):
            with pytest.raises(InvalidValue):
                patched(user(), operation)

    def test_refused_by_the_strict_profile(self) -> None:
        for operation in (
            replace(None, {"foo": "x"}),
            add(None, {ENTERPRISE_URN: {"foo": 1}}),
            add(ENTERPRISE_URN, {"f": 1}),
        ):
            with pytest.raises(InvalidPath):
                patched(user(), operation, profile=STRICT)

    @pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
    def test_refused_in_a_path_by_all(self, profile: Profile) -> None:
        with pytest.raises(InvalidPath):
            patched(user(), replace("foo", "x"), profile=profile)


class TestReadOnly:
    """readOnly attributes that clients copy into a value without a path."""

    @pytest.mark.parametrize("profile", [ENTRA, OKTA, LENIENT], ids=lambda profile: profile.name)
    def test_are_left_out(self, profile: Profile) -> None:
        value = {
            "schemas": [GROUP_URN],
            "ID": "someone-else",
            "meta": {"version": "W/1"},
            "meta.created": "x",
            "groups": [],
            'groups[value eq "g"].display': "x",
            "title": "T",
        }
        result = patch_result(user(), replace(None, value), profile=profile)
        assert (result.resource, result.ignored) == (user(title="T"), ())

    def test_copied_schemas_do_not_take_an_extension_away(self) -> None:
        before = group("a", externalId="x")
        value = {"schemas": [GROUP_URN], "id": "g1", "externalId": "y", "displayName": "Z"}
        assert patched(before, replace(None, value)) == group("a", externalId="y", displayName="Z")
        before = user(enterprise={"department": "IT"})
        assert patched(before, replace(None, {"schemas": [USER_URN], "title": "T"})) == user(
            title="T", enterprise={"department": "IT"}
        )


class TestCreateElements:
    """``replace`` by a value path that selects nothing (Entra)."""

    @LOOSE
    def test_makes_the_element(self, profile: Profile) -> None:
        done = patched(
            user(), replace('phoneNumbers[type eq "work"].value', "+1"), replace("title", "T"), profile=profile
        )
        assert done == user(title="T", phoneNumbers=[{"type": "work", "value": "+1"}])

    @LOOSE
    def test_several_operations_on_it_make_one(self, profile: Profile) -> None:
        done = patched(
            user(),
            replace('addresses[type eq "work"].streetAddress', "1 Main St"),
            replace('addresses[type eq "work"].locality', "Bern"),
            profile=profile,
        )
        assert done["addresses"] == [{"type": "work", "streetAddress": "1 Main St", "locality": "Bern"}]

    @LOOSE
    def test_boolean_words_in_the_filter(self, profile: Profile) -> None:
        done = patched(
            user(),
            add('roles[primary eq "True"].value', "admin"),
            add('roles[primary eq "True"].display', "Admin"),
            replace('roles[primary eq "true"].type', "Role"),
            profile=profile,
        )
        assert done["roles"] == [{"primary": True, "value": "admin", "display": "Admin", "type": "Role"}]

    @LOOSE
    def test_an_element_that_is_there_is_replaced(self, profile: Profile) -> None:
        done = patched(user(), replace('emails[type eq "home"]', {"value": "n@example.com"}), profile=profile)
        assert done["emails"] == [user()["emails"][0], {"value": "n@example.com"}]
        done = patched(user(), replace('emails[type eq "fax"]', {"value": "n", "type": "fax"}), profile=profile)
        assert done["emails"] == [*user()["emails"], {"value": "n", "type": "fax"}]

    @pytest.mark.parametrize("nothing", [None, ""])
    @LOOSE
    def test_nothing_to_set_makes_no_element(self, nothing: Any, profile: Profile) -> None:
        assert patched(user(), replace('phoneNumbers[type eq "fax"].value', nothing), profile=profile) == user()
        assert patched(user(), replace('emails[type eq "home"].display', nothing), profile=profile)["emails"][1] == {
            "value": "home@example.com",
            "type": "home",
        }

    @LOOSE
    def test_a_filter_that_does_not_tell_the_element_still_has_no_target(self, profile: Profile) -> None:
        for path in ('emails[value co "zzz"].value', 'emails[type eq "a" or type eq "b"].value'):
            with pytest.raises(NoTarget):
                patched(user(), replace(path, "x"), profile=profile)

    @LOOSE
    def test_makes_no_member(self, profile: Profile) -> None:
        with pytest.raises(NoTarget):
            patched(group("a"), replace('members[value eq "b"].type', "User"), profile=profile)

    @LOOSE
    def test_a_quoted_bracket_does_not_end_the_filter(self, profile: Profile) -> None:
        done = patched(user(), replace('ims[type eq "a]b.value"].value', "x"), profile=profile)
        assert done["ims"] == [{"type": "a]b.value", "value": "x"}]


class TestRemoveByValue:
    """``remove`` with the values to take away (P-38)."""

    @pytest.mark.parametrize(
        "value",
        [
            [{"$ref": None, "value": "b"}],
            [{"value": "b"}],
            {"value": "b"},
            [{"value": "b", "display": "x", "type": "Group"}],
            [{"VALUE": "b"}, {"value": "nobody"}],
            ["b"],
            "b",
            [{"$ref": "https://example.com/Users/b"}],
        ],
    )
    @LOOSE
    def test_takes_exactly_those_away(self, value: Any, profile: Profile) -> None:
        assert ids(patched(group("a", "b", "c"), remove("members", value), profile=profile)) == ["a", "c"]

    @LOOSE
    def test_the_empty_list_takes_nothing_away(self, profile: Profile) -> None:
        assert patched(group("a"), remove("members", []), profile=profile) == group("a")

    @pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
    def test_null_is_no_value(self, profile: Profile) -> None:
        assert patched(group("a", "b"), remove("members", None), profile=profile) == group()

    @pytest.mark.parametrize(
        "value",
        [
            "",
            5,
            True,
            {},
            [{}],
            [None],
            [""],
            [{"value": None}],
            [{"value": ""}],
            [{"display": "a"}],
            [["a"]],
            [5],
            {"a": 1},
        ],
    )
    @pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
    def test_what_names_nobody_for_certain_is_refused(self, value: Any, profile: Profile) -> None:
        with pytest.raises((InvalidValue, InvalidSyntax)):
            patched(group("a", "b"), remove("members", value), profile=profile)

    @pytest.mark.parametrize("profile", [STRICT, OKTA], ids=lambda profile: profile.name)
    def test_is_refused_where_it_is_not_allowed(self, profile: Profile) -> None:
        for path, value in (("members", [{"value": "a"}]), ("members", []), ("displayName", "x")):
            with pytest.raises(InvalidValue):
                patched(group("a"), remove(path, value), profile=profile)

    @LOOSE
    def test_a_filter_and_a_value_together_are_refused(self, profile: Profile) -> None:
        with pytest.raises(InvalidValue):
            patched(group("a"), remove('members[value eq "a"]', [{"value": "a"}]), profile=profile)

    @LOOSE
    def test_values_are_told_apart_by_type_as_far_as_it_is_given(self, profile: Profile) -> None:
        before = user(emails=[{"value": "a", "type": "work"}, {"value": "A", "type": "home"}, {"value": "b"}])
        assert patched(before, remove("emails", [{"value": "a", "type": "HOME"}]), profile=profile)["emails"] == [
            {"value": "a", "type": "work"},
            {"value": "b"},
        ]
        assert patched(before, remove("emails", [{"value": "a"}]), profile=profile)["emails"] == [{"value": "b"}]
        assert patched(before, remove("emails", [{"value": "b", "type": "x"}]), profile=profile) == before

    @LOOSE
    def test_addresses_are_named_by_what_is_given_of_them(self, profile: Profile) -> None:
        before = user(addresses=[{"type": "work", "locality": "Bern", "primary": True}, {"type": "home"}])
        named = [{"type": "work", "locality": "bern", "primary": False}]
        assert patched(before, remove("addresses", named), profile=profile)["addresses"] == [{"type": "home"}]

    @LOOSE
    def test_simple_values(self, profile: Profile) -> None:
        assert patched(badge(tags=["a", "b"]), remove("tags", ["A"]), profile=profile)["tags"] == ["b"]
        with pytest.raises(Mutability):
            patched(badge(), remove("codes", [1, 2]), profile=profile)

    @LOOSE
    def test_a_single_value_goes_if_it_is_the_one_that_is_named(self, profile: Profile) -> None:
        before = user(title="Boss", enterprise={"manager": {"value": "u2"}})
        for operation in (remove("title", "BOSS"), remove("title", "")):
            assert "title" not in patched(before, operation, profile=profile)
        assert patched(before, remove(f"{ENTERPRISE_URN}:manager", "u2"), profile=profile) == user(title="Boss")
        for operation in (
            remove("title", "Other"),
            remove("title", ["Boss"]),
            remove(f"{ENTERPRISE_URN}:manager", "u3"),
            remove(ENTERPRISE_URN, {"department": "x"}),
        ):
            with pytest.raises(InvalidValue):
                patched(before, operation, profile=profile)
        assert patched(user(), remove("title", "x"), profile=profile) == user()


class TestLifted:
    """A bare value where an object, one object where a list belongs, booleans as words."""

    @pytest.mark.parametrize("profile", [ENTRA, OKTA, LENIENT], ids=lambda profile: profile.name)
    @pytest.mark.parametrize(
        ("operation", "after"),
        [
            (add(f"{ENTERPRISE_URN}:manager", "u2"), user(enterprise={"manager": {"value": "u2"}})),
            (replace(None, {ENTERPRISE_URN: {"manager": "u2"}}), user(enterprise={"manager": {"value": "u2"}})),
            (replace("roles", ["a", "b"]), user(roles=[{"value": "a"}, {"value": "b"}])),
            (add("roles", "a"), user(roles=[{"value": "a"}])),
            (replace(None, {"entitlements": ["x"]}), user(entitlements=[{"value": "x"}])),
            (replace("emails", {"value": "n@example.com"}), user(emails=[{"value": "n@example.com"}])),
            (replace("active", "False"), user(active=False)),
            (add("active", "FALSE"), user(active=False)),
            (replace(None, {"active": "false"}), user(active=False)),
            (replace('emails[type eq "work"].primary', "True"), user()),
            (replace("nickName", ""), user()),
        ],
        ids=lambda value: str(value) if isinstance(value, PatchOperation) else "",
    )
    def test_is_read_as_what_it_means(self, operation: PatchOperation, after: dict[str, Any], profile: Profile) -> None:
        assert patched(user(), operation, profile=profile) == after

    def test_is_refused_by_the_strict_profile(self) -> None:
        for operation in (
            add(f"{ENTERPRISE_URN}:manager", "u2"),
            replace("roles", ["a"]),
            replace("active", "False"),
            replace("emails", {"value": "n@example.com"}),
            replace('emails[primary eq "True"].value', "x"),
        ):
            with pytest.raises((InvalidValue, InvalidFilter)):
                patched(user(), operation, profile=STRICT)

    def test_an_opaque_text_stays_as_it_is(self) -> None:
        text = '{"id":"1","value":"25","displayName":"Role1234"}'
        assert patched(user(), add("roles", [{"value": text}]))["roles"] == [{"value": text}]

    def test_a_manager_by_reference_or_by_another_id_is_another_manager(self) -> None:
        before = user(enterprise={"manager": {"value": "u2", "$ref": "Users/u2", "displayName": "Two"}})
        for value in ("u3", {"value": "u3"}):
            done = patched(before, replace(f"{ENTERPRISE_URN}:manager", value))
            assert done[ENTERPRISE_URN]["manager"] == {"value": "u3"}
        done = patched(before, replace(f"{ENTERPRISE_URN}:manager", {"$ref": "../Users/u3"}))
        assert done[ENTERPRISE_URN]["manager"] == {"value": "u3", "$ref": "../Users/u3"}
        assert patched(before, replace(f"{ENTERPRISE_URN}:manager", "u2")) == before

    def test_an_empty_manager_is_none(self) -> None:
        before = user(enterprise={"manager": {"value": "u2"}})
        for value in ("", None, {"value": ""}):
            assert patched(before, replace(f"{ENTERPRISE_URN}:manager", value)) == user()


class TestRewriting:
    """:func:`normalise` looks at the operations alone."""

    def test_the_strict_profile_leaves_operations_as_they_are(self) -> None:
        operations = (
            replace(None, {"active": False, "name.givenName": "x"}),
            replace('emails[type eq "x"].value', "y"),
            add("members", "x"),
            remove("title"),
        )
        assert normalise(operations, USER, STRICT) == (operations, ())

    @pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
    def test_rewriting_twice_is_rewriting_once_in_effect(self, profile: Profile) -> None:
        operations = (
            replace(None, {"title": "T", "id": "u1"}),
            replace('emails[type eq "work"].value', "n@example.com"),
        )
        once = normalise(operations, USER, profile).operations
        assert patched(user(), *once, profile=profile) == patched(user(), *operations, profile=profile)

    def test_the_lenient_profile_has_every_allowance_that_there_is(self) -> None:
        assert all(dataclasses.asdict(LENIENT).values())


class TestSent:
    """What the identity providers are known to send (idp: user and group PATCH, row by row where not above)."""

    def test_okta_renames_a_group_with_its_id_in_the_value(self) -> None:
        for profile in PROFILES.values():
            done = patched(group("a"), replace(None, {"id": "g1", "displayName": "New"}), profile=profile)
            assert done == group("a", displayName="New")

    def test_okta_empties_a_group(self) -> None:
        done = patched(
            group("a"), replace(None, {"members": [], "id": "g1", "displayName": "Tour Guides"}), profile=OKTA
        )
        assert done == group()
        assert patched(group("a"), replace("members", []), profile=OKTA) == group()

    def test_okta_adds_a_member_with_a_display_name(self) -> None:
        done = patched(group(), add("members", [{"value": "u1", "display": "a@example.com"}]), profile=OKTA)
        assert done == {**group(), "members": [{"value": "u1"}]}

    def test_entra_sends_several_kinds_in_one_request(self) -> None:
        done = patched(
            group("u1"),
            replace("displayName", "New"),
            add("members", [{"$ref": None, "value": "u2"}]),
            remove("members", [{"$ref": None, "value": "u2"}]),
            profile=ENTRA,
        )
        assert done == group("u1", displayName="New")

    def test_members_without_a_path(self) -> None:
        assert ids(patched(group("a"), add(None, {"members": [{"$ref": None, "value": "b"}]}))) == ["a", "b"]

    def test_a_group_attribute_replaced_leaves_the_members(self) -> None:
        assert patched(group("a"), replace(None, {"externalId": "e"})) == group("a", externalId="e")

    def test_types_nobody_has_heard_of_are_kept(self) -> None:
        done = patched(user(), replace('emails[type eq "untyped"].value', "x"), add('ims[type eq "sip"].value', "y"))
        assert done["emails"][2] == {"type": "untyped", "value": "x"}
        assert done["ims"] == [{"type": "sip", "value": "y"}]

    def test_members_in_the_object_of_the_core_schema(self) -> None:
        assert ids(patched(group("a"), replace(None, {GROUP_URN: {"members": [{"value": "b"}]}}))) == ["b"]
