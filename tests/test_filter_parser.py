"""Filter texts and PATCH paths: the grammar of RFC 7644 §3.4.2.2, and what scim2-filter-parser alone gets wrong."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from gadgets import CORE, EXTENSION, GADGET

from scim_gateway import filter_parser
from scim_gateway.errors import InvalidFilter, InvalidPath
from scim_gateway.filter import And, Comparison, Filter, Not, Operator, Or, Present, ValuePath, Word
from scim_gateway.filter_parser import FilterLimits, PatchPath, parse, parse_path
from scim_gateway.schema import CORE_USER, ENTERPRISE_USER, AttributePath


def name(text: str) -> AttributePath:
    attribute, _, sub = text.partition(".")
    return AttributePath(None, attribute, sub or None)


def eq(path: str, value: str | float | bool | None) -> Comparison:
    return Comparison(name(path), "eq", value)


def refused(text: str) -> str:
    with pytest.raises(InvalidFilter) as caught:
        parse(text)
    assert caught.value.status == 400
    assert caught.value.scim_type == "invalidFilter"
    return caught.value.detail


A, B, C = eq("a", "1"), eq("b", "2"), eq("c", "3")


class TestFaultsOfThePackage:
    """One test for each known fault of scim2-filter-parser 0.7.0."""

    def test_and_binds_tighter_than_or(self) -> None:
        assert parse('a eq "1" or b eq "2" and c eq "3"') == Or((A, And((B, C))))
        assert parse('a eq "1" and b eq "2" or c eq "3"') == Or((And((A, B)), C))
        inside = ValuePath(name("x"), Or((A, And((B, C)))))
        assert parse('x[a eq "1" or b eq "2" and c eq "3"]') == inside

    def test_a_number_has_any_number_of_digits(self) -> None:
        assert parse("x eq 42") == eq("x", 42)

    @pytest.mark.parametrize(("text", "value"), [("-5", -5), ("1.5", 1.5), ("-0.25", -0.25), ("0", 0)])
    def test_numbers_are_negative_or_have_fractions(self, text: str, value: float) -> None:
        tree = parse(f"x eq {text}")
        assert tree == eq("x", value)
        assert isinstance(tree, Comparison)
        assert type(tree.value) is type(value)

    @pytest.mark.parametrize(("text", "value"), [("1e5", 1e5), ("1E+2", 100.0), ("25e-1", 2.5)])
    def test_numbers_have_exponents(self, text: str, value: float) -> None:
        assert parse(f"x eq {text}") == eq("x", value)

    @pytest.mark.parametrize("text", ["01", "+1", ".5", "5.", "1e", "--1", "0x10", "1_000", "NaN", "Infinity", "1e999"])
    def test_what_is_no_json_number_is_refused(self, text: str) -> None:
        refused(f"x eq {text}")

    @pytest.mark.parametrize("text", ["9" * 19, "9" * 4000, "-" + "9" * 400])
    def test_a_number_that_no_store_can_hold_is_refused(self, text: str) -> None:
        assert "too large" in refused(f"x eq {text}")

    def test_a_text_may_hold_escaped_quotes(self) -> None:
        assert parse(r'displayName eq "a\"b"') == eq("displayName", 'a"b')

    def test_escapes_are_decoded(self) -> None:
        assert parse(r'x eq "a\\b\/c\n\u00e9\ud83d\ude00"') == eq("x", "a\\b/c\né😀")

    @pytest.mark.parametrize("text", [r'"\x"', r'"\u12"', '"a\tb"', '"a\nb"', r'"\ud800"', '"\ud800"'])
    def test_what_is_no_json_string_is_refused(self, text: str) -> None:
        refused(f"x eq {text}")

    @pytest.mark.parametrize("word", ["True", "TRUE", "False", "fAlse", "Null", "NULL"])
    def test_literals_in_other_letter_case_are_kept_apart_from_texts_and_literals(self, word: str) -> None:
        tree = parse(f"active eq {word}")
        assert isinstance(tree, Comparison)
        assert isinstance(tree.value, Word)
        assert tree.value == word

    @pytest.mark.parametrize("attribute", ["trueName", "nullable", "falseFlag", "true-ish", "null2", "x.trueValue"])
    def test_an_attribute_may_begin_like_a_literal(self, attribute: str) -> None:
        assert parse(f"{attribute} pr") == Present(name(attribute))

    def test_a_word_that_begins_like_a_literal_is_no_literal(self) -> None:
        assert '"nullx"' in refused("a eq nullx")
        refused("a eq true1")

    def test_texts_numbers_and_literals_keep_their_types(self) -> None:
        values = [
            tree.value
            for tree in map(parse, ['x eq "42"', "x eq 42", 'x eq "true"', "x eq true", "x eq false", "x eq null"])
            if isinstance(tree, Comparison)
        ]
        assert list(map(repr, values)) == ["'42'", "42", "'true'", "True", "False", "None"]

    def test_a_line_break_between_terms_is_refused(self) -> None:
        assert "character 5" in refused('a pr\nand b eq "1"')

    @pytest.mark.parametrize("text", ['a eq"1"', 'a eq "1"and b pr', 'a eq "1" and(b pr)', "(a pr)and b pr", "a eq-1"])
    def test_blanks_around_operators_are_required(self, text: str) -> None:
        assert "character" in refused(text)

    def test_brackets_in_brackets_are_refused(self) -> None:
        assert "rackets" in refused('a[b[c eq "1"]]')
        refused('a[b eq "1" and c[d pr]]')

    @pytest.mark.parametrize(
        "text",
        [
            'members[value eq "1"] eq ""',
            'members[value eq "1"] pr',
            'a.b[c eq "1"]',
            "a[b pr][c pr]",
            "a[b pr].c[d pr]",
        ],
    )
    def test_what_the_package_accepts_for_its_path_trick_is_no_filter(self, text: str) -> None:
        refused(text)

    def test_a_sub_attribute_behind_a_value_path_is_kept_as_such(self) -> None:
        expected = ValuePath(name("emails"), eq("type", "work"), eq("value", "x"))
        assert parse('emails[type eq "work"].value eq "x"') == expected

    @pytest.mark.parametrize("urn", ["urn:x:y/z:1.0", "http://example.com/scim:1.0", "urn:a+b:c%20d", "x-y:z?q=1"])
    def test_any_uri_may_stand_before_an_attribute(self, urn: str) -> None:
        assert parse(f"{urn}:foo pr") == Present(AttributePath(urn, "foo"))

    def test_an_extension_alone_is_a_path(self) -> None:
        assert parse_path(EXTENSION, GADGET) == PatchPath(AttributePath(EXTENSION, ""))
        assert parse_path(EXTENSION.upper(), GADGET) == PatchPath(AttributePath(EXTENSION.upper(), ""))

    def test_not_needs_parentheses(self) -> None:
        assert '"("' in refused('not a eq "1"')
        assert parse("not(a pr)") == parse("not (a pr)") == parse("NOT  (a pr)") == Not(Present(name("a")))

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "an attribute"),
            ("   ", "an attribute"),
            ("userName", "an operator"),
            ("userName eq", "a value"),
            ('eq "a"', "(at character 1)"),
            ('userName regex "x"', '"regex" is not supported'),
            ("userName eq bjensen", "double quotes"),
            ("userName eq 'x'", "double quotes"),
            ('userName eq "x', "no double quote ends"),
            ("(a pr", 'a closing ")"'),
            ("a[b pr", 'a closing "]"'),
            ("a pr)", "(at character 5)"),
            ("a pr b pr", "(at character 6)"),
            ("a pr and", "an attribute"),
            ("a pr or or b pr", "(at character 9)"),
            ("a..b pr", "character"),
            ("a.b.c pr", "character"),
            ("name .first pr", "(at character 5)"),
            ("emails [type pr]", "(at character 7)"),
            ("urn:x: a pr", "(at character 7)"),
            ("a && b", "(at character 3)"),
            ("a[]", "(at character 3)"),
        ],
    )
    def test_every_fault_is_one_error_that_says_where_and_what(self, text: str, told: str) -> None:
        assert told in refused(text)


class TestGrammar:
    @pytest.mark.parametrize("operator", ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"])
    def test_operators_are_read_in_any_letter_case(self, operator: Operator) -> None:
        for spelled in (operator, operator.upper(), operator.title(), operator[0] + operator[1].upper()):
            assert parse(f'a {spelled} "1"') == Comparison(name("a"), operator, "1")

    def test_logical_operators_are_read_in_any_letter_case(self) -> None:
        assert parse('a EQ "1" AND NOT (b Pr) oR c pR') == Or((And((A, Not(Present(name("b"))))), Present(name("c"))))

    def test_parentheses_override_and_vanish(self) -> None:
        assert parse('(a eq "1" or b eq "2") and c eq "3"') == And((Or((A, B)), C))
        assert parse('((a eq "1"))') == A
        assert parse('(a eq "1" and b eq "2") and c eq "3"') == And((A, B, C))
        assert parse('not (not (a eq "1"))') == Not(Not(A))

    def test_not_binds_tighter_than_and(self) -> None:
        assert parse('not (a eq "1") and b eq "2"') == And((Not(A), B))

    def test_brackets_and_keywords_in_quotes_are_data(self) -> None:
        assert parse('a eq "a) and (b] or not"') == eq("a", "a) and (b] or not")

    @pytest.mark.parametrize("attribute", ["never", "notes", "order", "android", "prefix", "leader", "$ref", "a-b_c9"])
    def test_an_attribute_may_begin_like_a_keyword(self, attribute: str) -> None:
        assert parse(f"{attribute} pr") == Present(name(attribute))

    def test_the_urn_ends_at_the_last_colon(self) -> None:
        assert parse(f"{CORE_USER}:userName pr") == Present(AttributePath(CORE_USER, "userName"))
        assert parse(f"{ENTERPRISE_USER}:manager.value pr") == Present(
            AttributePath(ENTERPRISE_USER, "manager", "value")
        )

    def test_value_paths_combine_with_outer_logic(self) -> None:
        inner = Or((eq("type", "work"), And((eq("type", "home"), Comparison(name("value"), "ew", "@x")))))
        expected = And((Present(name("a")), Not(ValuePath(name("emails"), inner))))
        text = 'a pr and not (emails[type eq "work" or (type eq "home" and value ew "@x")])'
        assert parse(text) == expected

    def test_the_same_text_is_parsed_once(self) -> None:
        assert parse('cached eq "yes" and more eq "yes"') is parse('cached eq "yes" and more eq "yes"')

    def test_a_long_chain_is_one_level(self) -> None:
        limits = FilterLimits(max_length=10**6, max_terms=20_000)
        tree = parse(" or ".join(["a pr"] * 20_000), limits)
        assert isinstance(tree, Or)
        assert len(tree.terms) == 20_000


class TestBounds:
    def test_length_is_bounded_before_anything_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def read(text: str, *_: object) -> None:
            raise AssertionError(f"{len(text)} characters were read")

        monkeypatch.setattr(filter_parser, "_parsed", read)
        monkeypatch.setattr(filter_parser, "_parsed_path", read)
        long = 'a eq "' + "x" * 4096 + '"'
        with pytest.raises(InvalidFilter, match="longer than 4096"):
            parse(long)
        with pytest.raises(InvalidPath, match="longer than 4096"):
            parse_path(long, GADGET)

    def test_depth_is_bounded(self) -> None:
        limits = FilterLimits(max_depth=3)
        assert parse("(((a pr)))", limits) == Present(name("a"))
        with pytest.raises(InvalidFilter, match="deeper than 3"):
            parse("((a[(b pr)]))", limits)
        assert "deeper" in refused("(" * 2000 + "a pr" + ")" * 2000)
        assert "deeper" in refused("not (" * 500 + "a pr" + ")" * 500)

    def test_terms_are_bounded(self) -> None:
        limits = FilterLimits(max_terms=2)
        assert parse("a pr and b pr", limits) == And((Present(name("a")), Present(name("b"))))
        with pytest.raises(InvalidFilter, match="more than 2 terms"):
            parse("a pr and b pr and c pr", limits)
        assert "terms" in refused(" or ".join(["a pr"] * 51))

    @pytest.mark.parametrize(
        "part", ["a", "a:", ":", ".", '"', "\\", "-", "1", "(", "[", "a.b ", "urn:", "e+1", "\x00", "é"]
    )
    def test_repetition_takes_no_more_than_linear_time(self, part: str) -> None:
        def once(length: int) -> float:
            begin = time.thread_time()
            with pytest.raises(InvalidFilter):
                parse(part * (length // len(part)), FilterLimits(max_length=length))
            return time.thread_time() - begin

        def cost(length: int) -> float:
            return min(once(length) for _ in range(3))

        # Of this thread's own time, which other work on the machine does not stretch, and without the collector, which
        # walks through whatever other tests left: 8 times the length takes about 8 times as long, where 64 times would
        # be quadratic. What is below the grain of the clock says nothing.
        gc.disable()
        try:
            assert cost(160_000) < 30 * max(cost(20_000), 0.005)
        finally:
            gc.enable()

    def test_a_detail_repeats_a_short_clean_piece_of_a_name_and_nothing_of_a_literal(self) -> None:
        assert len(refused("a " + "x" * 3000 + ' "1"')) < 300
        detail = refused('a eq "hunter2" "hunter2"')
        assert "hunter2" not in detail
        assert "hunter2" not in refused('a "hunter2"')
        assert refused("a \x1b[31m").isprintable()

    def test_threads_do_not_disturb_each_other(self) -> None:
        def work(number: int) -> Filter:
            return parse(f'a eq "{number}" or b[c eq {number}] and not (d eq "{number}")')

        with ThreadPoolExecutor(8) as pool:
            trees = list(pool.map(work, range(800)))
        for number, tree in enumerate(trees):
            text = str(number)
            assert tree == Or((eq("a", text), And((ValuePath(name("b"), eq("c", number)), Not(eq("d", text))))))


class TestPaths:
    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("note", PatchPath(name("note"))),
            ("NOTE", PatchPath(name("NOTE"))),
            ("box.width", PatchPath(name("box.width"))),
            ('parts[type eq "a"]', PatchPath(name("parts"), eq("type", "a"))),
            ('PARTS[TYPE eq "a"].VALUE', PatchPath(name("PARTS"), eq("TYPE", "a"), "VALUE")),
            ('members[value eq "x"].$ref', PatchPath(name("members"), eq("value", "x"), "$ref")),
            (f"{EXTENSION}:shelf", PatchPath(AttributePath(EXTENSION, "shelf"))),
            (f"{EXTENSION}:keeper.value", PatchPath(AttributePath(EXTENSION, "keeper", "value"))),
            (f"{EXTENSION}.shelf", PatchPath(AttributePath(EXTENSION, "shelf"))),
            (f"{EXTENSION}.keeper.value", PatchPath(AttributePath(EXTENSION, "keeper", "value"))),
            (f"{CORE}:note", PatchPath(AttributePath(CORE, "note"))),
            (f"{CORE}.box.width", PatchPath(AttributePath(CORE, "box", "width"))),
            (f'{CORE}:parts[type eq "a"].value', PatchPath(AttributePath(CORE, "parts"), eq("type", "a"), "value")),
            ("urn:x:y:z", PatchPath(AttributePath("urn:x:y", "z"))),
            (
                'parts[type eq "a" and not (rank gt 1)].value',
                PatchPath(name("parts"), And((eq("type", "a"), Not(Comparison(name("rank"), "gt", 1)))), "value"),
            ),
        ],
    )
    def test_the_forms_of_the_grammar_are_read(self, text: str, path: PatchPath) -> None:
        assert parse_path(text, GADGET) == path

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "..",
            "name.",
            ".name",
            "a.b.c",
            "emails[",
            "emails]",
            'emails[type eq "work"',
            "5",
            '"a"',
            "a b",
            "a,b",
            'emails[type eq "work"].value.x',
            'emails.type[type eq "x"]',
            "a[b pr][c pr]",
            'userName eq "x"',
            "a pr",
            "(a)",
            "a and b",
            "not (a)",
            'emails[type eq "work"] .value',
            'emails [type eq "work"]',
            "a/b",
            "é",
            "\x00",
        ],
    )
    def test_what_is_no_path_is_refused_as_such(self, text: str) -> None:
        with pytest.raises(InvalidPath) as caught:
            parse_path(text, GADGET)
        assert caught.value.scim_type == "invalidPath"
        assert len(caught.value.detail) < 400

    @pytest.mark.parametrize(
        "text", ['parts[type gg "x"]', "parts[]", "parts[type eq x]", "parts[a[b pr]]", 'parts[a eq "x].b']
    )
    def test_a_broken_filter_in_a_path_is_a_broken_filter(self, text: str) -> None:
        with pytest.raises(InvalidFilter) as caught:
            parse_path(text, GADGET)
        assert "filter in the path" in caught.value.detail
