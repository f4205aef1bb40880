"""``scim-gateway adopt``: existing users and groups of a target that may be taken under management."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TextIO

import click

from scim_gateway.actor import Acting
from scim_gateway.cli_common import OPERATOR, PROBLEM, WrongUse, json_option, one_line, provisioned_of, show_json
from scim_gateway.provisioned import Adoption


@click.command()
@click.argument("target")
@click.argument("kind", type=click.Choice(["user", "group"], case_sensitive=False))
@click.argument("names", nargs=-1)
@click.option("--pattern", "patterns", multiple=True, metavar="GLOB", help="All existing names like this: * and ?.")
@click.option("--from-file", "file", type=click.File(encoding="utf-8"), help="Names, one a line; - is standard input.")
@click.option("--dry-run", is_flag=True, help="Only say what would be adopted and what not.")
@click.option("--list", "show", is_flag=True, help="What was listed and not adopted yet.")
@click.option("--withdraw", is_flag=True, help="Take the names off the list again.")
@json_option
@click.pass_context
def adopt(
    ctx: click.Context,
    target: str,
    kind: str,
    names: tuple[str, ...],
    patterns: tuple[str, ...],
    file: TextIO | None,
    dry_run: bool,
    show: bool,
    withdraw: bool,
    as_json: bool,
) -> None:
    """Allow existing users or groups of TARGET to be taken under management.

    They are taken when the directory has, or gets from the identity provider, one of the same name there. What the
    identity provider never sends stays as it is. Protected ones are never adopted.
    """
    backend, kind = provisioned_of(ctx), kind.capitalize()
    wanted = list(dict.fromkeys([*names, *_lines(file)]))
    with Acting(OPERATOR):
        if show:
            found: Sequence[Adoption] = [a for a in backend.adoptions(target) if a.kind == kind]
        elif not wanted and not patterns:
            raise WrongUse("Name what is to be adopted: NAME…, --pattern or --from-file; --list shows the list.")
        elif withdraw:
            if patterns:
                raise WrongUse("--withdraw takes names, not patterns; --list shows those that are on the list.")
            count = backend.withdraw(target, kind, wanted)
            if as_json:
                show_json({"withdrawn": count})
            else:
                click.echo(f"{count} of {len(wanted)} taken off the list")
            return
        else:
            found = backend.adopt(target, kind, wanted, patterns, dry_run=dry_run)
    if as_json:
        show_json([asdict(adoption) for adoption in found])
    else:
        _show_adoptions(found, dry_run)
    if not show and any(adoption.state in ("absent", "protected") for adoption in found):
        ctx.exit(PROBLEM)


_STATES = {
    "ready": "is adopted by the next plan that is applied: the directory has one of this name",
    "listed": "is adopted when the identity provider sends one of this name",
    "managed": "is the gateway's already",
    "protected": "is protected and not adopted",
    "absent": "does not exist in the target",
}


def _show_adoptions(found: Sequence[Adoption], dry_run: bool) -> None:
    for adoption in found:
        reason = f": {one_line(adoption.reason)}" if adoption.reason else ""
        click.echo(f"{one_line(adoption.name)}  {_STATES[adoption.state]}{reason}")
    counts = ", ".join(
        f"{sum(adoption.state == state for adoption in found)} {state}"
        for state in _STATES
        if any(adoption.state == state for adoption in found)
    )
    click.echo(f"{counts or 'nothing'}{' (nothing was listed: --dry-run)' if dry_run else ''}")


def _lines(file: TextIO | None) -> Iterator[str]:
    for line in file or ():
        # A name may begin or end with a blank in a target, but nobody writes such a list by hand.
        if name := line.strip():
            yield name
