"""A deployment under the workloads of an identity provider, with people and groups that are deleted again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from scim_gateway.bench.directory import TEAMS, Directory, Traits, fill
from scim_gateway.bench.measuring import Client
from scim_gateway.bench.wire import BenchmarkError, Target
from scim_gateway.bench.workloads import NotApplicable, Workload, all_workloads

COMMITTEE = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One workload.

    :param rate: requests a second.
    :param p50: median latency, milliseconds.
    :param p99: 99th percentile, milliseconds.
    :param reason: why it was not measured.
    """

    workload: str
    count: int = 0
    rate: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    reason: str | None = None

    def __str__(self) -> str:
        if self.reason is not None:
            return f"{self.workload:<22} –  {self.reason}"
        return f"{self.workload:<22} {self.rate:>9.1f} {self.p50:>9.2f} {self.p99:>9.2f} {self.count:>9}"


HEADER = f"{'':<22} {'req/s':>9} {'p50 ms':>9} {'p99 ms':>9} {'requests':>9}"


def announced(users: int) -> str:
    """What will be made."""
    return f"{users + COMMITTEE} users and more, and {TEAMS + 1} groups"


def measure(
    target: Target,
    report: Callable[[Row], None],
    *,
    users: int,
    seconds: float,
    connections: int,
    progress: Callable[[str], None] = lambda _: None,
) -> bool:
    """Make people and groups, run every workload, and delete what was made; whether all of it went well.

    :raises BenchmarkError: the service cannot be reached, or does not let people be created.
    """
    client = Client(target, connections)
    directory = Directory(client, Traits(), f"bench-{secrets.token_hex(4)}-")
    with closing(client):
        try:
            fill(directory, users, (users,), COMMITTEE, progress=progress)
            workloads = all_workloads((users,))
            went_well = [_one(client, directory, workload, report, seconds) for workload in workloads]
        finally:
            # Answers to what was under way when something went wrong are not waited for.
            client.close()
            directory.clear()
    return all(went_well)


def _one(
    client: Client, directory: Directory, workload: Workload, report: Callable[[Row], None], seconds: float
) -> bool:
    try:
        plan = workload.plan(directory)
        timing = client.measure(plan.requests, plan.statuses, seconds=seconds, keep=plan.again is not None)
        if plan.again:
            plan.again(timing.replies)
    except NotApplicable as reason:
        report(Row(workload.name, reason=str(reason)))
        return True
    except BenchmarkError as error:
        client.close()
        report(Row(workload.name, reason=str(error)))
        return False
    p50, p99 = (1000 * timing.percentile(percent) for percent in (50, 99))
    report(Row(workload.name, timing.count, timing.rate, p50, p99))
    return True


def check_url(url: str, token: str, *, insecure: bool) -> Target:
    """The target behind a URL, for a token that is not shown to a network.

    :raises ValueError: the URL or the token cannot be used.
    """
    if "@" in url:
        raise ValueError("the URL has to be without a user name or password")
    target = Target.of_url(url, token)
    if target.tls is None and not insecure and target.host not in _LOOPBACK:
        raise ValueError(f"http://{target.host} would show the token to the network; use https, or allow it explicitly")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token is empty, or holds characters that no HTTP header can carry")
    return target


_LOOPBACK: Sequence[str] = ("localhost", "127.0.0.1", "::1")
