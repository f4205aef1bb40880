"""The double as a test holds it: start, stop, look inside, and let things go wrong."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ssl import SSLContext
from typing import Any, TypeVar

from . import versions as since
from .behaviour import Behaviour
from .cluster import Cluster, Node
from .connection import Connection, Desk, UnknownEntry
from .engine import Engine
from .errors import EngineError
from .faults import Fault
from .forwarding import MariaDB
from .mischief import Mischief
from .results import Rows
from .session import Session
from .statement_log import StatementLog
from .statements import Account, CreateGroup, CreateUser, GrantGroup, Password
from .versions import Version

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Address:
    """Where a client connects, and as whom."""

    host: str
    port: int
    user: str = "root"
    password: str = field(default="", repr=False)
    node_id: int = 1


@dataclass(frozen=True)
class State:
    """What the cluster holds, as plain data.

    Attributes:
        users: each account that is there, and whether it is locked.
        groups: the members of each group.
        roles: the groups that each role is given to.
    """

    users: Mapping[Account, bool]
    groups: Mapping[str, frozenset[Account]]
    roles: Mapping[str, frozenset[str]]


class SingleStoreDouble(Mischief):
    """A cluster of SingleStore, as far as its accounts go, on ports of the loopback interface.

    Args:
        version: as ``"8.5"``; decides what is understood.
        behaviour: the answers to what the vendor's documents leave open.
        aggregators: how many nodes clients can connect to; the first is the master.
        sync_permissions: whether they share accounts; None is the version's default.
        mariadb: where DML and DDL go; None refuses them.
        tls: what to offer TLS with; None offers none.
        root_password: of root on every node.
    """

    def __init__(
        self,
        version: str = "8.5",
        behaviour: Behaviour | None = None,
        *,
        aggregators: int = 1,
        sync_permissions: bool | None = None,
        mariadb: MariaDB | None = None,
        tls: SSLContext | None = None,
        root_password: str = "root-of-the-double",
    ) -> None:
        parsed = Version.of(version)
        if sync_permissions is None:
            sync_permissions = parsed >= since.SYNC_PERMISSIONS_BY_DEFAULT
        self.behaviour = behaviour or Behaviour()
        self.offers_tls = tls is not None
        self.root_password = root_password
        self.cluster = Cluster(
            parsed,
            self.behaviour,
            aggregators=aggregators,
            sync_permissions=sync_permissions,
            root_password=root_password,
        )
        self.cluster.kill_session = self._kill
        self._desk = Desk(Engine(self.cluster, has_tables=mariadb is not None), mariadb, tls)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._listening: dict[int, asyncio.Task[None]] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._inside: dict[int, Session] = {}

    # Running

    @contextmanager
    def running(self) -> Iterator[Address]:
        """Serve while the block runs; gives the master's address, with root as the user."""
        self._thread = threading.Thread(target=self._run_loop, name="singlestore-double", daemon=True)
        ready: Future[None] = Future()
        self._ready = ready
        self._thread.start()
        ready.result(10)
        try:
            self.start()
            yield self.address()
        finally:
            self.faults_clear()
            self.stop()
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop = None
            self._desk.engine.close()

    def _run_loop(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loop = loop
        loop.call_soon(self._ready.set_result, None)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def start(self, node_id: int | None = None) -> None:
        """Listen, on all nodes or one; on the same port as before."""
        self._wait(self._start(node_id))

    async def _start(self, node_id: int | None) -> None:
        for node in self._nodes(node_id):
            if node.id not in self._listening:
                listener = _listener(node.port)
                node.host, node.port = listener.getsockname()[:2]
                self._listening[node.id] = asyncio.create_task(self._accept(node, listener))

    async def _accept(self, node: Node, listener: socket.socket) -> None:
        with listener:
            while True:
                client, _ = await asyncio.get_running_loop().sock_accept(listener)
                client.setblocking(False)
                task = asyncio.create_task(self._serve(node, client))
                self._serving.add(task)
                task.add_done_callback(self._serving.discard)

    async def _serve(self, node: Node, client: socket.socket) -> None:
        await Connection(self._desk, node, client).run()

    def stop(self, node_id: int | None = None) -> None:
        """Die at once, as by kill -9: connections break, new ones are refused. Accounts stay."""
        self._wait(self._stop(node_id))

    async def _stop(self, node_id: int | None) -> None:
        await self._stop_listening(node_id)
        # Clients that were accepted this moment are on the list after one round.
        await asyncio.sleep(0)
        nodes = self._nodes(node_id)
        connections = [connection for connection in self._desk.connections if connection.node in nodes]
        for connection in connections:
            connection.abort()
        await asyncio.gather(*(connection.closed.wait() for connection in connections))
        await asyncio.gather(*self._desk.background)

    def restart(self) -> None:
        """Stop and start the whole cluster: sessions end, and locks are lost unless they survive."""
        self.stop()
        self._call(self.cluster.forget_what_a_restart_forgets)
        self.start()

    @contextmanager
    def refusing_connections(self, node_id: int | None = None) -> Iterator[None]:
        """Nobody can connect while the block runs; open connections go on."""
        self._wait(self._stop_listening(node_id))
        try:
            yield
        finally:
            self.start(node_id)

    async def _stop_listening(self, node_id: int | None) -> None:
        for node in self._nodes(node_id):
            listening = self._listening.pop(node.id, None)
            if listening is not None:
                listening.cancel()
                await asyncio.wait([listening])

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Connections are accepted and nothing is answered while the block runs, as by SIGSTOP."""
        self._call(self._desk.thawed.clear)
        try:
            yield
        finally:
            self._call(self._desk.thawed.set)

    @contextmanager
    def refusing_log_ins(self, number: int, message: str = "refused by a test") -> Iterator[None]:
        """Every log-in is answered with this error while the block runs."""
        self._desk.log_in_error = EngineError(number, message)
        try:
            yield
        finally:
            self._desk.log_in_error = None

    def address(self, node_id: int = 1, user: str = "root", password: str | None = None) -> Address:
        node = self._nodes(node_id)[0]
        return Address(node.host, node.port, user, self.root_password if password is None else password, node.id)

    def _nodes(self, node_id: int | None) -> list[Node]:
        return [node for node in self.cluster.nodes if node_id is None or node.id == node_id]

    # Looking inside and changing things by hand

    def execute(self, *statements: str, node_id: int = 1) -> Rows | None:
        """Execute account statements or reads as root, past the network, the log and the faults; the last one's rows.

        Raises:
            EngineError: one of them is refused.
        """
        return self._call(lambda: self._execute(statements, node_id))

    def _execute(self, statements: tuple[str, ...], node_id: int) -> Rows | None:
        result = None
        engine, session = self._desk.engine, self._session_of_the_test(node_id)
        for sql in statements:
            statement = engine.read_account_statement(session, sql)
            if statement is not None:
                result = engine.execute_account_statement(session, statement)
            else:
                result = engine.execute(session, sql)
        return result if isinstance(result, Rows) else None

    def seed(self, users: Iterable[str] = (), groups: Mapping[str, Iterable[str]] | None = None) -> None:
        """Make users that log in with ``password-of-NAME``, and groups of users that exist; quick, also for many."""
        self._call(lambda: self._seed(list(users), groups or {}))

    def _seed(self, users: list[str], groups: Mapping[str, Iterable[str]]) -> None:
        session = self._session_of_the_test(1)
        engine = self._desk.engine
        for name in users:
            engine.execute_account_statement(session, CreateUser(Account(name), Password(f"password-of-{name}")))
        for group, members in groups.items():
            engine.execute_account_statement(session, CreateGroup(group))
            for name in members:
                engine.execute_account_statement(session, GrantGroup(group, Account(name)))

    def _session_of_the_test(self, node_id: int) -> Session:
        if node_id not in self._inside:
            node = self._nodes(node_id)[0]
            rights = node.rights_of(node.root)
            self._inside[node_id] = Session(0, node, node.root, ("inside", 0), rights, self.cluster.clock.now())
        return self._inside[node_id]

    def state(self, node_id: int = 1) -> State:
        """What the node knows now, without root."""
        return self._call(lambda: self._state(self._nodes(node_id)[0]))

    def _state(self, node: Node) -> State:
        catalog = node.catalog
        return State(
            {user.account: node.id in user.locked_on for user in catalog.users.values()},
            {
                group.name: frozenset(user.account for user in group.members.values())
                for group in catalog.groups.values()
            },
            {role.name: frozenset(group.name for group in role.groups.values()) for role in catalog.roles.values()},
        )

    def grants(self, account: str, host: str = "%") -> list[str]:
        """Lines of SHOW GRANTS."""
        rows = self.execute(f"SHOW GRANTS FOR {Account(account, host)}")
        assert rows is not None
        return [row[0] for row in rows.rows]

    def sessions(self, name: str | None = None) -> list[tuple[int, int]]:
        """Node id and id of the open sessions, of one user name or all."""
        return self._call(
            lambda: [
                (node.id, session.id)
                for node in self.cluster.nodes
                for session in node.sessions.values()
                if name is None or session.user.account.name == name
            ]
        )

    def add_token(self, token: str, user: str) -> None:
        """From now on ``token`` proves to be ``user``, for users with authentication_jwt."""
        self.cluster.tokens[token] = user

    def add_outside_password(self, user: str, password: str) -> None:
        """What PAM, SAML or GSSAPI will accept of ``user``."""
        self.cluster.outside_passwords[user] = password

    def advance(self, seconds: float) -> None:
        """Put the cluster's clock forward, or back."""
        self.cluster.clock.offset += timedelta(seconds=seconds)

    @contextmanager
    def held_sync(self) -> Iterator[None]:
        """While the block runs, other aggregators than the master do not learn what changes."""
        self._call(self.cluster.hold_sync)
        try:
            yield
        finally:
            self._call(self.cluster.release_sync)

    # The log, and what goes wrong

    @property
    def log(self) -> StatementLog:
        return self._desk.log

    @property
    def unknown(self) -> list[UnknownEntry]:
        """Statements that the double could not answer faithfully; a test must end with none."""
        return self._desk.unknown

    @property
    def crashes(self) -> list[BaseException]:
        """Errors of the double itself; a test must end with none."""
        return self._desk.crashes

    def take_unknown(self) -> list[UnknownEntry]:
        """The unknown statements so far, which then count as expected."""
        taken = list(self._desk.unknown)
        self._desk.unknown.clear()
        return taken

    def _arm(self, fault: Fault) -> Fault:
        return self._call(lambda: self._desk.faults.arm(fault))

    def faults_clear(self) -> None:
        """Disarm all faults, and let go what hangs."""
        self._call(self._desk.faults.clear)

    def _kill(self, session: Session, query_only: bool) -> None:
        for connection in self._desk.connections:
            if connection.serves(session):
                connection.kill(query_only=query_only)

    # The server's thread

    def _call(self, call: Callable[[], _Answer]) -> _Answer:
        """Call in the server's thread, or here while it is not running."""
        if self._loop is None or threading.current_thread() is self._thread:
            return call()
        done: Future[_Answer] = Future()

        def run() -> None:
            try:
                done.set_result(call())
            except BaseException as error:
                # It is raised where the answer is waited for.
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(30)

    def _wait(self, coroutine: Any) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    listener.setblocking(False)
    return listener
