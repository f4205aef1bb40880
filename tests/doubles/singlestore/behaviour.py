"""What the vendor's documents leave open, as switches that tests set both ways.

Each switch names the probe that settles it on a real server: the number of a group of questions and of one in it. The
defaults are MySQL's answer where MySQL has the statement, else the answer that asks more of the gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from . import errors


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """One possible Engine.

    Attributes:
        user_exists_error: CREATE USER of an existing one (10.2).
        group_exists_error: CREATE GROUP of an existing one (10.2).
        role_exists_error: CREATE ROLE of an existing one (10.2).
        missing_user_error: DROP USER, ALTER USER, SET PASSWORD of a missing one (10.2).
        missing_grantee_error: GRANT, REVOKE, GRANT GROUP, REVOKE GROUP with a missing user (10.2).
        missing_user_shown_error: SHOW GROUPS or ROLES FOR USER of a missing one; None is an empty list (10.2).
        drop_list_with_missing: DROP USER of a list of which one is missing drops ``nothing`` or the ``others`` (10.2).
        repeat_grant_group: GRANT GROUP to a member is an ``error`` or ``silent`` (10.3).
        repeat_revoke_group: REVOKE GROUP from a non-member is an ``error`` or ``silent`` (10.3).
        repeat_error: the number of those two errors (10.3).
        membership_affects_rows: affected rows of a GRANT or REVOKE GROUP that changed something (10.3).
        if_not_exists_sets_password: CREATE USER IF NOT EXISTS gives an existing user the new password (10.3).
        if_not_exists_warns: it leaves a warning (10.3).
        locked_login_error: log-in to a locked account with the right password (10.4).
        lock_shown: what ACCOUNT_STATUS says of a manual lock (10.4).
        lock_survives_restart: of the cluster (10.4).
        lock_reaches_all_aggregators: under sync_permissions (10.4).
        lock_holds_for_plugins: ACCOUNT LOCK refuses JWT, PAM, SAML and GSSAPI users too (10.4).
        recreated_user_takes_old_sessions: sessions of a dropped user get the rights of a new one of the name (10.5).
        dropped_user_keeps_memberships: USERS_GROUPS lists a dropped user while it has sessions (10.5).
        revoke_feels: a lost right is felt by the ``next statement`` of an open session or its ``next login`` (10.6).
        long_name: a name over the limit is ``refused`` or ``truncated`` (10.7).
        long_name_error: the number of that refusal (10.7).
        group_name_limit: characters of a group's or role's name (10.7).
        case_sensitive_names: ``Ada`` and ``ada`` are two users, groups or roles (10.7).
        trailing_space: of names, ``kept`` or ``stripped`` (10.7).
        jwt_requires_ssl: authentication_jwt without REQUIRE SSL is refused (10.7).
        jwt_requires_ssl_error: the number of that refusal (10.7).
        host_choice: of two accounts that match, log-in takes the ``most exact`` or the ``widest`` (10.8).
        attribute: ALTER USER ATTRIBUTE does ``replace`` or ``merge`` (10.10).
        attribute_shown: USERS has the columns ATTRIBUTE and COMMENT, from 8.1 (10.10).
        group_privilege: what GRANT GROUP, CREATE GROUP and their like need (10.1).
        grant_permission_by: which spellings give the GRANT permission (10.1).
        grant_option_grants_anything: its holder may hand out rights that it does not have (10.1).
        alter_user_reaches_stronger: ALTER USER works on an account with more rights than one's own (10.1).
        root_can_be_altered: by others than root (10.1).
        per_privilege_allows_groups: GRANT GROUP under privilege_transfer_mode = per_privilege (10.1).
        denied_error: a statement without the privilege for it (10.11).
        show_grants_denied_error: SHOW GRANTS FOR somebody else without the GRANT permission (10.11).
        show_users_needs_all: SHOW USERS lists all only with ALL PRIVILEGES; else the GRANT permission will do (10.11).
        groups_seen_with_grant: the GRANT permission shows all of GROUPS, as 9.1 says, not only SHOW METADATA (10.11).
        type_in_users_for_group: SHOW USERS FOR GROUP has Type as its second column (10.11).
        users_groups_user: USERS_GROUPS.USER is ``'u'@'%'`` (``quoted``) or ``u@%`` (``bare``) (10.11).
        user_needs_backquotes: the column USER of a view is a reserved word (10.11).
        views_ignore_case: comparisons in information_schema are blind to case and trailing blanks (10.7).
        kill_unknown_error: KILL of an id that is not there (10.12).
        kill_denied_error: KILL of another's session without PROCESS (10.12).
        killed_listed_for: MV_PROCESSLIST shows a killed session for so many readings more (10.12).
        killed_session_error: sent to a client before its connection closes; None closes without a word (10.12).
        shard_key_update_error: UPDATE of a shard key column (10.13).
        failed_statement_commits: an account statement that fails has still committed the transaction (10.14).
        weak_password_error: a password shorter than password_min_length (10.15).
        auto_create_denied_error: GRANT to a missing user under NO_AUTO_CREATE_USER (10.2).
    """

    user_exists_error: int = errors.CANNOT_USER
    group_exists_error: int = errors.CANNOT_USER
    role_exists_error: int = errors.CANNOT_USER
    missing_user_error: int = errors.CANNOT_USER
    missing_grantee_error: int = 1133
    missing_user_shown_error: int | None = errors.NO_SUCH_GRANT
    drop_list_with_missing: Literal["nothing", "others"] = "others"
    repeat_grant_group: Literal["error", "silent"] = "silent"
    repeat_revoke_group: Literal["error", "silent"] = "silent"
    repeat_error: int = errors.CANNOT_USER
    membership_affects_rows: int = 0
    if_not_exists_sets_password: bool = False
    if_not_exists_warns: bool = True
    locked_login_error: int = 3118
    lock_shown: Literal["LOCKED", "OPEN"] = "LOCKED"
    lock_survives_restart: bool = False
    lock_reaches_all_aggregators: bool = True
    lock_holds_for_plugins: bool = True
    recreated_user_takes_old_sessions: bool = True
    dropped_user_keeps_memberships: bool = False
    revoke_feels: Literal["next statement", "next login"] = "next statement"
    long_name: Literal["refused", "truncated"] = "refused"
    long_name_error: int = 1470
    group_name_limit: int = 64
    case_sensitive_names: bool = True
    trailing_space: Literal["kept", "stripped"] = "kept"
    jwt_requires_ssl: bool = True
    jwt_requires_ssl_error: int = errors.CANNOT_USER
    host_choice: Literal["most exact", "widest"] = "most exact"
    attribute: Literal["replace", "merge"] = "replace"
    attribute_shown: bool = True
    group_privilege: Literal["GRANT OPTION", "CREATE USER"] = "GRANT OPTION"
    grant_permission_by: frozenset[str] = frozenset({"GRANT OPTION", "WITH GRANT OPTION"})
    grant_option_grants_anything: bool = True
    alter_user_reaches_stronger: bool = True
    root_can_be_altered: bool = False
    per_privilege_allows_groups: bool = False
    denied_error: int = errors.DENIED
    show_grants_denied_error: int = errors.DATABASE_DENIED
    show_users_needs_all: bool = True
    groups_seen_with_grant: bool = True
    type_in_users_for_group: bool = True
    users_groups_user: Literal["quoted", "bare"] = "quoted"
    user_needs_backquotes: bool = True
    views_ignore_case: bool = False
    kill_unknown_error: int = errors.NO_SUCH_THREAD
    kill_denied_error: int = errors.NOT_OWNER_OF_THREAD
    killed_listed_for: int = 0
    killed_session_error: int | None = None
    shard_key_update_error: int = errors.FEATURE_NOT_SUPPORTED
    failed_statement_commits: bool = True
    weak_password_error: int = 1819
    auto_create_denied_error: int = 1133
