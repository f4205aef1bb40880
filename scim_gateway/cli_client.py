"""What the commands share that are a client of a gateway: where it is, and the token that it wants."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scim_gateway.cli_common import WrongUse, settings_of
from scim_gateway.config import secret_from

url_option = click.option("--url", required=True, help="SCIM base URL, as it is entered at the identity provider.")
token_file_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="File with the token; - is standard input. Else SCIM_GATEWAY_TOKEN or …_FILE, else it is asked for.",
)
insecure_option = click.option(
    "--insecure", is_flag=True, help="Send the token over http:// to another machine all the same."
)


def token_of(ctx: click.Context, file: Path | None) -> str:
    """The token for a gateway: of the file, of the settings, or of whoever sits at the terminal.

    :raises WrongUse: there is none, and nobody to ask.
    :raises ConfigurationError: everybody can read the file, or nobody can.
    """
    if file is not None and str(file) != "-":
        return secret_from(file, "--token-file")
    token = sys.stdin.read().strip() if file is not None else settings_of(ctx)["token"] or _asked()
    if not token:
        raise WrongUse(_NONE)
    return str(token)


_NONE = "There is no token: give --token-file, or set SCIM_GATEWAY_TOKEN_FILE."


def _asked() -> str:
    if not at_terminal():
        raise WrongUse(_NONE)
    return str(click.prompt("Token", hide_input=True, err=True)).strip()


def at_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()
