"""``scim-gateway check --probe``: what no document of the vendor's says about the API is tried out and told.

Teams are made with names that begin with ``zz_scimprobe_`` and are deleted again. An address is invited only if the
administrator gives one (``portal_probe_address``): the invitation is revoked again, the mail is sent.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress

from scim_gateway_provisioning.target import Deadline, Unreachable

from scim_gateway.backend import Finding
from scim_gateway.text import collision_key

from .answers import PENDING, Team
from .client import Client, TeamUpdate
from .context import Context
from .transport import Absent, Refused, Unsure

PREFIX = "zz_scimprobe_"
SECONDS = 120.0
LENGTHS = (64, 128, 256, 512)


def probe(open_context: Callable[[Deadline], Context], address: str | None) -> Iterator[Finding]:
    """Try out what is not known; a finding for each question.

    :param open_context: what the calls of a session share.
    :param address: somebody to invite, who is no member; ``None``: those questions are left out.
    """
    try:
        context = open_context(Deadline(SECONDS))
        _clear_away(context.client)
        try:
            yield _filters(context)
            yield _lengths(context.client)
            yield from _names(context.client)
            if address is None:
                yield _told("invitations", "not tried: portal_probe_address names nobody to invite")
            else:
                yield from _invitations(context, address)
        finally:
            _clear_away(context.client)
    except (Unreachable, Refused, Absent) as error:
        yield Finding("portal probe", False, str(error), "see scim-gateway check")


def _told(question: str, answer: str) -> Finding:
    return Finding(f"portal probe: {question}", True, answer)


def _name(length: int = 0) -> str:
    return f"{PREFIX}{secrets.token_hex(4)}".ljust(length, "x")


def _clear_away(client: Client) -> None:
    """Delete what this probe made, and what one that was cut left."""
    for team in client.teams():
        if team.name.lower().startswith(PREFIX):
            client.delete_team(team.id)


def _made(client: Client, name: str) -> Team | str:
    """Make a team; it, or why not."""
    try:
        return client.create_team(name, "")
    except (Refused, Unsure) as error:
        return str(error)


def _filters(context: Context) -> Finding:
    client, me = context.client, context.me
    if client.members(f"^{secrets.token_hex(16)}$"):
        return _told("filters", "are ignored: the gateway compares by itself")
    by_pattern = any(one.id == me.id for one in client.members(f"^{me.email[0]}.*$"))
    by_value = any(one.id == me.id for one in client.members(me.email))
    answer = {
        (True, True): "are regular expressions",
        (True, False): "are regular expressions, and an address with signs does not match itself",
        (False, True): "are compared as values: the gateway reads whole lists instead",
    }.get((by_pattern, by_value), "find nobody: the gateway reads whole lists instead")
    return _told("filters", answer)


def _lengths(client: Client) -> Finding:
    kept: list[str] = []
    for length in LENGTHS:
        name = _name(length)
        made = _made(client, name)
        if isinstance(made, str):
            kept.append(f"{length} refused")
            break
        kept.append(f"{length} kept" if made.name == name else f"{length} cut to {len(made.name)} characters")
    return _told("length of a team name", ", ".join(kept))


def _names(client: Client) -> Iterator[Finding]:
    name = _name()
    first = _made(client, name)
    if isinstance(first, str):
        yield _told("team names", f"no team could be made: {first}")
        return
    again = _made(client, name)
    yield _told("a team name that is taken", again if isinstance(again, str) else "makes a second team of that name")
    other = _made(client, name.upper())
    cases = "are one name" if isinstance(other, str) else "are two names"
    yield _told("team names in other letter case", cases)
    found = [team for team in client.teams() if collision_key(team.name) == collision_key(name)]
    yield _told("a new team in the list", "is there at once" if found else "is not there yet: lists are behind")


def _invitations(context: Context, address: str) -> Iterator[Finding]:
    client = context.client
    if context.sight.members(client, address) or context.sight.pending(client, address):
        yield Finding("portal probe: invitations", False, "portal_probe_address is a member or invited already")
        return
    team = _made(client, _name())
    if isinstance(team, str):
        return
    try:
        first = client.invite(address, [team.id])
        yield _told("teams of an invitation", "are shown" if team.id in first.teams else "are not shown")
        try:
            second = client.invite(address)
            same = first.id and second.id == first.id
            yield _told("a second invitation", "is the first one" if same else "is another one")
        except (Refused, Unsure) as error:
            yield _told("a second invitation", str(error))
        yield _told("adding an invited person to a team by address", _by_address(client, address))
    finally:
        for invitation in client.invitations(PENDING):
            if collision_key(invitation.email) == collision_key(address):
                with suppress(Refused):  # not pending any more
                    client.revoke(invitation.id)


def _by_address(client: Client, address: str) -> str:
    team = _made(client, _name())
    if isinstance(team, str):
        return team
    try:
        client.update_team(team.id, TeamUpdate(add_emails=[address]))
    except (Refused, Unsure) as error:
        return str(error)
    pending = [one for one in client.invitations(PENDING) if collision_key(one.email) == collision_key(address)]
    taken = any(team.id in one.teams for one in pending)
    return "is noted in the invitation: portal_pending_teams can be email" if taken else "is accepted and shows nowhere"
