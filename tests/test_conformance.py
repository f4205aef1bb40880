"""docs/conformance.rst is complete, and what it says of the tests is true."""

from __future__ import annotations

import ast
import re
from collections import Counter
from itertools import groupby

import pytest
from conformance import DOCUMENT, ROOT, Line, lines, marks, parsed, rendered

# How many lines each chapter has; errata are known by the numbers of the RFC Editor.
COUNTS = "S71 D18 C13 G8 Q41 F38 P54 U13 X6 B22 E13 R14 A9 T11 N14 O25"
CHAPTERS = {word[0]: int(word[1:]) for word in COUNTS.split()}
LEVELS = {"MUST", "SHOULD", "MAY", "choice"}


@pytest.fixture(scope="module")
def document() -> str:
    return DOCUMENT.read_text("utf-8")


@pytest.fixture(scope="module")
def known(document: str) -> list[Line]:
    return lines(document)


def chapter(line: Line) -> str:
    return line.id.partition("-")[0]


def test_no_line_of_a_chapter_is_missing_or_out_of_its_place(known: list[Line]) -> None:
    assert sum(count for name, count in CHAPTERS.items() if name != "O") == 345
    found = {name: [line.id for line in of_it] for name, of_it in groupby(known, chapter)}
    errata = found.pop("EID")
    assert found == {
        name: [f"{name}-{number:02}" for number in range(1, count + 1)] for name, count in CHAPTERS.items()
    }
    assert errata == sorted(set(errata))


def test_every_line_says_where_it_stands_and_what_it_asks(known: list[Line]) -> None:
    section = r"§[0-9]+(\.[0-9]+)*"
    place = rf"([0-9]{{4}}( {section})?|{section}|[A-Z]-[0-9]{{2}})"
    for line in known:
        assert line.level in (LEVELS if chapter(line) != "EID" else {"verified", "unverified"}), line
        assert re.fullmatch(rf"{place}(, {place})*", line.source), line
        assert re.fullmatch(r"\S.{15,}[.)]", line.text), line
        if line.level == "choice" and chapter(line) != "O":
            assert "*Choice:*" in line.text, line


def test_every_line_is_pinned_by_a_test(known: list[Line]) -> None:
    assert [line.id for line in known if not line.tests] == []


def test_every_test_that_is_named_exists(known: list[Line]) -> None:
    functions = {
        f"{path.relative_to(ROOT).as_posix()}::{node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name for line in known for name in line.tests} <= functions


def test_every_test_that_is_named_carries_the_mark_and_every_mark_is_in_the_document(known: list[Line]) -> None:
    assert {line.id: set(line.tests) for line in known} == {id: set(names) for id, names in marks().items()}


def test_the_document_is_as_make_conformance_writes_it(document: str) -> None:
    assert rendered(document, marks()) == document


def test_no_mark_escapes_the_reader() -> None:
    """Marks are read from the source, where they stand above the functions; each one that is written is read."""
    written = Counter[str]()
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Attribute) and node.attr == "rfc" and ast.unparse(node) == "pytest.mark.rfc":
                written[path.name] += 1
    read = Counter(name for names in marks().values() for name in set(names))
    assert sum(written.values()) == len(read)


def test_a_choice_is_pinned_by_tests_of_the_lines_that_it_sums_up(known: list[Line]) -> None:
    by_id = {line.id: line for line in known}
    for line in known:
        if chapter(line) == "O":
            for id in line.source.split(", "):
                assert set(by_id[id].tests) & set(line.tests), f"{line.id}: {id}"


def test_the_reader_finds_what_is_written() -> None:
    text = (
        "Title\n=====\n\nS-01 · MUST · 7643 §3\n    One\n    two.\n\n    | ``tests/a.py::test_old``\n\n"
        "S-02 · choice · 7644\n    Three.\n"
    )
    tests = {"S-01": ["tests/a.py::test_x", "tests/b.py::TestY::test_y"]}
    after = rendered(text, tests)
    assert lines(after) == [
        Line("S-01", "MUST", "7643 §3", "One two.", ("tests/a.py::test_x", "tests/b.py::TestY::test_y")),
        Line("S-02", "choice", "7644", "Three.", ()),
    ]
    assert rendered(after, tests) == after
