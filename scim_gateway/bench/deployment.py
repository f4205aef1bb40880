"""A deployment under the workloads of an identity provider, with people and groups that are deleted again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass

from scim_gateway.bench.directory import Directory, Traits
from scim_gateway.bench.measuring import Client, percentile
from scim_gateway.bench.throwaway import Size, Throwaway, clean_up, clean_up_command, new_prefix
from scim_gateway.bench.wire import BenchmarkError, Refused, Target
from scim_gateway.bench.workloads import NotApplicable, Workload, all_workloads


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


def measure(
    target: Target,
    report: Callable[[Row], None],
    *,
    size: Size,
    seconds: float,
    connections: int,
    progress: Callable[[str], None] = lambda _: None,
    undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> bool:
    """Make people and groups, run every workload, and delete what was made; whether all of it went well.

    :param progress: told what is made, and what could not be removed.
    :param undisturbed: stands around the deletion.
    :raises BenchmarkError: the service cannot be reached, or does not let people be created or removed.
    """
    client = Client(target, connections)
    directory = Throwaway(client, Traits(), new_prefix())
    with closing(client):
        client.call("GET", "/Users?count=0", statuses=(200,))
        progress(f"names begin with {directory.prefix}")
        try:
            directory.make(size, progress)
            report(_created(directory))
            went_well = _all(client, directory, report, size, seconds)
        finally:
            with undisturbed():
                client.finish()
                is_clean = clean(client, directory.prefix, progress)
    return went_well and is_clean


def clean(client: Client, prefix: str, tell: Callable[[str], None]) -> bool:
    """Delete everything whose name begins so; whether nothing is left, and otherwise what is told."""
    command = clean_up_command(client.target.url, prefix)
    try:
        left = clean_up(client, prefix)
    except KeyboardInterrupt:
        tell(f"Some may be left whose names begin with {prefix}. To remove them: {command}")
        raise
    except BenchmarkError as error:
        tell(f"What is left, with names that begin with {prefix}, could not be removed: {error}. Later: {command}")
        return False
    if left is not None:
        tell(str(left))
    return left is None


def _created(directory: Throwaway) -> Row:
    latencies = sorted(directory.latencies)
    p50, p99 = (1000 * percentile(latencies, percent) for percent in (50, 99))
    return Row("create", len(latencies), len(latencies) / sum(latencies), p50, p99)


def _all(client: Client, directory: Directory, report: Callable[[Row], None], size: Size, seconds: float) -> bool:
    """Every workload until a removal is refused: those that follow would only meet the same."""
    went_well = True
    for workload in all_workloads((size.group,)):
        if workload.name == "create":
            continue  # measured already
        try:
            went_well &= _one(client, directory, workload, report, seconds)
        except Refused:
            return False
    return went_well


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
        if isinstance(error, Refused):
            raise
        return False
    p50, p99 = (1000 * timing.percentile(percent) for percent in (50, 99))
    report(Row(workload.name, timing.count, timing.rate, p50, p99))
    return True


def check_url(url: str, token: str, *, insecure: bool) -> Target:
    """The target behind a URL, for a token that is not shown to a network.

    :raises ValueError: the URL or the token cannot be used.
    """
    target = Target.of_url(url, token)
    if target.tls is None and not insecure and target.host not in _LOOPBACK:
        raise ValueError(f"http://{target.host} would show the token to the network; use https, or allow it explicitly")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token is empty, or holds characters that no HTTP header can carry")
    return target


_LOOPBACK: Sequence[str] = ("localhost", "127.0.0.1", "::1")
