"""``scim-gateway simulate``: an identity provider's part, played against a gateway; the acceptance tool."""

from __future__ import annotations

from dataclasses import asdict
from typing import TextIO

import click

from scim_gateway import simulate as simulation
from scim_gateway.cli_common import PROBLEM, WrongUse, json_option, settings_of, show_json
from scim_gateway.simulate import SimulationError, Step


@click.command()
@click.argument("idp", type=click.Choice(sorted(simulation.SCENARIOS)))
@click.option("--url", required=True, help="SCIM base URL, as it is entered at the identity provider.")
@click.option(
    "--token-file",
    type=click.File(encoding="utf-8"),
    help="File with the token; - is standard input. Else SCIM_GATEWAY_TOKEN or …_FILE, else it is asked for.",
)
@click.option("--insecure", is_flag=True, help="Send the token over http:// to another machine all the same.")
@click.option("--timeout", type=click.FloatRange(0.1), default=60.0, show_default=True, help="Seconds for an answer.")
@json_option
@click.pass_context
def simulate(
    ctx: click.Context,
    idp: str,
    url: str,
    token_file: TextIO | None,
    insecure: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Play the whole life cycle that Okta or Entra ID sends, on throw-away names, and clean up.

    A line for each request; exit code 1 if one of them did not go as it should.
    """
    if token_file is not None:
        token = token_file.read().strip()
    else:
        token = settings_of(ctx)["token"] or click.prompt("Token", hide_input=True, err=True).strip()
    if not token:
        raise WrongUse("There is no token.")
    steps: list[Step] = []

    def report(step: Step) -> None:
        steps.append(step)
        if not as_json:
            click.echo(str(step))

    try:
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
