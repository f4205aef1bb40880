"""``scim-gateway check``: key, organization, rights, default rights of the edition, clock."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from scim_gateway_provisioning.target import Deadline, Unreachable

from scim_gateway.backend import Finding
from scim_gateway.text import shown

from .answers import PENDING, Member, Team
from .context import Context
from .transport import Absent, NotPermitted, Refused

if TYPE_CHECKING:
    from .target import PortalTarget

SECONDS = 60.0
LARGEST_SKEW = 60.0
_OWNER_KEY = "make the key with an account that is an organization owner, with full access"


def findings(target: PortalTarget) -> Iterator[Finding]:
    """Look at the organization; nothing is changed."""
    try:
        context = target.context(Deadline(SECONDS))
    except (Unreachable, Refused, Absent) as error:
        yield Finding("portal", False, str(error), "see portal_url, portal_api_key and portal_organization")
        return
    organization = context.organization
    yield Finding(
        "portal", True, f"organization {shown(organization.name)} ({organization.id}) at {target.settings.url}"
    )
    try:
        yield from _looks(target, context)
    except (Unreachable, Refused, Absent) as error:
        yield Finding("portal", False, str(error), _OWNER_KEY)


def _looks(target: PortalTarget, context: Context) -> Iterator[Finding]:
    client = context.client
    teams, members = client.teams(), client.members()
    pending = client.invitations(PENDING)
    yield _key(context, teams)
    yield _rights(context)
    yield Finding(
        "portal members", True, f"{len(members)} members, {len(pending)} pending invitations, {len(teams)} teams"
    )
    yield _protected(context, teams, members)
    yield _default_rights(target, context)
    yield _clock(target)


def _key(context: Context, teams: list[Team]) -> Finding:
    me = context.me
    role = context.protection.privilege(context.client, me, me)
    message = f"the API key is that of {shown(me.email)}"
    if role is not None:
        return Finding("portal key", True, f"{message} ({role}); keys expire: note the date that was chosen for it")
    return Finding(
        "portal key", False, f"{message}, who is no owner: invitations and teams will be refused", _OWNER_KEY
    )


def _rights(context: Context) -> Finding:
    """What the access level of the key permits: no call tells, so what is not there is asked to be removed.

    A refusal says for certain that the key is not enough; anything else is no proof of more than that.
    """
    client = context.client
    for remove in (client.revoke, client.remove_member, client.delete_team):
        try:
            remove(str(uuid.uuid4()))
        except NotPermitted as error:
            return Finding("portal rights", False, str(error), _OWNER_KEY)
        except (Refused, Unreachable):
            continue  # what is not there may be answered in any way; the API is asked more after this
    return Finding("portal rights", True, "the API key may change invitations, members and teams, as far as that shows")


def _protected(context: Context, teams: list[Team], members: list[Member]) -> Finding:
    """Ask for the roles of every team once: what is privileged under another name is known from now on."""
    privileged = [team for team in teams if context.protection.privileged_team(context.client, team.id) is not None]
    people = {id for team in privileged for id in team.people}
    kinds = sum(member.kind != "Standard" for member in members)
    names = ", ".join(sorted(shown(team.name) for team in privileged)) or "none"
    return Finding(
        "portal protection",
        True,
        f"never managed: {len(people)} owners and administrators, {kinds} accounts that are no people, "
        f"and beside the predefined teams those that give rights over the organization: {names}",
    )


def _default_rights(target: PortalTarget, context: Context) -> Finding:
    match context.rights.evidence(context.client, context.me):
        case "members":
            return Finding("portal default rights", True, "whoever accepts an invitation becomes an ordinary member")
        case "unknown":
            return Finding(
                "portal default rights",
                True,
                "not known: nobody who accepted an invitation is to be seen; the first acceptance is looked at",
            )
        case _ if target.settings.default_owner == "remove":
            return Finding(
                "portal default rights",
                True,
                "WHOEVER ACCEPTS AN INVITATION BECOMES AN OWNER; the gateway takes them out of the owners' team when "
                "it sees that, so that for a moment there is one owner more",
            )
        case _:
            return Finding(
                "portal default rights",
                False,
                "WHOEVER ACCEPTS AN INVITATION BECOMES AN OWNER (as in the Shared edition): nobody is invited",
                "change the edition, or set portal_default_owner to remove",
            )


def _clock(target: PortalTarget) -> Finding:
    ahead = target.transport.ahead
    if abs(ahead) <= LARGEST_SKEW:
        return Finding("portal clock", True, f"{abs(ahead):.0f} seconds from ours")
    where = "ahead of" if ahead > 0 else "behind"
    return Finding(
        "portal clock", False, f"{abs(ahead):.0f} seconds {where} ours", "set the clock of this machine (NTP)"
    )
