"""Every statement that the gateway sends to the Engine, one function for each; nothing else holds SQL.

Names and passwords are parameters that the driver writes as string literals, by the server's own rules for quotes; an
account is always named with its host. Each statement is one line of text of ours, so what a name holds can neither end
a literal nor begin another statement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .grants import Grant
from .names import account_spellings

HOST = "%"
_ACCOUNT = "%s@%s"
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

Plugin = Literal["authentication_jwt", "authentication_pam", "authentication_saml", "authentication_gss"]
Require = Literal["ssl", "x509", "none"]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and its parameters.

    :param verb: what it is called in errors and logs: no names, no secrets.
    :param sql: text with a ``%s`` for each parameter.
    """

    verb: str
    sql: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Identified:
    """How an account logs in: by a password, or by a plugin with the text that it wants.

    :param text: the password; or the PAM service, the Kerberos name, nothing.
    """

    plugin: Plugin | None
    text: str | None = None

    def __repr__(self) -> str:
        return f"Identified({self.plugin})"


def is_word(name: str) -> bool:
    """Whether a name can stand in a statement as it is (of a resource pool, which takes no literal)."""
    return _WORD.fullmatch(name) is not None


def create_user(
    name: str,
    identified: Identified,
    *,
    require: Require = "none",
    pool: str | None = None,
    attribute: str | None = None,
    comment: str | None = None,
) -> Statement:
    """Make an account that was not there: without IF NOT EXISTS, so that an existing one is an error.

    :raises ValueError: the password is empty, which would let anybody in; or the pool's name is none.
    """
    parts, parameters = [f"CREATE USER {_ACCOUNT}"], [name, HOST]
    if identified.plugin is None:
        if not identified.text:
            raise ValueError("an account without a password")
        parts.append("IDENTIFIED BY %s")
    else:
        parts.append(f"IDENTIFIED WITH {identified.plugin}" + (" AS %s" if identified.text else ""))
    if identified.text:
        parameters.append(identified.text)
    if pool is not None:
        parts.append(f"WITH DEFAULT RESOURCE POOL = {_pool(pool)}")
    if require != "none":
        parts.append(f"REQUIRE {require.upper()}")
    return _with_notes("CREATE USER", parts, parameters, attribute, comment)


def change_user(
    name: str,
    *,
    lock: bool | None = None,
    pool: str | None = None,
    attribute: str | None = None,
    comment: str | None = None,
) -> Statement:
    """Lock or unlock an account, set its pool, its attribute or its comment; what is ``None`` stays."""
    parts = [f"ALTER USER {_ACCOUNT}"]
    if lock is not None:
        parts.append("ACCOUNT LOCK" if lock else "ACCOUNT UNLOCK")
    if pool is not None:
        parts.append(f"SET DEFAULT RESOURCE POOL = {_pool(pool)}")
    return _with_notes("ALTER USER", parts, [name, HOST], attribute, comment)


def _with_notes(
    verb: str, parts: list[str], parameters: list[str], attribute: str | None, comment: str | None
) -> Statement:
    if attribute is not None:
        parts.append("ATTRIBUTE %s")
        parameters.append(attribute)
    if comment is not None:
        parts.append("COMMENT %s")
        parameters.append(comment)
    return Statement(verb, " ".join(parts), tuple(parameters))


def _pool(name: str) -> str:
    if not is_word(name):
        raise ValueError("no name of a resource pool")
    return name


def change_password(name: str, password: str) -> Statement:
    """Give an account another password; nothing else fits into the statement.

    :raises ValueError: the password is empty, which would let anybody in.
    """
    if not password:
        raise ValueError("an account without a password")
    return Statement("ALTER USER", f"ALTER USER {_ACCOUNT} IDENTIFIED BY %s", (name, HOST, password))


def drop_user(name: str) -> Statement:
    """Remove an account, if it is there; its sessions live on."""
    return Statement("DROP USER", f"DROP USER IF EXISTS {_ACCOUNT}", (name, HOST))


def create_group(name: str) -> Statement:
    """Make a group that was not there."""
    return Statement("CREATE GROUP", "CREATE GROUP %s", (name,))


def drop_group(name: str) -> Statement:
    """Remove a group, if it is there, with its memberships and its links to roles."""
    return Statement("DROP GROUP", "DROP GROUP IF EXISTS %s", (name,))


def grant_group(group: str, name: str) -> Statement:
    """Make an account a member of a group."""
    return Statement("GRANT GROUP", f"GRANT GROUP %s TO {_ACCOUNT}", (group, name, HOST))


def revoke_group(group: str, name: str) -> Statement:
    """End a membership."""
    return Statement("REVOKE GROUP", f"REVOKE GROUP %s FROM {_ACCOUNT}", (group, name, HOST))


def grant_role(role: str, group: str) -> Statement:
    """Give a group a role."""
    return Statement("GRANT ROLE", "GRANT ROLE %s TO %s", (role, group))


def create_role(name: str) -> Statement:
    """Make a role that was not there; only a probe does."""
    return Statement("CREATE ROLE", "CREATE ROLE %s", (name,))


def drop_role(name: str) -> Statement:
    """Remove a role, if it is there; only a probe does."""
    return Statement("DROP ROLE", "DROP ROLE IF EXISTS %s", (name,))


def grant_sight(role: str) -> Statement:
    """Let holders of a role see which groups there are; only a probe does."""
    return Statement("GRANT to a role", "GRANT SHOW METADATA ON *.* TO ROLE %s", (role,))


def grant_privileges(grant: Grant, name: str) -> Statement:
    """Give an account what another one was given directly."""
    # The driver fills parameters in with %, so a % in the name of a database is written twice.
    given = f"GRANT {', '.join(grant.privileges)} ON {grant.scope}".replace("%", "%%")
    return Statement("GRANT", f"{given} TO {_ACCOUNT}", (name, HOST))


def kill_connection(id: int, node: int) -> Statement:
    """End a session, on whatever node it is; ids repeat across nodes."""
    return Statement("KILL CONNECTION", f"KILL CONNECTION {id:d} {node:d}")


def own_connections(user: str) -> Statement:
    """Connections of the gateway's own account, of all nodes: NODE_ID, ID."""
    return Statement(
        "SELECT of MV_PROCESSLIST",
        "SELECT NODE_ID, ID FROM information_schema.MV_PROCESSLIST WHERE `USER` = %s",
        (user,),
    )


def sessions_of(name: str) -> Statement:
    """Sessions of a user on all nodes, in any letter case: NODE_ID, ID, USER."""
    return Statement(
        "SELECT of MV_PROCESSLIST",
        "SELECT NODE_ID, ID, `USER` FROM information_schema.MV_PROCESSLIST "
        "WHERE `USER` = %s OR LOWER(`USER`) = LOWER(%s)",
        (name, name),
    )


def users_named(name: str) -> Statement:
    """All accounts of one name in any letter case, of any host; with all columns, because versions differ in them."""
    return Statement(
        "SELECT of USERS",
        "SELECT * FROM information_schema.USERS WHERE `USER` = %s OR LOWER(`USER`) = LOWER(%s)",
        (name, name),
    )


def somebody_but(name: str) -> Statement:
    """One account of another name, if any can be seen: USER."""
    sql = "SELECT `USER` FROM information_schema.USERS WHERE `USER` <> %s LIMIT 1"
    return Statement("SELECT of USERS", sql, (name,))


def groups_like(name: str) -> Statement:
    """All groups of one name in any letter case: GROUP_NAME."""
    sql = "SELECT GROUP_NAME FROM information_schema.`GROUPS` WHERE LOWER(GROUP_NAME) = LOWER(%s)"
    return Statement("SELECT of GROUPS", sql, (name,))


def _list(values: Sequence[str]) -> str:
    return f"({', '.join(['%s'] * len(values))})"


def names_among(names: Sequence[str]) -> Statement:
    """Which of these names have an account: USER, HOST, IS_DELETED."""
    sql = "SELECT `USER`, `HOST`, IS_DELETED FROM information_schema.USERS WHERE `USER` IN "
    return Statement("SELECT of USERS", sql + _list(names), tuple(names))


ALL_USERS = Statement("SELECT of USERS", "SELECT * FROM information_schema.USERS")
GROUPS = Statement("SELECT of GROUPS", "SELECT GROUP_NAME, NUM_USERS FROM information_schema.`GROUPS`")
ROLES = Statement("SHOW ROLES", "SHOW ROLES")
ALL_MEMBERS = Statement("SELECT of USERS_GROUPS", "SELECT `GROUP`, `USER` FROM information_schema.USERS_GROUPS")
ALL_GROUP_ROLES = Statement("SELECT of GROUPS_ROLES", "SELECT `GROUP`, `ROLE` FROM information_schema.GROUPS_ROLES")
PRIVILEGES = Statement(
    "SELECT of USER_PRIVILEGES",
    "SELECT GRANTEE, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.USER_PRIVILEGES",
)


def members_of(group: str) -> Statement:
    """All members of the groups of one name in any letter case: USER, GROUP."""
    sql = "SELECT `USER`, `GROUP` FROM information_schema.USERS_GROUPS WHERE LOWER(`GROUP`) = LOWER(%s)"
    return Statement("SELECT of USERS_GROUPS", sql, (group,))


def members_among(group: str, names: Sequence[str]) -> Statement:
    """Which of these accounts are members of the groups of one name in any letter case: USER, GROUP."""
    spellings = tuple(spelling for name in names for spelling in account_spellings(name))
    sql = "SELECT `USER`, `GROUP` FROM information_schema.USERS_GROUPS WHERE LOWER(`GROUP`) = LOWER(%s) AND `USER` IN "
    return Statement("SELECT of USERS_GROUPS", sql + _list(spellings), (group, *spellings))


def groups_of(name: str) -> Statement:
    """The groups that an account is in: GROUP, USER."""
    spellings = account_spellings(name)
    sql = "SELECT `GROUP`, `USER` FROM information_schema.USERS_GROUPS WHERE `USER` IN "
    return Statement("SELECT of USERS_GROUPS", sql + _list(spellings), spellings)


def roles_of_groups(groups: Sequence[str]) -> Statement:
    """The roles that any of these groups has: ROLE."""
    sql = "SELECT `ROLE` FROM information_schema.GROUPS_ROLES WHERE `GROUP` IN "
    return Statement("SELECT of GROUPS_ROLES", sql + _list(groups), tuple(groups))


def roles_of(group: str) -> Statement:
    """The roles of a group, by a statement that says when there is no such group."""
    return Statement("SHOW ROLES FOR GROUP", "SHOW ROLES FOR GROUP %s", (group,))


OWN_GRANTS = Statement("SHOW GRANTS", "SHOW GRANTS")


def grants_of(name: str, host: str = HOST) -> Statement:
    """What an account was given directly, a line each."""
    return Statement("SHOW GRANTS FOR", f"SHOW GRANTS FOR {_ACCOUNT}", (name, host))


def grants_of_role(role: str) -> Statement:
    """What a role gives, a line each."""
    return Statement("SHOW GRANTS FOR ROLE", "SHOW GRANTS FOR ROLE %s", (role,))


VERSION = Statement("SELECT @@memsql_version", "SELECT @@memsql_version")
VERSIONS = Statement("SHOW VARIABLES", "SHOW VARIABLES LIKE '%%version%%'")
SYNC_PERMISSIONS = Statement("SELECT @@sync_permissions", "SELECT @@sync_permissions")
AGGREGATORS = Statement("SHOW AGGREGATORS", "SHOW AGGREGATORS")
TRANSFER_MODE = Statement("SELECT @@privilege_transfer_mode", "SELECT @@privilege_transfer_mode")
CLOCK = Statement("SELECT UTC_TIMESTAMP", "SELECT UTC_TIMESTAMP()")
OWN_ACCOUNT = Statement("SELECT CURRENT_USER", "SELECT CURRENT_USER()")
