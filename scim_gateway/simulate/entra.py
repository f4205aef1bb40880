"""Entra ID's part: look up, create, PATCH the difference; in its default style and in that of ``aadOptscim062020``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scim_gateway.simulate.player import (
    DOMAIN,
    ENTERPRISE,
    GROUP,
    PATCH_OP,
    USER,
    Player,
    Request,
    has_members,
    holds,
    is_error,
    is_list,
    lacks,
    value_at,
)

Operation = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Style:
    """How one style of Entra ID's PATCH spells its operations.

    :param label: goes into the throw-away names.
    :param query: the flag as it stands in the tenant URL.
    :param capital: ``Replace`` for ``replace``; booleans become the words ``True`` and ``False`` along with it.
    """

    label: str
    query: Mapping[str, str]
    capital: bool

    def operation(self, op: str, path: str, value: Any = None) -> Operation:
        """One operation with a path."""
        if self.capital:
            op = op.capitalize()
            value = str(value) if isinstance(value, bool) else value
        return {"op": op, "path": path} if value is None else {"op": op, "path": path, "value": value}

    def replace_all(self, values: Mapping[str, Any]) -> list[Operation]:
        """Several attributes at once: an operation each by default, one without a path in the flagged style."""
        if self.capital:
            return [self.operation("replace", path, value) for path, value in values.items()]
        by_path = {path: value for path, value in values.items() if "[" in path}
        merged = {path: value for path, value in values.items() if "[" not in path}
        return [
            *(self.operation("replace", path, value) for path, value in by_path.items()),
            {"op": "replace", "value": merged},
        ]

    def add_member(self, id: str) -> Operation:
        """One member more."""
        return self.operation("add", "members", [{"$ref": None, "value": id} if self.capital else {"value": id}])

    def remove_member(self, id: str) -> Operation:
        """One member less: by a list of values by default, by a filter in the flagged style."""
        if self.capital:
            return self.operation("remove", "members", [{"$ref": None, "value": id}])
        return self.operation("remove", f'members[value eq "{id}"]')


DEFAULT = Style("entra", {}, capital=True)
FLAGGED = Style("entra.flagged", {"aadOptscim062020": ""}, capital=False)


class Client:
    """Forms requests the way Entra ID's provisioning service does; it was seen to send no User-Agent."""

    def __init__(self, token: str, style: Style) -> None:
        self._style = style
        self._authorization = f"Bearer {token}"

    def read(self, path: str, **query: str) -> Request:
        """A GET."""
        return Request("GET", path, self._headers(None), {**query, **self._style.query})

    def look_up(self, path: str, filter: str) -> Request:
        """A match; groups are always asked for without their members."""
        query = {"excludedAttributes": "members"} if path == "/Groups" else {}
        return self.read(path, **query, filter=filter)

    def read_group(self, id: str) -> Request:
        """A group without its members, as Entra ID reads it."""
        return self.read(f"/Groups/{id}", excludedAttributes="members")

    def write(self, method: str, path: str, body: Mapping[str, Any]) -> Request:
        """POST or PATCH; never PUT."""
        headers = self._headers("application/scim+json; charset=utf-8")
        return Request(method, path, headers, self._style.query, body)

    def patch(self, path: str, *operations: Operation) -> Request:
        """A PATCH."""
        return self.write("PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)})

    def delete(self, path: str) -> Request:
        """The hard delete, 30 days behind the soft one."""
        return Request("DELETE", path, self._headers(None), self._style.query)

    def unauthorized(self) -> Request:
        """A read with a token that is none."""
        headers = {**self._headers(None), "Authorization": "Bearer not-the-token"}
        return Request("GET", "/Users", headers, self._style.query)

    def _headers(self, content_type: str | None) -> Mapping[str, str]:
        headers = {"Authorization": self._authorization, "Accept": "application/scim+json"}
        return headers if content_type is None else {**headers, "Content-Type": content_type}


def default_style(player: Player) -> None:
    """The life cycle as a non-gallery application gets it, and as "provision on demand" always sends it."""
    _life_cycle(player, DEFAULT)


def flagged_style(player: Player) -> None:
    """The life cycle with ``?aadOptscim062020`` in the tenant URL."""
    _life_cycle(player, FLAGGED)


def _life_cycle(player: Player, style: Style) -> None:
    entra = Client(player.token, style)
    _test_connection(player, entra)
    name = player.will_make("/Users", "userName", f"{style.label}.{player.run}@{DOMAIN}")
    id = _provision(player, entra, name)
    path = f"/Users/{id}"

    def patch(step: str, *operations: Operation, after: tuple[Any, ...]) -> None:
        player.step(step, entra.patch(path, *operations), (200, 204))
        player.step(f"{step}: read", entra.read(path), 200, *after)

    changed_mail = f"changed.{name}"
    patch(
        "update several attributes",
        *style.replace_all(
            {
                'emails[type eq "work"].value': changed_mail,
                "displayName": "Changed Simulation",
                "name.givenName": "Changed",
                "name.familyName": "Simulation",
                f"{ENTERPRISE}:employeeNumber": "4711",
            }
        ),
        after=(
            holds("Changed Simulation", "displayName"),
            holds("Changed", "name", "givenName"),
            holds(changed_mail, "emails", 0, "value"),
            holds("4711", ENTERPRISE, "employeeNumber"),
            lacks("emails", 1),
            lacks("name.givenName"),
        ),
    )
    patch(
        "add a telephone number that is not there yet",
        style.operation("add", 'phoneNumbers[type eq "mobile"].value', "+1 555 0100"),
        after=(holds("mobile", "phoneNumbers", 0, "type"), holds("+1 555 0100", "phoneNumbers", 0, "value")),
    )
    patch(
        "replace one that is not there, next to another attribute",
        style.operation("replace", 'phoneNumbers[type eq "fax"].value', "+1 555 0101"),
        style.operation("replace", "title", "Engineer"),
        after=(holds("Engineer", "title"), holds("+1 555 0101", "phoneNumbers", 1, "value")),
    )
    patch("remove an attribute", style.operation("remove", "title"), after=(lacks("title"),))
    other_name = player.will_make("/Users", "userName", f"{style.label}.second.{player.run}@{DOMAIN}")
    other = player.create(
        "provision a second user", entra.write("POST", "/Users", _profile(player, other_name, "second"))
    )
    manager = f"{ENTERPRISE}:manager"
    patch("set the manager by its bare id", style.operation("add", manager, other), after=(_manager_is(other),))
    patch("remove the manager", style.operation("remove", manager), after=(lacks(ENTERPRISE, "manager"),))
    renamed = player.will_make("/Users", "userName", f"renamed.{name}")
    patch("rename", style.operation("replace", "userName", renamed), after=(holds(renamed, "userName"),))
    patch("disable", style.operation("replace", "active", False), after=(holds(False, "active"),))
    player.step(
        "a disabled user is still found",
        entra.look_up("/Users", f'userName eq "{renamed}"'),
        200,
        is_list(1),
        holds(id, "Resources", 0, "id"),
        holds(False, "Resources", 0, "active"),
    )
    patch("enable", style.operation("replace", "active", True), after=(holds(True, "active"),))
    _group(player, entra, style, id, other)
    patch("disable before the delete", style.operation("replace", "active", False), after=(holds(False, "active"),))
    player.step("delete", entra.delete(path), 204)
    player.step("the user is gone", entra.read(path), 404, is_error())
    player.step("nobody is found any more", entra.look_up("/Users", f'userName eq "{renamed}"'), 200, is_list(0))
    player.create("the name is free again", entra.write("POST", "/Users", _profile(player, renamed, "again")))


def _test_connection(player: Player, entra: Client) -> None:
    player.step(
        "a wrong token is refused",
        entra.unauthorized(),
        401,
        is_error(),
        remedy="Without this anybody can change users: see the gateway's authentication settings.",
    )
    quarantine = "Entra ID puts an application into quarantine that answers a search without matches by an error."
    for endpoint, attribute in (("/Users", "userName"), ("/Groups", "displayName")):
        player.step(
            f"test connection: a random name in {endpoint}",
            entra.look_up(endpoint, f'{attribute} eq "{uuid.uuid4()}"'),
            200,
            is_list(0),
            _has_resources,
            remedy=quarantine,
            essential=True,
        )


def _has_resources(body: Any) -> str | None:
    return None if isinstance(value_at(body, "Resources"), list) else "Resources has to be an array, also an empty one."


def _profile(player: Player, name: str, label: str) -> Mapping[str, Any]:
    return {
        "schemas": [USER, ENTERPRISE],
        "externalId": f"{label}-{player.run}",
        "userName": name,
        "active": True,
        "displayName": "Entra Simulation",
        "emails": [{"primary": True, "type": "work", "value": name}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Entra Simulation", "familyName": "Simulation", "givenName": "Entra"},
        "roles": [],
    }


def _provision(player: Player, entra: Client, name: str) -> str:
    profile = _profile(player, name, "first")
    matches = {
        "userName": f'userName eq "{name}"',
        "externalId": f'externalId eq "{profile["externalId"]}"',
        "work e-mail": f'emails[type eq "work"].value eq "{name}"',
    }
    for label, filter in matches.items():
        player.step(f"match by {label}: nobody yet", entra.look_up("/Users", filter), 200, is_list(0), essential=True)
    id = player.create(
        "create",
        entra.write("POST", "/Users", profile),
        holds(name, "userName"),
        holds(True, "active"),
        holds(profile["externalId"], "externalId"),
    )
    matches["userName in other letters"] = f'userName eq "{name.upper()}"'
    for label, filter in matches.items():
        request = entra.look_up("/Users", filter)
        player.step(f"match by {label}", request, 200, is_list(1), holds(id, "Resources", 0, "id"))
    player.step(
        "a second create of the same userName is a conflict",
        entra.write("POST", "/Users", {**profile, "externalId": f"other-{player.run}"}),
        409,
        is_error("uniqueness"),
    )
    return id


def _manager_is(id: str) -> Any:
    def check(body: Any) -> str | None:
        if not isinstance(value_at(body, ENTERPRISE, "manager"), dict):
            return "manager has to be an object in the answer; Entra ID cannot decode anything else."
        return holds(id, ENTERPRISE, "manager", "value")(body)

    return check


def _group(player: Player, entra: Client, style: Style, id: str, other: str) -> None:
    name = player.will_make("/Groups", "displayName", f"sim {style.label} {player.run}")
    by_name = entra.look_up("/Groups", f'displayName eq "{name}"')
    player.step("match the group: none yet", by_name, 200, is_list(0), essential=True)
    body = {
        "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": str(uuid.uuid4()),
        "displayName": name,
        "meta": {"resourceType": "Group"},
    }
    group = player.create("create the group", entra.write("POST", "/Groups", body), holds(name, "displayName"))
    path = f"/Groups/{group}"
    request = entra.read_group(group)
    player.step("read the group without members", request, 200, holds(group, "id"), lacks("members"))

    def patch(step: str, *operations: Operation, members: tuple[str, ...]) -> None:
        player.step(step, entra.patch(path, *operations), (200, 204))
        # Entra ID itself never reads members back: what is lost here stays lost until a restart of its provisioning.
        player.step(f"{step}: read", entra.read(path), 200, has_members(*members))

    patch("add a member", style.add_member(id), members=(id,))
    patch("add a second one", style.add_member(other), members=(id, other))
    patch("add a member again", style.add_member(id), members=(id, other))
    patch("remove one member", style.remove_member(id), members=(other,))
    patch("remove it again", style.remove_member(id), members=(other,))
    new_name = player.will_make("/Groups", "displayName", f"{name} new")
    patch("rename the group, its member stays", *style.replace_all({"displayName": new_name}), members=(other,))
    player.step(
        "match the group under its new name",
        entra.look_up("/Groups", f'displayName eq "{new_name}"'),
        200,
        is_list(1),
        holds(group, "Resources", 0, "id"),
        lacks("Resources", 0, "members"),
    )
    patch("all kinds in one request", style.add_member(id), style.remove_member(other), members=(id,))
    player.step("delete the group", entra.delete(path), 204)
    player.step("the group is gone", request, 404, is_error())
