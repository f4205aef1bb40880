"""A target that is a list of accounts and groups: what provisioning is tested against, with every fault on demand.

Accounts have names, sessions and an owner (the mark that real targets carry); each call takes several steps, as with a
real one, so that it can be cut between any two. The list is kept in memory, or in a file that several processes share.
"""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scim_gateway_provisioning.target import (
    Deadline,
    Group,
    Inventory,
    Kind,
    Known,
    MemberChanges,
    Observed,
    Outcome,
    Save,
    Target,
    TargetSession,
    Unreachable,
    User,
)

from scim_gateway.errors import Conflict, Forbidden, InvalidValue
from scim_gateway.schema import Resource

CALLS = ("put_user", "remove_user", "put_group", "remove_group", "change_members")
MOMENTS = ("connect", "before", "middle", "after")


@dataclass
class Account:
    name: str
    owner: str | None
    active: bool = True
    sessions: int = 0


@dataclass
class Team:
    name: str
    owner: str | None
    members: set[str] = field(default_factory=set)
    """Names of accounts."""
    teams: set[str] = field(default_factory=set)
    """Names of groups in it, where the target nests."""


@dataclass
class Listing:
    """All that there is, by name."""

    users: dict[str, Account] = field(default_factory=dict)
    groups: dict[str, Team] = field(default_factory=dict)

    def to_json(self) -> str:
        users = {name: vars(account) for name, account in self.users.items()}
        groups = {
            name: {**vars(team), "members": sorted(team.members), "teams": sorted(team.teams)}
            for name, team in self.groups.items()
        }
        return json.dumps({"users": users, "groups": groups})

    @classmethod
    def from_json(cls, text: str) -> Listing:
        content = json.loads(text)
        users = {name: Account(**account) for name, account in content["users"].items()}
        groups = {
            name: Team(team["name"], team["owner"], set(team["members"]), set(team["teams"]))
            for name, team in content["groups"].items()
        }
        return cls(users, groups)

    def below(self, name: str) -> set[str]:
        """Names of the accounts in a group, and in the groups in it."""
        found: set[str] = set()
        opened: set[str] = set()
        pending = [name]
        while pending:
            name = pending.pop()
            if name not in opened:
                opened.add(name)
                found |= self.groups[name].members
                pending += self.groups[name].teams
        return found


class _Store:
    """Where the list is kept; a change is whole or not at all."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._listing = Listing()

    @contextmanager
    def open(self) -> Iterator[Listing]:
        with self._lock:
            if self._path is None:
                yield self._listing
                return
            with self._path.open("a+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.seek(0)
                text = file.read()
                listing = Listing.from_json(text) if text else Listing()
                yield listing
                file.seek(0)
                file.truncate()
                file.write(listing.to_json())


Fault = Callable[[], None]


class ListTarget(Target):
    """The target.

    :param name: short name.
    :param attribute: SCIM attribute of a user that is its name here.
    :param path: file that processes share.
    :param limit: most characters of a name.
    :param protected: names that must not be touched.
    :param unwanted: users and groups whose names begin so are not for this target.
    :param careless: whether it looks at the clock only when a call begins, as if all of it were one long statement.
    :param nests: whether groups can be members of groups.
    :param refused: words that the target itself refuses in a name, when it is asked.
    """

    def __init__(
        self,
        name: str = "list",
        *,
        attribute: str = "userName",
        path: Path | None = None,
        limit: int = 40,
        protected: tuple[str, ...] = ("root",),
        unwanted: str = "private-",
        refused: str = "refused",
        nests: bool = False,
        careless: bool = False,
    ) -> None:
        self.name = name
        self.nests = nests
        self.careless = careless
        self.naming_help = "set list_attribute to an attribute that tells people apart"
        self._attribute = attribute
        self._limit = limit
        self._protected = protected
        self._unwanted = unwanted
        self.refused = refused
        self.store = _Store(path)
        self.invited: set[str] = set()
        """Ids of users that have not accepted their invitation yet."""
        self.invites = False
        """Whether new users have to accept an invitation."""
        self.calls: list[tuple[str, Any]] = []
        self.watch: Callable[[], None] = lambda: None
        """Called after every step."""
        self._faults: list[tuple[str, str, Fault, int]] = []
        self._lock = threading.Lock()
        self.closed = False
        self.deadline = Deadline(0)
        """That of the newest session."""

    # Faults

    def fault(self, call: str, moment: str, action: Fault | Exception, times: int = 1) -> None:
        """Do something at a moment of the next calls.

        :param call: one of ``CALLS``, or ``*``.
        :param moment: ``connect``, ``before`` (the effect), ``middle`` or ``after``.
        :param action: an error to raise, or a function.
        :param times: how often.
        """
        assert moment in MOMENTS

        def run() -> None:
            if isinstance(action, Exception):
                raise action
            action()

        with self._lock:
            self._faults.append((call, moment, run, times))

    def down(self, times: int = 10**9) -> None:
        """Not to be reached any more."""
        self.fault("*", "connect", Unreachable("It is down."), times)

    def up(self) -> None:
        """No faults any more."""
        with self._lock:
            self._faults.clear()

    def reach(self, call: str, moment: str) -> None:
        """A moment has come."""
        with self._lock:
            due = None
            for index, (wanted, when, run, times) in enumerate(self._faults):
                if wanted in (call, "*") and when == moment:
                    due = run
                    if times > 1:
                        self._faults[index] = (wanted, when, run, times - 1)
                    else:
                        del self._faults[index]
                    break
        if due is not None:
            due()

    # The contract

    def name_of(self, kind: Kind, resource: Resource) -> str:
        name = resource.get("displayName" if kind == "Group" else self._attribute)
        if not name:
            raise InvalidValue(f"A {kind} needs a {self._attribute}, by which the target {self.name} knows it.")
        if len(name) > self._limit:
            raise InvalidValue(f"{self.name} takes names of at most {self._limit} characters.")
        return str(name)

    def admit(self, kind: Kind, name: str) -> None:
        if self.name_key(kind, name) in {self.name_key(kind, protected) for protected in self._protected}:
            raise Forbidden(f"The {kind} {name} of {self.name} is protected.")

    def wants(self, kind: Kind, resource: Resource) -> bool:
        name = resource.get("displayName" if kind == "Group" else self._attribute) or ""
        return not name.startswith(self._unwanted)

    def concerns(self, kind: Kind, before: Resource, after: Resource) -> bool:
        names = ("displayName",) if kind == "Group" else (self._attribute, "active", "title")
        return any(before.get(name) != after.get(name) for name in names)

    @contextmanager
    def session(self, deadline: Deadline) -> Iterator[TargetSession]:
        self.reach("*", "connect")
        self.deadline = deadline
        yield _Session(self, deadline)

    def close(self) -> None:
        self.closed = True

    # What a test sees

    @property
    def listing(self) -> Listing:
        with self.store.open() as listing:
            return Listing.from_json(listing.to_json())

    def rights(self) -> set[tuple[str, str]]:
        """Who (by SCIM id) can do what: log in, or use a group's rights; of active accounts alone."""
        listing = self.listing
        found: set[tuple[str, str]] = set()
        inside = {name: listing.below(name) for name in listing.groups}
        for name, account in listing.users.items():
            if account.active and account.owner:
                found.add((account.owner, "log in"))
                for team in listing.groups.values():
                    if name in inside[team.name] and team.owner:
                        found.add((account.owner, team.owner))
        return found

    def connect_as(self, name: str) -> None:
        """Somebody opens a session."""
        with self.store.open() as listing:
            assert listing.users[name].active
            listing.users[name].sessions += 1


class _Session(TargetSession):
    def __init__(self, target: ListTarget, deadline: Deadline) -> None:
        self._target = target
        self._deadline = deadline

    def put_user(self, user: User, known: Known, save: Save) -> Outcome:
        name = self._target.name_of("User", user.resource)
        with self._call("put_user", user.id):
            self._refuse(name)
            old = self._mine("users", user.id, known)
            if name not in (old, *self._names("users")):
                save({"name": old} if old else {"making": name})
                self._make(name, user, old)
            self._take_over(name, user.id, "users", user.adoptable)
            self._target.reach("put_user", "middle")
            for other in self._owned("users", user.id):
                if other != name:
                    self._forget(other)
            with self._step() as listing:
                account = listing.users[name]
                account.active = user.active
                if not user.active:
                    account.sessions = 0
                    for team in listing.groups.values():
                        team.members.discard(name)
        waiting = "the invitation to be accepted" if user.id in self._target.invited else None
        return Outcome({"name": name}, waiting)

    def remove_user(self, id: str, known: Known, save: Save) -> None:
        with self._call("remove_user", id):
            for name in self._owned("users", id):
                with self._step() as listing:
                    listing.users[name].active = False
                    listing.users[name].sessions = 0
                self._target.reach("remove_user", "middle")
                self._forget(name)

    def put_group(self, group: Group, known: Known, save: Save) -> Outcome:
        name = self._target.name_of("Group", group.resource)
        with self._call("put_group", group.id):
            self._refuse(name)
            old = self._mine("groups", group.id, known)
            if name not in self._names("groups"):
                with self._step() as listing:
                    if old is None:
                        listing.groups[name] = Team(name, group.id)
                    else:
                        listing.groups[name] = listing.groups.pop(old)
                        listing.groups[name].name = name
                        for team in listing.groups.values():
                            if old in team.teams:
                                team.teams ^= {old, name}
            self._target.reach("put_group", "middle")
            self._take_over(name, group.id, "groups", group.adoptable)
        return Outcome({"name": name, "team": True} if self._target.nests else {"name": name})

    def remove_group(self, id: str, known: Known, save: Save) -> None:
        with self._call("remove_group", id):
            for name in self._owned("groups", id):
                with self._step() as listing:
                    listing.groups[name].members.clear()
                    for team in listing.groups.values():
                        team.teams.discard(name)
                self._target.reach("remove_group", "middle")
                with self._step() as listing:
                    del listing.groups[name]

    def change_members(self, changes: MemberChanges) -> frozenset[str]:
        waiting = frozenset(changes.add.keys() & self._target.invited)
        with self._call("change_members", changes):
            group = changes.group["name"]
            with self._step() as listing:
                for known in changes.remove.values():
                    team = listing.groups[group]
                    (team.teams if "team" in known else team.members).discard(known["name"])
            self._target.reach("change_members", "middle")
            with self._step() as listing:
                for id, known in changes.add.items():
                    if id not in waiting:
                        self._join(listing, group, known)
        return waiting

    def observe(self) -> Inventory:
        self._target.reach("observe", "before")
        listing, key = self._target.listing, self._target.name_key
        protected = self._target._protected

        def observed(name: str, owner: str | None, active: bool = True) -> Observed:
            return Observed(name, owner, active, "it is protected" if name in protected else None)

        return Inventory(
            {key("User", name): observed(name, each.owner, each.active) for name, each in listing.users.items()},
            {key("Group", name): observed(name, each.owner) for name, each in listing.groups.items()},
            {
                key("Group", name): frozenset(key("User", member) for member in each.members)
                for name, each in listing.groups.items()
            },
        )

    # Steps

    @contextmanager
    def _call(self, call: str, argument: Any) -> Iterator[None]:
        self._deadline.check()
        self._target.calls.append((call, argument))
        self._target.reach(call, "before")
        yield
        self._target.reach(call, "after")

    @contextmanager
    def _step(self) -> Iterator[Listing]:
        if not self._target.careless:
            self._deadline.check()
        with self._target.store.open() as listing:
            yield listing
        self._target.watch()

    @staticmethod
    def _join(listing: Listing, group: str, known: Known) -> None:
        name = known["name"]
        if "team" in known:
            listing.groups[group].teams.add(name)
        elif name in listing.users:
            listing.groups[group].members.add(name)
        else:
            raise Unreachable(f"There is no {name}.")

    def _names(self, where: str) -> list[str]:
        with self._target.store.open() as listing:
            return list(getattr(listing, where))

    def _owned(self, where: str, id: str) -> list[str]:
        with self._target.store.open() as listing:
            return [name for name, there in getattr(listing, where).items() if there.owner == id]

    def _mine(self, where: str, id: str, known: Mapping[str, Any]) -> str | None:
        """The name under which it stands; a rename that was cut leaves two, the older one is in the note."""
        mine = self._owned(where, id)
        noted = known.get("name")
        return noted if noted in mine else next(iter(mine), None)

    def _make(self, name: str, user: User, old: str | None) -> None:
        if self._target.invites and old is None:
            self._target.invited.add(user.id)
        with self._step() as listing:
            listing.users[name] = Account(name, user.id, active=False)
            for team in listing.groups.values():
                if old is not None and old in team.members:
                    team.members.add(name)

    def _forget(self, name: str) -> None:
        with self._step() as listing:
            listing.users.pop(name, None)
            for team in listing.groups.values():
                team.members.discard(name)

    def _take_over(self, name: str, id: str, where: str, adoptable: bool) -> None:
        with self._target.store.open() as listing:
            there = getattr(listing, where)[name]
            if there.owner not in (None, id) or (there.owner is None and not adoptable):
                raise Conflict(f"{name} exists in {self._target.name} and was not made by the gateway.")
            there.owner = id

    def _refuse(self, name: str) -> None:
        if self._target.refused in name:
            raise InvalidValue(f"{self._target.name} does not take the name {name}.")
