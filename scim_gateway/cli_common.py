"""What the commands share: exit codes, errors of one line, settings, JSON."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import orjson

from scim_gateway import config
from scim_gateway.actor import Actor
from scim_gateway.app import Gateway, open_gateway
from scim_gateway.config import ConfigurationError, Settings
from scim_gateway.errors import ScimError, Unavailable
from scim_gateway.provisioned import Progress, Provisioned
from scim_gateway.text import printable

_UNUSUAL = re.compile(r"[^\n -~]")
"""All but ASCII that is printable; of its control characters JSON itself leaves only DEL as it is."""

OK, PROBLEM, USAGE = 0, 1, 2
OPERATOR = Actor("command line")
"""Whose operations those of the command line are, in the audit trail."""


class Failure(click.ClickException):
    """One line on standard error: a problem was found."""

    exit_code = PROBLEM

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class WrongUse(Failure):
    """One line on standard error: the command or the configuration is wrong."""

    exit_code = USAGE


class Commands(click.Group):
    """Turns errors that an operator can do something about into one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise WrongUse(str(error)) from None
        except ScimError as error:
            raise Failure(error.detail + _where(error)) from None


def _where(error: ScimError) -> str:
    """Where the store is that was not to be opened, unless that was said."""
    place = error.place if isinstance(error, Unavailable) else None
    return f" (the directory: {place}; scim-gateway check tells more)" if place and place not in error.detail else ""


def settings_of(ctx: click.Context, **flags: Any) -> Settings:
    """The settings in force for a command."""
    return config.load(ctx.obj, flags)


def gateway_of(ctx: click.Context, *, makes: bool = False) -> Gateway:
    """Backend and service provider, closed when the command ends.

    :param makes: whether the command may be the first one, before there is a store.
    :raises Failure: it may not, and there is none.
    """
    gateway = open_gateway(settings_of(ctx))
    ctx.call_on_close(gateway.backend.close)
    place = gateway.backend.unmade()
    if place is not None and not makes:
        # An empty one, made here, would answer that all is well.
        raise Failure(
            f"There is no directory at {place}: `scim-gateway serve` makes it. If there is one elsewhere, give its "
            "place: SCIM_GATEWAY_DATA_DIR, SCIM_GATEWAY_DATABASE_URL, or --config with the gateway's file."
        )
    return gateway


def provisioned_of(ctx: click.Context) -> Provisioned:
    """The backend of this gateway, if it feeds targets.

    :raises WrongUse: it does not.
    """
    gateway = gateway_of(ctx)
    if not isinstance(gateway.backend, Provisioned):
        raise WrongUse(
            f"The backend {gateway.settings['backend']} feeds no target, which {ctx.command_path} is about; "
            "SCIM_GATEWAY_BACKEND=engine is one that does."
        )
    return gateway.backend


@contextmanager
def progress_bar(label: str) -> Iterator[Progress | None]:
    """What to tell about progress: a bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(range(0), label=label, file=sys.stderr) as bar:

        def progress(done: int, of: int) -> None:
            bar.length = of
            bar.update(done - bar.pos)

        yield progress


class Log(logging.Handler):
    """What the gateway would write into its log, on standard error; not what the command says anyway (``told``)."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.addFilter(lambda record: not getattr(record, "told", False))

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


def one_line(text: str) -> str:
    """A text for a terminal: names are other people's input, and terminals obey control characters."""
    return printable(text, 400)


def json_text(document: Any, *, indented: bool = False) -> str:
    """A document as JSON that may be looked at, too: what a terminal would obey or hide is written as an escape."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 if indented else None, default=str).decode()
    return _UNUSUAL.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)


def show_json(document: Any) -> None:
    """Print a document for a script."""
    click.echo(json_text(document, indented=True))


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
