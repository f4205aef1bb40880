"""The targets of the project, each as a ratio between two measurements of one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.results import FLOOR, Results

PAGES = ("page, first", "page, middle", "page, last")
INDEXED = ("get by id", "userName eq", "page, first", "cursor, first", "lastModified gt", "PATCH active", "PUT profile")
PEER = "scim2-server"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target, what was measured, and whether that is good enough.

    :param value: a ratio, or MiB.
    """

    name: str
    wanted: str
    value: float
    met: bool
    unit: str = ""

    def __str__(self) -> str:
        value = f"{self.value:.0%}" if self.unit == "%" else f"{self.value:.2f}{self.unit}"
        return f"{'met   ' if self.met else 'MISSED'}  {self.name:58} {self.wanted:>10} {value:>12}"


def verdicts(results: Results) -> Iterator[Verdict]:
    """All targets for which the run has what they compare."""
    sizes = results.sizes()
    if not sizes:
        return
    largest, smallest = sizes[-1], sizes[0]
    yield from _of_floor(results, sizes)
    for users in sizes:
        yield from _of_size(results, users)
    if largest > smallest:
        for workload in INDEXED:
            for server in ("sqlite", "mariadb"):
                name = f"{server}: {workload}, {largest:,} users against {smallest:,}"
                yield from _at_most(
                    name, 1.3, _cost(results, largest, workload, server), _cost(results, smallest, workload, server)
                )


def _of_floor(results: Results, sizes: Sequence[int]) -> Iterator[Verdict]:
    """Each server where it was measured with the most users."""
    reads = ("get by id", "userName eq")
    writes = ("create", "PUT profile", "PATCH active")
    for workloads, server, share in (
        (reads, "sqlite", 0.60),
        (reads, "memory", 0.75),
        (reads, "mariadb", 0.45),
        (reads, "mariadb-one-core", 0.45),
        (writes, "sqlite", 0.25),
    ):
        for workload in workloads:
            floor = "create" if workload in writes else workload
            for users in reversed(sizes):
                got, whole = _cost(results, users, workload, server), _cost(results, users, floor, FLOOR)
                if got and whole:
                    what, value = f"{server}: {workload}, {users:,} users, of the floor", whole / got
                    yield Verdict(what, f"≥ {share:.0%}", value, value >= share, "%")
                    break


def _of_size(results: Results, users: int) -> Iterator[Verdict]:
    def cost(workload: str, server: str = "sqlite") -> float | None:
        return _cost(results, users, workload, server)

    at = f"{users:,} users"
    for size in (1000, 10000):
        yield from _at_most(
            f"member ±1 of {size} against PATCH active, {at}", 1.5, cost(f"member ±1 of {size}"), cost("PATCH active")
        )
    yield from _at_most(f"page, last against first, {at}", 3.0, cost("page, last"), cost("page, first"))
    yield from _at_most(f"cursor, last against first, {at}", 1.5, cost("cursor, last"), cost("cursor, first"))
    yield from _at_most(f"complex filter against a page, {at}", 10.0, cost("complex filter"), cost("page, first"))
    yield from _at_most(f"lastModified gt against userName eq, {at}", 2.0, cost("lastModified gt"), cost("userName eq"))
    yield from _at_most(
        f"GET group 10000 against the floor, {at}", 2.0, cost("GET group 10000"), cost("GET group 10000", FLOOR)
    )
    faster = [("PUT group 10000 ±1", 20.0), ("GET group 10000", 30.0), *((page, 20.0) for page in PAGES)]
    for workload, factor in faster:
        peer, own = cost(workload, PEER), cost(workload)
        if peer and own:
            yield Verdict(f"{workload} against {PEER}, {at}", f"≥ {factor:.0f}×", peer / own, peer / own >= factor, "×")
    limit = 200.0
    cell = results.measured(users, "GET group 10000", "sqlite")
    if cell:
        peak = max(each.peak for each in cell.rounds)
        yield Verdict(
            f"memory while a group of 10,000 is served, {at}", f"< {limit:.0f} MiB", peak, peak < limit, " MiB"
        )
    filling = results.fillings.get((users, "sqlite"))
    if filling:
        yield Verdict(f"start to first answer, {at}", "< 1.5 s", filling.start, filling.start < 1.5, " s")
        yield Verdict(f"memory of the serving process, {at}", "< 150 MiB", filling.memory, filling.memory < 150, " MiB")


def _at_most(name: str, limit: float, got: float | None, against: float | None) -> Iterator[Verdict]:
    if got and against:
        yield Verdict(name, f"≤ {limit:g}×", got / against, got / against <= limit, "×")


def _cost(results: Results, users: int, workload: str, server: str) -> float | None:
    """Seconds for a request."""
    cell = results.measured(users, workload, server)
    return 1 / cell.median("rate") if cell else None
