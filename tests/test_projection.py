"""What answers show: attributes, excludedAttributes, returned (RFC 7644 §3.9, RFC 7643 §7)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from gadgets import CORE, EXTENSION, GADGET
from hypothesis import given
from hypothesis import strategies as st

from scim_gateway.errors import InvalidValue
from scim_gateway.projection import Names, apply, parse

WHOLE: dict[str, Any] = {
    "schemas": [CORE, EXTENSION],
    "id": "g1",
    "label": "l",
    "note": "n",
    "flag": False,
    "tags": ["x"],
    "hint": "h",
    "secret": "s",
    "sealed": "s",
    "box": {"width": 0, "maker": "m", "serial": "7", "margin": 1, "pin": "1234"},
    "parts": [{"value": "v", "type": "t", "key": "k"}, {"type": "u"}, {"key": "only"}],
    "meta": {"created": "2024-01-01T00:00:00.000Z", "version": "1"},
    EXTENSION: {"shelf": "S", "badge": "B", "cost": 1.5, "keeper": {"value": "u", "displayName": "d"}},
}
BOX = {"width": 0, "maker": "m", "serial": "7"}
PARTS = [{"value": "v", "type": "t"}, {"type": "u"}]
KEEPER = {"value": "u", "displayName": "d"}
ALWAYS: dict[str, Any] = {"schemas": [CORE, EXTENSION], "id": "g1", EXTENSION: {"badge": "B"}}
DEFAULT: dict[str, Any] = {
    "schemas": [CORE, EXTENSION],
    "id": "g1",
    "label": "l",
    "note": "n",
    "flag": False,
    "tags": ["x"],
    "box": BOX,
    "parts": PARTS,
    "meta": {"created": "2024-01-01T00:00:00.000Z", "version": "1"},
    EXTENSION: {"shelf": "S", "badge": "B", "keeper": KEEPER},
}


def shown(attributes: Names = None, excluded: Names = None, requested: frozenset[str] = frozenset()) -> dict[str, Any]:
    return apply(parse(attributes, excluded, GADGET), WHOLE, GADGET, requested=requested)


def without(resource: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in names}


class TestDefault:
    @pytest.mark.parametrize("empty", [None, "", " ", ",", " , ,", [], [""]])
    def test_nothing_asked_for_shows_what_is_returned_by_default(self, empty: Names) -> None:
        assert shown(empty) == shown(None, empty) == shown(empty, empty) == DEFAULT

    def test_a_resource_from_which_nothing_is_cut_is_a_new_dict(self) -> None:
        bare = {"id": "g", "label": "l"}
        result = apply(parse(None, None, GADGET), bare, GADGET)
        assert result == bare
        assert result is not bare

    def test_the_resource_is_not_changed(self) -> None:
        before = copy.deepcopy(WHOLE)
        shown("box.width")
        shown(None, f"parts.type,{EXTENSION}:shelf")
        shown()
        assert before == WHOLE


class TestAttributes:
    def test_what_is_always_returned_and_what_is_named_is_shown(self) -> None:
        assert shown("label") == {**ALWAYS, "label": "l"}
        assert shown("label,note") == shown(["label", "note"]) == {**ALWAYS, "label": "l", "note": "n"}

    @pytest.mark.parametrize(
        "text",
        [
            "LABEL",
            " label ",
            f"{CORE}:label",
            f"{CORE.upper()}:LABEL",
            "label,label",
            ",label,,",
        ],
    )
    def test_names_are_read_in_any_case_with_or_without_urn_and_blanks(self, text: str) -> None:
        assert shown(text) == {**ALWAYS, "label": "l"}

    def test_sub_attributes_keep_only_that_part_of_each_element(self) -> None:
        assert shown("parts.value") == {**ALWAYS, "parts": [{"value": "v"}]}
        assert shown("PARTS.TYPE,parts.value") == {**ALWAYS, "parts": PARTS}
        assert shown("meta.version") == {**ALWAYS, "meta": {"version": "1"}}

    def test_a_part_that_is_always_returned_comes_with_the_attribute(self) -> None:
        assert shown("box.width") == {**ALWAYS, "box": {"width": 0, "serial": "7"}}
        assert shown("box") == {**ALWAYS, "box": BOX}

    def test_the_whole_attribute_wins_over_a_part(self) -> None:
        assert shown("box.width,box") == shown("box,box.width") == {**ALWAYS, "box": BOX}

    def test_unknown_names_are_ignored_but_something_was_asked_for(self) -> None:
        for text in ("nope", "box.nope", "urn:x:y:label", "label.x", "label eq 1", "a.b.c", "."):
            assert shown(text) == ALWAYS
        assert shown("nope,label") == {**ALWAYS, "label": "l"}

    def test_extension_attributes_are_named_by_their_urn(self) -> None:
        assert shown(f"{EXTENSION}:shelf") == {**ALWAYS, EXTENSION: {"shelf": "S", "badge": "B"}}
        keeper = {"badge": "B", "keeper": {"value": "u"}}
        assert shown(f"{EXTENSION.upper()}:Keeper.VALUE") == {**ALWAYS, EXTENSION: keeper}
        assert shown(f"{EXTENSION}.shelf") == shown(f"{EXTENSION}:shelf")
        assert shown("shelf") == ALWAYS

    def test_a_urn_alone_stands_for_all_attributes_of_the_schema(self) -> None:
        assert shown(EXTENSION) == {**ALWAYS, EXTENSION: DEFAULT[EXTENSION]}
        assert shown(CORE) == {**without(DEFAULT, "meta"), EXTENSION: {"badge": "B"}}
        assert shown(f"{CORE.lower()},{EXTENSION.lower()},meta") == DEFAULT

    def test_what_is_returned_on_request_comes_when_it_is_named(self) -> None:
        assert shown("hint") == {**ALWAYS, "hint": "h"}
        assert shown("box.margin") == {**ALWAYS, "box": {"serial": "7", "margin": 1}}
        assert shown(f"{EXTENSION}:cost") == {**ALWAYS, EXTENSION: {"badge": "B", "cost": 1.5}}

    @pytest.mark.parametrize("text", ["secret", "SEALED", "box.pin", "parts.key", f"{CORE}:secret", CORE])
    def test_what_is_never_returned_does_not(self, text: str) -> None:
        answer = shown(text)
        assert "s" not in answer.values()
        assert "pin" not in answer.get("box", {})
        assert "key" not in str(answer.get("parts"))


class TestExcludedAttributes:
    def test_what_is_named_goes_except_what_is_always_returned(self) -> None:
        assert shown(None, "id,schemas,LABEL") == without(DEFAULT, "label")
        assert shown(None, ["parts", f"{CORE}:note"]) == without(DEFAULT, "parts", "note")

    def test_parts_go_from_each_element(self) -> None:
        assert shown(None, "parts.type") == {**DEFAULT, "parts": [{"value": "v"}]}
        assert shown(None, "parts.type,parts.value") == without(DEFAULT, "parts")
        assert shown(None, "box.serial,box.maker") == {**DEFAULT, "box": {"width": 0, "serial": "7"}}

    def test_extensions_go_whole_or_in_part(self) -> None:
        assert shown(None, EXTENSION) == {**DEFAULT, EXTENSION: {"badge": "B"}}
        assert shown(None, f"{EXTENSION}:shelf") == {**DEFAULT, EXTENSION: {"badge": "B", "keeper": KEEPER}}
        assert shown(None, f"{EXTENSION}:keeper.value") == {
            **DEFAULT,
            EXTENSION: {"shelf": "S", "badge": "B", "keeper": {"displayName": "d"}},
        }

    def test_the_core_urn_stands_for_all_core_attributes(self) -> None:
        assert shown(None, CORE) == {name: DEFAULT[name] for name in ("schemas", "id", "meta", EXTENSION)}

    def test_unknown_names_are_ignored(self) -> None:
        assert shown(None, "nope,box.nope") == DEFAULT

    def test_it_excludes_the_other_parameter(self) -> None:
        for attributes, excluded in (("label", "note"), (["label"], "note"), ("nope", ["nope"])):
            with pytest.raises(InvalidValue, match="exclude each other") as caught:
                parse(attributes, excluded, GADGET)
            assert caught.value.scim_type == "invalidValue"

    def test_a_list_of_something_else_is_an_invalid_value(self) -> None:
        something_else: Any = [1]
        with pytest.raises(InvalidValue):
            parse(something_else, None, GADGET)


class TestRequested:
    """What is returned on request is shown where the request that is answered has set it."""

    def test_an_attribute_that_the_request_set_is_shown(self) -> None:
        assert shown(requested=frozenset({"hint", "label"})) == {**DEFAULT, "hint": "h"}
        assert shown(requested=frozenset({"box"}))["box"] == {**BOX, "margin": 1}
        assert shown(requested=frozenset({f"{EXTENSION}:cost"}))[EXTENSION] == without(WHOLE[EXTENSION])
        assert shown(requested=frozenset({"label", "secret"})) == DEFAULT

    def test_unless_it_is_excluded_or_others_are_asked_for(self) -> None:
        assert "hint" not in shown(None, "hint", frozenset({"hint"}))
        assert shown("label", None, frozenset({"hint"})) == {**ALWAYS, "label": "l"}


class TestHint:
    def test_without_names_what_no_answer_will_hold(self) -> None:
        assert parse(None, None, GADGET).without == {"hint", "secret", "sealed"}
        assert parse(None, "parts,box.width", GADGET).without == {"hint", "secret", "sealed", "parts"}
        asked = parse("label,parts.value", None, GADGET).without
        assert {"box", "note", "meta"} <= asked
        assert not {"id", "schemas", "label", "parts", EXTENSION} & asked

    def test_the_same_parameters_are_compiled_once(self) -> None:
        assert parse("label", None, GADGET) is parse("label", None, GADGET)

    def test_a_very_long_list_is_read_but_not_kept(self) -> None:
        names = ["label", *(f"x{number}" for number in range(20_000))]
        assert parse(names, None, GADGET) is not parse(names, None, GADGET)
        assert shown(names) == {**ALWAYS, "label": "l"}


NAMES = ["label", "box", "box.width", "box.pin", "parts", "parts.type", "tags", "hint", "secret", "meta", "id", "nope"]
NAMES += [
    CORE,
    EXTENSION,
    f"{EXTENSION}:shelf",
    f"{EXTENSION}:keeper.value",
    f"{EXTENSION}:cost",
    f"{CORE}:note",
    "schemas",
]
some_names = st.lists(st.sampled_from(NAMES) | st.text(max_size=5).filter(lambda text: "," not in text), max_size=5)


@given(names=some_names, excluding=st.booleans(), requested=st.frozensets(st.sampled_from(NAMES)))
def test_any_projection_is_a_part_of_the_resource_without_secrets(
    names: list[str], excluding: bool, requested: frozenset[str]
) -> None:
    text = ",".join(names)
    projection = parse(None if excluding else text, text if excluding else None, GADGET)
    answer = apply(projection, WHOLE, GADGET, requested=requested)
    assert {"schemas", "id"} <= answer.keys() <= WHOLE.keys()
    assert answer[EXTENSION]["badge"] == "B"
    assert not {"secret", "sealed"} & answer.keys()
    assert "pin" not in answer.get("box", {})
    assert all(value not in ({}, [], None) for value in answer.values())
    if not requested:
        assert not projection.without & answer.keys()
        assert apply(projection, answer, GADGET) == answer
