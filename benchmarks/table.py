"""The results as tables of text: ratios to the floor first, as they hold on other machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.results import FLOOR, Cell, Results

_NAME = 20
_WIDTH = 16


def tables(results: Results) -> Iterator[tuple[str, str]]:
    """All tables, each with its title."""
    for users in results.sizes():
        title = f"{users:,} users"
        yield f"{title}: requests a second, and as a share of the floor", _rates(results, users)
        yield f"{title}: latency, p50 / p99 in milliseconds", _grid(results, users, _latency)
        yield f"{title}: CPU of the server for a request, in milliseconds", _grid(results, users, _cpu)
        yield f"{title}: peak memory of the serving process, in MiB", _grid(results, users, _peak)
        yield f"{title}: noise, half the spread of the rounds", _grid(results, users, _noise)
    yield "Filling through each server's own API, and its start", _fillings(results)


def _rates(results: Results, users: int) -> str:
    def rate(workload: str, server: str, cell: Cell) -> str:
        floor = results.measured(users, workload, FLOOR)
        text = _number(cell.median("rate"))
        if server == FLOOR or floor is None:
            return text
        share = cell.median("rate") / floor.median("rate")
        return f"{text} {share:5.0%}" if share >= 0.01 else f"{text} {share:5.2%}"

    return _grid(results, users, rate)


def _latency(_workload: str, _server: str, cell: Cell) -> str:
    return f"{_number(cell.median('p50') * 1000)} / {_number(cell.median('p99') * 1000)}"


def _cpu(_workload: str, _server: str, cell: Cell) -> str:
    return _number(cell.median("cpu") * 1000)


def _peak(_workload: str, _server: str, cell: Cell) -> str:
    return f"{max(each.peak for each in cell.rounds):.0f}"


def _noise(_workload: str, _server: str, cell: Cell) -> str:
    return f"{cell.noise:.0%}" if len(cell.rounds) > 1 else "once"


def _grid(results: Results, users: int, show: Callable[[str, str, Cell], str]) -> str:
    servers = sorted(results.servers(users), key=lambda server: server != FLOOR)
    lines = ["".join([f"{'':{_NAME}}", *(f"{server:>{_WIDTH}}" for server in servers)])]
    for workload in results.workloads(users):
        cells = (results.measured(users, workload, server) for server in servers)
        texts = [
            "–" if cell is None else show(workload, server, cell) for server, cell in zip(servers, cells, strict=True)
        ]
        lines.append("".join([f"{workload:{_NAME}}", *(f"{text:>{_WIDTH}}" for text in texts)]).rstrip())
    return "\n".join(lines)


def reasons(results: Results) -> Iterator[str]:
    """Why there are dashes: a line for each reason."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for (users, workload, server), cell in results.cells.items():
        if cell.reason and server != FLOOR:
            found.setdefault((server, cell.reason), {})[f"{workload} ({users:,})"] = None
    for (server, reason), where in found.items():
        several = ", ".join(list(where)[:4]) + (" and others" if len(where) > 4 else "")
        yield f"{server}: {reason}: {several}"


def _fillings(results: Results) -> str:
    lines = [f"{'users':>10}  {'server':{_NAME}}{'seconds':>10}{'memory MiB':>12}{'start, s':>10}"]
    for (users, server), filling in results.fillings.items():
        lines.append(
            f"{users:>10,}  {server:{_NAME}}{filling.seconds:>10.0f}{filling.memory:>12.0f}{filling.start:>10.2f}"
        )
    return "\n".join(lines)


def _number(value: float) -> str:
    """Three digits."""
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
