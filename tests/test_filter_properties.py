"""Filters of any shape over resources of any content: parsed as written, evaluated as the naive evaluator does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from gadgets import CORE, EXTENSION, GADGET
from hypothesis import example, given, settings
from hypothesis import strategies as st
from naive_filter import matches, written
from rows import examples

from scim_gateway.errors import InvalidFilter, InvalidPath, ScimError
from scim_gateway.filter import And, Comparison, Filter, Not, Or, Present, ValuePath, Word
from scim_gateway.filter_meaning import resolve, resolve_element
from scim_gateway.filter_parser import FilterLimits, parse, parse_path
from scim_gateway.filter_predicates import compile_filter
from scim_gateway.profile import LENIENT, STRICT
from scim_gateway.schema import Attribute, AttributePath

WIDE = FilterLimits(max_length=10**6, max_depth=100, max_terms=1000)

# Few values, many of which are equal in some sense but not in all.
TEXTS = ["a", "A", "ab", "Ab ", " ab", "b", "B%", "_", "ß", "ss", "SS", "é", "e\u0301", "\uff21", "a\u200b", "İ", "ﬁ"]
TEXTS += ["😀", "'", '"', "\\", "a) and (b", "null", "true", "\u00a0"]
INSTANTS = [
    "2024-01-01T00:00:00Z",
    "2024-01-01T00:00:00.000Z",
    "2024-01-01T01:00:00+01:00",
    "2023-12-31T19:00:00.0001-05:00",
]
INSTANTS += ["2024-01-01T00:00:00.001Z", "2024-01-01T00:00:00", "2023-06-30T23:59:59.999999999Z"]
SUBSTRING, ORDER = ("co", "sw", "ew"), ("gt", "ge", "lt", "le")

texts = st.sampled_from(TEXTS)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": texts | st.just("") | st.text(max_size=3).filter(lambda text: text.isprintable()),
    "reference": texts,
    "binary": st.sampled_from(["AA==", "aa==", "AAEC", ""]),
    "boolean": st.booleans(),
    "integer": st.integers(-2, 2),
    "decimal": st.sampled_from([-1.5, 0.0, -0.0, 0.5, 1.0, 2, 1e18, 0.1]),
    "dateTime": st.sampled_from(INSTANTS),
}
OPERATORS: dict[str, tuple[str, ...]] = {
    "string": ("eq", "ne", *SUBSTRING, *ORDER),
    "reference": ("eq", "ne", *SUBSTRING, *ORDER),
    "binary": ("eq", "ne", *SUBSTRING),
    "boolean": ("eq", "ne"),
    "integer": ("eq", "ne", *ORDER),
    "decimal": ("eq", "ne", *ORDER),
    "dateTime": ("eq", "ne", *ORDER),
}
HIDDEN = ("secret", "sealed", "pin", "key", "schemas", "meta", "id")


def _value_of(attribute: Attribute) -> st.SearchStrategy[Any]:
    one = _object(attribute.sub_attributes) if attribute.type == "complex" else VALUES[attribute.type]
    return st.lists(one, max_size=3) if attribute.multi_valued else one


def _object(attributes: tuple[Attribute, ...]) -> st.SearchStrategy[dict[str, Any]]:
    usable = {each.name: _value_of(each) for each in attributes if each.name != "secret"}
    return st.fixed_dictionaries({}, optional=usable)


resources = st.builds(
    lambda core, extension: {**core, **({EXTENSION: extension} if extension else {}), "id": "g", "schemas": [CORE]},
    _object(GADGET.schema.attributes),
    _object(GADGET.extensions[0].schema.attributes),
)


def _as_it_is(text: str) -> str:
    return text


CASES: list[Callable[[str], str]] = [str.lower, str.upper, str.title, _as_it_is]
words = st.sampled_from(CASES)


def _leaves() -> list[tuple[AttributePath, Attribute]]:
    """What can be compared."""
    found = []
    for urn, attribute in GADGET.every_attribute():
        if attribute.name in HIDDEN:
            continue
        if attribute.type != "complex":
            found.append((AttributePath(urn, attribute.name), attribute))
        for sub in attribute.sub_attributes:
            if sub.name == "value":
                found.append((AttributePath(urn, attribute.name), sub))
            if sub.name not in HIDDEN:
                found.append((AttributePath(urn, attribute.name, sub.name), sub))
    return found


def _owners() -> list[AttributePath]:
    """What can be present besides."""
    found = [AttributePath(urn, each.name) for urn, each in GADGET.every_attribute() if each.sub_attributes]
    urn, _, name = EXTENSION.rpartition(":")
    return [*found, AttributePath(urn, name)]


LEAVES = _leaves()
OWNERS = _owners()
ELEMENTS = [attribute for attribute in GADGET.schema.attributes if attribute.multi_valued or attribute.name == "box"]


@st.composite
def spelled(draw: st.DrawFn, path: AttributePath) -> AttributePath:
    """A path in some letter case, with or without the URN of the core schema."""
    case = draw(words)
    urn = path.urn or draw(st.sampled_from([None, None, CORE, CORE.upper()]))
    return AttributePath(
        case(urn) if urn and case is not str.title else urn, case(path.name), path.sub and case(path.sub)
    )


@st.composite
def comparisons(draw: st.DrawFn, leaves: list[tuple[AttributePath, Attribute]], relative: bool = False) -> Filter:
    path, attribute = draw(st.sampled_from(leaves))
    path = path if relative else draw(spelled(path))
    operator: Any = draw(st.sampled_from(OPERATORS[attribute.type]))
    if draw(st.integers(0, 5)) == 0:
        return Present(path)
    if operator in ("eq", "ne") and draw(st.integers(0, 5)) == 0:
        return Comparison(path, operator, None)
    return Comparison(path, operator, draw(VALUES[attribute.type]))


@st.composite
def value_paths(draw: st.DrawFn) -> Filter:
    attribute = draw(st.sampled_from(ELEMENTS))
    parts = [sub for sub in attribute.sub_attributes if sub.name not in HIDDEN]
    leaves = [(AttributePath(None, sub.name), sub) for sub in parts] or [(AttributePath(None, "value"), attribute)]
    inner = draw(combined(comparisons(leaves, relative=True)))
    then = draw(st.none() | comparisons(leaves, relative=True))
    assert then is None or isinstance(then, Comparison | Present)
    return ValuePath(draw(spelled(AttributePath(None, attribute.name))), inner, then)


def _flat(kind: type[And | Or]) -> Any:
    def build(terms: list[Filter]) -> Filter:
        flat: list[Filter] = []
        for term in terms:
            flat += term.terms if isinstance(term, kind) else (term,)
        return kind(tuple(flat))

    return build


def combined(terms: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    """Terms and combinations of them as the parser builds them: no chain in a chain of its own kind."""
    return st.recursive(
        terms,
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map(_flat(And)),
            st.lists(inner, min_size=2, max_size=3).map(_flat(Or)),
            inner.map(Not),
        ),
        max_leaves=5,
    )


owners = st.sampled_from(OWNERS).flatmap(spelled).map(Present)
filters = combined(comparisons(LEAVES) | comparisons(LEAVES) | value_paths() | owners)


@given(tree=filters)
def test_a_written_filter_is_read_as_it_was(tree: Filter) -> None:
    # By their representations, because True is 1 and 0.0 is -0.0 to Python but not to JSON.
    assert repr(parse(written(tree), WIDE)) == repr(tree)


@given(tree=filters, some=st.lists(resources, min_size=1, max_size=4))
def test_a_compiled_filter_agrees_with_the_naive_evaluator(tree: Filter, some: list[dict[str, Any]]) -> None:
    predicate = compile_filter(resolve(tree, GADGET, LENIENT), GADGET)
    for resource in some:
        assert predicate(resource) == matches(tree, resource, GADGET), written(tree)


def _holding(path: AttributePath, leaf: Attribute, value: Any) -> dict[str, Any]:
    """A resource with one value, at a path."""
    attribute = next(each for urn, each in GADGET.every_attribute() if (urn, each.name) == (path.urn, path.name))
    if attribute.type == "complex":
        value = {leaf.name: value}
    if attribute.multi_valued:
        value = [value]
    return {path.urn: {path.name: value}} if path.urn else {path.name: value}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Comparison, dict[str, Any]]:
    """A comparison and a resource that has a value to compare, from a pool in which many are alike."""
    path, leaf = draw(st.sampled_from(LEAVES))
    pool = st.sampled_from(["a", "A", " a", "ab", "b", "a\u200b", "\uff21", "1", ""])
    values = pool if leaf.type == "string" else VALUES[leaf.type]
    operator: Any = draw(st.sampled_from(OPERATORS[leaf.type]))
    return Comparison(draw(spelled(path)), operator, draw(values)), _holding(path, leaf, draw(values))


@settings(max_examples=examples(400))
@given(pair=pairs())
def test_one_comparison_of_one_value_agrees_with_the_naive_evaluator(pair: tuple[Comparison, dict[str, Any]]) -> None:
    tree, resource = pair
    assert compile_filter(resolve(tree, GADGET, LENIENT), GADGET)(resource) == matches(tree, resource, GADGET)


SMALL = st.fixed_dictionaries(
    {},
    optional={"value": st.sampled_from(["a", "b", ""]), "type": st.sampled_from(["a", "b"]), "primary": st.booleans()},
)
CONDITIONS = st.sampled_from(
    [f"{sub} {test}" for sub in ("value", "type") for test in ('eq "a"', 'ne "a"', "pr", "eq null", "ne null")]
    + [f"primary {test}" for test in ("eq true", "eq false", "ne true", "ne false", "pr", "eq null")]
)
DOTTED = CONDITIONS.map(lambda condition: f"parts.{condition}")
BRACKETED = st.builds("parts[{}]{}".format, CONDITIONS, st.just("") | CONDITIONS.map(lambda condition: f".{condition}"))


@settings(max_examples=examples(300))
@given(text=DOTTED | BRACKETED, parts=st.lists(SMALL, max_size=3))
def test_elements_are_selected_as_the_naive_evaluator_does(text: str, parts: list[dict[str, Any]]) -> None:
    tree, resource = parse(text), {"parts": parts}
    assert compile_filter(resolve(tree, GADGET, LENIENT), GADGET)(resource) == matches(tree, resource, GADGET)


@given(tree=filters, resource=resources)
def test_evaluation_changes_nothing_and_ne_negates_eq(tree: Filter, resource: dict[str, Any]) -> None:
    before = repr(resource)
    holds = compile_filter(resolve(tree, GADGET, LENIENT), GADGET)(resource)
    assert compile_filter(resolve(Not(tree), GADGET, LENIENT), GADGET)(resource) is not holds
    assert repr(resource) == before


@given(tree=filters)
def test_resolving_a_resolved_filter_changes_nothing(tree: Filter) -> None:
    once = resolve(tree, GADGET, LENIENT)
    assert resolve(once, GADGET, STRICT) == once


FRAGMENTS = ["a", "label", "parts", "eq", "NE", "co", "gt", "pr", "and", "OR", "not", "(", ")", "["]
FRAGMENTS += [
    "]",
    ".",
    ".value",
    " ",
    '"x"',
    '"',
    "\\",
    "1",
    "-",
    "1e9",
    "true",
    "True",
    "null",
    "urn:x:",
    f"{EXTENSION}:",
]
FRAGMENTS += [
    EXTENSION,
    ":",
    "size",
    "\n",
    "parts[",
    'type eq "a"',
    "]",
    " and ",
    " or ",
    "not (",
    "secret pr",
    "$ref",
    ",",
    "'",
    "\x00",
    "é",
    "\ud800",
]
scraps = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join) | st.lists(
    st.sampled_from(FRAGMENTS), max_size=25
).map(" ".join)


def _is_short(error: ScimError) -> None:
    """What an error says can be sent and read, whatever the client sent."""
    assert 0 < len(error.detail.encode()) < 500


@given(text=st.text() | scraps)
@example("(" * 5000)
@example("a" * 5000)
@example("not (" * 800)
@example('"' * 4000)
@example("a pr and " * 400)
@example("\udcff")
def test_no_text_raises_anything_but_a_scim_error(text: str) -> None:
    try:
        tree = parse(text)
    except InvalidFilter as error:
        _is_short(error)
    else:
        for profile in (STRICT, LENIENT):
            for absent in (False, True):
                try:
                    predicate = compile_filter(resolve(tree, GADGET, profile, unknown_is_absent=absent), GADGET)
                except InvalidFilter as error:
                    _is_short(error)
                else:
                    assert predicate({"id": "g", "label": "a"}) in (True, False)


@given(text=st.text() | scraps)
@example(EXTENSION + ".")
@example(EXTENSION + ":")
@example(EXTENSION + "[a pr]")
@example("[" * 5000)
def test_no_path_raises_anything_but_a_scim_error(text: str) -> None:
    try:
        path = parse_path(text, GADGET)
    except (InvalidPath, InvalidFilter) as error:
        _is_short(error)
    else:
        assert path.path.name or path.path.urn
        assert path.filter is not None or path.sub is None
        target = GADGET.resolve(path.path)
        if path.filter is not None and target is not None and target.attribute is not None:
            try:
                resolve_element(path.filter, target.attribute, LENIENT)
            except InvalidFilter as error:
                _is_short(error)


operands = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.sampled_from([Word("True"), Word("NULL")]),
)
any_operator: Any = st.sampled_from(["eq", "ne", *SUBSTRING, *ORDER])


@given(path=st.sampled_from([path for path, _ in LEAVES] + OWNERS), operator=any_operator, operand=operands)
def test_any_operand_is_refused_or_can_be_evaluated(path: AttributePath, operator: Any, operand: Any) -> None:
    tree = Comparison(path, operator, operand)
    try:
        predicate = compile_filter(resolve(tree, GADGET, LENIENT), GADGET)
    except InvalidFilter:
        return
    assert predicate({"id": "g", "label": "x", "size": 1, "tags": ["a"], "parts": [{"value": "b"}]}) in (True, False)


@pytest.mark.parametrize("text", ["a eq 1", "a eq true", "a eq 1.0"])
def test_equal_operands_of_different_types_are_not_taken_for_each_other(text: str) -> None:
    for attribute, accepted in (("flag", "a eq true"), ("size", "a eq 1"), ("weight", "a eq 1.0")):
        tree = parse(text.replace("a eq", f"{attribute} eq"))
        if text == accepted or (attribute != "flag" and text != "a eq true"):
            assert compile_filter(resolve(tree, GADGET, STRICT), GADGET)({"size": 1, "weight": 1.0, "flag": True})
        else:
            with pytest.raises(InvalidFilter):
                resolve(tree, GADGET, STRICT)


_NAMES = st.sampled_from(
    ("userName", "a", "not", "And", "OR", "true", "nullable", "null", "name.familyName", "x.not", "a_1")
)
_WORDS = st.sampled_from(("eq", "EQ", "sW", "pr", "eq ", "  ge", "x"))
_TEXTS = st.text(st.sampled_from('ab é\\"\n\t\x7f\u2028()[]'), max_size=6)


@given(_NAMES, st.sampled_from((" ", "  ", "", "\t")), _WORDS, _TEXTS, st.sampled_from(("", " ", " and a pr")))
@example("userName", " ", "eq", "", "")
def test_the_short_way_for_one_comparison_leads_where_the_grammar_leads(
    attribute: str, blank: str, word: str, value: str, rest: str
) -> None:
    text = f'{attribute}{blank}{word}{blank}"{value}"{rest}'
    assert _outcome(text) == _outcome(f"({text})")


def _outcome(text: str) -> Filter | None:
    try:
        return parse(text)
    except InvalidFilter:
        return None
