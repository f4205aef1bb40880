"""docs/performance.rst: the part between two marks is made from the results, the rest is written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks import plot
from benchmarks.results import Results
from benchmarks.table import reasons, tables
from benchmarks.targets import verdicts

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "performance.rst"
PICTURE = "performance.svg"
BEGIN, END = ".. results begin", ".. results end"


def text(results: Results) -> str:
    """Everything as plain text."""
    parts = [_machine(results)]
    for title, table in tables(results):
        parts += [title, "-" * len(title), table, ""]
    parts += list(reasons(results))
    parts += ["", *map(str, verdicts(results))]
    return "\n".join(parts)


def write(results: Results, page: Path = PAGE) -> None:
    """Put the results into the page, and the picture beside it."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    drawn = plot.draw(results, page.parent / PICTURE)
    page.write_text(f"{before}{BEGIN}\n\n{''.join(_body(results, drawn))}{END}{after}", encoding="utf-8")


def _body(results: Results, drawn: bool) -> Iterator[str]:
    yield f"{_machine(results)}\n\n"
    if drawn:
        yield f".. image:: {PICTURE}\n   :alt: Milliseconds for a request by the number of users, for each server\n\n"
    found = list(verdicts(results))
    if found:
        yield from _listing("Targets", "\n".join(map(str, found)))
    for title, table in tables(results):
        yield from _listing(title, table)
    why = list(reasons(results))
    if why:
        yield "A dash means that there was nothing to measure:\n\n"
        yield from (f"* {reason}\n" for reason in why)
        yield "\n"


def _listing(title: str, listing: str) -> Iterator[str]:
    indented = "\n".join(f"    {line}".rstrip() for line in listing.splitlines())
    yield f"{title}\n{'~' * len(title)}\n\n::\n\n{indented}\n\n"


def _machine(results: Results) -> str:
    return "; ".join(f"{name}: {value}" for name, value in results.machine.items()) + "."
