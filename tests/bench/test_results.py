"""The pure parts of the benchmark: what becomes of measurements."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report, table, targets
from benchmarks.results import FLOOR, Cell, Filling, Measurement, Results


def measurement(rate: float, **others: float) -> Measurement:
    values = {"p50": 0.002, "p99": 0.004, "cpu": 0.0005, "peak": 60.0, **others}
    return Measurement(rate=rate, count=int(rate), **values)


def results(rates: dict[tuple[int, str, str], list[float]]) -> Results:
    found = Results({"machine": "a test"})
    for key, rounds in rates.items():
        found.cells[key] = Cell([measurement(rate) for rate in rounds])
    return found


def test_a_cell_is_the_median_of_its_rounds_and_its_noise_half_their_spread() -> None:
    cell = Cell([measurement(rate) for rate in (80.0, 100.0, 120.0)])
    assert cell.median("rate") == 100.0
    assert cell.noise == pytest.approx(0.2)


def test_what_was_saved_is_loaded_as_it_was(tmp_path: Path) -> None:
    before = results({(1000, "create", FLOOR): [4000.0, 4100.0], (1000, "create", "sqlite"): [1000.0]})
    before.cell(1000, "create", "a peer").reason = "cannot"
    before.fillings[1000, "sqlite"] = Filling(12.5, 60.0)
    before.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == before


def test_another_run_replaces_the_sizes_that_it_measured_and_no_other() -> None:
    kept = results({(1000, "create", FLOOR): [1.0], (1000, "gone", FLOOR): [1.0], (100, "create", FLOOR): [2.0]})
    kept.merge(results({(1000, "create", FLOOR): [3.0]}))
    assert {key: cell.median("rate") for key, cell in kept.cells.items()} == {
        (100, "create", FLOOR): 2.0,
        (1000, "create", FLOOR): 3.0,
    }


def test_the_rates_of_a_server_are_shown_with_their_share_of_the_floor() -> None:
    found = results({(1000, "create", FLOOR): [4000.0], (1000, "create", "sqlite"): [1000.0]})
    (_, rates), *_ = table.tables(found)
    header, row = rates.splitlines()
    assert header.split() == [FLOOR, "sqlite"]
    assert row.split() == ["create", "4000", "1000", "25%"]


def test_what_could_not_be_measured_is_a_dash_with_a_reason() -> None:
    found = results({(1000, "create", FLOOR): [4000.0]})
    found.cell(1000, "create", "a peer").reason = "has no POST"
    (_, rates), *_ = table.tables(found)
    assert rates.splitlines()[1].split() == ["create", "4000", "–"]
    assert list(table.reasons(found)) == ["a peer: has no POST: create (1,000)"]


@pytest.mark.parametrize(("rate", "met"), [(600.0, True), (590.0, False)])
def test_a_read_of_sqlite_has_to_reach_sixty_percent_of_the_floor(rate: float, met: bool) -> None:
    found = results({(1000, "get by id", FLOOR): [1000.0], (1000, "get by id", "sqlite"): [rate]})
    (verdict,) = targets.verdicts(found)
    assert (verdict.met, verdict.value) == (met, pytest.approx(rate / 1000))


@pytest.mark.parametrize(("rate", "met"), [(1000.0, True), (700.0, False)])
def test_growth_compares_the_largest_directory_with_the_smallest(rate: float, met: bool) -> None:
    found = results({(1000, "get by id", "sqlite"): [1000.0], (100_000, "get by id", "sqlite"): [rate]})
    (verdict,) = targets.verdicts(found)
    assert "100,000 users against 1,000" in verdict.name
    assert verdict.met is met


@pytest.mark.parametrize(("rate", "met"), [(40.0, True), (39.0, False)])
def test_a_page_has_to_be_twenty_times_as_fast_as_the_peer(rate: float, met: bool) -> None:
    found = results({(1000, "page, first", targets.PEER): [2.0], (1000, "page, first", "sqlite"): [rate]})
    (verdict,) = targets.verdicts(found)
    assert verdict.met is met


def test_only_the_marked_part_of_the_page_is_made_anew(tmp_path: Path) -> None:
    page = tmp_path / "performance.rst"
    page.write_text(f"Before\n\n{report.BEGIN}\n\nold\n\n{report.END}\n\nAfter\n")
    report.write(results({(1000, "create", FLOOR): [4000.0]}), page)
    written = page.read_text()
    assert written.startswith("Before\n\n")
    assert written.endswith(f"{report.END}\n\nAfter\n")
    assert "old" not in written
    assert "4000" in written
