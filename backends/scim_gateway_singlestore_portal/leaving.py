"""Out of the organization: invitations revoked first, so that nobody joins behind our back, then members removed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from scim_gateway_provisioning.target import Unreachable

from scim_gateway.text import shown

from .answers import ACCEPTED, Member
from .context import LAG, Context
from .notes import Standing
from .transport import Refused


def leave(context: Context, standings: Iterable[Standing]) -> None:
    """Take every one of these out, and see that they are out.

    :raises scim_gateway.errors.Forbidden: somebody of them is protected; nobody was touched.
    :raises Unreachable: it could not be done, or is not confirmed.
    """
    everyone = list(standings)
    looked_at: set[str] = set()
    for one in everyone:
        for member in _members(context, one):
            _refuse_protected(context, one, member)
            looked_at.add(member.id)
    revoked = [revoke(context, one) for one in everyone]
    for one, invitations in zip(everyone, revoked, strict=True):
        _remove(context, one, looked_at, invitations)


def revoke(context: Context, one: Standing) -> Collection[str]:
    """Revoke every invitation of an address that is still pending, and see that none is left; the ids of these."""
    client = context.client
    pending = {invitation.id for invitation in context.sight.pending(client, one.address)}
    if one.invitation is not None:
        pending.add(one.invitation)
    pending.discard("")
    if not pending:
        return pending
    for id in sorted(pending):
        try:
            client.revoke(id)
        except Refused:
            # Not pending any more: accepted (then there is a member, who is looked for next) or done with.
            continue
    context.until(
        lambda: not context.sight.pending(client, one.address),
        f"The invitation of {shown(one.address)} is still shown as pending after it was revoked.",
    )
    return pending


def _remove(context: Context, one: Standing, looked_at: Collection[str], invitations: Collection[str]) -> None:
    client = context.client
    found = _members(context, one)
    for member in found:
        if member.id not in looked_at:
            _refuse_protected(context, one, member)
        client.remove_member(member.id)
    if not found and one.user is None:
        _refuse_hidden(context, one, invitations)
    context.until(
        lambda: not (any(client.member(member.id) for member in found) or context.sight.members(client, one.address)),
        f"{shown(one.address)} is still shown as a member after the removal.",
    )


def _members(context: Context, one: Standing) -> list[Member]:
    """Who is a member as this: by the id, and by the address, which is under management."""
    found = {member.id: member for member in context.sight.members(context.client, one.address)}
    if one.user is not None and one.user not in found:
        member = context.client.member(one.user)
        if member is not None:
            found[member.id] = member
    return list(found.values())


def _refuse_protected(context: Context, one: Standing, member: Member) -> None:
    """Protected people stay; but who is an owner only by having accepted our invitation is not one of them."""
    context.protection.member(context.client, member, context.me, by_roles=not one.unseen)


def _refuse_hidden(context: Context, one: Standing, invitations: Collection[str]) -> None:
    """An invitation that was accepted a moment ago makes a member whom a list may not show yet.

    :raises Unreachable: there is one.
    """
    for id in sorted(invitations):
        invitation = context.client.invitation(id)
        if invitation is None or invitation.state != ACCEPTED or invitation.acted is None:
            continue
        if context.client.now() - invitation.acted < LAG:
            raise Unreachable(
                f"{shown(one.address)} accepted the invitation a moment ago, but is not shown among the members yet."
            )
