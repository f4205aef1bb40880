"""A gateway over the double with people and groups in it, and what is asked of it while the Engine fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from core_client import GROUP, PATCH_OP, USER, Core
from doubles.singlestore.api import Entry
from engine_world import EngineWorld, connect
from scim_gateway_provisioning.breaker import Limits
from scim_gateway_provisioning.context import Times
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_provisioning.safeguards import Safeguards
from scim_gateway_singlestore_engine import EngineBackend
from scim_gateway_sql import SqlBackend

from scim_gateway.backend import Query
from scim_gateway.definitions import standard_resource_types
from scim_gateway.provisioned import Plan

QUICK = Times(
    request=5.0, retry=0.03, first_pause=0.001, pause=0.01, grace=0.5, poll=0.005, backoff=0.001, backoff_limit=0.01
)
PEOPLE = {"lovelace": "ada"}
"""The person who has another name after a renaming."""
GROUPS = {"research": "eng"}

Rights = frozenset[tuple[str, str]]
Request = tuple[str, str, Any]


@dataclass(frozen=True)
class Operation:
    """A request, what it changes of the rights, and whose sessions it ends.

    :param gives: rights that are there afterwards; a failure takes them back.
    :param takes: rights that are gone afterwards; a failure does not bring them back.
    :param ends: names whose sessions are gone afterwards.
    :param meanwhile: rights that may be there while the Engine fails, because no statement of it avoids that.
    """

    request: Callable[[Mapping[str, str]], Request]
    gives: Rights = frozenset()
    takes: Rights = frozenset()
    ends: frozenset[str] = frozenset()
    meanwhile: Rights = frozenset()


def _patch(kind: str, name: str, *operations: Callable[[Mapping[str, str]], dict[str, Any]]) -> Callable[..., Request]:
    def request(ids: Mapping[str, str]) -> Request:
        made = [operation(ids) for operation in operations]
        return "PATCH", f"/{kind}/{ids[name]}", {"schemas": [PATCH_OP], "Operations": made}

    return request


def _replace(**values: Any) -> Callable[..., dict[str, Any]]:
    return lambda ids: {"op": "replace", "value": values}


def _rights(*pairs: tuple[str, str]) -> Rights:
    return frozenset(pairs)


LOG_IN = "log in"
OPERATIONS = {
    "create": Operation(
        lambda ids: ("POST", "/Users", {"schemas": [USER], "userName": "kim"}), gives=_rights(("kim", LOG_IN))
    ),
    "create inactive": Operation(
        lambda ids: ("POST", "/Users", {"schemas": [USER], "userName": "kim", "active": False}),
        # CREATE USER knows no ACCOUNT LOCK: the account, without any group, is locked by a second statement.
        meanwhile=_rights(("kim", LOG_IN)),
    ),
    "rename": Operation(_patch("Users", "ada", _replace(userName="lovelace"))),
    "rename and deactivate": Operation(
        _patch("Users", "ada", _replace(userName="lovelace", active=False)),
        takes=_rights(("ada", LOG_IN), ("ada", "eng"), ("ada", "dba_made")),
        ends=frozenset({"ada", "lovelace"}),
    ),
    "deactivate": Operation(
        _patch("Users", "ada", _replace(active=False)),
        takes=_rights(("ada", LOG_IN), ("ada", "eng"), ("ada", "dba_made")),
        ends=frozenset({"ada"}),
    ),
    "reactivate": Operation(
        _patch("Users", "zoe", _replace(active=True)), gives=_rights(("zoe", LOG_IN), ("zoe", "eng"))
    ),
    "group create": Operation(
        lambda ids: (
            "POST",
            "/Groups",
            {"schemas": [GROUP], "displayName": "new", "members": [{"value": ids["bob"]}]},
        ),
        gives=_rights(("bob", "new")),
    ),
    "group rename": Operation(_patch("Groups", "eng", _replace(displayName="research"))),
    "member add": Operation(
        _patch("Groups", "eng", lambda ids: {"op": "add", "path": "members", "value": [{"value": ids["eve"]}]}),
        gives=_rights(("eve", "eng")),
    ),
    "member remove": Operation(
        _patch("Groups", "eng", lambda ids: {"op": "remove", "path": f'members[value eq "{ids["ada"]}"]'}),
        takes=_rights(("ada", "eng")),
    ),
    "members replaced": Operation(
        _patch("Groups", "eng", lambda ids: {"op": "replace", "path": "members", "value": [{"value": ids["eve"]}]}),
        gives=_rights(("eve", "eng")),
        takes=_rights(("ada", "eng"), ("bob", "eng")),
    ),
    "delete": Operation(
        lambda ids: ("DELETE", f"/Users/{ids['ada']}", None),
        takes=_rights(("ada", LOG_IN), ("ada", "eng"), ("ada", "dba_made")),
        ends=frozenset({"ada"}),
    ),
    "group delete": Operation(
        lambda ids: ("DELETE", f"/Groups/{ids['eng']}", None), takes=_rights(("ada", "eng"), ("bob", "eng"))
    ),
}


@dataclass(frozen=True)
class Prepared:
    """What a gateway has done for the people of a scene: its directory, and what it sent to the Engine."""

    folder: Path
    ids: Mapping[str, str]
    statements: tuple[str, ...]


class Scene:
    """Ada and Bob in a group, Zoe inactive in it, Eve outside; and what administrators did by hand.

    The group has a role; Ada is in a group that the administrators made, and has a session open.

    :param folder: for the directory; made here.
    :param prepared: by another gateway, which this one goes on from; without it this one does all of it itself.
    """

    def __init__(self, world: EngineWorld, folder: Path, prepared: Prepared | None = None) -> None:
        self.world = world
        self.folder = folder
        if prepared is None:
            folder.mkdir()
        else:
            shutil.copytree(prepared.folder, folder)
        directory = SqlBackend.from_settings(
            {"data_dir": str(folder)}, standard_resource_types(), migrations=(PROVISIONING,)
        )
        safeguards = Safeguards(directory.database, directory.tenant, (), Limits(0))
        self.backend = EngineBackend(directory, [world.target], times=QUICK, safeguards=safeguards)
        self.core = Core(self.backend)
        self.ids = self._prepare() if prepared is None else self._continue(prepared)
        self._by_gateway = tuple(entry.sql for entry in self.double.log if entry.is_account_statement)
        self.double.execute(
            "CREATE ROLE 'reader'",
            "GRANT ROLE 'reader' TO 'eng'",
            "CREATE GROUP 'dba_made'",
            "GRANT GROUP 'dba_made' TO 'ada'@'%'",
            "GRANT SELECT ON shop.* TO 'ada'@'%'",
            "ALTER USER 'ada'@'%' IDENTIFIED BY 'chosen-by-ada'",
        )
        self.session: pymysql.Connection[Any] | None = None
        self.open_session()

    def _prepare(self) -> Mapping[str, str]:
        people = {name: self.core.user(name) for name in ("ada", "bob", "eve", "zoe")}
        eng = self.core.group("eng", people["ada"], people["bob"], people["zoe"])
        self.core.patch(people["zoe"], {"op": "replace", "path": "active", "value": False})
        return {name: one["id"] for name, one in {**people, "eng": eng}.items()}

    def _continue(self, prepared: Prepared) -> Mapping[str, str]:
        self.double.execute(*prepared.statements)
        with self.world.session():
            # The gateway is connected with the Engine, as with one that has just worked.
            return prepared.ids

    def prepared(self) -> Prepared:
        """Close it; for others that begin in its place."""
        self.close()
        return Prepared(self.folder, self.ids, self._by_gateway)

    @property
    def double(self) -> Any:
        return self.world.double

    def open_session(self) -> None:
        """Ada logs in, and stays."""
        if self.session is not None:
            self.session.close()
        self.session = connect(self.double.address(), "ada", "chosen-by-ada")

    def close(self) -> None:
        assert self.session is not None
        self.session.close()
        self.backend.close()

    def send(self, operation: Operation) -> int:
        return self.core.send(*operation.request(self.ids)).status

    def settle(self) -> None:
        """Let the retry have its turn, until nothing is pending."""
        for _ in range(20):
            self.backend.settle_pending()
            if not self.backend.pending():
                return
        raise AssertionError(self.backend.pending())

    def opened(self) -> Rights:
        """What people may do in the Engine right now, whatever their accounts and groups are called by now."""
        state = self.world.state
        mine = {account: PEOPLE.get(account.name, account.name) for account in state.users if account.name != "scim_gw"}
        mine = {account: name for account, name in mine.items() if account.host == "%"}
        may = {(name, LOG_IN) for account, name in mine.items() if not state.users[account]}
        for group, members in state.groups.items():
            inside = {mine[account] for account in members if not state.users[account]}
            may |= {(name, GROUPS.get(group, group)) for name in inside}
        return frozenset(may)

    def wanted(self) -> tuple[dict[str, bool], dict[str, set[str]]]:
        """Accounts with whether they are locked, and groups with their members, by the directory alone."""
        users = {user["id"]: user for user in self._all("User")}
        groups = {
            group["displayName"]: {
                users[element["value"]]["userName"]
                for element in group.get("members", ())
                if users[element["value"]]["active"]
            }
            for group in self._all("Group")
        }
        # Who was never active has no account.
        accounts = {
            user["userName"]: not user["active"]
            for id, user in users.items()
            if user["active"] or self.backend.state_of(id)["engine"].get("name") in self.world.users
        }
        return accounts, groups

    def _all(self, kind: str) -> list[dict[str, Any]]:
        handler = self.backend.directory.handlers[kind]
        return [dict(one) for one in handler.query(Query(handler.resource_type, count=1000)).resources]

    def check_equal(self, plan: Plan | None = None) -> None:
        """Directory and Engine say the same, and what administrators made by hand is as they made it.

        :param plan: of now, if there is one.
        """
        users, groups = self.wanted()
        seen = self.world.groups
        administrators = seen.pop("dba_made")
        assert self.world.users == users
        assert seen == groups
        assert administrators <= {"ada", "lovelace"}
        holders = {group for group in ("eng", "research") if group in groups}
        assert {group for group in seen if self.world.roles_of(group)} == holders
        for name in {"ada", "lovelace"} & users.keys():
            assert administrators == {name}
            assert "GRANT SELECT ON `shop`.*" in "\n".join(self.double.grants(name))
        for name, locked in users.items():
            assert not locked or self.double.sessions(name) == []
        assert (plan or self.backend.plan()).to_do == []
        assert not self.backend.verify_audit().problems


def is_ours(entry: Entry) -> bool:
    return entry.account.name == "scim_gw"


def is_effect(entry: Entry) -> bool:
    """A statement of the gateway that changes something."""
    return is_ours(entry) and (entry.is_account_statement or entry.sql.startswith("KILL"))
