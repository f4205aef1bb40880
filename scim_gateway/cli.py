"""The command ``scim-gateway``.

Exit codes: 0 all is well; 1 a problem was found; 2 wrong usage or configuration, and of ``plan``: there is something to
do. What an operator can do about an error is said in one line.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import click

from scim_gateway import __version__, config, guides
from scim_gateway.cli_adoption import adopt
from scim_gateway.cli_audit import audit
from scim_gateway.cli_bench import bench
from scim_gateway.cli_check import check
from scim_gateway.cli_common import Commands, Log, json_option, json_text, settings_of, show_json
from scim_gateway.cli_directory import groups, users
from scim_gateway.cli_guard import approve, pause, resume
from scim_gateway.cli_provisioning import apply, plan, reconcile
from scim_gateway.cli_simulate import simulate
from scim_gateway.cli_status import pending, status
from scim_gateway.cli_targets import targets
from scim_gateway.cli_tokens import token


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="scim-gateway", message="%(prog)s %(version)s")
@click.option("--config", "path", type=click.Path(), help="TOML file with settings, in place of SCIM_GATEWAY_CONFIG.")
@click.pass_context
def main(ctx: click.Context, path: str | None) -> None:
    """A SCIM 2.0 gateway between an identity provider and the systems that need to know its people and groups.

    Settings come from flags, SCIM_GATEWAY_… variables and a TOML file; `scim-gateway config show` lists them.

    Exit codes: 0 all is well; 1 a problem was found; 2 wrong usage or configuration.
    """
    # A directory that is created is for this account alone; see serve.prepare.
    os.umask(0o077)
    # A mapping given by a caller (a test) takes the place of the process's environment.
    environ = dict(os.environ if ctx.obj is None else ctx.obj)
    if path is not None:
        environ[config.CONFIG_VARIABLE] = path
    ctx.obj = environ
    ours, log = logging.getLogger("scim_gateway"), Log()
    ours.addHandler(log)
    ctx.call_on_close(lambda: ours.removeHandler(log))


@main.command()
@click.option("--bind", metavar="HOST:PORT", help="Address to listen on.")
@click.option("--workers", type=int, metavar="N", help="Worker processes.")
@click.option("--threads", type=int, metavar="N", help="Threads of each worker.")
@click.pass_context
def serve(ctx: click.Context, bind: str | None, workers: int | None, threads: int | None) -> None:
    """Serve until stopped; the first start on a terminal makes a token and shows it once."""
    settings = settings_of(ctx, bind=bind, workers=workers, threads=threads)
    from scim_gateway.serve import serve as run

    run(settings, inherited="GUNICORN_FD" in ctx.obj)


@main.command()
@json_option
@click.pass_context
def okta(ctx: click.Context, as_json: bool) -> None:
    """How Okta is connected, with this gateway's own values."""
    settings = settings_of(ctx)
    if as_json:
        show_json(dict(guides.connection(settings.base_url, guides.WHERE_TOKENS_ARE_MADE)))
    else:
        click.echo("\n".join(guides.okta_steps(settings.base_url, settings["profile"])))


@main.command()
@json_option
@click.pass_context
def entra(ctx: click.Context, as_json: bool) -> None:
    """How Microsoft Entra ID is connected, with this gateway's own values."""
    settings = settings_of(ctx)
    if as_json:
        show_json({"Tenant URL": f"{settings.base_url}?aadOptscim062020", "Secret Token": guides.WHERE_TOKENS_ARE_MADE})
    else:
        click.echo("\n".join(guides.entra_steps(settings.base_url, settings["profile"])))


@main.command("config")
@click.argument("action", type=click.Choice(["show"]), default="show")
@click.option("--describe", is_flag=True, help="Say what each setting means instead.")
@json_option
@click.pass_context
def config_(ctx: click.Context, action: str, describe: bool, as_json: bool) -> None:
    """The settings in force and where each comes from; secrets are masked."""
    if describe:
        rows = [{"name": s.name, "variable": s.variable, "default": s.default, "help": s.help} for s in config.SETTINGS]
        if as_json:
            show_json(rows)
        else:
            for row in rows:
                click.echo(f"{row['variable']}\n    {row['help']} Default: {_written(row['default'])}")
        return
    shown = [
        {"name": setting.name, "value": value, "origin": origin} for setting, value, origin in settings_of(ctx).shown()
    ]
    if as_json:
        show_json(shown)
        return
    width = max(len(row["name"]) for row in shown)
    for row in shown:
        click.echo(f"{row['name']:<{width}}  {_written(row['value'])}  ({row['origin']})")


def _written(value: Any) -> str:
    return "-" if value is None else json_text(value) if not isinstance(value, str) else value


for _command in (
    *(adopt, apply, approve, audit, bench, check, groups, pause, pending, plan, reconcile, resume),
    *(simulate, status, targets, token, users),
):
    main.add_command(_command)
