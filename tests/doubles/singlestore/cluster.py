"""A cluster: its aggregators with their sessions, the accounts they share or not, and the clock of the test."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from . import versions as since
from .behaviour import Behaviour
from .catalog import Catalog, User, password_hash
from .errors import EngineError, access_denied
from .privileges import ALL, EVERYWHERE, GRANT_OPTION, WITH_GRANT_OPTION, Rights, like_pattern
from .session import Session
from .statements import Account
from .variables import Variables
from .versions import Version

ROOT = Account("root")


@dataclass
class Clock:
    """The time of the cluster in UTC; tests move it."""

    offset: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) + self.offset


@dataclass
class FailedLogins:
    """How often a user has failed on one node, and until when it is refused there."""

    count: int = 0
    refused_until: datetime | None = None


@dataclass(eq=False, repr=False)
class Node:
    """One aggregator: where clients connect.

    Attributes:
        catalog: the accounts that it knows besides its own root.
        killed: sessions that are gone and still listed, with the number of readings that are left.
    """

    cluster: Cluster
    id: int
    catalog: Catalog
    root: User
    is_master: bool
    host: str = ""
    port: int = 0
    sessions: dict[int, Session] = field(default_factory=dict)
    failed_logins: dict[int, FailedLogins] = field(default_factory=dict)
    killed: dict[Session, int] = field(default_factory=dict)
    next_session_id: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def user(self, account: Account) -> User | None:
        """The user of exactly this name and host; root is each node's own."""
        if self.catalog.key(account.name) == ROOT.name and account.host == ROOT.host:
            return self.root
        return self.catalog.user(account)

    def users(self) -> Iterator[User]:
        yield self.root
        yield from self.catalog.users.values()

    def account_of(self, name: str, address: str) -> User | None:
        """The user that a log-in by ``name`` from ``address`` means; of several, as the behaviour says."""
        candidates = [self.root] if self.catalog.key(name) == ROOT.name else []
        candidates += self.catalog.named(name)
        fitting = [user for user in candidates if _host_fits(user.account.host, address)]
        widest = self.cluster.behaviour.host_choice == "widest"
        return min(fitting, key=lambda user: _width(user.account.host) * (-1 if widest else 1), default=None)

    def holds(self, user: User) -> bool:
        return user is self.root or self.catalog.holds(user)

    def sessions_of(self, user: User) -> int:
        return sum(session.user.serial == user.serial for session in self.sessions.values())

    def rights(self, session: Session) -> Rights:
        """What ``session`` may do now."""
        behaviour = self.cluster.behaviour
        if behaviour.revoke_feels == "next login":
            return session.rights_at_login
        current = self.user(session.user.account)
        if current is None or (
            current.serial != session.user.serial and not behaviour.recreated_user_takes_old_sessions
        ):
            current = session.user
        return self.rights_of(current)

    def rights_of(self, user: User) -> Rights:
        roles = {id(role): role.grants for group in user.groups.values() for role in group.roles.values()}
        return Rights((user.grants, *roles.values()), self.cluster.behaviour.grant_permission_by)

    def refuse_if_locked(self, user: User, *, with_password: bool, address: str) -> None:
        """Refuse a log-in that has proved who it is.

        Raises:
            EngineError: the account is locked, by hand or for failed log-ins.
        """
        behaviour = self.cluster.behaviour
        name = user.account.name
        held = user.type == "Native" or behaviour.lock_holds_for_plugins
        if self.id in user.locked_on and held:
            number = behaviour.locked_login_error
            raise EngineError(number, f"Access denied for user '{name}'@'{address}'. Account is locked.")
        if self.locked_for_failures(user):
            raise access_denied(name, address, with_password=with_password)

    def locked_for_failures(self, user: User) -> bool:
        failed = self.failed_logins.get(user.serial)
        if failed is None or failed.refused_until is None:
            return False
        return self.cluster.clock.now() < failed.refused_until

    def log_in_failed(self, user: User) -> None:
        attempts, seconds = self._lock_out(user)
        if not attempts or not seconds:
            return
        failed = self.failed_logins.setdefault(user.serial, FailedLogins())
        failed.count += 1
        if failed.count >= attempts:
            failed.count = 0
            failed.refused_until = self.cluster.clock.now() + timedelta(seconds=seconds)
            self.catalog.changed(user)

    def log_in_succeeded(self, user: User) -> None:
        if self.failed_logins.pop(user.serial, None) is not None:
            self.catalog.changed(user)

    def _lock_out(self, user: User) -> tuple[int | None, int | None]:
        """Own settings first, then those of a role."""
        options = [user.options] + [role.options for group in user.groups.values() for role in group.roles.values()]
        for option in options:
            if option.failed_login_attempts:
                return option.failed_login_attempts, option.password_lock_time
        return None, None

    def open_session(self, id: int, user: User, client: tuple[str, int]) -> Session:
        session = Session(
            id=id,
            node=self,
            user=user,
            client=client,
            rights_at_login=self.rights_of(user).frozen(),
            since=self.cluster.clock.now(),
            variables={"sql_mode": self.cluster.variables.defaults["sql_mode"]},
        )
        self.sessions[session.id] = session
        self.catalog.changed(user)
        return session

    def listed_sessions(self) -> list[Session]:
        """What one reading of the process list finds."""
        listed = [*self.sessions.values(), *self.killed]
        self.killed = {session: left - 1 for session, left in self.killed.items() if left > 1}
        return listed

    def close_session(self, session: Session) -> None:
        if self.sessions.pop(session.id, None) is None:
            return
        user = session.user
        self.catalog.changed(user)
        if not self.holds(user) and not any(node.sessions_of(user) for node in self.cluster.nodes):
            self.catalog.forget_memberships(user)


def _host_fits(pattern: str, address: str) -> bool:
    names = (address, "localhost") if address in ("127.0.0.1", "::1") else (address,)
    like = like_pattern(pattern, ignore_case=True)
    return any(like.fullmatch(name) for name in names)


def _width(host: str) -> int:
    """How many hosts a pattern takes in: less for each character that it fixes."""
    if "%" not in host and "_" not in host:
        return -1000
    return -sum(character not in "%_" for character in host)


class Cluster:
    """All nodes, and what holds for all of them.

    Attributes:
        sync_permissions: whether all nodes share one catalog.
        tokens: what JWT users send instead of a password, with the user name that each proves.
        outside_passwords: what PAM, SAML and GSSAPI would accept, by user name.
        kill_session: ends a connection; set by the server.
    """

    def __init__(
        self, version: Version, behaviour: Behaviour, *, aggregators: int, sync_permissions: bool, root_password: str
    ) -> None:
        self.version = version
        self.behaviour = behaviour
        self.sync_permissions = sync_permissions
        self.clock: Clock = Clock()
        self.variables: Variables = Variables(version, sync_permissions=sync_permissions)
        self.tokens: dict[str, str] = {}
        self.outside_passwords: dict[str, str] = {}
        self.kill_session: Callable[[Session, bool], None] = lambda session, query_only: None
        self.shared = Catalog(behaviour)
        self.nodes = [
            Node(
                self,
                id=number,
                catalog=self.shared if sync_permissions else Catalog(behaviour),
                root=self._root(root_password),
                is_master=number == 1,
            )
            for number in range(1, aggregators + 1)
        ]

    def _root(self, password: str) -> User:
        root = User(ROOT, "Native", password_hash(password), self.clock.now(), local=True)
        root.grants.add(EVERYWHERE, (ALL, GRANT_OPTION, WITH_GRANT_OPTION))
        return root

    def has(self, version: Version) -> bool:
        """Whether the cluster is of ``version`` or newer."""
        return self.version >= version

    @property
    def node_ids(self) -> set[int]:
        return {node.id for node in self.nodes}

    def catalog_written_by(self, node: Node) -> Catalog:
        """Where an account statement sent to ``node`` takes effect: at the master, or there alone."""
        return self.shared if self.sync_permissions else node.catalog

    def hold_sync(self) -> None:
        """From now on the other aggregators keep what they know now, until ``release_sync``."""
        if not self.sync_permissions:
            raise ValueError("sync_permissions is OFF: nothing to hold")
        for node in self.nodes:
            if not node.is_master:
                node.catalog = copy.deepcopy(self.shared)

    def release_sync(self) -> None:
        for node in self.nodes:
            node.catalog = self.shared

    def forget_what_a_restart_forgets(self) -> None:
        """Failed log-ins, and locks unless they survive."""
        for node in self.nodes:
            node.failed_logins.clear()
            for user in node.users():
                if not self.behaviour.lock_survives_restart:
                    user.locked_on.clear()
                node.catalog.changed(user)

    def refuses_auto_create(self, session: Session) -> bool:
        """Whether GRANT to a missing user is an error rather than a new user with an empty password."""
        return self.has(since.NO_AUTO_CREATE_USER) or "NO_AUTO_CREATE_USER" in session.sql_mode
