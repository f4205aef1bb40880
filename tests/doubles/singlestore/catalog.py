"""Users, groups and roles of a cluster, or of one aggregator: only data, and no question of who may change it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha1
from typing import Literal, NamedTuple

from .behaviour import Behaviour
from .privileges import Grants
from .statements import Account, Options, Require

UserType = Literal["Native", "SAML", "PAM", "GSSAPI", "JWT"]
_serials = itertools.count(1)


def password_hash(password: str) -> str:
    """What mysql_native_password keeps of a password; nothing of an empty one."""
    # The protocol's own digest: clients prove that they know it.
    return sha1(sha1(password.encode()).digest()).hexdigest() if password else ""


@dataclass(eq=False, repr=False)
class User:
    """One account and how it logs in; ``locked_on`` are the ids of the nodes that refuse it since ACCOUNT LOCK."""

    account: Account
    type: UserType
    password_hash: str
    created: datetime
    require: Require = "NONE"
    options: Options = field(default_factory=Options)
    attribute: str | None = None
    comment: str | None = None
    locked_on: set[int] = field(default_factory=set)
    local: bool = False
    updated: datetime | None = None
    password_updated: datetime | None = None
    grants: Grants = field(default_factory=Grants)
    groups: dict[str, Group] = field(default_factory=dict)
    serial: int = field(default_factory=lambda: next(_serials))


@dataclass(eq=False, repr=False)
class Role:
    """A role and what it grants."""

    name: str
    options: Options = field(default_factory=Options)
    grants: Grants = field(default_factory=Grants)
    groups: dict[str, Group] = field(default_factory=dict)
    serial: int = field(default_factory=lambda: next(_serials))


@dataclass(eq=False, repr=False)
class Group:
    """A group, its members and its roles."""

    name: str
    members: dict[int, User] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    serial: int = field(default_factory=lambda: next(_serials))


class Change(NamedTuple):
    """What has changed and must be shown anew: a user, a group, a role, a membership, a role of a group."""

    what: Literal["user", "group", "role", "member", "group role"]
    of: User | Group | Role
    other: Group | Role | None = None


class Catalog:
    """Users, groups and roles, found by name as the behaviour says, with a list of all changes for the views."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.users: dict[tuple[str, str], User] = {}
        self.groups: dict[str, Group] = {}
        self.roles: dict[str, Role] = {}
        self.changes: list[Change] = []

    def key(self, name: str) -> str:
        """What two spellings of one name have in common."""
        if self.behaviour.trailing_space == "stripped":
            name = name.rstrip(" ")
        return name if self.behaviour.case_sensitive_names else name.casefold()

    def user(self, account: Account) -> User | None:
        return self.users.get((self.key(account.name), account.host.lower()))

    def group(self, name: str) -> Group | None:
        return self.groups.get(self.key(name))

    def role(self, name: str) -> Role | None:
        return self.roles.get(self.key(name))

    def holds(self, user: User) -> bool:
        """Whether this very user is there still, and not dropped or replaced by another of its name."""
        return self.user(user.account) is user

    def named(self, name: str) -> Iterator[User]:
        """All accounts of one user name, whatever their hosts."""
        key = self.key(name)
        return (user for (user_key, _host), user in self.users.items() if user_key == key)

    def add_user(self, user: User) -> None:
        self.users[self.key(user.account.name), user.account.host.lower()] = user
        self.changed(user)

    def drop_user(self, user: User) -> None:
        del self.users[self.key(user.account.name), user.account.host.lower()]
        self.changed(user)
        if not self.behaviour.dropped_user_keeps_memberships:
            self.forget_memberships(user)

    def forget_memberships(self, user: User) -> None:
        for group in list(user.groups.values()):
            self.leave(user, group)

    def add_group(self, name: str) -> None:
        group = Group(name)
        self.groups[self.key(name)] = group
        self.changes.append(Change("group", group))

    def drop_group(self, group: Group) -> None:
        for user in list(group.members.values()):
            self.leave(user, group)
        for role in list(group.roles.values()):
            self.unlink(group, role)
        del self.groups[self.key(group.name)]
        self.changes.append(Change("group", group))

    def join(self, user: User, group: Group) -> None:
        group.members[user.serial] = user
        user.groups[self.key(group.name)] = group
        self.changes.append(Change("member", user, group))

    def leave(self, user: User, group: Group) -> None:
        del group.members[user.serial]
        del user.groups[self.key(group.name)]
        self.changes.append(Change("member", user, group))

    def add_role(self, role: Role) -> None:
        self.roles[self.key(role.name)] = role
        self.changes.append(Change("role", role))

    def drop_role(self, role: Role) -> None:
        for group in list(role.groups.values()):
            self.unlink(group, role)
        del self.roles[self.key(role.name)]
        self.changes.append(Change("role", role))

    def link(self, group: Group, role: Role) -> None:
        group.roles[self.key(role.name)] = role
        role.groups[self.key(group.name)] = group
        self.changes.append(Change("group role", group, role))

    def unlink(self, group: Group, role: Role) -> None:
        del group.roles[self.key(role.name)]
        del role.groups[self.key(group.name)]
        self.changes.append(Change("group role", group, role))

    def changed(self, user: User) -> None:
        self.changes.append(Change("user", user))
