"""What the double does where nothing says what the Management API does: every open question is a switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class Behaviour:
    """Switches; the tests run both sides of each.

    :param owners_by_default: who accepts an invitation joins ``Organization Owners``, as in the Shared edition.
    :param invite_member: what an invitation of a member is answered: a status, or the invitation that was accepted.
    :param invite_pending: the same for somebody who is invited already; ``another`` makes a second invitation.
    :param collision: status for a team name that is taken.
    :param names_fold_case: whether ``A`` and ``a`` are one team name.
    :param longest_name: most characters of a team name.
    :param long_names: longer ones are refused, or cut without a word.
    :param pending_by_email: what ``addMemberUserEmails`` makes of somebody whose invitation is pending.
    :param teams_at_acceptance: whether ``teamIDs`` of an invitation are applied when it is accepted.
    :param add_unknown: status of ``POST /v1/users`` for somebody without an account.
    :param repeated_members: whether adding a member, or removing somebody who is none, is accepted.
    :param missing_member: status for a change of members that names somebody, or a team, who is not there.
    :param filters: what a filter is taken for: a pattern for the whole value, a pattern found anywhere in it, a plain
        value, or nothing at all.
    :param filters_fold_case: whether filters ignore letter case.
    :param expired: what becomes of an invitation that expires: it is not there any more, or shown as revoked.
    :param roles_through_teams: whether the roles of a person include those of the teams the person is in.
    :param lag: how many times lists show what was before a change.
    :param items_lag: whether single users, invitations and teams are behind as lists are.
    :param sparse: answers hold only what the document requires.
    :param duplicates: lists show members of teams twice.
    :param json_errors: errors are JSON, otherwise plain text.
    :param credits_exhausted: everything but reading is answered 403.
    """

    owners_by_default: bool = False
    invite_member: int | Literal["old"] = 409
    invite_pending: int | Literal["old", "another"] = 409
    collision: int = 500
    names_fold_case: bool = False
    longest_name: int = 256
    long_names: Literal["refuse", "cut"] = "refuse"
    pending_by_email: Literal["refuse", "ignore", "apply"] = "refuse"
    teams_at_acceptance: bool = True
    add_unknown: int = 404
    repeated_members: bool = True
    missing_member: int = 400
    filters: Literal["whole", "anywhere", "value", "ignored"] = "whole"
    filters_fold_case: bool = False
    expired: Literal["gone", "revoked"] = "gone"
    roles_through_teams: bool = True
    lag: int = 0
    items_lag: bool = False
    sparse: bool = False
    duplicates: bool = False
    json_errors: bool = False
    credits_exhausted: bool = False
