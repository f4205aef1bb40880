"""The settings of the backend ``engine``: how it reaches SingleStore, and what it makes of people and groups there."""

from __future__ import annotations

from scim_gateway.setting import Setting, a_flag, a_list_of_texts, a_number, a_table, a_text, one_of

ENGINE_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "engine_url",
        a_text,
        None,
        "Address of the Engine, singlestore://USER@HOST:3306, without the password; TLS unless HOST is this machine.",
    ),
    Setting("engine_password", a_text, None, "Password of the gateway's account in the Engine.", secret=True),
    Setting(
        "engine_tls_ca", a_text, None, "File with the certificate authorities that the Engine's certificate needs."
    ),
    Setting(
        "engine_user_attribute",
        a_text,
        "userName",
        "Attribute of a User whose value is the account's name; also urn:…:User:attribute, or name.familyName.",
    ),
    Setting(
        "engine_user_name_steps",
        a_list_of_texts,
        (),
        "What is done to that value, in order: local-part, lower, upper, prefix:TEXT, suffix:TEXT, replace:OLD=NEW.",
    ),
    Setting(
        "engine_group_name_steps", a_list_of_texts, (), "What is done to displayName to get the group's name; as above."
    ),
    Setting(
        "engine_user_name_limit",
        a_number(8, 320),
        None,
        "Most characters of an account's name; by default 320 with jwt, otherwise 32.",
    ),
    Setting("engine_group_name_limit", a_number(8, 256), 32, "Most characters of a group's name."),
    Setting(
        "engine_long_names",
        one_of(("refuse", "shorten")),
        "refuse",
        "A name over the limit is refused, or shortened to its beginning and a hash.",
    ),
    Setting(
        "engine_authentication",
        a_text,
        "jwt",
        "How new accounts log in: jwt, pam:SERVICE, saml, gssapi:SPN ({name} stands for the account), or password "
        "(a long random one that nobody keeps).",
    ),
    Setting(
        "engine_require",
        one_of(("ssl", "x509", "none")),
        "ssl",
        "What new accounts must bring besides: ssl, x509 (8.9 and newer), none; jwt always needs at least ssl.",
    ),
    Setting("engine_resource_pool", a_text, None, "Default resource pool of new accounts."),
    Setting(
        "engine_on_deactivate",
        one_of(("lock", "drop")),
        "lock",
        "What becomes of the account of somebody inactive: lock keeps what was granted to it by hand, drop does not.",
    ),
    Setting(
        "engine_on_rename",
        one_of(("carry", "keep")),
        "carry",
        "A new name makes a new account or group that takes over everything (carry), or changes nothing (keep).",
    ),
    Setting(
        "engine_kill_sessions",
        a_flag,
        True,
        "Whether deactivation and deletion end open sessions; off: they live on until their owners leave.",
    ),
    Setting("engine_groups", a_list_of_texts, ("*",), "Patterns of the displayNames that become groups of the Engine."),
    Setting(
        "engine_roles",
        a_table,
        {},
        'Roles by displayName or pattern, {"data-team" = ["analyst"]}: granted to such groups, never taken away.',
    ),
    Setting(
        "engine_protected_users",
        a_list_of_texts,
        (),
        "Patterns of account names that are never managed, beside root, admin, distributed and the gateway's own.",
    ),
    Setting("engine_protected_groups", a_list_of_texts, (), "Patterns of group names that are never managed."),
    Setting(
        "engine_protected_roles",
        a_list_of_texts,
        (),
        "Patterns of names of roles: groups that have one are never managed, beside those that make administrators.",
    ),
    Setting(
        "engine_concurrency",
        a_number(1, 16),
        1,
        "How many changes of accounts one process sends at a time, with up to four connections for each, besides those "
        "of large changes that wait; the Engine does one after the other.",
    ),
)
