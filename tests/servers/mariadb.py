"""A private MariaDB for tests: an own datadir, a port of loopback, and rules close to those of SingleStore.

READ COMMITTED and no detector of deadlocks, as on SingleStore: what relied on either would show as error 1205.
It is ended by its process id, can be killed and comes back on the same port with what was committed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
import sqlalchemy
from servers.certificates import Certificates, make_certificates
from servers.memory import folder_in_memory
from servers.ports import free_port
from sqlalchemy.util import LRUCache

ADMIN = "admin"
PASSWORD = "mariadb-of-the-tests"
INSTALL = "MariaDB is not installed; on Debian or Ubuntu: sudo apt-get install mariadb-server-core mariadb-client-core"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-networking=0",
    "--skip-name-resolve",
    "--transaction-isolation=READ-COMMITTED",
    "--innodb-deadlock-detect=OFF",
    "--innodb-rollback-on-timeout=OFF",
    "--innodb-lock-wait-timeout=4",
    "--innodb-buffer-pool-size=64M",
    "--innodb-use-native-aio=0",
    "--innodb-fast-shutdown=2",
    "--key-buffer-size=1M",
    "--aria-pagecache-buffer-size=8M",
    "--skip-log-bin",
    "--max-connections=400",
    "--thread-cache-size=64",
    "--character-set-server=latin1",
    "--collation-server=latin1_swedish_ci",
)
# Server defaults that nobody should lean on: latin1, as a database made long ago has.
_SECONDS = 60.0
_ROOM = 512 * 1024 * 1024


def program(name: str) -> str | None:
    """Where a program of MariaDB is, if it is installed."""
    return shutil.which(name, path=_PATH)


class MariaDb:
    """A server that is started, stopped and killed by this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.certificates: Certificates = make_certificates(folder / "tls")
        self.log = folder / "mariadb.log"
        # A server that starts removes the temporary tables that it finds in its tmpdir, those of a running one, too.
        self.temporary = folder / "tmp"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def install(self) -> None:
        """Make the datadir."""
        self.temporary.mkdir()
        command = [
            program("mariadb-install-db"),
            "--no-defaults",
            f"--user={_user()}",
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.temporary}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--innodb-log-file-size=16M",
        ]
        with self.log.open("ab") as log:
            made = subprocess.run(
                [str(part) for part in command], check=False, stdout=log, stderr=log, timeout=_SECONDS
            )
        if made.returncode:
            raise RuntimeError(f"no datadir was made: {self._last_words()}")
        (self.folder / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS '{ADMIN}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{ADMIN}'@'%' WITH GRANT OPTION;\n"
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self._process is None
        command = [
            program("mariadbd"),
            "--no-defaults",
            f"--user={_user()}",
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.temporary}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self.folder / 'init.sql'}",
            f"--port={self.port}",
            f"--ssl-ca={self.certificates.authority}",
            f"--ssl-cert={self.certificates.certificate}",
            f"--ssl-key={self.certificates.key}",
            "--innodb-log-file-size=16M",
            *_OPTIONS,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                if self.query("SELECT @@pid_file") == [(str(self.folder / "pid"),)]:
                    return
                raise RuntimeError(f"port {self.port} is another server's")
            except pymysql.MySQLError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"mariadbd does not start: {self._last_words()}") from None
                time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as a power failure of the process would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Shut it down."""
        self._end(signal.SIGTERM)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It accepts connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)  # until then some of its threads go on
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                self._process.send_signal(how)
            self._process.wait(timeout=_SECONDS)
            self._process = None

    def connect(self, database: str | None = None, **options: Any) -> pymysql.Connection[pymysql.cursors.Cursor]:
        """A connection of the administrator, in autocommit."""
        try:
            return pymysql.connect(
                host="127.0.0.1",
                port=self.port,
                user=ADMIN,
                password=PASSWORD,
                database=database,
                autocommit=True,
                connect_timeout=5,
                ssl_disabled=True,
                **options,
            )
        except pymysql.MySQLError:
            if self._process is not None and self._process.poll() is not None:
                raise RuntimeError(f"mariadbd has ended ({self._process.returncode}): {self._last_words()}") from None
            raise

    def _last_words(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:]

    def query(self, statement: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement as the administrator."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def new_database(self) -> str:
        """Make an empty database; its name."""
        name = f"scim_{next(self._numbers)}"
        self.query(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database."""
        self.query(f"DROP DATABASE IF EXISTS {name}")

    def url(self, database: str, *, scheme: str = "mysql", port: int | None = None) -> str:
        """A database URL with the administrator's name and password."""
        return f"{scheme}://{ADMIN}:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


@contextlib.contextmanager
def running_mariadb() -> Iterator[MariaDb]:
    """A server with a datadir that goes with it."""
    # A short path: that of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="scim-mariadb-", dir=folder_in_memory(_ROOM)) as folder:
        server = MariaDb(Path(folder))
        server.install()
        server.start()
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDb]:
    """The MariaDB that the tests of this process share, each in a database of its own."""
    if program("mariadbd") is None or program("mariadb-install-db") is None:
        if os.environ.get("CI"):
            pytest.fail(INSTALL)
        pytest.skip(INSTALL)
    with running_mariadb() as server, statements_compiled_once(server):
        yield server


class _Compiled:
    """What engines have made SQL of: by its text alone one is as another, whatever the database that it is about."""

    def __init__(self) -> None:
        self._found = LRUCache(2000)

    def get(self, key: tuple[Any, ...]) -> Any:
        return self._found.get(key[1:])

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        self._found[key[1:]] = compiled  # the first part is the dialect of the engine


@contextlib.contextmanager
def statements_compiled_once(server: MariaDb) -> Iterator[None]:
    """What one engine on the server has made SQL of, every other one uses."""
    import scim_gateway_sql.mysql

    create = scim_gateway_sql.mysql.create_engine
    compiled = _Compiled()

    def create_engine(url: Any, *, creator: Any, **options: Any) -> sqlalchemy.Engine:
        if creator.__self__.address.port == server.port:
            options["execution_options"] = {"compiled_cache": compiled}
        return create(url, creator=creator, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scim_gateway_sql.mysql, "create_engine", create_engine)
        yield


@pytest.fixture
def mariadb(mariadb_server: MariaDb) -> Iterator[str]:
    """URL of an empty database."""
    name = mariadb_server.new_database()
    yield mariadb_server.url(name)
    mariadb_server.drop_database(name)
