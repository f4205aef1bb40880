"""An Engine target over the double or a real server: its settings, its service account, and people and groups."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest
from doubles.singlestore.api import Account, Address, Behaviour, SingleStoreDouble, State
from doubles.singlestore.real_server import RealServer
from scim_gateway_provisioning.target import Deadline, Group, Known, MemberChanges, Outcome, TargetSession, User
from scim_gateway_singlestore_engine.settings import EngineSettings
from scim_gateway_singlestore_engine.target import EngineTarget

from scim_gateway.config import load
from scim_gateway.definitions import standard_resource_types

PASSWORD = "Password-of-the-gateway-1"
PRIVILEGES = ("CREATE USER", "ALTER USER", "PROCESS", "SHOW METADATA", "GRANT OPTION")
SECRET = "known-to-the-test-1"
"""A password of somebody whom a test lets log in."""


def engine_settings(folder: Path, port: int, **chosen: Any) -> EngineSettings:
    """Settings of a target that talks to the double."""
    values: dict[str, Any] = dict(load({}))
    values |= {"data_dir": str(folder), "engine_url": f"singlestore://scim_gw@127.0.0.1:{port}/"}
    values |= {"engine_password": PASSWORD, "engine_authentication": "password", "engine_require": "none"}
    unknown = {f"engine_{name}" for name in chosen} - values.keys() - {"engine_tenant"}
    assert not unknown, unknown
    values |= {f"engine_{name}": value for name, value in chosen.items()}
    values["tenant"] = values.pop("engine_tenant", None)
    return EngineSettings.of(values, standard_resource_types())


class EngineWorld:
    """A double, a service account in it, a target, and the notes that provisioning would keep.

    Attributes:
        double: the server. A real one skips the test when it is asked for what only a double can do.
        version: as the server says it itself.
    """

    def __init__(self, double: SingleStoreDouble | RealServer, folder: Path, **chosen: Any) -> None:
        self.double = double
        self.folder = folder
        self.chosen = chosen
        told = double.execute("SELECT @@memsql_version")
        assert told is not None
        self.version = str(told.rows[0][0])
        old = int(self.version.split(".")[0]) < 8
        self.privileges = [name for name in PRIVILEGES if not (old and name == "ALTER USER")]
        double.execute(
            f"CREATE USER 'scim_gw'@'%' IDENTIFIED BY '{PASSWORD}'",
            f"GRANT {', '.join(self.privileges)} ON *.* TO 'scim_gw'@'%'",
        )
        self.known: dict[str, Known] = {}
        self.saved: list[Known] = []
        self.managed: set[str] = set()
        self.target = self.another_target()

    def another_target(self, **chosen: Any) -> EngineTarget:
        """A target like that of another process, perhaps with other settings."""
        return EngineTarget(engine_settings(self.folder, self.double.address().port, **{**self.chosen, **chosen}))

    @contextmanager
    def session(self, seconds: float = 20.0) -> Iterator[TargetSession]:
        with self.target.session(Deadline(seconds)) as session:
            yield session

    def put_user(self, id: str, name: str, *, active: bool = True, adoptable: bool = False, **more: Any) -> Outcome:
        """Put a user and keep the note."""
        user = User(id, {"id": id, "userName": name, "active": active, **more}, active, adoptable, self._managed)
        with self.session() as session:
            outcome = session.put_user(user, self.known.get(id, {}), self._saving(id))
        self.known[id] = outcome.known
        return outcome

    def _managed(self, names: Collection[str]) -> Collection[str]:
        return self.managed & set(names)

    def remove_user(self, id: str) -> None:
        with self.session() as session:
            session.remove_user(id, self.known.get(id, {}), self._saving(id))
        self.known.pop(id, None)

    def put_group(self, id: str, name: str, *, adoptable: bool = False, seconds: float = 20.0) -> Outcome:
        """Put a group and keep the note."""
        with self.session(seconds) as session:
            outcome = session.put_group(
                Group(id, {"id": id, "displayName": name}, adoptable), self.known.get(id, {}), self._saving(id)
            )
        self.known[id] = outcome.known
        self.managed.add(str(outcome.known.get("name")))
        return outcome

    def remove_group(self, id: str) -> None:
        with self.session() as session:
            session.remove_group(id, self.known.get(id, {}), self._saving(id))
        self.known.pop(id, None)

    def members(self, group: str, add: Collection[str] = (), remove: Collection[str] = ()) -> frozenset[str]:
        """Change memberships by ids."""
        changes = MemberChanges(
            self.known.get(group, {}),
            {id: self.known.get(id, {}) for id in add},
            {id: self.known.get(id, {}) for id in remove},
        )
        with self.session() as session:
            return session.change_members(changes)

    def _saving(self, id: str) -> Any:
        def save(known: Known) -> None:
            self.saved.append(known)
            self.known[id] = dict(known)

        return save

    def needs_all_of_a_name(self) -> None:
        """Skip where a prefix takes its share of every name: the test is about how long one may be."""
        if isinstance(self.double, RealServer):
            pytest.skip("needs names as long as the server takes, and those of tests have a prefix on a real server")

    @property
    def state(self) -> State:
        return self.double.state()

    @property
    def users(self) -> dict[str, bool]:
        """Accounts of any host but the gateway's own, and whether they are locked."""
        return {
            account.name: locked
            for account, locked in self.state.users.items()
            if account.host == "%" and account.name != "scim_gw"
        }

    @property
    def groups(self) -> dict[str, set[str]]:
        return {name: {account.name for account in members} for name, members in self.state.groups.items()}

    def roles_of(self, group: str) -> set[str]:
        return {role for role, groups in self.state.roles.items() if group in groups}

    def sent(self) -> list[str]:
        """Account statements of the gateway, in order."""
        return [
            entry.shown
            for entry in self.double.log
            if entry.account.name == "scim_gw" and (entry.is_account_statement or entry.sql.startswith("KILL"))
        ]

    def account(self, name: str) -> Mapping[str, Any]:
        """A row of USERS."""
        rows = self.double.execute(f"SELECT * FROM information_schema.USERS WHERE `USER` = '{name}'")
        assert rows is not None
        assert len(rows.rows) == 1, rows
        return dict(zip(rows.columns, rows.rows[0], strict=True))


def log_in(world: EngineWorld, name: str, node: int = 1) -> pymysql.Connection[Any]:
    """Log in with a password that the test gives the account."""
    world.double.execute(f"ALTER USER '{name}'@'%' IDENTIFIED BY '{SECRET}'")
    there = world.double.address(node)
    return connect(there, name, SECRET, read_timeout=10)


def connect(there: Address, user: str, password: str, **options: Any) -> pymysql.Connection[Any]:
    """A connection to a server that offers no TLS, or to the real one as it wants it."""
    # Without this the client would first read all authorities that the system trusts.
    options = {"ssl_disabled": True} | options
    return pymysql.connect(host=there.host, port=there.port, user=user, password=password, **options)


__all__ = ["PASSWORD", "SECRET", "Account", "Behaviour", "EngineWorld", "connect", "engine_settings", "log_in"]
