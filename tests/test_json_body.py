"""Request bodies: what JSON is read, what is refused, and that the refusal says where."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_gateway import json_body
from scim_gateway.bench import people
from scim_gateway.errors import InvalidSyntax

REFUSED = {
    "empty": (b"", "no body"),
    "blank": (b" \n", "no body"),
    "only a byte order mark": (b"\xef\xbb\xbf", "no body"),
    "open": (b"{", "line 1, column 2"),
    "on the second line": (b'{"a":1,\nb}', "line 2, column 1"),
    "trailing comma": (b'{"a":1,}', "column 7" if sys.version_info >= (3, 13) else "column 8"),
    "something behind": (b"{} x", "column 4"),
    "raw control character": (b'{"a":"\x01"}', "column 7"),
    "comment": (b'{"a":1 /* */}', "column 8"),
    "single quotes": (b"{'a':1}", "column 2"),
    "array": (b"[]", "has to be a JSON object"),
    "text": (b'"a"', "has to be a JSON object"),
    "number": (b"5", "has to be a JSON object"),
    "null": (b"null", "has to be a JSON object"),
    "name twice": (b'{"emails":[{"a":1,"a":2}]}', "twice stands at emails[0].a"),
    "name twice before something else": (b'{"a":{"b":1,"b":2},"c":tru}', "line 1, column 24"),
    "name twice in other case": (b'{"userName":"a","username":"b"}', "twice stands at username"),
    "NaN": (b'{"a":{"b":NaN}}', "NaN, which is no JSON, stands at a.b"),
    "infinite": (b'{"a":[1,Infinity]}', "stands at a[1]"),
    "minus infinite": (b'{"a":-Infinity}', "-Infinity"),
    "float too large": (b'{"a":1e400}', "too large stands at a"),
    "integer too large": (b'{"a":9223372036854775808}', "beyond 64 bits stands at a"),
    "integer too small": (b'{"a":-9223372036854775809}', "beyond 64 bits stands at a"),
    "5000 digits": (b'{"a":' + b"9" * 5000 + b"}", "beyond 64 bits stands at a"),
    "scalar NaN": (b"NaN", "NaN"),
    "no UTF-8": (b'{"a":"\xff"}', "not UTF-8: see byte 7"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), "not UTF-8"),
    "raw surrogate": (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
    "high surrogate": (rb'{"a":["\ud83d"]}', "surrogate pair, which is no character, at a[0]"),
    "low surrogate": (rb'{"a":"x\ude00"}', "at a"),
    "surrogate in a name": (rb'{"a":{"\ud800":1}}', "the name of a member of a"),
    "NUL": (rb'{"a":{"b":["\u0000"]}}', "NUL character at a.b[0]"),
    "NUL in a name": (rb'{"\u0000":1}', "the name of a member of the outermost object"),
    "33 levels": (b'{"a":' * 33 + b"1" + b"}" * 33, "deeper than 32 levels"),
    "33 levels of arrays": (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", "deeper than 32 levels"),
    "100000 levels": (b"[" * 100_000, "deeper than 32 levels"),
    "100000 objects": (b'{"a":' * 100_000, "deeper than 32 levels"),
    "deep and wrong": (b"[" * 900 + b"NaN" + b"]" * 900, "deeper than 32 levels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_json_object_or_means_two_things_is_refused_with_its_place(case: str) -> None:
    body, message = REFUSED[case]
    with pytest.raises(InvalidSyntax) as refused:
        json_body.loads(body)
    assert message in refused.value.detail
    assert len(refused.value.detail) < 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", {}),
        (b'\xef\xbb\xbf {"a": 1} ', {"a": 1}),
        (b'{"a":9223372036854775807,"b":-9223372036854775808}', {"a": 2**63 - 1, "b": -(2**63)}),
        (b'{"a":1.5,"b":1e3,"c":5.0}', {"a": 1.5, "b": 1000.0, "c": 5.0}),
        (rb'{"a":"\ud83d\ude00","b":"\\u0000","c":"\u00e9"}', {"a": "😀", "b": r"\u0000", "c": "é"}),
        ('{"a":"日本 😀"}'.encode(), {"a": "日本 😀"}),
        (b'{"a":null,"b":[],"c":{},"d":""}', {"a": None, "b": [], "c": {}, "d": ""}),
        (b'{"a":[{"x":1},{"x":2}]}', {"a": [{"x": 1}, {"x": 2}]}),
    ],
)
def test_json_is_read_as_it_is(body: bytes, expected: dict[str, object]) -> None:
    read = json_body.loads(body)
    assert read == expected
    assert [type(value) for value in read.values()] == [type(value) for value in expected.values()]


def test_32_levels_are_deep_enough_and_the_bound_can_be_set() -> None:
    body = b'{"a":' * 32 + b"1" + b"}" * 32
    assert json_body.loads(body)
    with pytest.raises(InvalidSyntax, match="deeper than 31 levels"):
        json_body.loads(body, max_depth=31)


def test_a_long_name_is_cut_in_the_place() -> None:
    with pytest.raises(InvalidSyntax) as refused:
        json_body.loads(json.dumps({"x" * 5000: {"a": float("nan")}}).encode())
    assert len(refused.value.detail) < 200


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | names,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names, inner, max_size=3).filter(
            lambda read: len({name.lower() for name in read}) == len(read)
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from("abcde"), values), st.booleans())
def test_what_a_client_serialises_comes_back_as_it_was(document: dict[str, object], escaped: bool) -> None:
    assert json_body.loads(json.dumps(document, ensure_ascii=escaped).encode()) == document


@given(st.binary(max_size=60) | st.text('{}[]:,"\\u0d8eaE+-.19Nn \x00', max_size=60).map(str.encode))
def test_any_bytes_give_an_object_or_a_refusal(body: bytes) -> None:
    try:
        read = json_body.loads(body)
    except InvalidSyntax as refused:
        read = {"refused": refused.detail}
    assert isinstance(read, dict)


_BLANKS = st.sampled_from(["", "", "", " ", "\n", "\t", "\r", " \n "])
_TEXTS = st.one_of(st.sampled_from([":", "a:", '":', '"a":', " :", "\\", "a\u00e9"]), st.text(max_size=3)).map(
    lambda text: json.dumps(text, ensure_ascii=False)
)
_NAMES = st.one_of(st.sampled_from(['"a"', '"A"', '"b"', '"ß"', '":"']), _TEXTS)
_NUMBERS = st.sampled_from(["0", "-0", "1.5", "1e2", "1e400", "-1", str(2**63), str(2**63 - 1), str(-(2**63)), "1E3"])


def _array(values: list[str]) -> str:
    return f"[{','.join(values)}]"


def _objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Objects as texts, with names given twice, and blanks where they may be."""
    member = st.tuples(_BLANKS, _NAMES, _BLANKS, _BLANKS, values, _BLANKS).map(
        lambda part: f"{part[0]}{part[1]}{part[2]}:{part[3]}{part[4]}{part[5]}"
    )
    return st.lists(member, max_size=4).map(lambda members: "{" + ",".join(members) + "}")


_VALUES = st.recursive(
    st.one_of(_TEXTS, _NUMBERS, st.sampled_from(["true", "false", "null", "NaN", "tru", ""])),
    lambda values: st.one_of(_objects(values), st.lists(values, max_size=3).map(_array)),
    max_leaves=8,
)


def _outcome(read: Callable[[], object]) -> str:
    try:
        return repr(read())
    except InvalidSyntax as error:
        return f"refused: {error}"


@given(_objects(_VALUES))
def test_what_is_told_at_a_glance_is_what_a_careful_look_tells(text: str) -> None:
    body = text.encode()
    assert _outcome(lambda: json_body.loads(body, max_depth=4)) == _outcome(lambda: json_body._with_care(body, 4))


def test_what_identity_providers_send_is_read_at_a_glance() -> None:
    for document in (people.user(1), people.activation(False), people.group("staff", ["a", "b"])):
        for separators in ((",", ":"), (", ", ": ")):
            body = json.dumps(document, separators=separators).encode()
            assert json_body._at_a_glance(body, 32) == document
