"""``scim-gateway pause``, ``resume`` and ``approve``: stop all changes for a while, and let many removals through."""

from __future__ import annotations

import click

from scim_gateway.actor import Acting
from scim_gateway.cli_common import OPERATOR, WrongUse, one_line, provisioned_of


@click.command()
@click.option("--reason", required=True, metavar="TEXT", help="Shown to whoever tries to change something.")
@click.pass_context
def pause(ctx: click.Context, reason: str) -> None:
    """Refuse changes through SCIM until `scim-gateway resume`; reading goes on.

    What was accepted before goes on where it takes rights away, and waits where it gives some.
    """
    if not reason.strip():
        raise WrongUse("Say why: --reason is what the administrator of the identity provider will read.")
    backend = provisioned_of(ctx)
    with Acting(OPERATOR):
        backend.pause(reason)
    click.echo(f"Paused: {one_line(backend.paused() or '')} Changes are refused until: scim-gateway resume")


@click.command()
@click.pass_context
def resume(ctx: click.Context) -> None:
    """Accept changes again."""
    backend = provisioned_of(ctx)
    reason = backend.paused()
    if reason is None:
        click.echo("There is no pause.")
        return
    with Acting(OPERATOR):
        backend.resume()
    click.echo(f"Changes are accepted again; the pause was: {one_line(reason)}")


@click.command()
@click.argument("plan", required=False, metavar="[HASH]")
@click.option(
    "--minutes",
    type=click.IntRange(1, 1440),
    default=60,
    show_default=True,
    help="How long live removals are let through.",
)
@click.pass_context
def approve(ctx: click.Context, plan: str | None, minutes: int) -> None:
    """Let removals through that are more than the circuit breaker allows.

    With the HASH of a plan, that plan may be applied. Without one, all removals through SCIM are let through for a
    while, however many they are; look at `scim-gateway audit` first.
    """
    backend = provisioned_of(ctx)
    with Acting(OPERATOR):
        click.echo(one_line(backend.approve(plan, minutes=minutes)))
