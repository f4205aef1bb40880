"""Reads docs/conformance.rst and the marks of the tests; run as a program it writes the tests' names into the document.

The texts of the document are written by hand. The names below them are those of the tests that carry the line's id in
``@pytest.mark.rfc(…)``, so they are never typed: ``make conformance`` brings them up to date.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "conformance.rst"

_HEAD = re.compile(r"(?P<id>[A-Z]+-\d+) · (?P<level>[A-Za-z]+) · (?P<source>.+)\n")
_NAME = re.compile(r"    \| ``(?P<name>tests/[^`]+)``\n")


@dataclass(frozen=True)
class Line:
    """One line of the list: what is required, by whom, and the tests named below it."""

    id: str
    level: str
    source: str
    text: str
    tests: tuple[str, ...]


def lines(document: str) -> list[Line]:
    """The lines of the document, in its order."""
    return list(_parse(document))


@cache
def parsed(path: Path) -> ast.Module:
    """A module of the tests; it is read once."""
    return ast.parse(path.read_text("utf-8"))


def marks() -> Mapping[str, Sequence[str]]:
    """The tests of each id, as ``tests/…::name``, in the order of the files."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, ids in _marked(parsed(path)):
            for id in ids:
                found.setdefault(id, []).append(f"{path.relative_to(ROOT).as_posix()}::{name}")
    return found


def rendered(document: str, tests: Mapping[str, Sequence[str]]) -> str:
    """The document with these tests named below its lines."""
    written: list[str] = []
    id = None
    for row in [*document.splitlines(keepends=True), "\n"]:
        if _NAME.fullmatch(row):
            continue
        written.append(row)
        if head := _HEAD.fullmatch(row):
            id = head["id"]
        elif id is not None and row == "\n":
            written += [f"    | ``{name}``\n" for name in tests.get(id, ())]
            written.append("\n")
            id = None
    return re.sub(r"\n{3,}", "\n\n", "".join(written)).rstrip("\n") + "\n"


def _parse(document: str) -> Iterator[Line]:
    rows = document.splitlines(keepends=True)
    for number, row in enumerate(rows):
        head = _HEAD.fullmatch(row)
        if head is None:
            continue
        end = next((i for i in range(number + 1, len(rows)) if rows[i] == "\n"), len(rows))
        text = " ".join(part.strip() for part in rows[number + 1 : end])
        names = []
        for follower in rows[end + 1 :]:
            name = _NAME.fullmatch(follower)
            if name is None:
                break
            names.append(name["name"])
        yield Line(head["id"], head["level"], head["source"], text, tuple(names))


def _marked(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Each test function of a module with the ids that its own decorators give."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name, _ids(node)
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name.startswith("test_"):
                    yield f"{node.name}::{inner.name}", _ids(inner)


def _ids(test: ast.FunctionDef) -> list[str]:
    return [
        argument.value
        for decorator in test.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.rfc"
        for argument in decorator.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(DOCUMENT.read_text("utf-8"), marks()), "utf-8")
