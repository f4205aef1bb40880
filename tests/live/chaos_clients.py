"""Identity providers that ask until they are answered, and the ledger of what was acknowledged to them."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pymysql
import requests
from scim_http import GROUP, PATCH_OP, USER, Answer, ScimClient

SESSION_PASSWORD = "chosen-by-the-person"
PATIENCE = 120.0
"""Seconds after which a request that is never answered by success is a finding."""


@dataclass(eq=False)
class Person:
    """A user as acknowledged.

    :param session: a session of the database that the person has open.
    """

    name: str
    id: str
    active: bool = True
    groups: set[str] = field(default_factory=set)
    session: pymysql.Connection[Any] | None = None


@dataclass
class Ledger:
    """What one client was told, and what it had to go through.

    :param changes: acknowledged changes by kind; several memberships in one request are several changes.
    :param seconds: how long acknowledged requests took, repetitions included.
    """

    people: list[Person] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    own_group: tuple[str, str] = ("", "")
    changes: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    broken: int = 0
    refused: int = 0
    sessions: int = 0
    seconds: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def count(self, kind: str, number: int = 1) -> None:
        self.changes[kind] = self.changes.get(kind, 0) + number


class Wrong(Exception):
    """An answer that may not be."""


class Client(threading.Thread):
    """Asks one request after the other, of any gateway, and each until it is acknowledged.

    :param urls: base URLs of the gateways.
    :param groups: ids of groups that all clients fill.
    :param log_in: connects to the database as somebody, past all that fails.
    """

    def __init__(
        self,
        number: int,
        urls: Sequence[str],
        token: str,
        groups: Sequence[str],
        log_in: Callable[..., pymysql.Connection[Any]],
        stop: threading.Event,
        seed: int,
    ) -> None:
        super().__init__(daemon=True, name=f"client {number}")
        self.ledger = Ledger()
        self._number = number
        self._clients = [ScimClient(url, token=token, timeout=60) for url in urls]
        self._groups = groups
        self._log_in = log_in
        self._stop_asked = stop
        self._random = random.Random(seed * 1000 + number)
        self._names: Iterator[int] = itertools.count(1)

    def run(self) -> None:
        """Work until told to stop; a request that was begun is brought to an end."""
        steps = [self._join] * 6 + [self._leave] * 4 + [self._deactivate] * 2 + [self._reactivate] * 2
        steps += [self._rename, self._remove, self._rename_group, self._hire]
        try:
            self._make_group()
            while not self._stop_asked.is_set():
                if len(self.ledger.people) < 8:
                    self._hire()
                else:
                    self._random.choice(steps)()
        except Wrong as wrong:
            self.ledger.problems.append(f"{self.name}: {wrong}")
        finally:
            for person in self.ledger.people:
                self._hang_up(person)
            for client in self._clients:
                client.close()

    # What is asked

    def _hire(self) -> None:
        if len(self.ledger.people) >= 50:
            return
        name = self._new_name()
        answer, _ = self._ask("POST", "/Users", {"schemas": [USER], "userName": name}, 201, taken=("Users", name))
        self.ledger.people.append(Person(name, answer["id"]))
        self.ledger.count("create")

    def _deactivate(self) -> None:
        person = self._somebody(lambda one: one.active)
        self._maybe_log_in(person)
        self._patch_user(person, active=False)
        person.active = False
        self._check_thrown_out(person, "deactivated")
        self.ledger.count("deactivate")

    def _reactivate(self) -> None:
        person = self._somebody(lambda one: not one.active)
        self._patch_user(person, active=True)
        person.active = True
        self.ledger.count("reactivate")

    def _rename(self) -> None:
        person, name = self._somebody(), self._new_name()
        self._maybe_log_in(person)
        self._patch_user(person, userName=name)
        self.ledger.gone.add(person.name)
        person.name = name
        self._check_thrown_out(person, "renamed")
        self.ledger.count("rename")

    def _remove(self) -> None:
        person = self._somebody()
        self._maybe_log_in(person)
        self._ask("DELETE", f"/Users/{person.id}", None, 204, gone=True)
        self.ledger.people.remove(person)
        self.ledger.gone.add(person.name)
        self._check_thrown_out(person, "deleted")
        self.ledger.count("delete")

    def _join(self) -> None:
        group = self._some_group()
        people = self._several(lambda one: group not in one.groups)
        if not people:
            return
        self._patch_group(group, {"op": "add", "path": "members", "value": [{"value": one.id} for one in people]})
        for person in people:
            person.groups.add(group)
        self.ledger.count("member add", len(people))

    def _leave(self) -> None:
        group = self._some_group()
        people = self._several(lambda one: group in one.groups)
        if not people:
            return
        self._patch_group(group, *({"op": "remove", "path": f'members[value eq "{person.id}"]'} for person in people))
        for person in people:
            person.groups.discard(group)
        self.ledger.count("member remove", len(people))

    def _make_group(self) -> None:
        name = f"own {self._new_name()}"
        answer, _ = self._ask("POST", "/Groups", {"schemas": [GROUP], "displayName": name}, 201, taken=("Groups", name))
        self.ledger.own_group = (answer["id"], name)
        self.ledger.count("group create")

    def _rename_group(self) -> None:
        id, _ = self.ledger.own_group
        name = f"own {self._new_name()}"
        self._patch_group(id, {"op": "replace", "path": "displayName", "value": name})
        self.ledger.own_group = (id, name)
        self.ledger.count("group rename")

    # How it is asked

    def _patch_user(self, person: Person, **values: Any) -> None:
        self._ask("PATCH", f"/Users/{person.id}", _patch({"op": "replace", "value": values}), 200)

    def _patch_group(self, group: str, *operations: dict[str, Any]) -> None:
        self._ask("PATCH", f"/Groups/{group}", _patch(*operations), 200, 204)

    def _ask(
        self, method: str, path: str, body: Any, *right: int, gone: bool = False, taken: tuple[str, str] | None = None
    ) -> tuple[Any, int]:
        """Ask until there is success; an answer that was lost may have been success, too."""
        began = time.monotonic()
        for attempt in itertools.count():
            answer = self._once(method, path, body)
            if answer is not None and answer.status not in (429, 502, 503, 504):
                break
            if time.monotonic() - began > PATIENCE:
                raise Wrong(f"{method} {path} was not answered by success for {PATIENCE:.0f} seconds: {answer}")
            time.sleep(min(0.05 * 2**attempt, 1.0) * self._random.uniform(0.5, 1.0))
        repeated = attempt > 0
        self.ledger.requests += 1
        self.ledger.seconds.append(time.monotonic() - began)
        if answer.status in right or (gone and repeated and answer.status == 404):
            return answer.body, answer.status
        if taken is not None and repeated and answer.status == 409:
            return self._found(*taken), 409
        raise Wrong(str(answer)[:600])

    def _once(self, method: str, path: str, body: Any) -> Answer | None:
        client = self._random.choice(self._clients)
        try:
            answer = client.request(method, path, body) if body is not None else client.request(method, path)
        except requests.RequestException:
            self.ledger.broken += 1
            return None
        self.ledger.refused += answer.status >= 500 or answer.status == 429
        return answer

    def _found(self, kind: str, name: str) -> Any:
        """What an identity provider does when a name is taken: look whether it is its own."""
        attribute = "userName" if kind == "Users" else "displayName"
        for _ in range(100):
            client = self._random.choice(self._clients)
            with suppress(requests.RequestException):  # asked again
                answer = client.get(f"/{kind}", query={"filter": f'{attribute} eq "{name}"'})
                if answer.status == 200 and len(answer.resources) == 1:
                    return answer.resources[0]
            time.sleep(0.2)
        raise Wrong(f"{name} is taken and cannot be found")

    # Sessions

    def _maybe_log_in(self, person: Person) -> None:
        if person.session is not None or not person.active or self._random.random() > 0.5:
            return
        with suppress(pymysql.MySQLError):  # it restarts just now
            root = self._log_in()
            try:
                with root.cursor() as cursor:
                    cursor.execute("ALTER USER %s@'%%' IDENTIFIED BY %s", (person.name, SESSION_PASSWORD))
            finally:
                root.close()
            person.session = self._log_in(person.name, SESSION_PASSWORD)
            self.ledger.sessions += 1

    def _check_thrown_out(self, person: Person, what: str) -> None:
        if person.session is None:
            return
        try:
            with person.session.cursor() as cursor:
                cursor.execute("SELECT 1")
        except (pymysql.MySQLError, OSError):
            return
        else:
            self.ledger.problems.append(f"a session of {person.name} lives, who was {what}")
        finally:
            self._hang_up(person)

    @staticmethod
    def _hang_up(person: Person) -> None:
        if person.session is not None:
            with suppress(pymysql.MySQLError, OSError):  # the server has hung up first
                person.session.close()
            person.session = None

    # Choices

    def _somebody(self, fits: Callable[[Person], bool] = lambda _: True) -> Person:
        fitting = [person for person in self.ledger.people if fits(person)]
        return self._random.choice(fitting or self.ledger.people)

    def _several(self, fits: Callable[[Person], bool]) -> list[Person]:
        fitting = [person for person in self.ledger.people if fits(person)]
        return self._random.sample(fitting, min(len(fitting), self._random.randint(1, 20)))

    def _some_group(self) -> str:
        return self._random.choice([*self._groups, self.ledger.own_group[0]])

    def _new_name(self) -> str:
        return f"c{self._number}-{next(self._names)}"


def _patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": list(operations)}
