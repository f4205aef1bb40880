"""``scim-gateway users`` and ``groups``: what the directory holds, read through the service provider."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from scim_gateway.app import Gateway
from scim_gateway.cli_common import Failure, WrongUse, gateway_of, json_option, show_json
from scim_gateway.exchange import Principal, Request
from scim_gateway.provisioned import Provisioned

_READER = Principal("command line", frozenset({"read"}))


def _gateway(ctx: click.Context) -> Gateway:
    gateway = gateway_of(ctx)
    if gateway.settings["backend"] == "memory":
        raise WrongUse("The backend memory keeps people and groups in the process that serves: ask that one by SCIM.")
    return gateway


def _get(ctx: click.Context, path: str, **parameters: str) -> tuple[int, dict[str, Any]]:
    gateway = ctx.meta.get("scim_gateway") or ctx.meta.setdefault("scim_gateway", _gateway(ctx))
    request = Request(
        "GET",
        path,
        gateway.settings.base_url,
        query=tuple(parameters.items()),
        principal=_READER,
    )
    response = gateway.provider.handle(request)
    return response.status, json.loads(response.body)


def _page(ctx: click.Context, path: str, **parameters: str) -> dict[str, Any]:
    status, document = _get(ctx, path, **parameters)
    if status != 200:
        raise Failure(document["detail"])
    return document


def _every(
    ctx: click.Context, path: str, filter: str | None, limit: int, **parameters: str
) -> Iterator[dict[str, Any]]:
    if filter:
        parameters["filter"] = filter
    start = 1
    while start <= limit:
        page = _page(ctx, path, startIndex=str(start), count=str(min(200, limit - start + 1)), **parameters)
        found = page.get("Resources", [])
        yield from found
        start += len(found)
        if not found or start > page["totalResults"]:
            return


def _show(ctx: click.Context, resource: Mapping[str, Any]) -> None:
    """Print a resource, and how it stands in each target of a backend that feeds some."""
    backend = ctx.meta["scim_gateway"].backend
    targets = {"targets": backend.state_of(resource["id"])} if isinstance(backend, Provisioned) else {}
    show_json({**resource, **targets})


def _one(ctx: click.Context, path: str, key: str, attribute: str, what: str) -> Mapping[str, Any]:
    if "/" not in key:
        status, document = _get(ctx, f"{path}/{key}")
        if status == 200:
            return document
    found = _page(ctx, path, filter=f"{attribute} eq {json.dumps(key)}").get("Resources", [])
    if not found:
        raise Failure(f"There is no {what} with the id or {attribute} {key!r}.")
    return dict(found[0])


user_filter_option, group_filter_option = (
    click.option("--filter", metavar="FILTER", help=f"A SCIM filter, such as '{attribute} sw \"a\"'.")
    for attribute in ("userName", "displayName")
)
limit_option = click.option(
    "--limit", type=click.IntRange(1), default=1000, show_default=True, help="The most to list."
)


@click.group()
def users() -> None:
    """The people in the directory."""


@users.command("list")
@user_filter_option
@limit_option
@json_option
@click.pass_context
def list_users(ctx: click.Context, filter: str | None, limit: int, as_json: bool) -> None:
    """A line for each person: id, userName, whether active, name."""
    found = _every(ctx, "/Users", filter, limit, **({} if as_json else {"attributes": "userName,active,displayName"}))
    if as_json:
        show_json(list(found))
        return
    for user in found:
        state = "active" if user.get("active", True) else "inactive"
        click.echo(f"{user['id']}  {_line(user.get('userName'))}  {state}  {_line(user.get('displayName'))}".rstrip())


@users.command("show")
@click.argument("id_or_name")
@click.pass_context
def show_user(ctx: click.Context, id_or_name: str) -> None:
    """Everything about the person with this id or userName, as JSON; with the state in each target."""
    _show(ctx, _one(ctx, "/Users", id_or_name, "userName", "user"))


@click.group()
def groups() -> None:
    """The groups in the directory."""


@groups.command("list")
@group_filter_option
@limit_option
@json_option
@click.pass_context
def list_groups(ctx: click.Context, filter: str | None, limit: int, as_json: bool) -> None:
    """A line for each group: id, displayName, number of members."""
    found = _every(ctx, "/Groups", filter, limit)
    if as_json:
        show_json(list(found))
        return
    for group in found:
        count = len(group.get("members", ()))
        click.echo(f"{group['id']}  {_line(group.get('displayName'))}  {count} member{'' if count == 1 else 's'}")


@groups.command("show")
@click.argument("id_or_name")
@click.pass_context
def show_group(ctx: click.Context, id_or_name: str) -> None:
    """Everything about the group with this id or displayName, as JSON; with the state in each target."""
    _show(ctx, _one(ctx, "/Groups", id_or_name, "displayName", "group"))


def _line(value: Any) -> str:
    """Text from the directory on one line: names are other people's input, and terminals obey control characters."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(value or ""))
