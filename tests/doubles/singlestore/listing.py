"""SHOW of users, groups, roles, grants, variables and nodes, with the vendor's columns."""

from __future__ import annotations

from .access import rights_of
from .catalog import Group, Role, User
from .errors import NO_SUCH_GRANT, NO_SUCH_GROUP, NO_SUCH_ROLE, EngineError
from .privileges import ALL
from .results import Rows
from .session import Session
from .statements import Account, Show, ShowColumns, ShowFor, ShowGrants, ShowStatement, ShowVariables
from .statements import Role as RoleName


def show(session: Session, statement: ShowStatement) -> Rows:
    """Answer a SHOW statement; who may not see all sees less.

    Raises:
        EngineError: what it is about does not exist, or is nothing for the asking user.
    """
    match statement:
        case Show(what):
            return _LISTS[what](session)
        case ShowFor(what, of, name):
            return _show_for(session, what, of, name)
        case ShowGrants(grantee):
            return _show_grants(session, grantee)
        case ShowVariables(like):
            rows = list(session.node.cluster.variables.shown(session, like))
            return Rows(("Variable_name", "Value"), rows)
        case ShowColumns():
            raise AssertionError("columns are shown by the views")


def _sees_accounts(session: Session) -> bool:
    return rights_of(session).has_grant_permission()


def _sees_groups(session: Session) -> bool:
    rights = rights_of(session)
    return rights.has("SHOW METADATA") or rights.has_grant_permission()


def _user_row(session: Session, user: User) -> tuple[str, int, int, str | None]:
    """Name, connections, whether it is deleted, pool: what all lists of users show."""
    deleted = int(not session.node.holds(user))
    return str(user.account), session.node.sessions_of(user), deleted, user.options.resource_pool


def _show_users(session: Session) -> Rows:
    node = session.node
    needs_all = node.cluster.behaviour.show_users_needs_all
    sees_all = rights_of(session).has(ALL) if needs_all else _sees_accounts(session)
    users = {user.serial: user for user in node.users()}
    users |= {other.user.serial: other.user for other in node.sessions.values()}
    rows = []
    for user in users.values():
        if sees_all or user.serial == session.user.serial:
            name, connections, deleted, pool = _user_row(session, user)
            rows.append((name, user.type, connections, deleted, pool, "LOCAL" if user.local else "SYNC"))
    columns = ("User", "Type", "Connections", "Is deleted", "Default resource pool", "Is local")
    return Rows(columns, rows)


def _show_groups(session: Session) -> Rows:
    groups = session.node.catalog.groups.values()
    names = [group.name for group in groups if _sees_groups(session) or session.user.serial in group.members]
    return Rows(("Groups",), [(name,) for name in names])


def _show_roles(session: Session) -> Rows:
    roles = session.node.catalog.roles.values() if _sees_groups(session) else ()
    return Rows(("Roles",), [(role.name,) for role in roles])


def _show_aggregators(session: Session) -> Rows:
    columns = ("Host", "Port", "State", "Opened_Connections", "Average_Roundtrip_Latency_ms", "Master_Aggregator")
    rows = [
        (node.host, node.port, "online", len(node.sessions), None, int(node.is_master), node.id, "online")
        for node in session.node.cluster.nodes
    ]
    return Rows((*columns, "NodeID", "Runtime_State"), rows)


def _show_warnings(session: Session) -> Rows:
    return Rows(("Level", "Code", "Message"), list(session.warnings))


def _show_errors(session: Session) -> Rows:
    return Rows(("Level", "Code", "Message"), [row for row in session.warnings if row[0] == "Error"])


def _show_processlist(session: Session) -> Rows:
    sees_all = rights_of(session).has("PROCESS")
    now = session.node.cluster.clock.now()
    rows = [
        (
            other.id,
            other.user.account.name,
            f"{other.client[0]}:{other.client[1]}",
            other.database,
            other.command,
            int((now - other.since).total_seconds()),
            "executing" if other.command == "Query" else "",
            other.statement,
        )
        for other in session.node.sessions.values()
        if sees_all or other.user.serial == session.user.serial
    ]
    return Rows(("Id", "User", "Host", "db", "Command", "Time", "State", "Info"), rows)


_LISTS = {
    "USERS": _show_users,
    "GROUPS": _show_groups,
    "ROLES": _show_roles,
    "AGGREGATORS": _show_aggregators,
    "WARNINGS": _show_warnings,
    "ERRORS": _show_errors,
    "PROCESSLIST": _show_processlist,
}


def _show_for(session: Session, what: str, of: str, name: str | Account) -> Rows:
    if isinstance(name, Account):
        return _of_user(session, what, name)
    if of == "GROUP":
        group = _group(session, name)
        if what == "ROLES":
            roles = group.roles.values() if _in_sight(session, group) else ()
            return Rows((f"Roles of group {name}",), [(role.name,) for role in roles])
        return _users(session, f"Users in group {name}", list(group.members.values()))
    role = _role(session, name)
    groups = list(role.groups.values())
    if what == "GROUPS":
        return Rows((f"Groups with role {name}",), [(group.name,) for group in groups if _in_sight(session, group)])
    users = {user.serial: user for group in groups for user in group.members.values()}
    return _users(session, f"Users with role {name}", list(users.values()))


def _in_sight(session: Session, group: Group) -> bool:
    return _sees_groups(session) or session.user.serial in group.members


def _users(session: Session, header: str, users: list[User]) -> Rows:
    """Users of a group or role, all of them only for who may see all accounts."""
    seen = [user for user in users if _sees_accounts(session) or user.serial == session.user.serial]
    rows = [_user_row(session, user) for user in seen]
    if not session.node.cluster.behaviour.type_in_users_for_group:
        return Rows((header, "Connections", "Is deleted", "Default resource pool"), rows)
    typed = [(name, user.type, *rest) for user, (name, *rest) in zip(seen, rows, strict=True)]
    return Rows((header, "Type", "Connections", "Is deleted", "Default resource pool"), typed)


def _of_user(session: Session, what: str, account: Account) -> Rows:
    user = session.node.user(account)
    header = f"{'Groups' if what == 'GROUPS' else 'Roles'} of user {account.name}@{account.host}"
    if user is None:
        number = session.node.cluster.behaviour.missing_user_shown_error
        if number is not None:
            raise EngineError(number, f"There is no such user: {account}")
        return Rows((header,), [])
    if not _sees_accounts(session) and user.serial != session.user.serial:
        return Rows((header,), [])
    if what == "GROUPS":
        return Rows((header,), [(group.name,) for group in user.groups.values()])
    roles = {role.name: None for group in user.groups.values() for role in group.roles.values()}
    return Rows((header,), [(name,) for name in roles])


def _group(session: Session, name: str) -> Group:
    group = session.node.catalog.group(name)
    if group is None:
        raise EngineError(NO_SUCH_GROUP, f"Group '{name}' does not exist")
    return group


def _role(session: Session, name: str) -> Role:
    role = session.node.catalog.role(name)
    if role is None:
        raise EngineError(NO_SUCH_ROLE, f"Role '{name}' does not exist")
    return role


def _show_grants(session: Session, grantee: Account | RoleName | None) -> Rows:
    if isinstance(grantee, RoleName):
        role = _role(session, grantee.name)
        _may_see_grants(session)
        return Rows((f"Grants for role {role.name}",), [(line,) for line in role.grants.lines(str(grantee))])
    user = session.user if grantee is None else session.node.user(grantee)
    if user is None or user.serial != session.user.serial:
        _may_see_grants(session)
    if user is None:
        raise EngineError(NO_SUCH_GRANT, f"There is no such grant defined for user {grantee}")
    header = f"Grants for {user.account.name}@{user.account.host}"
    return Rows((header,), [(line,) for line in user.grants.lines(str(user.account))])


def _may_see_grants(session: Session) -> None:
    if not _sees_accounts(session):
        number = session.node.cluster.behaviour.show_grants_denied_error
        name = session.user.account
        raise EngineError(number, f"Access denied for user {name} to database 'information_schema'")
