"""``scim-gateway targets``: which targets the directory feeds, and one of them dropped on purpose."""

from __future__ import annotations

from dataclasses import asdict

import click

from scim_gateway.actor import Acting
from scim_gateway.cli_common import OPERATOR, WrongUse, gateway_of, json_option, one_line, show_json
from scim_gateway.provisioned import Dropped, Dropping


@click.group()
def targets() -> None:
    """The targets that the directory feeds: a gateway that would leave one of them out does not open it."""


def _dropping_of(ctx: click.Context) -> Dropping:
    gateway = gateway_of(ctx)
    if not isinstance(gateway.backend, Dropping):
        with gateway.backend.operation(write=False):
            gateway.backend.references(())  # a directory that feeds some says by itself which backend does
        raise WrongUse(
            f"The backend {gateway.settings['backend']} feeds no target, which {ctx.command_path} is about; "
            "take the one that did, such as SCIM_GATEWAY_BACKEND=engine."
        )
    return gateway.backend


@targets.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """The targets that the directory has been feeding, a line each, whether or not this gateway does."""
    fed = _dropping_of(ctx).fed()
    if as_json:
        show_json(list(fed))
        return
    for name in fed:
        click.echo(one_line(name))


@targets.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def drop(ctx: click.Context, name: str, yes: bool, as_json: bool) -> None:
    """Feed the target NAME no more, and let gateways open the directory that do not feed it.

    Nothing is taken back there: accounts stay open, memberships stay, and deactivations do not reach it any more. What
    is pending there is not done, but kept: it goes on if the target is ever fed again. Stop the gateway that feeds it
    first, as one that feeds it puts it back; and close what is to be closed there by hand.
    """
    backend = _dropping_of(ctx)
    if name in backend.fed() and not yes:
        question = (
            f"The directory will not feed {one_line(name)} any more; nothing is taken back there: whoever can log in "
            "there goes on to, also after a deactivation, and what is pending there is not done. Go on?"
        )
        click.confirm(question, abort=True, err=True)
    with Acting(OPERATOR):
        dropped = backend.drop(name)
    if as_json:
        show_json(asdict(dropped))
        return
    click.echo(_told(dropped))


def _told(dropped: Dropped) -> str:
    name = one_line(dropped.target)
    left = "1 user or group stays there as it is"
    if dropped.left != 1:
        left = f"{dropped.left} users and groups stay there as they are"
    pending = "nothing is pending."
    if dropped.pending:
        pending = (
            f"for {dropped.pending} something is pending (for {dropped.revoking} rights are to be taken away), which "
            f"is not done unless {name} is fed again."
        )
    return f"{name} is not fed any more: {left}; {pending}"
