"""``scim-gateway plan``, ``apply`` and ``reconcile``: the whole directory compared with the whole of its targets.

Exit codes of these: 0 nothing to do, or all of it done; 1 a problem; 2 there is something to do (``plan``).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import click

from scim_gateway.actor import Acting
from scim_gateway.cli_common import (
    OPERATOR,
    PROBLEM,
    Failure,
    WrongUse,
    json_option,
    json_text,
    one_line,
    progress_bar,
    provisioned_of,
    show_json,
)
from scim_gateway.errors import ScimError
from scim_gateway.provisioned import ACTIONS, TOLD, Plan, PlanMoved, Provisioned, Repair, Step

SOMETHING_TO_DO = 2
_SIGNS = {"add": "+", "change": "~", "remove": "-", "unmanaged": "?", "protected": "!"}
_SPAN = re.compile(r"(\d{1,4})([smh])")
_EVERY = "15m"
_SECONDS = {"s": 1, "m": 60, "h": 3600}


target_option = click.option("--target", metavar="NAME", help="Only this target.")


@click.command()
@target_option
@click.option("--all", "everything", is_flag=True, help="List what is not the gateway's one by one, too.")
@json_option
@click.pass_context
def plan(ctx: click.Context, target: str | None, everything: bool, as_json: bool) -> None:
    """What differs between the directory and its targets; nothing is changed.

    Exit code 0: nothing to do; 2: there is something to do, and `apply --plan` does it; 1: a problem.
    """
    backend = provisioned_of(ctx)
    with progress_bar("comparing") as progress:
        found = backend.plan(progress, target=target)
    if as_json:
        show_json(_as_document(found))
    else:
        _show_plan(found, everything)
        if found.to_do and found.staged:
            click.echo(f"Needs an approval: {one_line(found.staged)}")
            click.echo(f"After a look at it: scim-gateway approve {found.hash}")
        if found.to_do:
            click.echo(f"To carry it out: scim-gateway apply --plan {found.hash}")
    if found.to_do:
        ctx.exit(SOMETHING_TO_DO)


@click.command()
@click.option("--plan", "hash", required=True, metavar="HASH", help="The plan that was shown by `plan`.")
@json_option
@click.pass_context
def apply(ctx: click.Context, hash: str, as_json: bool) -> None:
    """Carry out a plan: it is compared again, and nothing is done if it is another one by now.

    One that was interrupted goes on when it is applied again.
    """
    backend = provisioned_of(ctx)
    try:
        with progress_bar("applying") as progress, Acting(OPERATOR):
            repair = backend.apply(hash, progress)
    except PlanMoved as moved:
        if as_json:
            show_json({"error": moved.detail, "plan": moved.plan.hash, **_moved(moved)})
            ctx.exit(PROBLEM)
        for sign, steps in (("now as well", moved.appeared), ("not any more", moved.vanished or ())):
            for step in steps:
                click.echo(f"{sign}: {_described(step)}")
        raise Failure(moved.detail) from None
    _show_repair(ctx, repair, as_json)


@click.command()
@click.option("--once", is_flag=True, help="Compare and mend once (the default).")
@click.option("--watch", is_flag=True, help="Go on until interrupted.")
@click.option("--every", metavar="SPAN", help=f"Pause with --watch: 30s, 15m, 1h.  [default: {_EVERY}]")
@target_option
@json_option
@click.pass_context
def reconcile(
    ctx: click.Context, once: bool, watch: bool, every: str | None, target: str | None, as_json: bool
) -> None:
    """Compare, and mend at once what needs nobody's approval."""
    if once and watch:
        raise WrongUse("--once and --watch contradict each other; give one of them.")
    if every is not None and not watch:
        raise WrongUse("--every is the pause between the rounds of --watch; without it there is one round.")
    pause = _seconds(every or _EVERY)
    backend = provisioned_of(ctx)
    if not watch:
        _show_repair(ctx, _reconciled(backend, target), as_json)
        return
    while True:
        try:
            repair = _reconciled(backend, target)
        except ScimError as error:
            click.echo(one_line(error.detail), err=True)
        else:
            if as_json:
                click.echo(json_text(_repair_document(repair)))
            else:
                click.echo(_summary(repair))
                _complain(repair)
        wait(pause)


def wait(seconds: float) -> None:
    """Sleep between two rounds."""
    time.sleep(seconds)


def _reconciled(backend: Provisioned, target: str | None) -> Repair:
    with progress_bar("reconciling") as progress, Acting(OPERATOR):
        return backend.reconcile(progress, target=target)


def _show_plan(found: Plan, everything: bool) -> None:
    for warning in found.warnings:
        click.echo(f"note: {one_line(warning)}", err=True)
    for step in found.steps:
        # What is nobody's business here is only counted: a database may have thousands of accounts of its own.
        if everything or step.id is not None or step.action in ACTIONS:
            click.echo(_described(step))
    click.echo(_counts(found))


def _counts(found: Plan) -> str:
    counts = _count_by_action(found.steps)
    parts = [f"{counts[action]} to {action}" for action in ACTIONS if counts.get(action)]
    told = [f"{counts[action]} {action}" for action in TOLD if counts.get(action)]
    return "; ".join(filter(None, [", ".join(parts) or "nothing to do", ", ".join(told)]))


def _count_by_action(steps: Iterable[Step]) -> dict[str, int]:
    counts = dict.fromkeys(_SIGNS, 0)
    for step in steps:
        counts[step.action] += 1
    return counts


def _described(step: Step) -> str:
    what = f"{step.kind.lower()} {one_line(step.name)}"
    if step.member is not None:
        what = f"member {one_line(step.member)} of {one_line(step.name)}"
    reason = f" ({one_line(step.reason)})" if step.reason else ""
    return f"{_SIGNS[step.action]} {step.target}: {step.action} {what}{reason}"


def _as_document(found: Plan) -> dict[str, Any]:
    return {
        "plan": found.hash,
        "to_do": len(found.to_do),
        "counts": _count_by_action(found.steps),
        "staged": found.staged,
        "warnings": list(found.warnings),
        "steps": [asdict(step) for step in found.steps],
    }


def _moved(moved: PlanMoved) -> dict[str, Any]:
    return {
        "appeared": [asdict(step) for step in moved.appeared],
        "vanished": None if moved.vanished is None else [asdict(step) for step in moved.vanished],
    }


def _repair_document(repair: Repair) -> dict[str, Any]:
    return {
        "done": repair.done,
        "found": _count_by_action(repair.found.steps),
        "left": _as_document(repair.left),
        "problems": list(repair.problems),
        "not_compared": list(repair.unseen),
    }


def _summary(repair: Repair) -> str:
    unseen = f"not compared: {', '.join(repair.unseen)}" if repair.unseen else ""
    if unseen and not repair.found.steps:
        return unseen  # "nothing to do" would be read as if it had been looked
    return "; ".join(filter(None, [f"{_counted(repair.done, 'step')} done", _counts(repair.left), unseen]))


def _show_repair(ctx: click.Context, repair: Repair, as_json: bool) -> None:
    if as_json:
        show_json(_repair_document(repair))
    else:
        for warning in repair.left.warnings:
            click.echo(f"note: {one_line(warning)}", err=True)
        for step in repair.left.to_do:
            click.echo(f"left: {_described(step)}")
        click.echo(_summary(repair))
        _complain(repair)
    if repair.left.to_do or repair.problems:
        ctx.exit(PROBLEM)


def _complain(repair: Repair) -> None:
    for problem in repair.problems:
        click.echo(one_line(problem), err=True)
    if repair.left.to_do and repair.left.staged:
        click.echo(f"Needs an approval: {one_line(repair.left.staged)}", err=True)
        click.echo(f"scim-gateway plan shows it, scim-gateway approve {repair.left.hash} approves it.", err=True)


def _seconds(span: str) -> int:
    match = _SPAN.fullmatch(span)
    if not match or not int(match[1]):
        raise WrongUse(f"{span!r} is no span such as 30s, 15m or 1h.")
    return int(match[1]) * _SECONDS[match[2]]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
