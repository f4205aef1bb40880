"""What was measured: for each size, workload and server one measurement a round, or the reason why there is none."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FLOOR = "floor"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One round.

    :param rate: requests a second.
    :param p50: median latency, seconds.
    :param p99: 99th percentile, seconds.
    :param cpu: seconds of the server's CPU for each request.
    :param count: requests that were sent.
    :param peak: peak of its resident memory during the round, MiB.
    """

    rate: float
    p50: float
    p99: float
    cpu: float
    count: int
    peak: float


@dataclass(slots=True)
class Cell:
    """All rounds of one workload on one server with one number of users."""

    rounds: list[Measurement] = field(default_factory=list)
    reason: str | None = None
    """Why there are no rounds."""

    def median(self, name: str) -> float:
        """The median of the rounds."""
        return statistics.median(getattr(each, name) for each in self.rounds)

    @property
    def noise(self) -> float:
        """Half the spread of the rates, as a share of their median."""
        rates = [each.rate for each in self.rounds]
        return (max(rates) - min(rates)) / 2 / statistics.median(rates)


@dataclass(slots=True)
class Filling:
    """What it took to fill a server.

    :param seconds: for all people and groups through its API.
    :param memory: resident afterwards, MiB.
    :param start: seconds from the start of the process to its first answer.
    """

    seconds: float
    memory: float
    start: float = 0.0


@dataclass
class Results:
    """All of a run, and the machine that it was made on."""

    machine: dict[str, str] = field(default_factory=dict)
    cells: dict[tuple[int, str, str], Cell] = field(default_factory=dict)
    fillings: dict[tuple[int, str], Filling] = field(default_factory=dict)

    def cell(self, users: int, workload: str, server: str) -> Cell:
        """The cell, new if there was none."""
        return self.cells.setdefault((users, workload, server), Cell())

    def measured(self, users: int, workload: str, server: str) -> Cell | None:
        """The cell, if it was measured."""
        cell = self.cells.get((users, workload, server))
        return cell if cell is not None and cell.rounds else None

    def sizes(self) -> Sequence[int]:
        """The numbers of users."""
        return sorted({users for users, _, _ in self.cells})

    def servers(self, users: int) -> Sequence[str]:
        """The servers that took part, in the order in which they first did."""
        return list(dict.fromkeys(server for size, _, server in self.cells if size == users))

    def workloads(self, users: int) -> Sequence[str]:
        """The workloads, in their order."""
        return list(dict.fromkeys(workload for size, workload, _ in self.cells if size == users))

    def merge(self, newer: Results) -> None:
        """Take over what another run has measured: whole sizes, one by one."""
        for users in newer.sizes():
            self.cells = {key: cell for key, cell in self.cells.items() if key[0] != users}
            self.fillings = {key: filling for key, filling in self.fillings.items() if key[0] != users}
        self.cells |= newer.cells
        self.fillings |= newer.fillings
        self.machine = newer.machine

    def save(self, path: Path) -> None:
        """Write them to a file."""
        document = {
            "machine": self.machine,
            "cells": [_row(key, asdict(cell)) for key, cell in self.cells.items()],
            "fillings": [[*key, asdict(filling)] for key, filling in self.fillings.items()],
        }
        path.write_text(_lines(document), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read them from a file."""
        document = json.loads(path.read_text("utf-8"))
        found = cls(document["machine"])
        for users, workload, server, cell in document["cells"]:
            rounds = [Measurement(**each) for each in cell["rounds"]]
            found.cells[users, workload, server] = Cell(rounds, cell["reason"])
        for users, server, filling in document["fillings"]:
            found.fillings[users, server] = Filling(**filling)
        return found


def _row(key: tuple[int, str, str], cell: Mapping[str, Any]) -> list[Any]:
    rounds = [{name: _short(value) for name, value in each.items()} for each in cell["rounds"]]
    return [*key, {"rounds": rounds, "reason": cell["reason"]}]


def _short(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.4g}")


def _lines(document: Mapping[str, Any]) -> str:
    """JSON with a line for each row, so that a diff shows what changed."""

    def parts() -> Iterator[str]:
        for name, value in document.items():
            if isinstance(value, list):
                rows = ",\n  ".join(json.dumps(row) for row in value)
                yield f" {json.dumps(name)}: [\n  {rows}\n ]"
            else:
                yield f" {json.dumps(name)}: {json.dumps(value)}"

    return "{\n" + ",\n".join(parts()) + "\n}\n"
