"""Account statements executed: users, groups and memberships."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from . import versions as since
from .access import denied, need, need_grant_permission, need_to_alter
from .catalog import User, UserType, password_hash
from .errors import EngineError
from .granting import create_role, drop_role, grant, grant_role, revoke, revoke_all, revoke_role
from .objects import bounded, cannot, catalog_of, find_user, need_group, need_member, note_update
from .privileges import ALL
from .results import Done
from .session import Session
from .statements import (
    Account,
    AccountStatement,
    AlterUser,
    CreateGroup,
    CreateRole,
    CreateUser,
    DropGroup,
    DropRole,
    DropUser,
    Grant,
    GrantGroup,
    GrantRole,
    Options,
    Password,
    Plugin,
    Revoke,
    RevokeAll,
    RevokeGroup,
    RevokeRole,
    SetPassword,
)

_TYPES: dict[str, UserType] = {
    "authentication_gss": "GSSAPI",
    "authentication_pam": "PAM",
    "authentication_saml": "SAML",
    "authentication_jwt": "JWT",
}


def execute(session: Session, statement: AccountStatement) -> Done:
    """Carry out an account statement for the user of ``session``.

    Raises:
        EngineError: it is refused; nothing has changed then, but for lists of users.
    """
    return _EXECUTORS[type(statement)](session, statement)


def _check_password(session: Session, password: Password | None) -> str:
    """The hash of a password that the policy allows; of none, that of an empty one."""
    text = password.text if password else ""
    cluster = session.node.cluster
    for variable, count in (
        ("password_min_length", len(text)),
        ("password_min_uppercase_chars", sum(map(str.isupper, text))),
        ("password_min_lowercase_chars", sum(map(str.islower, text))),
        ("password_min_numeric_chars", sum(map(str.isdigit, text))),
        ("password_min_special_chars", sum(not character.isalnum() for character in text)),
    ):
        if count < cluster.variables.defaults[variable]:
            raise EngineError(cluster.behaviour.weak_password_error, f"The password does not satisfy {variable}")
    return password_hash(text)


def create_user(session: Session, statement: CreateUser) -> Done:
    need(session, "CREATE USER")
    cluster = session.node.cluster
    behaviour = cluster.behaviour
    plugin, password = None, None
    if isinstance(statement.identified, Plugin):
        plugin = statement.identified
    else:
        password = statement.identified
    is_jwt = plugin is not None and plugin.name == "authentication_jwt"
    if is_jwt and behaviour.jwt_requires_ssl and statement.require in (None, "NONE"):
        raise EngineError(behaviour.jwt_requires_ssl_error, "authentication_jwt needs REQUIRE SSL")
    limit = 320 if is_jwt and cluster.has(since.LONG_JWT_NAMES) else 32
    account = Account(bounded(session, statement.account.name, limit, "user"), statement.account.host)
    existing = find_user(session, account)
    if existing is not None:
        return _create_existing(session, statement, existing)
    hashed = "" if plugin else _check_password(session, password)
    catalog_of(session).add_user(
        User(
            account,
            _TYPES[plugin.name] if plugin else "Native",
            hashed,
            cluster.clock.now(),
            require=statement.require or "NONE",
            options=statement.options,
            attribute=statement.attribute,
            comment=statement.comment,
            local=not cluster.sync_permissions,
        )
    )
    return Done()


def _create_existing(session: Session, statement: CreateUser, existing: User) -> Done:
    behaviour = session.node.cluster.behaviour
    if not statement.if_not_exists:
        raise EngineError(behaviour.user_exists_error, f"Operation CREATE USER failed for {statement.account}")
    if behaviour.if_not_exists_sets_password and isinstance(statement.identified, Password):
        _set_password(session, existing, statement.identified)
    if behaviour.if_not_exists_warns:
        text = f"User {statement.account} already exists"
        session.warnings.append(("Note", behaviour.user_exists_error, text))
    return Done()


def _set_password(session: Session, user: User, password: Password) -> None:
    user.password_hash = _check_password(session, password)
    user.type = "Native"
    user.password_updated = session.node.cluster.clock.now()


def alter_user(session: Session, statement: AlterUser) -> Done:
    user = find_user(session, statement.account)
    need_to_alter(session, user)
    if user is None:
        raise cannot(session, "ALTER USER", statement.account)
    behaviour = session.node.cluster.behaviour
    if statement.password is not None:
        _set_password(session, user, statement.password)
    if statement.lock is True:
        all_nodes = behaviour.lock_reaches_all_aggregators and session.node.cluster.sync_permissions
        user.locked_on |= session.node.cluster.node_ids if all_nodes else {session.node.id}
    elif statement.lock is False:
        user.locked_on.clear()
        for node in session.node.cluster.nodes:
            node.failed_logins.pop(user.serial, None)
    if statement.options != Options():
        given = {name: value for name, value in _fields(statement.options).items() if value is not None}
        user.options = replace(user.options, **given)
    if statement.require is not None:
        user.require = statement.require
    if statement.attribute is not None:
        user.attribute = _attribute(user.attribute, statement.attribute, merged=behaviour.attribute == "merge")
    if statement.comment is not None:
        user.comment = statement.comment
    note_update(session, user)
    return Done()


def _fields(options: Options) -> dict[str, Any]:
    return {name: getattr(options, name) for name in Options.__dataclass_fields__}


def _attribute(before: str | None, given: str, *, merged: bool) -> str:
    if not merged or before is None:
        return given
    old, new = json.loads(before), json.loads(given)
    return json.dumps({**old, **new}) if isinstance(old, dict) and isinstance(new, dict) else given


def set_password(session: Session, statement: SetPassword) -> Done:
    user = find_user(session, statement.account)
    if user is None or user.serial != session.user.serial:
        if session.node.cluster.has(since.ALTER_USER_PRIVILEGE):
            need(session, "SUPER", "ALTER USER")
        else:
            need(session, "SUPER")
    if user is None:
        raise cannot(session, "SET PASSWORD", statement.account)
    _set_password(session, user, statement.password)
    note_update(session, user)
    return Done()


def drop_user(session: Session, statement: DropUser) -> Done:
    need(session, "CREATE USER")
    found = [(account, find_user(session, account)) for account in statement.accounts]
    missing = [account for account, user in found if user is None]
    if missing and not statement.if_exists and session.node.cluster.behaviour.drop_list_with_missing == "nothing":
        raise cannot(session, "DROP USER", missing[0])
    if any(user is session.node.root for _account, user in found):
        raise denied(session, "a user other than root")
    catalog = catalog_of(session)
    for _account, user in found:
        if user is not None and catalog.holds(user):
            catalog.drop_user(user)
            if not any(node.sessions_of(user) for node in session.node.cluster.nodes):
                catalog.forget_memberships(user)  # a dropped user is listed on only while it has sessions
    if missing and not statement.if_exists:
        raise cannot(session, "DROP USER", missing[0])
    return Done()


def create_group(session: Session, statement: CreateGroup) -> Done:
    _need_group_privilege(session)
    behaviour = session.node.cluster.behaviour
    name = bounded(session, statement.group, behaviour.group_name_limit, "group")
    if catalog_of(session).group(name) is not None:
        raise EngineError(behaviour.group_exists_error, f"Group '{name}' already exists")
    catalog_of(session).add_group(name)
    return Done()


def _need_group_privilege(session: Session) -> None:
    behaviour = session.node.cluster.behaviour
    mode = session.node.cluster.variables.defaults["privilege_transfer_mode"]
    if mode == "per_privilege" and not behaviour.per_privilege_allows_groups:
        need(session, ALL)
    elif behaviour.group_privilege == "CREATE USER":
        need(session, "CREATE USER")
    else:
        need_grant_permission(session)


def drop_group(session: Session, statement: DropGroup) -> Done:
    _need_group_privilege(session)
    group = catalog_of(session).group(statement.group)
    if group is None and statement.if_exists:
        return Done()
    catalog_of(session).drop_group(need_group(session, statement.group))
    return Done()


def grant_group(session: Session, statement: GrantGroup) -> Done:
    _need_group_privilege(session)
    group = need_group(session, statement.group)
    user = need_member(session, statement.account)
    behaviour = session.node.cluster.behaviour
    if user.serial in group.members:
        if behaviour.repeat_grant_group == "error":
            raise EngineError(behaviour.repeat_error, f"{user.account} is in the group '{group.name}' already")
        return Done()
    catalog_of(session).join(user, group)
    return Done(behaviour.membership_affects_rows)


def revoke_group(session: Session, statement: RevokeGroup) -> Done:
    _need_group_privilege(session)
    group = need_group(session, statement.group)
    user = need_member(session, statement.account)
    behaviour = session.node.cluster.behaviour
    if user.serial not in group.members:
        if behaviour.repeat_revoke_group == "error":
            raise EngineError(behaviour.repeat_error, f"{user.account} is not in the group '{group.name}'")
        return Done()
    catalog_of(session).leave(user, group)
    return Done(behaviour.membership_affects_rows)


_EXECUTORS: dict[type, Callable[[Session, Any], Done]] = {
    CreateUser: create_user,
    AlterUser: alter_user,
    SetPassword: set_password,
    DropUser: drop_user,
    CreateGroup: create_group,
    DropGroup: drop_group,
    GrantGroup: grant_group,
    RevokeGroup: revoke_group,
    CreateRole: create_role,
    DropRole: drop_role,
    GrantRole: grant_role,
    RevokeRole: revoke_role,
    Grant: grant,
    Revoke: revoke,
    RevokeAll: revoke_all,
}
