"""``scim-gateway bench``: what an own deployment makes of the workloads of an identity provider."""

from __future__ import annotations

from dataclasses import asdict
from typing import TextIO

import click

from scim_gateway.bench import deployment
from scim_gateway.bench.wire import BenchmarkError
from scim_gateway.cli_common import PROBLEM, Failure, WrongUse, json_option, settings_of, show_json


@click.command()
@click.option("--url", required=True, help="SCIM base URL, as it is entered at the identity provider.")
@click.option(
    "--token-file",
    type=click.File(encoding="utf-8"),
    help="File with the token; - is standard input. Else SCIM_GATEWAY_TOKEN or …_FILE, else it is asked for.",
)
@click.option("--users", type=click.IntRange(100, 100_000), default=200, show_default=True, help="How many to create.")
@click.option("--seconds", type=click.FloatRange(0.1, 60), default=1.0, show_default=True, help="Of each workload.")
@click.option("--connections", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests at a time.")
@click.option("--insecure", is_flag=True, help="Send the token over http:// to another machine all the same.")
@click.option("--yes", is_flag=True, help="Do not ask before people are created.")
@json_option
@click.pass_context
def bench(
    ctx: click.Context,
    url: str,
    token_file: TextIO | None,
    users: int,
    seconds: float,
    connections: int,
    insecure: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Time the requests of an identity provider against a deployment.

    Throw-away people and groups are created, changed and deleted again; the targets of the gateway see them all. Exit
    code 1 if a request was not answered as it should be.
    """
    if token_file is not None:
        token = token_file.read().strip()
    else:
        token = settings_of(ctx)["token"] or click.prompt("Token", hide_input=True, err=True).strip()
    try:
        target = deployment.check_url(url, token, insecure=insecure)
    except ValueError as error:
        raise WrongUse(str(error)) from None
    if not yes:
        question = f"This creates {deployment.announced(users)} at {url}, and deletes them at the end. Go on?"
        click.confirm(question, abort=True, err=True)
    rows: list[deployment.Row] = []

    def report(row: deployment.Row) -> None:
        rows.append(row)
        if not as_json:
            click.echo(str(row))

    if not as_json:
        click.echo(deployment.HEADER)
    try:
        good = deployment.measure(
            target,
            report,
            users=users,
            seconds=seconds,
            connections=connections,
            progress=lambda what: click.echo(what, err=True),
        )
    except BenchmarkError as error:
        raise Failure(str(error)) from None
    if as_json:
        show_json({"ok": good, "workloads": [asdict(row) for row in rows]})
    if not good:
        ctx.exit(PROBLEM)
