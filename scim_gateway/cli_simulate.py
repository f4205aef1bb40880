"""``scim-gateway simulate``: an identity provider's part, played against a gateway; the acceptance tool."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from scim_gateway import simulate as simulation
from scim_gateway.cli_client import insecure_option, token_file_option, token_of, url_option
from scim_gateway.cli_common import PROBLEM, WrongUse, json_option, show_json
from scim_gateway.simulate import SimulationError, Step


@click.command()
@click.argument("idp", type=click.Choice(sorted(simulation.SCENARIOS)))
@url_option
@token_file_option
@insecure_option
@click.option("--clean-up", metavar="RUN", help="Only remove what an earlier run could not remove.")
@click.option("--timeout", type=click.FloatRange(0.1), default=60.0, show_default=True, help="Seconds for an answer.")
@json_option
@click.pass_context
def simulate(
    ctx: click.Context,
    idp: str,
    url: str,
    token_file: Path | None,
    clean_up: str | None,
    insecure: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Play the whole life cycle that Okta or Entra ID sends, on throw-away names, and clean up.

    A line for each request; exit code 1 if one of them did not go as it should. A gateway that feeds targets counts the
    removals of a run, of users and groups 6 with okta, 8 with entra; its circuit breaker refuses more than 50 within an
    hour unless it is configured otherwise.
    """
    token = token_of(ctx, token_file)
    steps: list[Step] = []

    def report(step: Step) -> None:
        steps.append(step)
        if not as_json:
            click.echo(str(step))

    try:
        if clean_up is not None:
            good = simulation.clean_up(url, token, clean_up, report, insecure=insecure, timeout=timeout)
        else:
            good = simulation.run(idp, url, token, report, insecure=insecure, timeout=timeout)
    except SimulationError as error:
        raise WrongUse(str(error)) from None
    if as_json:
        show_json({"ok": good, "steps": [asdict(step) for step in steps]})
    else:
        failed = sum(not step.ok for step in steps)
        click.echo(f"{len(steps)} steps, {failed} failed" if failed else f"{len(steps)} steps, all as they should be")
    if not good:
        ctx.exit(PROBLEM)
