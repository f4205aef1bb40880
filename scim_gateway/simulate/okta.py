"""Okta's part: a custom app (App Integration Wizard), which writes by PUT, and a catalogue app, which also sends PATCH.

The custom app is what the administrator of this gateway sets up. It reads a resource, merges its own view of the
profile into what it read, and puts everything back; so whatever the gateway returned comes in again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scim_gateway.simulate.player import (
    DOMAIN,
    GROUP,
    PATCH_OP,
    USER,
    Player,
    Request,
    has_id,
    has_members,
    holds,
    is_error,
    is_list,
    lacks,
    value_at,
)

PAGE = 100
MAXIMUM_PAGES = 3
"""Pages of an import that are read; a directory of a million users would prove no more."""


class Client:
    """Forms requests the way Okta's SCIM client does."""

    def __init__(self, token: str) -> None:
        self._headers = {
            "Accept": "application/scim+json",
            "Accept-Charset": "utf-8",
            "Accept-Encoding": "gzip,deflate",
            "User-Agent": "Okta SCIM Client 1.0.0",
            "Authorization": f"Bearer {token}",
        }

    def read(self, path: str, **query: str | int) -> Request:
        """A GET; it bears no Content-Type."""
        return Request("GET", path, self._headers, {name: str(value) for name, value in query.items()})

    def write(self, method: str, path: str, body: Mapping[str, Any]) -> Request:
        """POST, PUT or PATCH."""
        headers = {**self._headers, "Content-Type": "application/scim+json; charset=utf-8"}
        return Request(method, path, headers, body=body)

    def patch(self, path: str, *operations: Mapping[str, Any]) -> Request:
        """A PATCH of a catalogue app."""
        return self.write("PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)})

    def delete(self, path: str) -> Request:
        """Only groups are ever deleted by Okta."""
        return Request("DELETE", path, self._headers)

    def look_up(self, path: str, attribute: str, value: str) -> Request:
        """The match before every create."""
        return self.read(path, filter=f'{attribute} eq "{value}"', startIndex=1, count=PAGE)

    def authorized(self, value: str) -> Request:
        """The connector test with another ``Authorization`` header."""
        return Request("GET", "/Users", {**self._headers, "Authorization": value}, {"startIndex": "1", "count": "2"})


def custom_app(player: Player) -> None:
    """The life cycle as a custom app sends it: GET and PUT, never PATCH, never DELETE of a user."""
    okta = Client(player.token)
    _test_connector(player, okta)
    _import(player, okta)
    name = player.will_make("/Users", "userName", f"okta.{player.run}@{DOMAIN}")
    id = _assign(player, okta, name)

    def write_back(step: str, *checks: Any, **changes: Any) -> None:
        read = player.step(f"{step}: read", okta.read(f"/Users/{id}"), 200, holds(id, "id"), essential=True)
        body = {**read, **changes}
        player.step(f"{step}: write back", okta.write("PUT", f"/Users/{id}", body), 200, holds(id, "id"), *checks)

    write_back(
        "profile update",
        holds("Changed", "name", "givenName"),
        holds(True, "active"),
        name={"givenName": "Changed", "familyName": "Simulation"},
        displayName="Changed Simulation",
    )
    renamed = player.will_make("/Users", "userName", f"okta.{player.run}.renamed@{DOMAIN}")
    write_back(
        "change of primary e-mail and userName",
        holds(renamed, "userName"),
        holds(renamed, "emails", 0, "value"),
        userName=renamed,
        emails=[{"primary": True, "value": renamed, "type": "work"}],
    )
    _found(player, okta, "the new userName leads to the same user", renamed, id)
    player.step(
        "the old userName leads to nobody", okta.look_up("/Users", "userName", name), 200, is_list(0), essential=True
    )
    write_back("deactivate", holds(False, "active"), active=False)
    player.step("a deactivated user stays readable", okta.read(f"/Users/{id}"), 200, holds(False, "active"))
    _found(
        player, okta, "re-assign: look up finds the inactive user", renamed, id, holds(False, "Resources", 0, "active")
    )
    write_back("re-assign: reactivate", holds(True, "active"), active=True)
    write_back("re-assign: profile", holds(True, "active"), title="Simulated")

    other = _second_user(player, okta)
    # Short enough for a target that bounds names: 32 characters in the Engine, the new name included.
    group_name = player.will_make("/Groups", "displayName", f"sim okta {player.run}")
    group = _push_group(player, okta, group_name)
    path = f"/Groups/{group}"

    def put_group(step: str, name: str, *members: str) -> None:
        body = {
            "schemas": [GROUP],
            "id": group,
            "displayName": name,
            "members": [{"value": member, "display": None} for member in members],
        }
        player.step(step, okta.write("PUT", path, body), 200, holds(group, "id"), holds(name, "displayName"))
        player.step(f"{step}: read", okta.read(path), 200, has_members(*members))

    put_group("push group: two members", group_name, id, other)
    put_group("push group: one member leaves", group_name, other)
    put_group("push group again, nothing new", group_name, other)
    _same_name(player, okta, group_name)
    new_name = player.will_make("/Groups", "displayName", f"{group_name} new")
    put_group("rename the group, its member stays", new_name, other)
    put_group("push group: nobody left", new_name)
    _unlink(player, okta, path)
    write_back("unassign: deactivate", holds(False, "active"), active=False)


def catalogue_app(player: Player) -> None:
    """The life cycle as an app of the integration network sends it: profile by PUT, everything else by PATCH."""
    okta = Client(player.token)
    _test_connector(player, okta)
    name = player.will_make("/Users", "userName", f"okta.oin.{player.run}@{DOMAIN}")
    id = _assign(player, okta, name)
    path = f"/Users/{id}"

    def set_active(step: str, active: bool) -> None:
        operation = {"op": "replace", "value": {"active": active}}
        player.step(step, okta.patch(path, operation), (200, 204), holds(active, "active"), holds(name, "userName"))
        player.step(f"{step}: read", okta.read(path), 200, holds(active, "active"))

    set_active("deactivate by PATCH", False)
    set_active("reactivate by PATCH", True)
    player.step(
        "password by PATCH",
        okta.patch(path, {"op": "replace", "value": {"password": f"Simulated-{player.run}"}}),
        (200, 204),
        lacks("password"),
    )

    other = _second_user(player, okta)
    group_name = player.will_make("/Groups", "displayName", f"sim okta oin {player.run}")
    group = _push_group(player, okta, group_name)
    group_path = f"/Groups/{group}"

    def rename(to: str) -> Mapping[str, Any]:
        return {"op": "replace", "value": {"id": group, "displayName": to}}

    def add(member: str) -> Mapping[str, Any]:
        return {"op": "add", "path": "members", "value": [{"value": member, "display": name}]}

    def remove(member: str) -> Mapping[str, Any]:
        return {"op": "remove", "path": f'members[value eq "{member}"]'}

    def patch_group(step: str, *operations: Mapping[str, Any], members: tuple[str, ...]) -> None:
        player.step(step, okta.patch(group_path, *operations), (200, 204))
        player.step(f"{step}: read", okta.read(group_path), 200, has_members(*members))

    patch_group("rename that comes with every push", rename(group_name), members=())
    patch_group("add a member", add(id), members=(id,))
    patch_group("add the same member again", add(id), members=(id,))
    patch_group("remove one and add one", remove(id), add(other), members=(other,))
    patch_group("remove who is no member", remove(id), members=(other,))
    replace = {"op": "replace", "path": "members", "value": [{"value": id}, {"value": other}]}
    patch_group("push now: replace all", replace, members=(id, other))
    _same_name(player, okta, group_name)
    new_name = player.will_make("/Groups", "displayName", f"{group_name} new")
    patch_group("rename the group, its members stay", rename(new_name), members=(id, other))
    player.step("the group has its new name", okta.read(group_path), 200, holds(new_name, "displayName"))
    patch_group("push now: nobody left", {"op": "replace", "path": "members", "value": []}, members=())
    _unlink(player, okta, group_path)
    set_active("unassign: deactivate", False)


def _test_connector(player: Player, okta: Client) -> None:
    player.step(
        "a wrong token is refused",
        okta.authorized("Bearer not-the-token"),
        401,
        is_error(),
        remedy="Without this anybody can change users: see the gateway's authentication settings.",
    )
    player.step(
        "test connector configuration",
        okta.read("/Users", startIndex=1, count=2),
        200,
        is_list(),
        essential=True,
    )
    player.step(
        "the token without 'Bearer ', as the HTTP Header mode may send it",
        okta.authorized(player.token),
        200,
        is_list(),
    )


def _import(player: Player, okta: Client) -> None:
    for endpoint in ("/Users", "/Groups"):
        start, total, seen = 1, 1, set[str]()
        while start <= total and start <= MAXIMUM_PAGES * PAGE:
            page = player.step(
                f"import {endpoint[1:].lower()} from {start}",
                okta.read(endpoint, startIndex=start, count=PAGE),
                200,
                is_list(),
                _none_twice(seen),
                remedy="Okta imports page by page and needs a stable order.",
            )
            found = value_at(page, "totalResults")
            total = found if isinstance(found, int) else 0
            start += PAGE
        player.step(
            f"import {endpoint[1:].lower()}: page behind the end",
            okta.read(endpoint, startIndex=100_000_001, count=PAGE),
            200,
            is_list(),
            lacks("Resources"),
        )


def _none_twice(seen: set[str]) -> Any:
    def check(body: Any) -> str | None:
        ids = [value_at(resource, "id") for resource in value_at(body, "Resources") or []]
        twice = [id for id in ids if id in seen] or len(ids) != len(set(ids))
        seen.update(ids)
        return "A resource came twice." if twice else None

    return check


def _profile(player: Player, name: str, given: str) -> Mapping[str, Any]:
    """A user as Okta creates it: a random password even with password sync off, and always an empty ``groups``."""
    return {
        "schemas": [USER],
        "userName": name,
        "name": {"givenName": given, "familyName": "Simulation"},
        "emails": [{"primary": True, "value": name, "type": "work"}],
        "displayName": f"{given} Simulation",
        "locale": "en-US",
        "externalId": f"00u{player.run}{given.lower()}",
        "groups": [],
        "password": f"Okta-{player.run}",
        "active": True,
    }


def _assign(player: Player, okta: Client, name: str) -> str:
    player.step(
        "assign: look up, nobody yet",
        okta.look_up("/Users", "userName", name),
        200,
        is_list(0),
        remedy="A filter that answers strangers makes Okta take over their accounts.",
        essential=True,
    )
    profile = _profile(player, name, "Okta")
    id = player.create(
        "assign: create",
        okta.write("POST", "/Users", profile),
        holds(name, "userName"),
        holds(True, "active"),
        holds(name, "emails", 0, "value"),
        holds(profile["externalId"], "externalId"),
        holds("User", "meta", "resourceType"),
        lacks("password"),
    )
    _found(player, okta, "match by userName", name, id)
    _found(player, okta, "match in other letters", name.upper(), id)
    player.step(
        "a repeated create is a conflict",
        okta.write("POST", "/Users", profile),
        409,
        is_error("uniqueness"),
        remedy="Okta repeats a create after a time-out; a second user would come of it.",
    )
    return id


def _found(player: Player, okta: Client, step: str, name: str, id: str, *checks: Any) -> None:
    player.step(
        step, okta.look_up("/Users", "userName", name), 200, is_list(1), holds(id, "Resources", 0, "id"), *checks
    )


def _second_user(player: Player, okta: Client) -> str:
    name = player.will_make("/Users", "userName", f"okta.second.{player.run}@{DOMAIN}")
    return player.create("assign a second user", okta.write("POST", "/Users", _profile(player, name, "Second")))


def _push_group(player: Player, okta: Client, name: str) -> str:
    player.step(
        "push group: look up, none yet", okta.look_up("/Groups", "displayName", name), 200, is_list(0), essential=True
    )
    body = {"schemas": [GROUP], "displayName": name, "members": []}
    id = player.create("push group: create", okta.write("POST", "/Groups", body), holds(name, "displayName"))
    player.step("push group: read", okta.read(f"/Groups/{id}"), 200, has_id, holds(name, "displayName"), has_members())
    found = okta.look_up("/Groups", "displayName", name)
    player.step("push group: match by name", found, 200, is_list(1), holds(id, "Resources", 0, "id"))
    return id


def _same_name(player: Player, okta: Client, name: str) -> None:
    player.step(
        "a second group of the same name is a conflict",
        okta.write("POST", "/Groups", {"schemas": [GROUP], "displayName": name, "members": []}),
        409,
        is_error("uniqueness"),
        remedy="Okta links groups by name; two of one name would leave stale members.",
    )


def _unlink(player: Player, okta: Client, path: str) -> None:
    player.step("unlink the group and delete it", okta.delete(path), 204)
    player.step("the group is gone", okta.read(path), 404, is_error())
