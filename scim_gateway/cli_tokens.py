"""``scim-gateway token``: create, list, revoke."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from scim_gateway.actor import Acting
from scim_gateway.cli_common import OPERATOR, Failure, WrongUse, gateway_of, json_option, show_json
from scim_gateway.profile import PROFILES
from scim_gateway.tokens import MemoryTokenStore, Token, TokenStore, new_token

_SPAN = re.compile(r"(\d{1,5})([hdwy])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1), "y": timedelta(days=365)}


@click.group()
def token() -> None:
    """Bearer tokens: several are valid at once, so one is replaced without a gap."""


def _store(ctx: click.Context, *, makes: bool = False) -> TokenStore:
    gateway = gateway_of(ctx, makes=makes)
    if place := gateway.backend.unmade():
        click.echo(f"There was no directory at {place}: a new one was made.", err=True)
    store = gateway.backend.tokens
    if isinstance(store, MemoryTokenStore):
        raise WrongUse(
            f"The backend {gateway.settings['backend']} keeps tokens in the process that serves; "
            "set SCIM_GATEWAY_TOKEN before it starts."
        )
    return store


def _expiry(text: str | None) -> datetime | None:
    if text is None:
        return None
    now = datetime.now(UTC)
    span = _SPAN.fullmatch(text)
    try:
        when = now + int(span[1]) * _UNITS[span[2]] if span else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither a span such as 90d (h, d, w, y) nor a date such as 2030-12-31."
        ) from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if when <= now:
        raise click.BadParameter(f"{text!r} is over already.")
    return when


@token.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(["read", "write"]), help="Default: both.")
@click.option(
    "--expires",
    callback=lambda _context, _option, value: _expiry(value),
    help="A span (12h, 90d, 8w, 1y) or a date. Default: never.",
)
@click.option("--profile", type=click.Choice(list(PROFILES)), help="IdP profile of its requests.")
@click.option("--to", "file", type=click.Path(dir_okay=False), help="Write the token to a new file instead (mode 600).")
@json_option
@click.pass_context
def create(
    ctx: click.Context,
    name: str,
    scopes: tuple[str, ...],
    expires: datetime | None,
    profile: str | None,
    file: str | None,
    as_json: bool,
) -> None:
    """Make a token called NAME and show it, once: only its hash is kept."""
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise WrongUse("The name of a token is 1 to 100 printable characters.")
    store = _store(ctx, makes=True)
    if any(other.name == name for other in store.list()):
        raise Failure(f"There is a token called {name} already; revoke it, or take another name.")
    text, made = new_token(name, scopes=frozenset(scopes or ("read", "write")), expires=expires, profile=profile)
    if file is not None:
        _write_new(Path(file), text)
    with Acting(OPERATOR):
        store.add(made)
    if as_json:
        show_json(_described(made) | ({"file": file} if file else {"token": text}))
    elif file:
        click.echo(f"{made.id}  {name}  written to {file}")
    else:
        click.echo(text)
        click.echo(f"This is the token {name} (id {made.id}). It is shown this once; only its hash is kept.", err=True)


def _write_new(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Failure(f"{path} cannot be created: {error.strerror}.") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{text}\n")


@token.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """The tokens, without their texts."""
    tokens = _store(ctx).list()
    if as_json:
        show_json([_described(entry) for entry in tokens])
        return
    if not tokens:
        click.echo("There is no token; make one: scim-gateway token create NAME", err=True)
    for entry in tokens:
        row = _described(entry)
        state = "expired" if row["expired"] else f"expires {_day(entry.expires)}" if entry.expires else "never expires"
        used = f"last used {_day(entry.last_used)}" if entry.last_used else "never used"
        click.echo(
            f"{entry.id}  {entry.name}  {'+'.join(row['scopes'])}  profile {entry.profile or 'default'}  "
            f"made {_day(entry.created)}  {state}  {used}"
        )


@token.command()
@click.argument("id_or_name")
@click.pass_context
def revoke(ctx: click.Context, id_or_name: str) -> None:
    """Forget the token with this id or name; it is refused from then on, within a second or so."""
    store = _store(ctx)
    tokens = store.list()
    # An id comes first, so that no token can hide behind the id of another as its name.
    found = next((t for t in tokens if t.id == id_or_name), None) or next(
        (t for t in tokens if t.name == id_or_name), None
    )
    with Acting(OPERATOR):
        revoked = found is not None and store.revoke(found.id)
    if found is None or not revoked:
        raise Failure(f"There is no token {id_or_name}; scim-gateway token list shows those that exist.")
    click.echo(f"Revoked {found.id}  {found.name}")


def _described(entry: Token) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "scopes": sorted(entry.scopes),
        "profile": entry.profile,
        "created": entry.created,
        "expires": entry.expires,
        "expired": entry.expired(datetime.now(UTC)),
        "last_used": entry.last_used,
    }


def _day(when: datetime | None) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ") if when else ""
