"""What was acknowledged survives SIGKILL, and nothing else appears; ``python tests/live/crash.py`` is the long form."""

from __future__ import annotations

import os
from pathlib import Path

from crash import CLIENTS, Counts, CrashTest
from gateway_process import GatewayProcess

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "3"))


def test_every_acknowledged_change_survives_a_kill_and_nothing_is_torn(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, "sql", workers=2)
    test = CrashTest(gateway)
    total = Counts()
    try:
        test.prepare()
        for number in range(ROUNDS):
            counts = test.round(0.8, whole=number % 3 != 2)
            assert counts.problems == []
            assert counts.unanswered <= CLIENTS
            total += counts
    finally:
        gateway.kill()
    assert total.acknowledged > 10 * ROUNDS
    assert total.created
    assert total.memberships
    print(total)


def test_the_comparison_notices_what_a_store_in_memory_loses(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, "memory", workers=1)
    test = CrashTest(gateway)
    try:
        test.prepare()
        counts = test.round(0.5)
    finally:
        gateway.kill()
    assert counts.acknowledged > 10
    living = sum(
        problem.endswith("acknowledged otherwise") or "acknowledged was" in problem for problem in counts.problems
    )
    assert living
    assert "the groups are not the ones that were made" in counts.problems
