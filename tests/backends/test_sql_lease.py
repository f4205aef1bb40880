"""A lease is held by one at a time, by the clock of the database, and its fence only grows."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.lease import Lease
from scim_gateway_sql.portable import insert_if_absent
from scim_gateway_sql.tables import leases, settings
from servers.side_by_side import new_processes
from sqlalchemy import select, update

from scim_gateway.testing import in_parallel, suite_resource_types

TYPES = suite_resource_types()


def open_backend(url: str) -> SqlBackend:
    return SqlBackend.from_settings({"database_url": url}, TYPES)


@pytest.fixture(params=["sqlite", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "mariadb":
        found: str = request.getfixturevalue("mariadb")
        return found
    return f"sqlite:///{tmp_path}/directory.db"


@pytest.fixture
def backend(url: str) -> Iterator[SqlBackend]:
    backend = open_backend(url)
    yield backend
    backend.close()


@pytest.fixture
def lease(backend: SqlBackend) -> Callable[..., Lease]:
    return lambda **options: Lease(backend.database, backend.tenant, "engine", **options)


def expire(backend: SqlBackend) -> None:
    with backend.database.operation(write=True) as session:
        session.execute(
            update(leases).where(leases.c.tenant == backend.tenant, leases.c.name == "engine"), {"expires": 1}
        )


def test_one_holder_at_a_time(lease: Callable[..., Lease]) -> None:
    first, second = lease(), lease()
    held = first.acquire()
    assert held is not None
    assert 29 < held.remaining <= 30
    assert second.acquire() is None
    assert first.release(held)
    taken = second.acquire()
    assert taken is not None
    assert taken.fence > held.fence


def test_an_expired_lease_is_free_and_lost_to_its_holder(backend: SqlBackend, lease: Callable[..., Lease]) -> None:
    first, second = lease(), lease()
    held = first.acquire()
    assert held is not None
    expire(backend)
    assert first.renew(held) is None
    taken = second.acquire()
    assert taken is not None
    assert taken.fence > held.fence
    assert first.renew(held) is None
    assert not first.release(held)
    assert second.renew(taken) is not None


def test_whoever_holds_it_may_take_it_again_with_a_new_fence(lease: Callable[..., Lease]) -> None:
    one = lease(holder="worker")
    first = one.acquire()
    again = one.acquire()
    assert first is not None
    assert again is not None
    assert again.fence > first.fence
    assert one.renew(first) is None


def test_a_renewal_is_counted_even_within_the_same_millisecond(lease: Callable[..., Lease]) -> None:
    one = lease()
    held = one.acquire()
    assert held is not None
    assert all(one.renew(held) is not None for _ in range(50))


def test_two_names_are_two_leases(backend: SqlBackend) -> None:
    one, other = (Lease(backend.database, backend.tenant, name) for name in ("engine", "portal"))
    assert one.acquire() is not None
    assert other.acquire() is not None


def test_tenants_have_leases_of_their_own(backend: SqlBackend) -> None:
    one, other = (Lease(backend.database, tenant, "engine") for tenant in ("red", "blue"))
    assert one.acquire() is not None
    assert other.acquire() is not None


def test_a_transaction_can_make_sure_of_the_lease(backend: SqlBackend, lease: Callable[..., Lease]) -> None:
    one, other = lease(), lease()
    held = one.acquire()
    assert held is not None
    with backend.operation(write=True), backend.database.session(write=True) as session:
        assert one.holds(session, held)
    expire(backend)
    taken = other.acquire()
    assert taken is not None
    with backend.operation(write=True), backend.database.session(write=True) as session:
        assert not one.holds(session, held)
        assert other.holds(session, taken)


def test_threads_never_hold_it_at_once(backend: SqlBackend) -> None:
    inside, overlaps, fences = [0], [0], []
    guard = threading.Lock()

    def work() -> None:
        mine = Lease(backend.database, backend.tenant, "engine")
        granted = 0
        while granted < 4:
            held = mine.acquire()
            if held is None:
                time.sleep(0.001)
                continue
            granted += 1
            with guard:
                inside[0] += 1
                overlaps[0] += inside[0] > 1
                fences.append(held.fence)
            time.sleep(0.001)
            with guard:
                inside[0] -= 1
            assert mine.release(held)

    assert in_parallel([work] * 6) == [None] * 6
    assert overlaps == [0]
    assert len(set(fences)) == 24


def _hold_in_turn(url: str, ready: Any, results: Any) -> None:
    """Note when the lease was held, by a clock that processes of one machine share."""
    backend = open_backend(url)
    mine = Lease(backend.database, backend.tenant, "engine")
    spans: list[tuple[float, float, int]] = []
    ready.wait()
    while len(spans) < 15:
        held = mine.acquire()
        if held is None:
            time.sleep(0.001)
            continue
        begin = time.clock_gettime(time.CLOCK_MONOTONIC)
        time.sleep(0.001)
        spans.append((begin, time.clock_gettime(time.CLOCK_MONOTONIC), held.fence))
        mine.release(held)
    results.put(spans)
    backend.close()


def test_processes_never_hold_it_at_once(url: str) -> None:
    open_backend(url).close()
    context = new_processes()
    ready, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_hold_in_turn, args=(url, ready, results), daemon=True) for _ in range(2)]
    for process in processes:
        process.start()
    spans = sorted(span for _ in processes for span in results.get(timeout=60))
    for process in processes:
        process.join(timeout=60)
    assert len(spans) == 30
    for (_, end, fence), (begin, _, next_fence) in itertools.pairwise(spans):
        assert end <= begin
        assert fence < next_fence


def test_the_clock_is_that_of_the_database(backend: SqlBackend) -> None:
    with backend.database.operation(write=False) as session:
        now = backend.database.now(session)
    assert now.tzinfo is UTC
    assert abs((datetime.now(UTC) - now).total_seconds()) < 60


def test_a_row_is_added_once(backend: SqlBackend) -> None:
    def add(payload: bytes) -> bool:
        with backend.database.session(write=True) as session:
            return insert_if_absent(session, settings, {"tenant": "t", "name": "n", "payload": payload})

    added = in_parallel([partial(add, b"%d" % number) for number in range(8)])
    assert sorted(added) == [False] * 7 + [True]


def test_a_row_that_does_not_fit_is_an_error_and_no_row(backend: SqlBackend) -> None:
    with pytest.raises(Exception, match="payload"), backend.database.session(write=True) as session:
        insert_if_absent(session, settings, {"tenant": "t", "name": "n", "payload": None})
    with backend.database.session() as session:
        assert session.execute(select(settings.c.name).where(settings.c.tenant == "t")).first() is None
