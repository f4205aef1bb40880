"""``scim-gateway audit``: who changed what, what was refused, what came of it; and whether the trail is whole."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from scim_gateway.cli_common import PROBLEM, WrongUse, json_text, one_line, progress_bar, provisioned_of, show_json
from scim_gateway.provisioned import AuditEvent, AuditHead, Provisioned

_SPAN = re.compile(r"(\d{1,5})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})")
_FOLLOWED = 10
_SHOWN_MEMBERS = 5
#: Parts of the detail that say what they are.
_SPEAKING = ("status", "scimType", "reason")

T = TypeVar("T")

wait = time.sleep


@click.command()
@click.option("--user", metavar="NAME|ID", help="Only events of this user or group, and its memberships.")
@click.option(
    "--since",
    metavar="SPAN|TIME",
    callback=lambda _context, _option, value: _moment(value),
    help="Nothing older: a span (30m, 2h, 7d) or a time in UTC (2026-11-01, 2026-11-01T12:00).",
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Only the N newest. Default: 1000, with --follow 10."
)
@click.option("--follow", is_flag=True, help="Go on with what happens from now on, until Ctrl-C.")
@click.option("--verify", "whole", is_flag=True, help="Look instead whether anything was changed or taken away.")
@click.option(
    "--expect-head",
    "expected",
    metavar="N:HASH",
    callback=lambda _context, _option, value: _head(value),
    help="With --verify: a head from earlier, kept elsewhere, has to be part of the trail.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for scripts.")
@click.pass_context
def audit(
    ctx: click.Context,
    user: str | None,
    since: datetime | None,
    limit: int | None,
    follow: bool,
    whole: bool,
    expected: AuditHead | None,
    as_json: bool,
) -> None:
    """Who changed what, what was refused, and what came of it in the targets; oldest first.

    With --verify, the chain of hashes is worked out again; exit code 1 if the trail is not whole.
    """
    if (whole or expected) and (user or since or limit or follow):
        raise WrongUse("The trail is verified as a whole: --verify goes with --expect-head and --json alone.")
    backend = provisioned_of(ctx)
    if whole or expected:
        _verify(ctx, backend, expected, as_json)
        return
    names: dict[str, str] = {}
    for event in _events(backend, user, since, limit, follow=follow):
        click.echo(_as_json(event) if as_json else described(event, names))


def _events(
    backend: Provisioned, user: str | None, since: datetime | None, limit: int | None, *, follow: bool
) -> Iterator[AuditEvent]:
    """The events that there are; if they are followed, those to come as well."""
    last = 0
    for event in backend.audit(user=user, since=since, limit=limit or (_FOLLOWED if follow else 1000)):
        last = event.sequence
        yield event
    while follow:
        try:
            wait(1.0)
        except KeyboardInterrupt:
            return
        for event in backend.audit(user=user, since=since, after=last):
            last = event.sequence
            yield event


def _verify(ctx: click.Context, backend: Provisioned, expected: AuditHead | None, as_json: bool) -> None:
    with progress_bar("verifying") as progress:
        verdict = backend.verify_audit(expected, progress)
    if as_json:
        show_json({"whole": not verdict.problems, **asdict(verdict)})
    else:
        for note in verdict.notes:
            click.echo(f"note: {one_line(note)}")
        for problem in verdict.problems:
            click.echo(f"FAIL {one_line(problem)}")
        if not verdict.problems:
            proof = f", and the head {expected} is part of it" if expected else ""
            click.echo(f"ok   the audit trail of {verdict.head.number} events is whole{proof}")
        if verdict.head.number:
            click.echo(f"head {verdict.head}")
    if verdict.problems:
        ctx.exit(PROBLEM)


def described(event: AuditEvent, names: dict[str, str]) -> str:
    """An event on one line.

    :param names: how resources were called in the events before, by their ids; completed by this one.
    """
    if event.id and event.name:
        names[event.id] = event.name
    what = [event.action]
    if event.kind:
        what.append(event.kind)
    if name := event.name or names.get(event.id or ""):
        what.append(name)
    if event.id:
        what.append(f"({event.id})")
    told = "; ".join(_details(event.detail, names))
    origin = ", ".join(part for part in (event.request_id and f"request {event.request_id}", event.agent) if part)
    at = event.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    line = f"{event.sequence}  {at}  {event.actor}: {' '.join(what)} {event.outcome}"
    return _printable(f"{line}{f': {told}' if told else ''}{f'  [{origin}]' if origin else ''}")


def _details(detail: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    rest = dict(detail)
    values = {name: pair for name, pair in _taken(rest, "values", dict).items() if _is_pair(pair)}
    for name, (old, new) in values.items():
        yield f"{name} {_value(new)}" if old is None else f"{name} {_value(old)} -> {_value(new)}"
    if changed := [str(name) for name in _taken(rest, "changed", list) if name not in values]:
        yield f"changed {', '.join(changed)}"
    for way in ("added", "removed"):
        if ids := [str(id) for id in _taken(rest, way, list)]:
            shown = [names.get(id, id) for id in ids[:_SHOWN_MEMBERS]]
            more = [f"{len(ids) - len(shown)} more"] if len(ids) > len(shown) else []
            yield f"{way} {', '.join(shown + more)}"
    for name, outcome in _taken(rest, "targets", dict).items():
        yield f"{name} {_value(outcome)}"
    yield from (_value(rest.pop(name)) for name in _SPEAKING if name in rest)
    for name, value in rest.items():
        yield f"{name} {_value(value)}"


def _taken(rest: dict[str, Any], name: str, kind: type[T]) -> T:
    """A part of the detail, taken out, if it is what it should be: somebody may have tampered with it."""
    return rest.pop(name) if isinstance(rest.get(name), kind) else kind()


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def _as_json(event: AuditEvent) -> str:
    document = {name: value for name, value in asdict(event).items() if value is not None}
    return json_text(document)


def _printable(line: str) -> str:
    """Names are other people's input, and terminals obey control characters."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    span = _SPAN.fullmatch(text)
    try:
        if span:
            return datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
        when = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither a span such as 2h (s, m, h, d, w) nor a time such as 2026-11-01T12:00."
        ) from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _head(text: str | None) -> AuditHead | None:
    if text is None:
        return None
    match = _HEAD.fullmatch(text.strip().lower())
    if match is None:
        raise click.BadParameter("a head is NUMBER:HASH, as --verify and the log show it.")
    return AuditHead(int(match[1]), match[2])
