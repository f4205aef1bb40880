"""``scim-gateway bench``: what an own deployment makes of the workloads of an identity provider."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Self

import click

from scim_gateway.bench import deployment
from scim_gateway.bench.measuring import Client
from scim_gateway.bench.throwaway import REMOVALS, USERS, Size, is_prefix
from scim_gateway.bench.wire import BenchmarkError, Target
from scim_gateway.cli_client import insecure_option, token_file_option, token_of, url_option
from scim_gateway.cli_common import PROBLEM, Failure, WrongUse, json_option, show_json


@click.command()
@url_option
@token_file_option
@click.option("--users", type=click.IntRange(10, 100_000), default=USERS, show_default=True, help="How many to create.")
@click.option("--seconds", type=click.FloatRange(0.1, 60), default=1.0, show_default=True, help="Of each workload.")
@click.option("--connections", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests at a time.")
@click.option(
    "--removals",
    type=click.IntRange(1),
    default=REMOVALS,
    show_default=True,
    help="How many users and groups may be removed; more than the circuit breaker lets through need an approval first.",
)
@click.option("--clean-up", metavar="PREFIX", help="Only remove what an earlier measurement could not remove.")
@insecure_option
@click.option("--yes", is_flag=True, help="Do not ask before people are created.")
@json_option
@click.pass_context
def bench(
    ctx: click.Context,
    url: str,
    token_file: Path | None,
    users: int,
    seconds: float,
    connections: int,
    removals: int,
    clean_up: str | None,
    insecure: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Time the requests of an identity provider against a deployment.

    Throw-away people and groups are created, changed and deleted again; the targets of the gateway see them all, and
    its circuit breaker counts their removal. Exit code 1 if a request was not answered as it should be, or if something
    is left.
    """
    size = Size(users)
    if clean_up is not None and not is_prefix(clean_up):
        raise WrongUse("--clean-up takes what a measurement said that its names begin with, such as bench-0a1b2c3d-.")
    if clean_up is None and size.removals > removals:
        raise WrongUse(_too_many(size, removals))
    try:
        target = deployment.check_url(url, token_of(ctx, token_file), insecure=insecure)
    except ValueError as error:
        raise WrongUse(str(error)) from None
    if not yes:
        click.confirm(_question(size, url, clean_up), abort=True, err=True)
    with _Ending() as ending:
        try:
            if clean_up is not None:
                good = _clean(target, clean_up)
            else:
                good = _measure(target, size, seconds, connections, ending, as_json)
        except BenchmarkError as error:
            raise Failure(str(error)) from None
    if not good:
        ctx.exit(PROBLEM)


def _measure(target: Target, size: Size, seconds: float, connections: int, ending: _Ending, as_json: bool) -> bool:
    rows: list[deployment.Row] = []

    def report(row: deployment.Row) -> None:
        if not as_json:
            if not rows:
                click.echo(deployment.HEADER)
            click.echo(str(row))
        rows.append(row)

    good = deployment.measure(
        target,
        report,
        size=size,
        seconds=seconds,
        connections=connections,
        progress=_tell,
        undisturbed=ending.waiting,
    )
    if as_json:
        show_json({"ok": good, "workloads": [asdict(row) for row in rows]})
    return good


def _clean(target: Target, prefix: str) -> bool:
    with closing(Client(target)) as client:
        good = deployment.clean(client, prefix, _tell)
    if good:
        click.echo(f"nothing is left of {prefix}")
    return good


def _tell(what: str) -> None:
    click.echo(what, err=True)


def _too_many(size: Size, removals: int) -> str:
    return (
        f"{size.users} users mean {size.removals} removals of users and groups, and {removals} are allowed. A gateway "
        "that feeds a target lets 50 through in an hour unless it is configured otherwise, then refuses every removal, "
        "the identity provider's as well. For more: scim-gateway approve at the gateway first (then none is counted), "
        f"and --removals {size.removals} here."
    )


def _question(size: Size, url: str, prefix: str | None) -> str:
    if prefix is not None:
        return f"This deletes all users and groups at {url} whose names begin with {prefix}. Go on?"
    return (
        f"This creates {size.people} users and {size.groups} group{'' if size.groups == 1 else 's'} at {url}, and "
        f"deletes them at the end: {size.removals} removals of users and groups and {size.memberships} of memberships "
        "for its circuit breaker, which by default refuses more than 50 in an hour. Go on?"
    )


class _Ending:
    """SIGTERM ends what it surrounds as Ctrl-C does, so that what was made is removed; the removal it lets end."""

    def __init__(self) -> None:
        self._is_waiting = False
        self._asked: int | None = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The signal takes effect behind the block."""
        self._is_waiting = True
        try:
            yield
        finally:
            self._is_waiting = False
        if self._asked is not None:
            raise SystemExit(self._asked)

    def _end(self, number: int, _: FrameType | None) -> None:
        if not self._is_waiting:
            raise SystemExit(128 + number)
        self._asked = 128 + number
