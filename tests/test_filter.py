"""What filters mean against a schema, and how they are evaluated (RFC 7644 §3.4.2.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gadgets import CORE, EXTENSION, GADGET

from scim_gateway.errors import InvalidFilter
from scim_gateway.filter import And, Comparison, Filter, Never, Not, Or, Present, ValuePath
from scim_gateway.filter_meaning import resolve, resolve_element
from scim_gateway.filter_parser import parse, parse_path
from scim_gateway.filter_predicates import comparable, compile_element, compile_filter, equality_form
from scim_gateway.profile import ENTRA, LENIENT, OKTA, STRICT, Profile
from scim_gateway.schema import Attribute, AttributePath, Schema, SchemaExtension

GADGET_1: dict[str, Any] = {
    "schemas": [CORE, EXTENSION],
    "id": "g1",
    "externalId": "Ext-1",
    "label": "BJensen",
    "note": "50%_off",
    "code": "AbC",
    "flag": False,
    "size": 9,
    "weight": 2.5,
    "seen": "2024-01-01T00:00:00Z",
    "blob": "AAEC",
    "link": "https://example.com/A",
    "tags": ["red", "Blue"],
    "hint": "h",
    "secret": "s3cret",
    "box": {"width": 3, "maker": "Acme"},
    "parts": [
        {"value": "a@x", "type": "home", "rank": 1, "at": "2024-05-05T12:00:00.5+02:00"},
        {"value": "b@x", "type": "work", "rank": 2, "primary": True},
    ],
    "places": [{"street": "Main", "number": 1}],
    "meta": {
        "resourceType": "Gadget",
        "created": "2024-01-01T00:00:00.000Z",
        "lastModified": "2024-02-02T02:02:02.222Z",
        "version": "3",
    },
    EXTENSION: {"shelf": "S1", "cost": 1.25, "keeper": {"value": "u1", "displayName": "Kim"}},
}
BARE: dict[str, Any] = {"schemas": [CORE], "id": "g2", "label": "x", "meta": {"resourceType": "Gadget"}}


def resolved(text: str, profile: Profile = STRICT, **options: bool) -> Filter:
    return resolve(parse(text), GADGET, profile, **options)


def matches(text: str, resource: dict[str, Any] = GADGET_1, profile: Profile = STRICT) -> bool:
    return compile_filter(resolved(text, profile), GADGET)(resource)


def refused(text: str, profile: Profile = STRICT, **options: bool) -> str:
    with pytest.raises(InvalidFilter) as caught:
        resolved(text, profile, **options)
    return caught.value.detail


class TestTexts:
    @pytest.mark.parametrize(
        "text",
        [
            'label eq "bjensen"',
            'LABEL EQ "BJENSEN"',
            f'{CORE.upper()}:label eq "bjensen"',
            'label sw "bj"',
            'label ew "SEN"',
            'label co "jens"',
            'label co "BJensen"',
            'label ge "bjensen"',
            'label gt "bj"',
            'label lt "c"',
            'label le "BJENSEN"',
        ],
    )
    def test_letter_case_does_not_matter_unless_the_attribute_is_case_exact(self, text: str) -> None:
        assert matches(text)

    def test_letter_case_matters_where_the_attribute_is_case_exact(self) -> None:
        assert matches('code eq "AbC"')
        assert not matches('code eq "abc"')
        assert not matches('code sw "a"')
        assert matches('code lt "a"')
        assert matches('id eq "g1"')
        assert not matches('id eq "G1"')
        assert matches('externalId eq "Ext-1"')
        assert not matches('externalId co "ext"')
        assert not matches('link eq "https://example.com/a"')

    def test_what_would_collide_as_a_unique_value_is_found_by_eq(self) -> None:
        assert matches('label eq " bjensen\u200b"')
        assert not matches('label ne "bjensen "')
        assert not matches('label sw " bj"')

    def test_text_is_compared_in_its_folded_form(self) -> None:
        assert matches('note eq "STRASSE"', {**BARE, "note": "straße"})
        assert matches('note eq "\u00e9"', {**BARE, "note": "e\u0301"})
        assert matches('note eq "abc"', {**BARE, "note": "\uff21\uff22\uff23"})
        assert not matches('note eq "e"', {**BARE, "note": "é"})

    def test_wildcards_and_quotes_are_ordinary_characters(self) -> None:
        assert matches('note co "%"')
        assert matches('note eq "50%_off"')
        assert not matches('note eq "50%_of_"')
        assert not matches('note sw "%"')
        assert not matches('note co "\'"')
        assert not matches('note co "*"')

    def test_the_empty_text_is_part_of_every_text(self) -> None:
        for operator in ("co", "sw", "ew"):
            assert matches(f'note {operator} ""')
            assert not matches(f'note {operator} ""', BARE)

    def test_a_text_is_not_compared_with_other_types(self) -> None:
        for operand in ("5", "true", "1.5"):
            assert "double quotes" in refused(f"label eq {operand}")


class TestOtherTypes:
    def test_numbers_are_compared_by_value(self) -> None:
        assert matches("size lt 10")
        assert matches("size eq 9.0")
        assert matches("size gt 8.5")
        assert matches("weight ge 2.5")
        assert not matches("weight gt 2.5")
        assert matches("weight eq 25e-1")
        assert not matches("weight le -3")

    @pytest.mark.parametrize("attribute", ["size", "weight", "box.width"])
    def test_a_number_is_not_compared_with_other_types(self, attribute: str) -> None:
        for operand in ('"9"', "true"):
            assert "number" in refused(f"{attribute} eq {operand}", LENIENT)
        for operator in ("co", "sw", "ew"):
            assert operator in refused(f"{attribute} {operator} 9")

    def test_date_times_are_compared_as_instants(self) -> None:
        for same in ("2024-01-01T00:00:00Z", "2024-01-01T02:00:00+02:00", "2023-12-31T19:00:00.000000-05:00"):
            assert matches(f'seen eq "{same}"')
            assert matches(f'meta.created eq "{same}"')
            assert matches(f'seen ge "{same}"')
            assert not matches(f'seen gt "{same}"')
        assert matches('seen lt "2024-01-01T00:00:00.0001Z"')
        assert matches('seen gt "2024-01-01T00:00:00+00:01"')
        assert matches('parts.at eq "2024-05-05T10:00:00.500Z"')

    def test_changes_since_are_found_at_the_stored_precision(self) -> None:
        last = GADGET_1["meta"]["lastModified"]
        assert matches(f'meta.lastModified eq "{last}"')
        assert matches(f'meta.lastModified ge "{last}"')
        assert not matches(f'meta.lastModified gt "{last}"')
        assert matches('meta.lastModified gt "2024-02-02T02:02:02.221Z"')

    @pytest.mark.parametrize(
        "operand", ['"foo"', '"2024-01-01"', '"2024-13-01T00:00:00Z"', '"0001-01-01T00:00:00+14:00"', "5"]
    )
    def test_a_date_time_is_not_compared_with_what_is_none(self, operand: str) -> None:
        assert "date and time" in refused(f"seen gt {operand}")

    def test_a_date_time_has_no_substrings(self) -> None:
        for operator in ("co", "sw", "ew"):
            assert "dateTime" in refused(f'seen {operator} "2024"')

    def test_booleans_are_equal_or_not(self) -> None:
        assert matches("flag eq false")
        assert matches("flag ne true")
        assert not matches("flag eq true")
        for operator in ("gt", "ge", "lt", "le", "co", "sw", "ew"):
            assert "boolean" in refused(f"flag {operator} false")
            refused(f"parts[primary {operator} true]")

    @pytest.mark.parametrize("spelled", ['"false"', '"False"', "False", "FALSE"])
    def test_boolean_words_are_for_profiles_that_allow_them(self, spelled: str) -> None:
        for profile in (LENIENT, OKTA, ENTRA):
            assert matches(f"flag eq {spelled}", profile=profile)
        assert "true or false" in refused(f"flag eq {spelled}", STRICT)

    def test_no_other_text_is_a_boolean(self) -> None:
        for operand in ('"no"', '""', '"0"', "0", '"true "'):
            refused(f"flag eq {operand}", LENIENT)

    def test_a_word_without_quotes_is_no_text(self) -> None:
        refused("note eq True", LENIENT)
        refused("note eq Null", STRICT)
        assert matches("note ne NULL", profile=LENIENT)

    def test_binaries_are_compared_but_not_ordered(self) -> None:
        assert matches('blob eq "AAEC"')
        assert not matches('blob eq "aaec"')
        for operator in ("gt", "ge", "lt", "le"):
            assert "binary" in refused(f'blob {operator} "AA"')


class TestPresence:
    def test_present_is_what_has_a_value(self) -> None:
        for path in (
            "note",
            "flag",
            "box",
            "box.width",
            "parts",
            "parts.type",
            "tags",
            "meta",
            EXTENSION,
            "schemas",
            "id",
        ):
            assert matches(f"{path} pr")
        assert matches("size pr", {**BARE, "size": 0})
        for path in (
            "note",
            "flag",
            "box",
            "box.width",
            "parts",
            "parts.type",
            "tags",
            EXTENSION,
            f"{EXTENSION}:keeper",
        ):
            assert not matches(f"{path} pr", BARE)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("note", ""),
            ("tags", []),
            ("box", {}),
            ("parts", []),
            ("parts", [{}]),
            ("box", {"maker": ""}),
            ("tags", [""]),
        ],
    )
    def test_what_is_empty_is_not_present(self, path: str, value: Any) -> None:
        assert not matches(f"{path} pr", {**BARE, path: value})
        assert matches(f"{path} eq null", {**BARE, path: value})

    def test_null_is_the_same_as_absent(self) -> None:
        assert resolved("note eq null") == Not(Present(AttributePath(None, "note")))
        assert resolved("note ne null") == Present(AttributePath(None, "note"))
        assert resolved("box eq null") == Not(Present(AttributePath(None, "box")))
        for operator in ("co", "sw", "ew", "gt", "ge", "lt", "le"):
            assert "null" in refused(f"note {operator} null")

    def test_nothing_but_ne_matches_what_is_absent(self) -> None:
        for operator in ("eq", "co", "sw", "ew", "gt", "ge", "lt", "le"):
            assert not matches(f'note {operator} "a"', BARE)
        assert matches('note ne "a"', BARE)
        assert matches("size ne 1", BARE)

    def test_ne_is_the_negation_of_eq(self) -> None:
        assert not matches('parts.type ne "work"')
        assert not matches('tags ne "red"')
        assert matches('tags ne "green"')


class TestComplexAndMultiValued:
    def test_any_value_may_match(self) -> None:
        assert matches('parts.value eq "b@x"')
        assert matches('tags eq "blue"')
        assert not matches('tags eq "green"')
        assert matches("parts.rank gt 1")

    def test_a_complex_attribute_that_has_a_value_is_compared_by_it(self) -> None:
        assert resolved('parts co "@X"') == Comparison(AttributePath(None, "parts", "value"), "co", "@X")
        assert matches('parts eq "a@x"')
        assert matches(f'{EXTENSION}:keeper eq "u1"')

    @pytest.mark.parametrize("text", ['box eq "x"', 'places eq "x"', f'{EXTENSION} eq "x"', 'meta co "x"'])
    def test_another_complex_attribute_needs_a_sub_attribute(self, text: str) -> None:
        assert "name the one to compare" in refused(text)

    def test_brackets_are_about_one_element(self) -> None:
        assert matches('parts.type eq "home" and parts.value eq "b@x"')
        assert not matches('parts[type eq "home" and value eq "b@x"]')
        assert matches('parts[type eq "WORK" and value eq "b@x"]')
        assert matches('parts[type eq "home" or (type eq "work" and value ew "@y")]')
        assert matches("parts[not (primary pr) and rank lt 2]")
        assert matches('not (parts[type eq "other"]) and flag eq false')
        assert matches('box[maker eq "acme"]')
        assert not matches("parts[rank gt 0]", BARE)

    def test_an_element_of_a_simple_attribute_is_its_value(self) -> None:
        assert matches('tags[value sw "b"]')
        assert not matches('tags[value eq "green"]')
        assert matches('schemas[value ew "gadget"]')

    def test_in_brackets_stand_names_of_sub_attributes_only(self) -> None:
        for text in (
            "parts[label pr]",
            "parts[parts.type pr]",
            f"parts[{CORE}:type pr]",
            "tags[type pr]",
            "parts[parts pr]",
        ):
            assert "no sub-attribute" in refused(text)

    @pytest.mark.parametrize(
        "text", ['label[value eq "x"]', "size[value pr]", f"{EXTENSION}[shelf pr]", "box.maker[x pr]"]
    )
    def test_brackets_need_elements_to_select(self, text: str) -> None:
        with pytest.raises(InvalidFilter):
            resolved(text)

    def test_what_is_not_primary_need_not_say_so(self) -> None:
        assert matches('parts[primary eq false and type eq "home"]')
        assert not matches('parts[primary eq false and type eq "work"]')
        assert matches("parts.primary eq false")
        assert not matches("parts.primary eq false", BARE)
        assert matches("parts.primary ne false", BARE)
        assert not matches("parts[primary ne false]", {**BARE, "parts": [{"value": "a"}]})

    def test_a_condition_behind_brackets_is_about_the_same_element(self) -> None:
        for profile in (LENIENT, ENTRA):
            assert matches('parts[type eq "work"].value eq "b@x"', profile=profile)
            assert not matches('parts[type eq "home"].value eq "b@x"', profile=profile)
            assert matches('parts[type eq "home"].value ne "b@x"', profile=profile)
            assert not matches('parts[type eq "work"].value ne "b@x"', profile=profile)
            assert matches('parts[type eq "other"].value ne "b@x"', profile=profile)
            assert matches('parts[type eq "other"].value eq null', profile=profile)
            assert not matches('parts[type eq "home"].primary pr', profile=profile)
            assert matches('parts[type eq "home"].primary eq null', profile=profile)
            assert not matches('parts[type eq "work"].primary eq null', profile=profile)
        assert "inside the brackets" in refused('parts[type eq "work"].value eq "b@x"', STRICT)

    def test_it_becomes_part_of_the_value_path(self) -> None:
        tree = resolved('parts[type eq "work"].value eq "b"', LENIENT)
        terms = tuple(
            Comparison(AttributePath(None, name), "eq", value) for name, value in (("type", "work"), ("value", "b"))
        )
        assert tree == ValuePath(AttributePath(None, "parts"), And(terms))

    def test_schemas_are_compared_in_any_letter_case(self) -> None:
        assert matches(f'schemas eq "{EXTENSION.upper()}"')
        assert not matches(f'schemas eq "{EXTENSION}"', BARE)

    def test_common_attributes_are_filterable(self) -> None:
        assert matches('meta.resourceType eq "Gadget"')
        assert matches('hint eq "H"')

    def test_extensions_are_reached_by_their_urn(self) -> None:
        for prefix in (EXTENSION, EXTENSION.upper()):
            assert matches(f'{prefix}:shelf eq "s1"')
            assert matches(f'{prefix}:KEEPER.displayname eq "kim"')
            assert matches(f'{prefix}.shelf eq "s1"')
            assert matches(f"{prefix} pr")
        assert resolved(f"{EXTENSION.lower()}:SHELF pr") == Present(AttributePath(EXTENSION, "shelf"))


class TestUnknownAndSecret:
    @pytest.mark.parametrize(
        "text",
        [
            "nope pr",
            "box.nope pr",
            "urn:x:y:note pr",
            f"{EXTENSION}:note pr",
            f"{CORE}:shelf pr",
            "shelf pr",
            f"{CORE} pr",
            "nope[type pr]",
            'note.x eq "y"',
            "label pr or nope pr",
            "not (nope pr)",
        ],
    )
    def test_an_attribute_that_the_type_does_not_have_is_refused(self, text: str) -> None:
        assert "There is no" in refused(text, LENIENT)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("nope pr", False),
            ('nope eq "x"', False),
            ("nope gt 5", False),
            ('nope ne "x"', True),
            ("nope eq null", True),
            ("nope ne null", False),
            ("nope[a pr]", False),
            ("parts[nope pr]", False),
            ('parts[nope ne "x"]', True),
            ('nope[a pr].b ne "x"', True),
            ('nope[a pr].b eq "x"', False),
            ("nope[a pr].b eq null", True),
            ("not (nope pr)", True),
            ('nope pr or label eq "bjensen"', True),
        ],
    )
    def test_across_types_it_has_no_value(self, text: str, expected: bool) -> None:
        tree = resolved(text, LENIENT, unknown_is_absent=True)
        assert compile_filter(tree, GADGET)(GADGET_1) is expected

    @pytest.mark.parametrize("operator", ["pr", 'eq "s3cret"', 'ne "a"', 'sw "s"', 'co "3"', 'gt "a"', "eq null"])
    @pytest.mark.parametrize("path", ["secret", "sealed", "box.pin", "parts.key", f"{CORE}:SECRET"])
    def test_what_is_never_shown_is_never_compared(self, path: str, operator: str) -> None:
        for text in (f"{path} {operator}", f"not ({path} {operator})", f"label pr and {path} {operator}"):
            for across_types in (False, True):
                detail = refused(text, LENIENT, unknown_is_absent=across_types)
                assert "never shown" in detail
                assert "s3cret" not in detail

    def test_neither_in_brackets_nor_behind_them(self) -> None:
        for text in ('parts[key eq "x"]', 'parts[type eq "a" or key pr]', "parts[type pr].key pr", "box[pin pr]"):
            assert "never shown" in refused(text, LENIENT)
        with pytest.raises(InvalidFilter):
            resolved("secret[value pr]", LENIENT)

    def test_a_secret_part_makes_nothing_present(self) -> None:
        assert not matches("box pr", {**BARE, "box": {"pin": "1234"}})
        assert matches("box pr", {**BARE, "box": {"pin": "1234", "width": 0}})
        assert not matches("parts pr", {**BARE, "parts": [{"key": "k"}]})

    def test_a_secret_makes_no_extension_present(self) -> None:
        keeper = Attribute(
            "keeper", type="complex", sub_attributes=(Attribute("name"), Attribute("pin", returned="never"))
        )
        schema = Schema(
            EXTENSION, "Depot", attributes=(Attribute("shelf"), Attribute("lock", returned="never"), keeper)
        )
        kind = replace(GADGET, extensions=(SchemaExtension(schema),))
        present = compile_filter(resolve(parse(f"{EXTENSION} pr"), kind, STRICT), kind)
        for hidden in ({"lock": "1"}, {"keeper": {"pin": "1"}}, {"shelf": "", "lock": "1"}, {}):
            assert not present({**BARE, EXTENSION: hidden})
        for told in ({"shelf": "S1", "lock": "1"}, {"keeper": {"name": "Kim", "pin": "1"}}):
            assert present({**BARE, EXTENSION: told})


class TestElements:
    PARTS = GADGET.attributes["parts"]

    def test_the_filter_of_a_patch_path_selects_elements(self) -> None:
        path = parse_path('PARTS[TYPE eq "Work" and primary eq "True"].value', GADGET)
        assert path.filter is not None
        tree = resolve_element(path.filter, self.PARTS, LENIENT)
        assert tree == And(
            (
                Comparison(AttributePath(None, "type"), "eq", "Work"),
                Comparison(AttributePath(None, "primary"), "eq", True),
            )
        )
        selects = compile_element(tree, self.PARTS)
        assert [selects(part) for part in GADGET_1["parts"]] == [False, True]

    def test_elements_of_a_simple_attribute_are_values(self) -> None:
        tags = GADGET.attributes["tags"]
        selects = compile_element(resolve_element(parse('VALUE eq "RED"'), tags, STRICT), tags)
        assert [selects(tag) for tag in GADGET_1["tags"]] == [True, False]

    @pytest.mark.parametrize(
        "text", ["nope pr", "parts.type pr", "key pr", "value gt 5", "type[value pr]", "primary gt true"]
    )
    def test_what_has_no_meaning_there_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidFilter):
            resolve_element(parse(text), self.PARTS, LENIENT)


class TestCompiling:
    def test_a_filter_is_compiled_once(self) -> None:
        assert compile_filter(resolved('note eq "once"'), GADGET) is compile_filter(resolved('note eq "once"'), GADGET)

    @pytest.mark.parametrize(
        "tree",
        [
            parse('NOTE eq "x"'),
            parse("nope pr"),
            parse("size eq null"),
            parse('size eq "x"'),
            parse('seen eq "x"'),
            parse('parts[type pr].value eq "x"'),
            parse("parts[nope pr]"),
        ],
    )
    def test_an_unresolved_filter_is_a_mistake_of_the_program(self, tree: Filter) -> None:
        with pytest.raises(ValueError, match="resolved"):
            compile_filter(tree, GADGET)

    def test_values_that_do_not_fit_their_attribute_match_nothing(self) -> None:
        odd: dict[str, Any] = {
            "label": 5,
            "size": "9",
            "flag": 1,
            "seen": "soon",
            "parts": ["x", None],
            "box": "b",
            EXTENSION: 1,
        }
        for text in ('label eq "5"', "size eq 9", "size lt 10", "flag eq true", 'seen gt "2000-01-01T00:00:00Z"'):
            assert not matches(text, odd)
        for text in ('parts.value eq "x"', 'parts[value eq "x"]', "box.width gt 0", f"{EXTENSION}:shelf pr"):
            assert not matches(text, odd)

    def test_never_and_combinations_of_it(self) -> None:
        everything = Not(Never())
        for tree, expected in ((Never(), False), (everything, True), (Or((Never(), everything)), True)):
            assert compile_filter(tree, GADGET)(GADGET_1) is expected
        assert not compile_filter(And((everything, Never())), GADGET)(GADGET_1)


class TestFormsForStores:
    @pytest.mark.parametrize(
        ("attribute", "value", "form"),
        [
            (Attribute("a"), "ÀB", "àb"),
            (Attribute("a", case_exact=True), "ÀB", "ÀB"),
            (Attribute("a", type="integer"), 5, 5),
            (Attribute("a", type="decimal"), 0.5, 0.5),
            (Attribute("a", type="boolean"), True, True),
            (Attribute("a", type="binary"), "AA==", "AA=="),
            (Attribute("a", type="dateTime"), "2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00.000Z"),
            (Attribute("a", type="complex"), {"value": "x"}, None),
            (Attribute("a"), 5, None),
            (Attribute("a", type="integer"), True, None),
            (Attribute("a", type="integer"), "5", None),
            (Attribute("a", type="boolean"), 1, None),
            (Attribute("a", type="dateTime"), "soon", None),
            (Attribute("a"), None, None),
        ],
    )
    def test_a_value_has_one_comparable_form(self, attribute: Attribute, value: Any, form: Any) -> None:
        assert comparable(attribute, value) == form
        assert type(comparable(attribute, value)) is type(form)
        assert equality_form(attribute, value) == form

    def test_unique_values_are_equal_by_their_collision_key(self) -> None:
        unique = Attribute("a", uniqueness="server")
        assert equality_form(unique, " A\u200b ") == "a"
        assert comparable(unique, " A ") == " a "
        exact = Attribute("a", uniqueness="server", case_exact=True)
        assert equality_form(exact, " A ") == " A "
