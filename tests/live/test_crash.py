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
