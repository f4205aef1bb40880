"""The mixed load and what is said of it: the clients against a gateway over HTTP, and the rule for memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from werkzeug.serving import make_server

from benchmarks import load, soak
from benchmarks.import_at_scale import Size
from scim_gateway.app import create_app
from scim_gateway.bench.directory import Directory, Traits, fill
from scim_gateway.bench.measuring import Client
from scim_gateway.bench.wire import Target

TOKEN = "a-token-of-the-tests-0123456789-abcdef"
USERS = 24


@pytest.fixture(scope="module")
def gateway() -> Iterator[Target]:
    app = create_app({"SCIM_GATEWAY_BACKEND": "memory", "SCIM_GATEWAY_TOKEN": TOKEN, "SCIM_GATEWAY_LOG_LEVEL": "error"})
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Target("127.0.0.1", server.port, "/scim/v2", TOKEN)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def directory(gateway: Target) -> Iterator[Directory]:
    client = Client(gateway)
    with closing(client):
        directory = Directory(client, Traits(), "person")
        fill(directory, USERS, (), 1)
        yield directory


def a_client(gateway: Target, directory: Directory, record: load.Record) -> load.Client:
    return load.Client(gateway, record, range(USERS), directory.users, directory.teams, 1)


def totals(directory: Directory) -> list[int]:
    return [directory.client.call("GET", f"/{kind}?count=0").json()["totalResults"] for kind in ("Users", "Groups")]


def test_every_operation_does_what_its_name_says_and_back_again(gateway: Target, directory: Directory) -> None:
    before, record = totals(directory), load.Record()
    client = a_client(gateway, directory, record)
    for operation in client.operations:
        for _ in range(30):
            operation()
    client.run(until=0.0)
    assert record.errors == []
    assert record.latencies.keys() == {
        *("find by userName", "get by id", "PATCH active", "PUT profile", "list page", "create", "delete"),
        *("PATCH member in", "PATCH member out"),
    }
    assert len(record.latencies["create"]) == len(record.latencies["delete"]) == 15
    assert record.count == 7 * 30 + 15  # whoever is created was looked for before
    assert totals(directory) == before


def test_a_wrong_answer_is_an_error_and_the_load_goes_on(gateway: Target, directory: Directory) -> None:
    record = load.Record()
    client = load.Client(gateway, record, range(2), ["gone", "gone"], directory.teams, 1)
    for operation in client.operations:
        operation()
    client.run(until=0.0)
    assert any(error.startswith("get by id: ") and "404" in error for error in record.errors)
    assert record.latencies["list page"]
    assert "errors" in record.table()


def samples(*totals: float, worker: int = 1) -> list[soak.Sample]:
    return [soak.Sample(1000 * number, {worker: total}) for number, total in enumerate(totals)]


@pytest.mark.parametrize(
    ("found", "trouble"),
    [
        (samples(40, 50, 60, 60, 60, 60, 60, 60, 60), None),
        (samples(60, 60, 60, 60, 60, 60, 61.9, 61.9, 61.9), None),
        (samples(60, 60, 60, 60, 60, 60, 62.1, 62.1, 62.1), "memory is not flat: 2.1 MiB more"),
        (samples(10, 20, 30, 40, 50, 60, 70, 80, 90), "memory is not flat: 30.0 MiB more"),
        (samples(60, 60, 60) + samples(60, 60, 60, worker=2), "workers were replaced"),
        (samples(60, 60), "too short a time"),
    ],
)
def test_memory_is_flat_if_the_last_third_holds_hardly_more_than_the_one_before(
    found: list[soak.Sample], trouble: str | None
) -> None:
    troubles = list(soak.Memory(found).troubles())
    assert len(troubles) == (0 if trouble is None else 1)
    assert trouble is None or trouble in troubles[0]


def test_growth_is_told_for_a_thousand_requests() -> None:
    memory = soak.Memory(samples(10, 10, 10, 10, 10, 10, 13, 13, 13))
    assert memory.growth() == pytest.approx(1024)
    assert "10.0 / 10.0 / 13.0 MiB; +1024.00 KiB for 1,000 requests" in str(memory)


def test_all_members_of_all_groups_are_pushed_once() -> None:
    size = Size(users=40, groups=3, members=25, push=10)
    pushed: dict[int, list[int]] = {}
    for group, numbers in size.pushes():
        assert len(numbers) <= 10
        pushed.setdefault(group, []).extend(numbers)
    assert [pushed[group] for group in range(3)] == size.teams()
    assert all(len(set(numbers)) == 25 for numbers in pushed.values())
