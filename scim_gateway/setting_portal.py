"""The settings of the backend ``portal``: how it reaches the Management API, and what it makes of people and groups."""

from __future__ import annotations

from scim_gateway.setting import Setting, a_flag, a_list_of_texts, a_text, a_url, one_of

PORTAL_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "portal_url",
        a_url,
        "https://api.singlestore.com",
        "Address of the SingleStore Management API, without /v1; https, unless it is this machine.",
    ),
    Setting(
        "portal_api_key",
        a_text,
        None,
        "API key of an owner of the organization, made in the Portal; not the key of somebody who is in the IdP.",
        secret=True,
    ),
    Setting("portal_ca_file", a_text, None, "File with certificate authorities in place of the system's."),
    Setting(
        "portal_organization",
        a_text,
        None,
        "Name or id of the organization that the key has to belong to; with another one nothing is done.",
    ),
    Setting(
        "portal_address",
        one_of(("email", "username")),
        "email",
        "What a User is known by in the organization: the primary email address, or the userName.",
    ),
    Setting(
        "portal_email_domain",
        a_text,
        None,
        "Domain to make an address of a userName without @, for users that come without an email address.",
    ),
    Setting(
        "portal_without_address",
        one_of(("refuse", "skip")),
        "refuse",
        "What becomes of a User of whom no address can be made: refused, or kept in the directory alone.",
    ),
    Setting("portal_groups", a_list_of_texts, ("*",), "Patterns of the displayNames that become teams."),
    Setting(
        "portal_nested_groups",
        a_flag,
        True,
        "Whether a group in a group is a team in a team; off: its people are members of the outer team.",
    ),
    Setting(
        "portal_add_existing",
        a_flag,
        False,
        "Whether people who have a SingleStore account are added at once, without an invitation.",
    ),
    Setting(
        "portal_match_members",
        a_flag,
        False,
        "Whether members whom the gateway did not invite are taken under management when the identity provider sends "
        "their address; off: only those that scim-gateway adopt lists.",
    ),
    Setting(
        "portal_default_owner",
        one_of(("refuse", "remove")),
        "refuse",
        "Where the edition makes invited people owners: nobody is invited, or they are taken out of the owners' team.",
    ),
    Setting(
        "portal_pending_teams",
        one_of(("invitation", "email", "wait")),
        "invitation",
        "Teams of somebody who has not accepted yet: named in the invitation, also asked for by address later, or "
        "joined after the acceptance only.",
    ),
    Setting(
        "portal_team_description",
        a_text,
        "Kept equal to a group of the identity provider; changes of its members are undone.",
        "Description of the teams that the gateway makes.",
    ),
    Setting(
        "portal_probe_address",
        a_text,
        None,
        "Address that scim-gateway check --probe may invite and revoke again; without one it invites nobody.",
    ),
    Setting(
        "portal_protected_users",
        a_list_of_texts,
        (),
        "Patterns of addresses that are never managed, beside owners, administrators and the key's own user.",
    ),
    Setting(
        "portal_protected_teams",
        a_list_of_texts,
        (),
        "Patterns of team names that are never managed, beside the predefined ones and those that make owners.",
    ),
    Setting(
        "portal_allowed_teams",
        a_list_of_texts,
        (),
        "Exact names of protected teams that may be managed all the same; never one that makes owners.",
    ),
)
