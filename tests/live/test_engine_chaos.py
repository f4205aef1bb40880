"""Nothing acknowledged is lost while all fails; ``python tests/live/engine_chaos.py`` is the long form."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_chaos import Chaos, chaos
from servers.mariadb import INSTALL, program

SECONDS = float(os.environ.get("CHAOS_SECONDS", "6"))


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Chaos]:
    if program("mariadbd") is None:
        if os.environ.get("CI"):
            pytest.fail(INSTALL)
        pytest.skip(INSTALL)
    with chaos(tmp_path) as started:
        yield started


def test_directory_and_engine_are_what_was_acknowledged_and_the_comparison_notices_when_they_are_not(whole):
    report = whole.run(seconds=SECONDS, faults=round(SECONDS), clients=3, changes=100, at_most=10 * SECONDS)
    print(report)
    assert report.problems == []
    assert report.faults.total() >= round(SECONDS)
    assert report.acknowledged >= 100

    # What the comparison is worth: changes that nobody acknowledged, and acknowledged ones that are taken away.
    people = [person for ledger in whole.ledgers for person in ledger.people if person.active]
    whole.engine.rows(f"DROP USER '{people[0].name}'@'%'")
    whole.engine.rows(f"GRANT GROUP 'shared 0' TO '{people[1].name}'@'%'")
    people[2].groups ^= {next(iter(whole.shared))}
    whole.ledgers[0].gone.add(people[3].name)
    whole.report.problems.clear()
    whole.compare()
    told = "\n".join(whole.report.problems)
    for what in ("the plan finds more", "directory, memberships", "directory, resurrected", "Engine, resurrected"):
        assert what in told, told
