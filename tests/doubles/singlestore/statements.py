"""The account, session and SHOW statements of the Engine as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .tokens import literal

Require = Literal["SSL", "X509", "SUBJECT", "NONE"]


@dataclass(frozen=True, slots=True)
class Account:
    """A user's name and the host it may come from; without a host ``%`` is meant."""

    name: str
    host: str = "%"

    def __str__(self) -> str:
        """As SHOW USERS writes it: ``'name'@'host'``."""
        return f"{literal(self.name)}@{literal(self.host)}"


@dataclass(frozen=True, slots=True)
class Password:
    """``IDENTIFIED BY 'text'``; an empty text lets anybody in."""

    text: str

    def __repr__(self) -> str:
        return "Password(…)"


@dataclass(frozen=True, slots=True)
class Plugin:
    """``IDENTIFIED WITH plugin [AS 'text']``."""

    name: Literal["authentication_gss", "authentication_pam", "authentication_saml", "authentication_jwt"]
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """Resource pool and lock-out of a user or role; None leaves a value as it is. Times are seconds."""

    resource_pool: str | None = None
    failed_login_attempts: int | None = None
    password_lock_time: int | None = None
    auditlog_level: str | None = None


@dataclass(frozen=True, slots=True)
class CreateUser:
    account: Account
    identified: Password | Plugin | None = None
    if_not_exists: bool = False
    options: Options = Options()
    require: Require | None = None
    attribute: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class AlterUser:
    account: Account
    password: Password | None = None
    lock: bool | None = None
    options: Options = Options()
    require: Require | None = None
    attribute: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class SetPassword:
    account: Account
    password: Password


@dataclass(frozen=True, slots=True)
class DropUser:
    accounts: tuple[Account, ...]
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateGroup:
    group: str


@dataclass(frozen=True, slots=True)
class DropGroup:
    group: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class GrantGroup:
    group: str
    account: Account


@dataclass(frozen=True, slots=True)
class RevokeGroup:
    group: str
    account: Account


@dataclass(frozen=True, slots=True)
class CreateRole:
    role: str
    options: Options = Options()


@dataclass(frozen=True, slots=True)
class DropRole:
    role: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class GrantRole:
    role: str
    group: str


@dataclass(frozen=True, slots=True)
class RevokeRole:
    role: str
    group: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What a privilege is for: ``*.*``, ``db.*`` or ``db.table``; ``*`` alone is the current database."""

    database: str | None = None
    table: str | None = None
    current_database: bool = False

    def __str__(self) -> str:
        """As SHOW GRANTS writes it."""
        if self.database is None:
            return "*.*"
        return f"{_backquoted(self.database)}.{'*' if self.table is None else _backquoted(self.table)}"


def _backquoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


@dataclass(frozen=True, slots=True)
class Role:
    """A role as the receiver of privileges: ``ROLE 'r'``."""

    name: str

    def __str__(self) -> str:
        return f"ROLE {literal(self.name)}"


@dataclass(frozen=True, slots=True)
class Grant:
    privileges: tuple[str, ...]
    scope: Scope
    grantees: tuple[Account | Role, ...]
    transferable: bool = False
    with_grant_option: bool = False
    require: Require | None = None


@dataclass(frozen=True, slots=True)
class Revoke:
    privileges: tuple[str, ...]
    scope: Scope
    grantees: tuple[Account | Role, ...]


@dataclass(frozen=True, slots=True)
class RevokeAll:
    """``REVOKE ALL PRIVILEGES, GRANT OPTION FROM user``."""

    account: Account


@dataclass(frozen=True, slots=True)
class Kill:
    """``KILL CONNECTION id node``; without a node the one that is asked."""

    id: int
    node_id: int | None = None
    query_only: bool = False


@dataclass(frozen=True, slots=True)
class KillAll:
    """``KILLALL`` of this node, of connections or queries, all or those like a pattern."""

    queries_only: bool = False
    like: str | None = None


@dataclass(frozen=True, slots=True)
class Show:
    """A list that names nothing: ``SHOW USERS``, ``SHOW GROUPS``, ``SHOW ROLES``, ``SHOW AGGREGATORS`` and so on."""

    what: Literal["USERS", "GROUPS", "ROLES", "AGGREGATORS", "WARNINGS", "ERRORS", "PROCESSLIST"]


@dataclass(frozen=True, slots=True)
class ShowFor:
    """A list about one object: ``SHOW USERS FOR GROUP 'g'``, ``SHOW ROLES FOR USER 'u'@'h'`` and so on."""

    what: Literal["USERS", "GROUPS", "ROLES"]
    of: Literal["USER", "GROUP", "ROLE"]
    name: str | Account


@dataclass(frozen=True, slots=True)
class ShowGrants:
    """``SHOW GRANTS``, of oneself when nobody is named."""

    grantee: Account | Role | None = None


@dataclass(frozen=True, slots=True)
class ShowVariables:
    """``SHOW VARIABLES``, those like a pattern or of one name."""

    like: str | None = None


@dataclass(frozen=True, slots=True)
class ShowColumns:
    """``SHOW COLUMNS FROM information_schema.view``."""

    database: str | None
    table: str


AccountStatement = (
    CreateUser
    | AlterUser
    | SetPassword
    | DropUser
    | CreateGroup
    | DropGroup
    | GrantGroup
    | RevokeGroup
    | CreateRole
    | DropRole
    | GrantRole
    | RevokeRole
    | Grant
    | Revoke
    | RevokeAll
)
ShowStatement = Show | ShowFor | ShowGrants | ShowVariables | ShowColumns
Statement = AccountStatement | Kill | KillAll | ShowStatement
