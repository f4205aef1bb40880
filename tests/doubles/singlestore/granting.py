"""Roles and privileges: made, given to groups, granted and revoked."""

from __future__ import annotations

from .access import need_grant_permission, need_to_grant
from .catalog import Role, User
from .errors import EngineError, UnknownStatement
from .objects import bounded, catalog_of, find_user, need_group, need_member, need_role, note_update
from .privileges import ALL, GRANT_OPTION, WITH_GRANT_OPTION
from .results import Done
from .session import Session
from .statements import Account, CreateRole, DropRole, Grant, GrantRole, Revoke, RevokeAll, RevokeRole, Scope
from .statements import Role as RoleName


def create_role(session: Session, statement: CreateRole) -> Done:
    need_grant_permission(session)
    behaviour = session.node.cluster.behaviour
    name = bounded(session, statement.role, behaviour.group_name_limit, "role")
    if catalog_of(session).role(name) is not None:
        raise EngineError(behaviour.role_exists_error, f"Role '{name}' already exists")
    catalog_of(session).add_role(Role(name, statement.options))
    return Done()


def drop_role(session: Session, statement: DropRole) -> Done:
    need_grant_permission(session)
    if catalog_of(session).role(statement.role) is None and statement.if_exists:
        return Done()
    catalog_of(session).drop_role(need_role(session, statement.role))
    return Done()


def grant_role(session: Session, statement: GrantRole) -> Done:
    need_grant_permission(session)
    role, group = need_role(session, statement.role), need_group(session, statement.group)
    catalog_of(session).link(group, role)
    return Done()


def revoke_role(session: Session, statement: RevokeRole) -> Done:
    need_grant_permission(session)
    role, group = need_role(session, statement.role), need_group(session, statement.group)
    if role in group.roles.values():
        catalog_of(session).unlink(group, role)
    return Done()


def _scope(session: Session, scope: Scope) -> Scope:
    if not scope.current_database:
        return scope
    if session.database is None:
        raise EngineError(1046, "No database selected")
    return Scope(session.database)


def grant(session: Session, statement: Grant) -> Done:
    scope = _scope(session, statement.scope)
    need_to_grant(session, statement.privileges, scope)
    privileges = set(statement.privileges)
    if statement.with_grant_option:
        privileges.add(WITH_GRANT_OPTION)
    for grantee in statement.grantees:
        if isinstance(grantee, RoleName):
            need_role(session, grantee.name).grants.add(scope, privileges, transferable=statement.transferable)
            continue
        user = find_user(session, grantee) or _auto_created(session, grantee)
        user.grants.add(scope, privileges, transferable=statement.transferable)
        if statement.require is not None:
            user.require = statement.require
        note_update(session, user)
    return Done()


def _auto_created(session: Session, account: Account) -> User:
    """The user that GRANT makes on old servers, with an empty password."""
    cluster = session.node.cluster
    if cluster.refuses_auto_create(session):
        raise EngineError(cluster.behaviour.auto_create_denied_error, f"{account} does not exist; GRANT makes no users")
    name = bounded(session, account.name, 32, "user")
    user = User(Account(name, account.host), "Native", "", cluster.clock.now(), local=not cluster.sync_permissions)
    catalog_of(session).add_user(user)
    session.warnings.append(("Warning", 1287, "Using GRANT for creating a new user is deprecated"))
    return user


def revoke(session: Session, statement: Revoke) -> Done:
    scope = _scope(session, statement.scope)
    need_to_grant(session, statement.privileges, scope)
    if GRANT_OPTION in statement.privileges and len(statement.privileges) > 1:
        raise UnknownStatement("GRANT OPTION must be revoked by itself")
    for grantee in statement.grantees:
        user = None if isinstance(grantee, RoleName) else need_member(session, grantee)
        grants = need_role(session, grantee.name).grants if user is None else user.grants
        held = grants.held.get(scope, set())
        if ALL in held and not {ALL, GRANT_OPTION} & set(statement.privileges):
            raise UnknownStatement("what is left of ALL PRIVILEGES without one of them is not documented")
        grants.remove(scope, statement.privileges)
        if user is not None:
            note_update(session, user)
    return Done()


def revoke_all(session: Session, statement: RevokeAll) -> Done:
    need_grant_permission(session)
    user = need_member(session, statement.account)
    user.grants.clear()
    note_update(session, user)
    return Done()
