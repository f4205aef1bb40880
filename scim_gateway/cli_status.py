"""``scim-gateway pending`` and ``status``: how the targets stand, at one look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from scim_gateway.cli_common import PROBLEM, json_option, one_line, provisioned_of, show_json
from scim_gateway.provisioned import ACTIONS, TOLD, Waiting


@click.command()
@click.option(
    "--waiting", "also_waiting", is_flag=True, help="Also what waits for somebody, such as an invited person."
)
@json_option
@click.pass_context
def pending(ctx: click.Context, also_waiting: bool, as_json: bool) -> None:
    """What the targets do not have yet, oldest first, and why; exit code 1 if there is anything.

    What waits for somebody (an invitation that is not accepted) is listed with --waiting; exit code 1 then if any of it
    is stuck until an administrator does something.
    """
    backend = provisioned_of(ctx)
    found = backend.pending()
    waiting = backend.waiting() if also_waiting else ()
    if as_json and also_waiting:
        show_json({"pending": [asdict(each) for each in found], "waiting": [asdict(each) for each in waiting]})
    elif as_json:
        show_json([asdict(each) for each in found])
    else:
        for each in found:
            name = one_line(each.name or each.id)
            what = "takes rights away" if each.revoking else "gives rights"
            then = f", next try {_moment(each.next_try)}" if each.next_try else ""
            error = f": {one_line(each.error)}" if each.error else ""
            tries = f"{each.attempts} attempt{'' if each.attempts == 1 else 's'}"
            click.echo(f"{each.target}  {each.kind} {name}  since {_moment(each.since)}, {what}, {tries}{then}{error}")
        for one in waiting:
            how = "is stuck" if one.stuck else "waits"
            click.echo(f"{one.target}  {one.kind} {one_line(one.name or one.id)}  {how}: {one_line(one.reason)}")
        click.echo(("nothing is pending" if not found else f"{len(found)} pending") + _waiting(waiting))
    if found or any(one.stuck for one in waiting):
        ctx.exit(PROBLEM)


def _waiting(found: Sequence[Waiting]) -> str:
    """How much waits, to be added to what is pending."""
    stuck = sum(one.stuck for one in found)
    return (f", {len(found)} waiting" if found else "") + (f" ({stuck} stuck)" if stuck else "")


@click.command()
@json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """One look at targets, pending work, the newest comparison, a pause, a circuit breaker that holds.

    Exit code 1 if something needs a look.
    """
    backend = provisioned_of(ctx)
    unfinished, waiting, compared, reason, refusing = (
        backend.pending(),
        backend.waiting(),
        {each.target: each for each in backend.reconciled()},
        backend.paused(),
        backend.removals_refused(),
    )
    rows: list[dict[str, Any]] = []
    for name in backend.targets:
        mine = [each for each in unfinished if each.target == name]
        waits = [each for each in waiting if each.target == name]
        newest = compared.get(name)
        rows.append(
            {
                "target": name,
                "pending": len(mine),
                "revocations_pending": sum(each.revoking for each in mine),
                "oldest_pending": min((each.since for each in mine), default=None),
                "waiting": len(waits),
                "stuck": sum(each.stuck for each in waits),
                "compared": None if newest is None else newest.at,
                "counts": {} if newest is None else dict(newest.counts),
                "problem": None if newest is None else newest.problem,
            }
        )
    if as_json:
        show_json({"paused": reason, "removals_refused": refusing, "targets": rows})
    else:
        if reason is not None:
            click.echo(f"PAUSED: {one_line(reason)}")
        if refusing is not None:
            click.echo(f"BREAKER: {one_line(refusing)}; after a look at scim-gateway audit: scim-gateway approve")
        for row in rows:
            _show_status(row)
    if (
        reason is not None
        or refusing is not None
        or any(row["pending"] or row["stuck"] or row["problem"] for row in rows)
    ):
        ctx.exit(PROBLEM)


def _show_status(row: dict[str, Any]) -> None:
    oldest = f", the oldest since {_moment(row['oldest_pending'])}" if row["oldest_pending"] else ""
    takes = f" ({row['revocations_pending']} take rights away)" if row["revocations_pending"] else ""
    stuck = f" ({row['stuck']} stuck; scim-gateway pending --waiting)" if row["stuck"] else ""
    waits = f", {row['waiting']} waiting{stuck}" if row["waiting"] else ""
    click.echo(f"{row['target']}: {row['pending']} pending{takes}{oldest}{waits}")
    if row["compared"] is None:
        click.echo("  never compared; scim-gateway plan does it")
        return
    counts = row["counts"]
    found = (
        ", ".join(f"{counts[action]} {action}" for action in (*ACTIONS, *TOLD) if counts.get(action)) or "no difference"
    )
    left = f"; {counts['left']} left" if counts.get("left") else ""
    click.echo(f"  compared {_moment(row['compared'])}: {found or 'no difference'}{left}")
    if row["problem"]:
        click.echo(f"  {one_line(row['problem'])}")


def _moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%SZ")
