"""The calls of the document on an organization: what is done and what is answered, as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from doubles.portal.organization import Invitation, Key, Member, Organization, Refused, Team

_TEAMS = re.compile(r"/v1/teams(/|$)")


class Api:
    """The routes; ``answer`` gives the JSON value of a 200, or raises what else is answered.

    ``fields`` may ask for less than everything; the schemas require nearly all of it, and everything is shown.
    """

    def __init__(self, organization: Organization) -> None:
        self._organization = organization
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Any]]] = [
            ("GET", re.compile(r"/v1/organizations/current"), self._current_organization),
            ("GET", re.compile(r"/v1/users"), self._list_users),
            ("POST", re.compile(r"/v1/users"), self._add_user),
            ("GET", re.compile(r"/v1/users/current"), self._current_user),
            ("GET", re.compile(r"/v1/users/([^/]+)"), self._get_user),
            ("DELETE", re.compile(r"/v1/users/([^/]+)"), self._remove_user),
            ("GET", re.compile(r"/v1/users/([^/]+)/identityRoles"), self._roles_of_user),
            ("GET", re.compile(r"/v1/invitations"), self._list_invitations),
            ("POST", re.compile(r"/v1/invitations"), self._create_invitation),
            ("GET", re.compile(r"/v1/invitations/([^/]+)"), self._get_invitation),
            ("DELETE", re.compile(r"/v1/invitations/([^/]+)"), self._revoke_invitation),
            ("GET", re.compile(r"/v1/teams"), self._list_teams),
            ("POST", re.compile(r"/v1/teams"), self._create_team),
            ("GET", re.compile(r"/v1/teams/([^/]+)"), self._get_team),
            ("PATCH", re.compile(r"/v1/teams/([^/]+)"), self._update_team),
            ("DELETE", re.compile(r"/v1/teams/([^/]+)"), self._delete_team),
            ("GET", re.compile(r"/v1/teams/([^/]+)/identityRoles"), self._roles_of_team),
        ]

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, key: str | None) -> Any:
        """Do what is asked.

        :raises Refused: the answer is not 200.
        """
        owner = self._organization.whose(key)
        self._permit(method, path, owner)
        for route_method, pattern, act in self._routes:
            match = pattern.fullmatch(path)
            if route_method == method and match:
                return act(*match.groups(), query=query, body=body, key=owner)
        raise Refused(404, "no such endpoint")

    def _permit(self, method: str, path: str, key: Key) -> None:
        if method == "GET":
            return
        if self._organization.behaviour.credits_exhausted:
            raise Refused(403, "the credits of the organization are exhausted")
        if key.level == "read" or (key.level == "teams" and not _TEAMS.match(path)):
            raise Refused(403, "the API key is not permitted to do this")

    def _current_organization(self, **_: Any) -> Any:
        return {"orgID": self._organization.id, "name": self._organization.name}

    def _list_users(self, query: Mapping[str, str], **_: Any) -> Any:
        shown = self._organization.shown("users").values()
        selected = self._organization.selecting(query.get("email"))
        found = [one for one in shown if selected(one.email)]
        return [self._user(one) for one in found]

    def _add_user(self, body: Any, **_: Any) -> Any:
        self._organization.add_user(body["email"])
        return None if self._organization.behaviour.sparse else {"email": body["email"]}

    def _current_user(self, key: Key, **_: Any) -> Any:
        return self._user(self._organization.members[key.user])

    def _get_user(self, id: str, **_: Any) -> Any:
        return self._user(self._one("users", id))

    def _remove_user(self, id: str, **_: Any) -> Any:
        self._organization.remove_user(id)
        return {"userID": id}

    def _roles_of_user(self, id: str, query: Mapping[str, str], **_: Any) -> Any:
        return self._organization.roles_of(self._one("users", id), query.get("resourceType"))

    def _list_invitations(self, query: Mapping[str, str], **_: Any) -> Any:
        state = query.get("state")
        shown = self._organization.shown("invitations").values()
        selected = self._organization.selecting(query.get("email"))
        found = [one for one in shown if selected(one.email)]
        return [self._invitation(one) for one in found if state in (None, one.state)]

    def _create_invitation(self, body: Any, **_: Any) -> Any:
        made = self._invitation(self._organization.create_invitation(body["email"], body.get("teamIDs", [])))
        return {"email": made["email"]} if self._organization.behaviour.sparse else made

    def _get_invitation(self, id: str, **_: Any) -> Any:
        return self._invitation(self._one("invitations", id))

    def _revoke_invitation(self, id: str, **_: Any) -> Any:
        self._organization.revoke_invitation(id)
        return {"invitationID": id}

    def _list_teams(self, query: Mapping[str, str], **_: Any) -> Any:
        named = self._organization.selecting(query.get("name"))
        described = self._organization.selecting(query.get("description"))
        shown = self._organization.shown("teams").values()
        return [self._team(one) for one in shown if named(one.name) and described(one.description)]

    def _create_team(self, body: Any, **_: Any) -> Any:
        return self._team(self._organization.create_team(body["name"], body.get("description", "")))

    def _get_team(self, id: str, **_: Any) -> Any:
        return self._team(self._one("teams", id))

    def _update_team(self, id: str, body: Any, **_: Any) -> Any:
        self._organization.update_team(id, body)
        return {"teamID": id}

    def _delete_team(self, id: str, **_: Any) -> Any:
        self._organization.delete_team(id)
        return {"teamID": id}

    def _roles_of_team(self, id: str, query: Mapping[str, str], **_: Any) -> Any:
        return self._organization.roles_of(self._one("teams", id), query.get("resourceType"))

    def _one(self, kind: str, id: str) -> Any:
        found = self._organization.shown(kind, item=True).get(id)
        if found is None:
            raise Refused(404, f"{id} not found")
        return found

    def _user(self, one: Member) -> dict[str, Any]:
        user = {"userID": one.id, "email": one.email, "firstName": one.first, "lastName": one.last}
        return (
            user if self._organization.behaviour.sparse and one.kind == "Standard" else {**user, "userKind": one.kind}
        )

    def _invitation(self, one: Invitation) -> dict[str, Any]:
        return {
            "invitationID": one.id,
            "email": one.email,
            "state": one.state,
            "teamIDs": list(one.teams),
            "createdAt": _instant(one.created),
            "actedAt": None if one.acted is None else _instant(one.acted),
        }

    def _team(self, one: Team) -> dict[str, Any]:
        organization = self._organization
        people = [organization.members[id] for id in one.users if id in organization.members]
        teams = [organization.teams[id] for id in one.teams if id in organization.teams]
        users = [{"userID": p.id, "email": p.email, "firstName": p.first, "lastName": p.last} for p in people]
        inner = [{"teamID": t.id, "name": t.name, "description": t.description} for t in teams]
        if organization.behaviour.duplicates:
            users, inner = users + users[:1], inner + inner[:1]
        team: dict[str, Any] = {"teamID": one.id, "name": one.name}
        if organization.behaviour.sparse:
            return {**team, **({"memberUsers": users} if users else {}), **({"memberTeams": inner} if inner else {})}
        return {
            **team,
            "description": one.description,
            "createdAt": _instant(one.created),
            "memberUsers": users,
            "memberTeams": inner,
        }


def _instant(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
