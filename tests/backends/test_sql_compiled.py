"""What is kept of filters: as many statements as are in use, not as many as somebody thinks of."""

from __future__ import annotations

import pytest
from core_client import Core
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.pushdown import COMPILED


def shaped(number: int) -> str:
    """A filter of a shape of its own."""
    operators = ["gt" if number & 1 << bit else "lt" for bit in range(8)]
    return " and ".join(f'emails[value {operator} "m" and not (type eq "x")]' for operator in operators)


@pytest.mark.parametrize("order", [{}, {"sortBy": "displayName"}])
def test_filters_of_many_shapes_are_forgotten_and_push_out_nothing_else(
    backend: SqlBackend, order: dict[str, str]
) -> None:
    core = Core(backend)
    core.json("GET", "/Users", sortBy="displayName")
    assert backend.database.connections.engine is not None
    others = backend.database.connections.engine._compiled_cache
    assert others is not None
    before = set(others)
    for number in range(3 * COMPILED):
        core.json("GET", "/Users", filter=shaped(number), **order)
    assert set(others) == before
    kept = backend.handlers["User"]._translator._compiled
    assert COMPILED <= len(kept) <= 2 * COMPILED


def test_a_filter_that_is_asked_again_is_not_compiled_again(backend: SqlBackend) -> None:
    core = Core(backend)
    kept = backend.handlers["User"]._translator._compiled
    counts = []
    for name in ("a", "b", "c"):
        core.json("GET", "/Users", filter=f'emails[type eq "work" and value co "{name}"] and active eq true')
        core.json("GET", "/Users", filter=f'emails[type eq "work" and value gt "{name}"] and active eq true')
        counts.append(len(kept))
    assert 0 < counts[0] == counts[1] == counts[2]
