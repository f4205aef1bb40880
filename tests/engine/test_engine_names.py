"""Names: what is made of a value, what is refused, and what counts as one name."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim_gateway_provisioning.target import Kind
from scim_gateway_singlestore_engine.names import NameRule, account_spellings, fault_of, parse_account, step_of

from scim_gateway.errors import InvalidValue
from scim_gateway.text import collision_key


def rule(*steps: str, kind: Kind = "User", limit: int = 32, shorten: bool = False) -> NameRule:
    return NameRule(
        kind,
        "userName" if kind == "User" else "displayName",
        f"engine_{kind.lower()}_name",
        tuple(step_of(step) for step in steps),
        limit,
        shorten,
    )


@pytest.mark.parametrize(
    ("steps", "value", "name"),
    [
        ((), "ada@example.com", "ada@example.com"),
        (("local-part",), "ada@example.com", "ada"),
        (("local-part", "lower"), "Ada.L@example.com", "ada.l"),
        (("lower", "prefix:okta_"), "ADA", "okta_ada"),
        (("prefix:okta_", "upper"), "ada", "OKTA_ADA"),
        (("suffix:.x",), "ada", "ada.x"),
        (("replace:,=", "replace: =_"), "Sales, EMEA", "Sales_EMEA"),
        (("replace:@=.at.",), "ada@example.com", "ada.at.example.com"),
        ((), "Zoe\u0308", "Zo\u00eb"),
        ((), "Ada Lovelace", "Ada Lovelace"),
    ],
)
def test_steps_are_done_in_their_order_on_the_composed_text(steps, value, name):
    assert rule(*steps).name_of(value) == name


@pytest.mark.parametrize(
    "step", ["", "local", "prefix", "prefix:", "lower:x", "reverse", "replace:", "replace:x", "replace:=x"]
)
def test_a_step_that_does_not_exist_is_refused_with_those_that_do(step):
    with pytest.raises(ValueError, match="local-part, lower, upper, prefix:TEXT, suffix:TEXT or replace:OLD=NEW"):
        step_of(step)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (" ada", "blank"),
        ("ada ", "blank"),
        ("a\tb", "control character"),
        ("a\nb", "control character"),
        ("a\x00b", "control character"),
        ("a\x7fb", "control character"),
        ("a\u200bb", "invisible"),
        ("a\u202eb", "invisible"),
        ("a\ufeffb", "invisible"),
        ("a\u00adb", "invisible"),
        ("a\u2028b", "line break"),
        ("a\u2029b", "line break"),
        ("a\u00a0b", "unusual blank"),
        ("a\u3000b", "unusual blank"),
        ("a\u3164b", "invisible"),
        ("a\ufe0fb", "invisible"),
        ("a\ud800b", "half of a character"),
        ("a\ue000b", "private"),
        ("a\u0378b", "does not exist"),
        ("''b", "holds"),
        ("a''b", "holds"),
        ("b'", "holds"),
        ('a"b', 'holds "'),
        ("a`b", "holds `"),
        ("a\\b", "holds \\\\"),
        ("a\U0001f600b", "not every server"),
    ],
)
@pytest.mark.parametrize("kind", ["User", "Group"])
def test_a_name_that_could_be_mistaken_is_refused_and_not_repaired(kind, value, reason):
    with pytest.raises(InvalidValue, match=reason) as caught:
        rule(kind=kind).name_of(value)
    assert f"engine_{kind.lower()}_name_steps" in caught.value.detail


@pytest.mark.parametrize(("name", "held"), [("Lovelace, Ada", ","), ("o'hara@example.com", "'")])
def test_a_comma_and_an_apostrophe_stand_in_a_users_name_and_not_in_a_groups(name, held):
    assert rule().name_of(name) == name
    with pytest.raises(InvalidValue, match=f"holds {held}"):
        rule(kind="Group").name_of(name)


@pytest.mark.parametrize("value", [None, "", 0, 1, True, [], {}, ["ada"]])
def test_what_is_no_text_gives_no_name(value):
    with pytest.raises(InvalidValue, match="engine_user_attribute"):
        rule().name_of(value)


def test_steps_that_leave_nothing_are_refused():
    with pytest.raises(InvalidValue, match="is empty"):
        rule("local-part").name_of("@example.com")


def test_a_long_name_is_refused_with_the_settings_that_help():
    with pytest.raises(InvalidValue) as caught:
        rule().name_of("a" * 30 + "@example.com")
    assert "42 characters, the Engine takes 32" in caught.value.detail
    assert "engine_user_name_steps" in caught.value.detail
    assert "local-part" in caught.value.detail
    assert "engine_long_names=shorten" in caught.value.detail


def test_a_long_name_may_be_shortened_to_its_beginning_and_a_hash_that_never_changes():
    long = "firstname.middlename.lastname@example.com"
    assert rule(shorten=True).name_of(long) == "firstname.middlename.la~068b3752"
    assert rule(shorten=True).name_of("a" * 32) == "a" * 32


def test_two_long_names_of_the_same_beginning_stay_two():
    made = {rule(shorten=True).name_of("a" * 40 + end) for end in "abcdefgh"}
    assert len(made) == 8


@given(st.text(max_size=60))
def test_what_is_let_through_fits_is_composed_and_means_nothing_else_than_it_shows(value):
    try:
        name = rule(shorten=True).name_of(value)
    except InvalidValue:
        return
    assert 0 < len(name) <= 32
    assert name == unicodedata.normalize("NFC", name)
    assert name == name.strip()
    assert not {unicodedata.category(char) for char in name} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not set(name) & set('"`\\')
    assert collision_key(name)
    assert fault_of("User", name) is None


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("'ada'@'%'", ("ada", "%")),
        ("'ada@example.com'@'10.0.0.1'", ("ada@example.com", "10.0.0.1")),
        ("'o''neil'@'%'", ("o'neil", "%")),
        ("'o\\'neil'@'%'", ("o'neil", "%")),
        ("'o'neil'@'%'", ("o'neil", "%")),
        ("o'neil@%", ("o'neil", "%")),
        ("'a'@'b'@'%'", ("a'@'b", "%")),
        ("ada@example.com@%", ("ada@example.com", "%")),
        ("ada@%", ("ada", "%")),
        ("ada", ("ada", "%")),
        ("ada@10.0.0.1", ("ada@10.0.0.1", "%")),
    ],
)
def test_an_account_is_read_in_every_form_that_a_view_may_have(text, account):
    assert parse_account(text) == account


@given(st.text(max_size=32))
def test_every_spelling_of_an_account_is_read_as_that_account(name):
    if fault_of("User", name) is None and not name.endswith("@%"):
        for spelling in account_spellings(name):
            assert parse_account(spelling) == (name, "%")
