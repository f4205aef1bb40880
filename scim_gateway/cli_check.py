"""``scim-gateway check``: configuration and store, each finding a line with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import click

from scim_gateway.app import Gateway
from scim_gateway.backend import Finding, Probing
from scim_gateway.cli_common import PROBLEM, gateway_of, json_option, one_line, show_json
from scim_gateway.config import Settings
from scim_gateway.errors import ScimError
from scim_gateway.tokens import MemoryTokenStore
from scim_gateway.unused import unused

_SOON = timedelta(days=14)
_MAKE_ONE = "scim-gateway token create NAME (the first start on a terminal makes one, too)"
_REPLACE = "make the next one (scim-gateway token create NAME), enter it at the identity provider, revoke the old one"


@click.command()
@click.option("--probe", is_flag=True, help="Also try out, on throw-away names, what the system behind leaves open.")
@json_option
@click.pass_context
def check(ctx: click.Context, probe: bool, as_json: bool) -> None:
    """Look at the configuration and the backend; exit code 1 if something needs to be done."""
    gateway = gateway_of(ctx, makes=True)
    tried = list(_probed(gateway)) if probe else []
    findings = [*_configuration(gateway.settings), *unused(gateway.settings, gateway.backend), *_store(gateway), *tried]
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            remedy = f"; {'' if finding.ok else 'remedy: '}{finding.remedy}" if finding.remedy else ""
            message = finding.message.rstrip(".") if remedy else finding.message
            click.echo(f"{'ok  ' if finding.ok else 'FAIL'} {finding.subject}: {message}{remedy}")
    if not all(finding.ok for finding in findings):
        ctx.exit(PROBLEM)


def _configuration(settings: Settings) -> Iterator[Finding]:
    chosen = sum(origin != "default" for origin in settings.origins.values())
    yield Finding("configuration", True, f"{chosen} of {len(settings)} settings are set, all of them make sense")
    url = settings.base_url
    if url.startswith("https://"):
        yield Finding("address", True, f"identity providers reach {url}")
    else:
        yield Finding(
            "address",
            True,
            f"{url} serves this machine and its network",
            "for an identity provider in the cloud, set SCIM_GATEWAY_PUBLIC_URL to the https address of your proxy",
        )
    path = urlsplit(url).path
    if path != settings["base_path"]:
        yield Finding(
            "path",
            True,
            f"identity providers ask for {path or 'no path at all'}, and {settings['base_path']} is what is served",
            f"right only if the proxy puts that in its place; otherwise set SCIM_GATEWAY_PUBLIC_URL={url}"
            f"{settings['base_path']}"
            if not path
            else "right only if the proxy puts the one in the other's place",
        )
    if settings["public_url"] and not settings["trusted_proxies"]:
        yield Finding(
            "proxy",
            True,
            "forwarded headers are ignored: logs show the proxy's address as the client",
            "set SCIM_GATEWAY_TRUSTED_PROXIES=1 if one proxy in front sets X-Forwarded-For",
        )


def _probed(gateway: Gateway) -> Iterator[Finding]:
    if not isinstance(gateway.backend, Probing):
        raise click.UsageError(f"The backend {gateway.settings['backend']} has nothing to probe.")
    try:
        yield from gateway.backend.probe()
    except ScimError as error:
        yield Finding("probe", False, error.detail, "see that the system behind can be reached from here")


def _store(gateway: Gateway) -> Iterator[Finding]:
    told: list[Finding] = []
    try:
        for finding in gateway.backend.check():
            told.append(finding)
            yield finding
        yield _tokens(gateway)
    except ScimError as error:
        # What a backend has told of its store need not be told again because nothing else could be read either.
        if not any(_says(finding, error) for finding in told):
            yield Finding("backend", False, error.detail, "see that the store is running and can be reached from here")


def _says(finding: Finding, error: ScimError) -> bool:
    return not finding.ok and error.detail.partition("; ")[0].rstrip(".") in finding.message


def _tokens(gateway: Gateway) -> Finding:
    store, fixed = gateway.backend.tokens, gateway.settings["token"]
    is_set = f"one is set by {gateway.settings.origins['token']}"
    if isinstance(store, MemoryTokenStore):
        message = is_set if fixed else "the gateway makes one each time it starts"
        return Finding("tokens", True, message)
    now = datetime.now(UTC)
    tokens = store.list()
    valid = [token for token in tokens if not token.expired(now)]
    ending = [token for token in valid if token.expires and token.expires - now < _SOON]
    told = [f"{one_line(token.name)} has expired" for token in tokens if token.expired(now)]
    told += [f"{one_line(token.name)} expires {token.expires:%Y-%m-%d %H:%MZ}" for token in ending]
    if not valid and not fixed:
        return Finding("tokens", False, "there is no valid token" + (f": {', '.join(told)}" if told else ""), _MAKE_ONE)
    message = f"{len(valid)} valid{f', and {is_set}' if fixed else ''}"
    if told:
        message = f"{message}; {', '.join(told)}"
    return Finding("tokens", True, message, _REPLACE if ending else "")
