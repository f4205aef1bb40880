"""One client of the double: its log-in, its statements one after the other, and its end."""

from __future__ import annotations

import asyncio
import logging
import socket
from ssl import SSLContext

from mysql_mimic import packets
from mysql_mimic.types import Capabilities, Commands, ServerStatus

from .cluster import Node
from .engine import Engine
from .errors import TOO_MANY_CONNECTIONS, UNKNOWN_COMMAND, EngineError, UnknownStatement
from .faults import Cut, Fault, Faults
from .forwarding import Backend, MariaDB, session_settings
from .log_in import LogIn, greet
from .packets import CAPABILITIES, NO_BACKSLASH_ESCAPES, ConnectionClosed, Stream, open_stream, put_result_set
from .results import Done, Forward, Result, Rows
from .session import Session
from .statement_log import Entry, StatementLog
from .statements import Show

logger = logging.getLogger(__name__)
_TRANSACTION_BEGINS = ("BEGIN", "START")
_NOTHING_CHANGED = Done()


class Desk:
    """What all connections share: the engine, the log, the faults, and the MariaDB behind.

    Attributes:
        unknown: statements that the double could not answer faithfully.
        crashes: errors of the double itself.
        log_in_error: what every log-in is answered, while it is set.
        thawed: cleared while nothing is to be answered, as by a process that was stopped.
    """

    def __init__(self, engine: Engine, mariadb: MariaDB | None, tls: SSLContext | None) -> None:
        self.engine = engine
        self.mariadb = mariadb
        self.tls = tls
        self.log = StatementLog()
        self.faults = Faults()
        self.unknown: list[UnknownEntry] = []
        self.crashes: list[BaseException] = []
        self.log_in_error: EngineError | None = None
        self.thawed = asyncio.Event()
        self.thawed.set()
        self.connections: set[Connection] = set()
        self.background: set[asyncio.Task[None]] = set()


class UnknownEntry:
    """A statement that was refused as unknown, and why."""

    def __init__(self, entry: Entry, error: UnknownStatement) -> None:
        self.entry = entry
        self.reason = error.message
        self.known_since = error.known_since

    def __repr__(self) -> str:
        return f"{self.entry.shown!r} from {self.entry.account}: {self.reason}"


class Connection:
    """Reads commands of one client and answers them until one of both leaves."""

    def __init__(self, desk: Desk, node: Node, client: socket.socket) -> None:
        self._desk = desk
        self.node = node
        self.closed = asyncio.Event()
        self._client = client
        self._open_stream: Stream | None = None
        self._session: Session | None = None
        self._capabilities = Capabilities(0)
        self._backend: Backend | None = None
        self._task = asyncio.current_task()
        self._killed = False
        self._query_killed = False

    @property
    def session(self) -> Session:
        assert self._session is not None
        return self._session

    @property
    def _stream(self) -> Stream:
        assert self._open_stream is not None
        return self._open_stream

    def serves(self, session: Session) -> bool:
        return self._session is session

    async def run(self) -> None:
        """Serve the client; ends when the connection does."""
        self._desk.connections.add(self)
        try:
            await self._desk.thawed.wait()
            if await self._log_in():
                await self._serve()
        except asyncio.CancelledError:
            # Killed, or the server stops: either way this task is done.
            pass
        except (ConnectionClosed, OSError, asyncio.IncompleteReadError, Cut):
            pass
        except Exception as error:  # a defect of the double is for the test to find, not for its client
            logger.exception("The double failed")
            self._desk.crashes.append(error)
        finally:
            await self._close()

    async def _log_in(self) -> bool:
        address, port = self._client.getpeername()[:2]
        refusal = self._refusal_of_all()
        if refusal is not None:
            self._open_stream = await open_stream(self._client)
            await self._stream.write(self._error(refusal))
            return False
        connection_id = next(self.node.next_session_id)
        greeted = await greet(self._client, connection_id, self._desk.tls)
        self._open_stream = greeted.stream
        try:
            user = await LogIn(self.node, greeted, address).authenticate()
            self._session = self.node.open_session(connection_id, user, (address, port))
            self._capabilities = greeted.response.capabilities
            if greeted.response.database:
                self._desk.engine.use(self._session, greeted.response.database)
        except EngineError as error:
            await self._stream.write(self._error(error))
            return False
        await self._stream.write(self._ok())
        return True

    def _refusal_of_all(self) -> EngineError | None:
        """What everybody is told instead of a greeting."""
        if len(self.node.sessions) >= self.node.cluster.variables.defaults["max_connections"]:
            return EngineError(TOO_MANY_CONNECTIONS, "Too many connections")
        return self._desk.log_in_error

    async def _serve(self) -> None:
        while not self._killed:
            self._stream.reset_sequence()
            packet = await self._stream.read()
            await self._desk.thawed.wait()
            command = packet[0]
            if command == Commands.COM_QUERY:
                await self._query(packet[1:].decode("utf-8", "surrogateescape"))
            elif command == Commands.COM_QUIT:
                return
            elif command == Commands.COM_PING:
                await self._stream.write(self._ok())
            elif command == Commands.COM_INIT_DB:
                await self._query(f"USE `{packet[1:].decode()}`")
            else:
                await self._unknown_command(command)

    async def _unknown_command(self, command: int) -> None:
        entry = self._entry(f"command {command:#x} of the protocol")
        error = UnknownStatement(f"command {command:#x}", number=UNKNOWN_COMMAND)
        self._desk.unknown.append(UnknownEntry(entry, error))
        await self._stream.write(self._error(error))

    def _entry(self, sql: str) -> Entry:
        return Entry(self.node.id, self.session.id, self.session.user.account, sql)

    async def _query(self, sql: str) -> None:
        session = self.session
        entry = self._entry(sql)
        self._desk.log.add(entry)
        session.command, session.statement = "Query", sql
        session.since = self.node.cluster.clock.now()
        try:
            await self._answer(entry)
            if entry.outcome == "running":
                entry.outcome = "done"
        except EngineError as error:
            await self._refuse(entry, error)
        except asyncio.CancelledError:
            if not self._query_killed or self._task is None:
                entry.outcome = "killed"
                raise
            self._query_killed = False
            self._task.uncancel()
            await self._refuse(entry, EngineError(1317, "Query execution was interrupted"))
        finally:
            session.command, session.statement = "Sleep", None
            session.since = self.node.cluster.clock.now()
            for listener in self._desk.log.listeners:
                listener(entry)
        await self._stream.drain()

    async def _refuse(self, entry: Entry, error: EngineError) -> None:
        entry.outcome, entry.error = "error", error.number
        if isinstance(error, UnknownStatement):
            self._desk.unknown.append(UnknownEntry(entry, error))
        await self._stream.write(self._error(error))

    async def _answer(self, entry: Entry) -> None:
        """The effect of a statement and its answer, with what a test lets go wrong around them."""
        engine = self._desk.engine
        session = self.session
        reading_error: UnknownStatement | None = None
        try:
            entry.statement = engine.read_account_statement(session, entry.sql)
        except UnknownStatement as error:
            reading_error = error
        if not isinstance(entry.statement, Show):
            session.warnings.clear()
        fault = self._desk.faults.of(entry)
        if fault is not None:
            await fault.before(entry)
        if reading_error is not None:
            raise reading_error
        if entry.statement is None:
            result = engine.execute(session, entry.sql)
        elif engine.commits(entry.statement):
            result = await self._account_statement(entry)
        else:
            result = engine.execute_account_statement(session, entry.statement)
        await self._write(entry, result, fault)

    async def _account_statement(self, entry: Entry) -> Result:
        """Account statements commit: what is open before them, and always or only when they succeed."""
        assert entry.statement is not None
        commits_anyway = self.node.cluster.behaviour.failed_statement_commits
        if commits_anyway:
            await self._commit()
        result = self._desk.engine.execute_account_statement(self.session, entry.statement)
        if not commits_anyway:
            await self._commit()
        return result

    async def _commit(self) -> None:
        if self._backend is not None and self._backend.in_transaction:
            await self._backend.run("COMMIT")
        self.session.in_transaction = False

    async def _write(self, entry: Entry, result: Result, fault: Fault | None) -> None:
        if isinstance(result, Forward):
            await self._forward(entry, result, fault)
            return
        if entry.statement is None and isinstance(result, Done):
            await self._follow(entry.sql)
        if fault is not None:
            await fault.after(entry)
        if isinstance(result, Rows):
            put_result_set(self._stream, result.columns, result.rows, self._status())
        else:
            self._stream.put(self._ok(result))

    async def _follow(self, sql: str) -> None:
        """SET and USE count for the MariaDB behind as well, once it is in use."""
        if self._backend is None:
            return
        session = self.session
        if sql.lstrip()[:3].upper() == "USE":
            quoted = (session.database or "").replace("`", "``")
            await self._backend.run(f"USE `{quoted}`")
        else:
            for statement in session_settings(session.variables):
                await self._backend.run(statement)

    async def _forward(self, entry: Entry, result: Forward, fault: Fault | None) -> None:
        session, sql = self.session, result.sql
        word = sql.split(None, 1)[0].upper().rstrip(";")
        if self._backend is None and (self._desk.mariadb is None or word in ("COMMIT", "ROLLBACK")):
            self._transaction_without_tables(word)
            if fault is not None:
                await fault.after(entry)
            self._stream.put(self._ok())
            return
        backend = self._backend or await self._open_backend()
        number = await backend.relay(sql, self._stream)
        session.in_transaction = backend.in_transaction
        if number is not None:
            entry.outcome, entry.error = "error", number
        elif result.then is not None:
            result.then()
        if fault is not None:
            # The answer waits in the buffer still, so that a cut connection never sees it.
            await fault.after(entry)

    def _transaction_without_tables(self, word: str) -> None:
        """BEGIN, COMMIT and ROLLBACK while no table has been touched."""
        if word in _TRANSACTION_BEGINS:
            self.session.in_transaction = True
        else:
            self.session.in_transaction = False

    async def _open_backend(self) -> Backend:
        assert self._desk.mariadb is not None
        self._backend = await Backend.connect(self._desk.mariadb, self._capabilities, self.session.database)
        for statement in session_settings(self.session.variables):
            await self._backend.run(statement)
        return self._backend

    def _status(self) -> ServerStatus:
        session = self.session
        status = ServerStatus(0)
        if self.node.cluster.variables.value(session, "autocommit"):
            status |= ServerStatus.SERVER_STATUS_AUTOCOMMIT
        if session.in_transaction:
            status |= ServerStatus.SERVER_STATUS_IN_TRANS
        if not session.backslash_escapes:
            status |= NO_BACKSLASH_ESCAPES
        return status

    def _ok(self, result: Done = _NOTHING_CHANGED) -> bytes:
        warnings = len(self.session.warnings)
        ok: bytes = packets.make_ok(CAPABILITIES, self._status(), affected_rows=result.affected_rows, warnings=warnings)
        return ok

    def _error(self, error: EngineError) -> bytes:
        # The message may quote bytes of a client that are no text.
        message = error.message.encode("utf-8", "replace").decode()
        packet: bytes = packets.make_error(capabilities=CAPABILITIES, msg=message, code=error.number)
        return packet

    def kill(self, *, query_only: bool) -> None:
        """End the connection, or what it is doing now. Called in the server's thread."""
        if query_only:
            self._kill_query()
            return
        self._killed = True
        number = self.node.cluster.behaviour.killed_session_error
        if number is not None:
            payload = self._error(EngineError(number, "Connection was killed"))
            self._stream.writer.write(len(payload).to_bytes(3, "little") + b"\0" + payload)
        if self._session is not None:
            listed_for = self.node.cluster.behaviour.killed_listed_for
            self.node.close_session(self._session)
            if listed_for:
                self.node.killed[self._session] = listed_for
        if self._task is not None:
            self._task.cancel()

    def _kill_query(self) -> None:
        if self._backend is not None and self._backend.busy:
            # MariaDB answers the client then.
            killing = asyncio.get_running_loop().create_task(self._backend.kill("QUERY"))
            self._desk.background.add(killing)
            killing.add_done_callback(self._desk.background.discard)
        elif self._session is not None and self._session.command == "Query" and self._task is not None:
            self._query_killed = True
            self._task.cancel()

    def abort(self) -> None:
        """Break the connection as a machine that dies does."""
        self._killed = True
        if self._open_stream is not None:
            self._open_stream.writer.transport.abort()
        if self._task is not None:
            self._task.cancel()

    async def _close(self) -> None:
        self._desk.connections.discard(self)
        if self._session is not None:
            self.node.close_session(self._session)
        if self._backend is not None:
            await self._backend.close()
        if self._open_stream is not None:
            self._open_stream.writer.close()
        else:
            self._client.close()
        self.closed.set()
