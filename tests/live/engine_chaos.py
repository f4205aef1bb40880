"""Two gateways, a directory in MariaDB, an Engine, and everything failing: nothing is lost, nothing comes back.

Two ``scim-gateway serve`` of two workers each share a MariaDB; that, and the double of the Engine, are reached through
proxies that break connections. Clients create, rename, deactivate, reactivate and delete people, move them in and out
of groups, and ask again until they are answered by success, while processes are killed and networks fail. At the end
directory and Engine have to be what was acknowledged, exactly.

``python tests/live/engine_chaos.py --seconds 300 --faults 200`` prints the figures; the test suite plays a short form.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import pymysql
from chaos_clients import Client, Ledger
from click.testing import CliRunner
from crash import everything
from gateway_process import TOKEN, GatewayProcess
from servers.fault_proxy import FaultProxy
from servers.mariadb import MariaDb, running_mariadb
from servers.ports import free_port

from scim_gateway.cli import main as cli

TESTS = Path(__file__).parents[1]
ACCOUNT, ROOT, PASSWORD = "scim_gw", "root", "trying-it-out"
QUIET_SECONDS = 180.0
AUDIT_KEY = "audit-key-of-the-tests-0123456789-abcdef"


class EngineProcess:
    """The double in a process of its own, as ``make engine-double`` starts it.

    :ivar statements: the file to which it writes each account statement that it carries out.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.statements = folder / "engine-statements.log"
        self._said, self._log = self.statements.open("wb"), (folder / "engine.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "doubles.singlestore", "--port", str(self.port)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=self._log,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                self.log_in().close()
                return
            except pymysql.MySQLError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise AssertionError(f"the double did not start; see {self._log.name}") from None
                time.sleep(0.05)

    def log_in(self, user: str = ROOT, password: str = PASSWORD) -> pymysql.Connection[Any]:
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=user,
            password=password,
            autocommit=True,
            read_timeout=10,
            # Without this the client would first read all authorities that the system trusts.
            ssl_disabled=True,
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = self.log_in()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def restart(self) -> None:
        """The cluster restarts: sessions end, and it forgets who was locked."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"restart\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # what was written last has no reader
            self._process.stdin.close()
        self._said.close()
        self._log.close()


@dataclass
class Report:
    """What a run came to."""

    faults: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    broken: int = 0
    refused: int = 0
    sessions: int = 0
    seconds: list[float] = field(default_factory=list)
    settled_after: float = 0.0
    forgotten_locks: int = 0
    audited: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> int:
        return sum(self.changes.values())

    def __str__(self) -> str:
        ordered = sorted(self.seconds) or [0.0]
        forgotten = f"locks that restarts had forgotten: {self.forgotten_locks}"
        share = {f"p{n}": ordered[min(len(ordered) - 1, len(ordered) * n // 100)] for n in (50, 99)}
        return "\n".join(
            [
                f"faults        {self.faults.total()}: {_shown(self.faults)}",
                f"acknowledged  {self.acknowledged} changes in {self.requests} requests: {_shown(self.changes)}",
                f"on the way    {self.broken} broken connections, {self.refused} answers of 5xx or 429, asked again",
                f"took          p50 {share['p50']:.3f} s, p99 {share['p99']:.3f} s, longest {ordered[-1]:.2f} s",
                f"sessions      {self.sessions} opened by people who then had to be thrown out",
                f"at the end    nothing pending after {self.settled_after:.1f} s; {forgotten}; {self.audited}",
                f"wrong         {len(self.problems)}",
                *(f"    {problem}" for problem in self.problems),
            ]
        )


class Chaos:
    """The whole system, and what is done to it."""

    def __init__(self, folder: Path, maria: MariaDb, engine: EngineProcess, seed: int) -> None:
        self.folder = folder
        self.maria = maria
        self.engine = engine
        self.database = maria.new_database()
        self.seed = seed
        self.report = Report()
        self.ledgers: list[Ledger] = []
        self.to_maria, self.to_engine = FaultProxy(maria.port), FaultProxy(engine.port)
        self.settings = {
            "SCIM_GATEWAY_DATABASE_URL": maria.url(self.database, port=self.to_maria.port),
            "SCIM_GATEWAY_ENGINE_URL": f"singlestore://{ACCOUNT}@127.0.0.1:{self.to_engine.port}/",
            "SCIM_GATEWAY_ENGINE_PASSWORD": PASSWORD,
            # People log in by a password that the test gives them, to see that their sessions end.
            "SCIM_GATEWAY_ENGINE_AUTHENTICATION": "password",
            "SCIM_GATEWAY_ENGINE_REQUIRE": "none",
            "SCIM_GATEWAY_BREAKER_REMOVALS": "0",
            "SCIM_GATEWAY_RECONCILE_MINUTES": "0",
            "SCIM_GATEWAY_AUDIT_KEY": AUDIT_KEY,
        }
        self.gateways = []
        for number in (1, 2):
            place = folder / f"gateway{number}"
            place.mkdir()
            self.gateways.append(GatewayProcess(place, "engine", workers=2, threads=4, **self.settings))
        self._random = random.Random(seed)

    def close(self) -> None:
        for gateway in self.gateways:
            gateway.kill()
        self.to_maria.close()
        self.to_engine.close()

    # The run

    def run(self, *, seconds: float, faults: int, clients: int, changes: int, at_most: float) -> Report:
        """Work under faults until there were enough of both, then compare.

        :param changes: acknowledged changes to wait for, ``at_most`` so many seconds.
        """
        for gateway in self.gateways:
            gateway.start()
        scim = self.gateways[0].client()
        self.shared = {scim.group(f"shared {number}")["id"]: f"shared {number}" for number in range(10)}
        scim.close()
        stop = threading.Event()
        working = [
            Client(
                number,
                [gateway.base_url for gateway in self.gateways],
                TOKEN,
                list(self.shared),
                self.engine.log_in,
                stop,
                self.seed,
            )
            for number in range(clients)
        ]
        for client in working:
            client.start()
        began = time.monotonic()
        self._torment(working, began, seconds, faults, changes, at_most)
        stop.set()
        for client in working:
            client.join(180)
            if client.is_alive():
                self.report.problems.append(f"{client.name} hangs")
        self.ledgers = [client.ledger for client in working]
        self._sum_up()
        self._wait_until_settled()
        self.compare()
        return self.report

    def _torment(
        self, clients: list[Client], began: float, seconds: float, faults: int, changes: int, at_most: float
    ) -> None:
        kinds = {
            self._kill_worker: 4,
            self._kill_gateway: 1,
            self._kill_master: 1,
            self._reset_maria: 4,
            self._reset_engine: 6,
            self._lose_commit_answers: 4,
            self._lose_commits: 2,
            self._refuse_maria: 2,
            self._refuse_engine: 3,
            self._hang_engine: 1,
            self._hang_maria: 1,
            self._restart_engine: 1,
            self._kill_maria: 1,
        }
        pace = seconds / max(faults, 1)
        while True:
            now = time.monotonic() - began
            done = sum(sum(client.ledger.changes.values()) for client in clients)
            enough = self.report.faults.total() >= faults and now >= seconds and done >= changes
            if enough or now > at_most or not any(client.is_alive() for client in clients):
                return
            due = pace * self.report.faults.total()
            if now < due:
                time.sleep(min(due - now, 0.5))
                continue
            fault = self._random.choices(list(kinds), list(kinds.values()))[0]
            self.report.faults[fault.__name__.strip("_").replace("_", " ")] += 1
            fault()

    # Faults

    def _kill_worker(self) -> None:
        workers = [worker for gateway in self.gateways for worker in gateway.workers]
        if workers:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(self._random.choice(workers), signal.SIGKILL)

    def _kill_gateway(self) -> None:
        gateway = self._random.choice(self.gateways)
        gateway.kill()
        gateway.start()

    def _kill_master(self) -> None:
        gateway = self._random.choice(self.gateways)
        os.kill(gateway.pid, signal.SIGKILL)
        time.sleep(0.3)  # its workers still answer
        gateway.kill()
        gateway.start()

    def _reset_maria(self) -> None:
        self.to_maria.reset()

    def _reset_engine(self) -> None:
        self.to_engine.reset()

    def _lose_commit_answers(self) -> None:
        self.to_maria.cut_commits("after", self._random.randint(1, 4))

    def _lose_commits(self) -> None:
        self.to_maria.cut_commits("before", self._random.randint(1, 4))

    def _refuse_maria(self) -> None:
        with self.to_maria.refusing():
            time.sleep(0.5)

    def _refuse_engine(self) -> None:
        with self.to_engine.refusing():
            time.sleep(0.5)

    def _hang_engine(self) -> None:
        with self.to_engine.swallowing():
            time.sleep(1)

    def _hang_maria(self) -> None:
        with self.to_maria.swallowing():
            time.sleep(1)

    def _restart_engine(self) -> None:
        self.engine.restart()

    def _kill_maria(self) -> None:
        self.maria.kill()
        self.maria.start()

    # The comparison

    def _sum_up(self) -> None:
        for ledger in self.ledgers:
            self.report.changes.update(ledger.changes)
            self.report.requests += ledger.requests
            self.report.broken += ledger.broken
            self.report.refused += ledger.refused
            self.report.sessions += ledger.sessions
            self.report.seconds += ledger.seconds
            self.report.problems += ledger.problems

    def _wait_until_settled(self) -> None:
        began = time.monotonic()
        while time.monotonic() - began < QUIET_SECONDS:
            pending = self.maria.query(
                "SELECT (SELECT COUNT(*) FROM scim_work WHERE applied_no < gen_no) + (SELECT COUNT(*) FROM scim_edge)"
                " + (SELECT COUNT(*) FROM scim_promise WHERE ended_flag = 0)",
                self.database,
            )
            if pending == [(0,)]:
                self.report.settled_after = time.monotonic() - began
                return
            time.sleep(0.5)
        rows = self.maria.query(
            "SELECT resource_id, kind, gen_no, applied_no, trouble_text FROM scim_work WHERE applied_no < gen_no",
            self.database,
        )
        self.report.problems.append(f"still pending after {QUIET_SECONDS:.0f} seconds: {rows[:5]}")

    def compare(self) -> None:
        """Hold directory, Engine, sessions and audit trail against the ledgers."""
        ledgers = self.ledgers
        people = {person.name: person for ledger in ledgers for person in ledger.people}
        groups = {**self.shared, **dict(ledger.own_group for ledger in ledgers)}
        active = {name: person.active for name, person in people.items()}
        members = {(group, name) for name, person in people.items() for group in person.groups}
        gone = set().union(*(ledger.gone for ledger in ledgers))
        self._directory(active, {(groups[group], name) for group, name in members}, set(groups.values()), gone)
        rights = {(groups[group], name) for group, name in members if active[name]}
        open_now = {name: self._is_open(name) for name in self._accounts()}
        # A restart of the cluster forgets locks, and nobody told the gateway: that is all that a plan may find.
        forgotten = {name for name in people if not active[name] and open_now.get(name)}
        self.report.forgotten_locks = len(forgotten)
        if forgotten and not self.report.faults["restart engine"]:
            self.report.problems.append(f"not locked: {sorted(forgotten)}")
        self._plan(forgotten)
        self._engine(active, rights, set(groups.values()), gone)
        self.report.audited = self._command("audit", "--verify").strip().splitlines()[-1]

    def _directory(
        self, active: dict[str, bool], members: set[tuple[str, str]], groups: set[str], gone: set[str]
    ) -> None:
        scim = self.gateways[1].client()
        found = {user["id"]: user for user in everything(scim, "/Users")}
        there = everything(scim, "/Groups")
        scim.close()
        inside = {
            (group["displayName"], found[member["value"]]["userName"] if member["value"] in found else "nobody")
            for group in there
            for member in group.get("members", ())
        }
        self._differ("directory, people", {user["userName"]: user["active"] for user in found.values()}, active)
        self._differ("directory, groups", {group["displayName"] for group in there}, groups)
        self._differ("directory, memberships", inside, members)
        self._differ("directory, resurrected", gone & {user["userName"] for user in found.values()}, set())

    def _engine(self, active: dict[str, bool], rights: set[tuple[str, str]], groups: set[str], gone: set[str]) -> None:
        accounts = self._accounts()
        members = {
            (str(group), _name_of(str(user)))
            for group, user in self.engine.rows("SELECT `GROUP`, `USER` FROM information_schema.USERS_GROUPS")
        }
        named = {str(row[0]) for row in self.engine.rows("SHOW GROUPS")}
        self._differ("Engine, people", {name: self._is_open(name) for name in accounts}, active)
        self._differ("Engine, groups", named, groups)
        self._differ("Engine, memberships", members, rights)
        self._differ("Engine, resurrected", gone & accounts, set())
        sessions = {str(row[0]) for row in self.engine.rows("SELECT `USER` FROM information_schema.MV_PROCESSLIST")}
        self._differ("sessions of nobody or of inactive people", sessions - {ROOT, ACCOUNT}, set())

    def _accounts(self) -> set[str]:
        names = {_name_of(str(row[0])) for row in self.engine.rows("SHOW USERS")}
        return names - {ROOT, ACCOUNT}

    def _is_open(self, name: str) -> bool:
        rows = self.engine.rows(f"SELECT ACCOUNT_STATUS FROM information_schema.USERS WHERE `USER` = '{name}'")
        return [str(row[0]).upper() for row in rows] != ["LOCKED"]

    def _plan(self, forgotten: set[str]) -> None:
        listed = self._command("plan", right=(0, 2))
        found = set(re.findall(r"\bc\d+-\d+\b", listed))
        if found - forgotten:
            self.report.problems.append(f"the plan finds more than forgotten locks:\n{listed}")
        if found:
            self._command("reconcile", right=(0, 2))
            again = self._command("plan", right=(0, 2))
            if re.search(r"\bc\d+-\d+\b", again):
                self.report.problems.append(f"a second plan finds something:\n{again}")

    def _command(self, *arguments: str, right: tuple[int, ...] = (0,)) -> str:
        data = str(self.folder / "gateway1" / "data")
        variables = {**self.settings, "SCIM_GATEWAY_BACKEND": "engine", "SCIM_GATEWAY_DATA_DIR": data}
        ran = CliRunner().invoke(cli, arguments, obj=variables)
        if ran.exit_code not in right:
            self.report.problems.append(f"{arguments[0]} ended with {ran.exit_code}: {ran.output} {ran.exc_info}"[:800])
        return ran.output

    def _differ(self, what: str, found: Any, wanted: Any) -> None:
        if found == wanted:
            return
        if isinstance(found, dict):
            found, wanted = set(found.items()), set(wanted.items())
        more, missing = sorted(found - wanted)[:10], sorted(wanted - found)[:10]
        self.report.problems.append(f"{what}: too much {more}, missing {missing}")


@contextmanager
def chaos(folder: Path, seed: int = 1) -> Iterator[Chaos]:
    """The parts, started; they end with the block."""
    engine = EngineProcess(folder)
    try:
        with running_mariadb() as maria:
            whole = Chaos(folder, maria, engine, seed)
            try:
                yield whole
            finally:
                whole.close()
    finally:
        engine.stop()


def _name_of(account: str) -> str:
    """The name in ``'name'@'%'``."""
    return account.rpartition("@")[0].strip("'`") if "@" in account else account


def _shown(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))


def main() -> int:
    """The long form, from the shell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="faults are spread over so long")
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--changes", type=int, default=20_000, help="go on until so many were acknowledged")
    parser.add_argument("--at-most", type=float, default=900.0, help="seconds after which it ends in any case")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for the logs, which are thrown away otherwise")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as thrown_away:
        folder = options.keep or Path(thrown_away)
        folder.mkdir(parents=True, exist_ok=True)
        with chaos(folder, options.seed) as whole:
            report = whole.run(
                seconds=options.seconds,
                faults=options.faults,
                clients=options.clients,
                changes=options.changes,
                at_most=options.at_most,
            )
    print(report, flush=True)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
