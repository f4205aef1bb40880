"""Kill a gateway by SIGKILL under load, start it again, and compare what it has with what it acknowledged.

Four clients create, change and delete users and move them in and out of groups, each on users of its own. A request
that never got an answer may have happened or not; everything else has to be exactly as acknowledged.

``python tests/live/crash.py --rounds 20`` prints a line per round and the sums; the test suite plays a few rounds.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import requests
from gateway_process import GatewayProcess
from scim_http import USER, Answer, ScimClient

CLIENTS = 4
GROUPS = 3
PAGE = 500


@dataclass
class Person:
    """A user as its only client knows it.

    :param states: the profile texts it may have; several while a change is unanswered. ``None`` stands for deleted.
    :param groups: for each group whether it is a member; both values while a change is unanswered.
    :param asked: whether an unanswered request was done after all, by the state and the groups that are found.
    """

    name: str
    id: str | None = None
    states: set[str | None] = field(default_factory=set)
    groups: dict[str, set[bool]] = field(default_factory=dict)
    asked: Callable[[str | None, set[str]], bool] | None = None


@dataclass
class Counts:
    """What a round came to."""

    created: int = 0
    changed: int = 0
    deleted: int = 0
    memberships: int = 0
    unanswered: int = 0
    unanswered_done: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> int:
        """Writes that were answered by success."""
        return self.created + self.changed + self.deleted + self.memberships

    def __add__(self, other: Counts) -> Counts:
        names = ("created", "changed", "deleted", "memberships", "unanswered", "unanswered_done")
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Counts(**sums, problems=self.problems + other.problems)

    def __str__(self) -> str:
        return (
            f"acknowledged {self.acknowledged} ({self.created} creates, {self.changed} changes, "
            f"{self.deleted} deletes, {self.memberships} memberships), unanswered {self.unanswered} "
            f"of which done {self.unanswered_done}, wrong {len(self.problems)}"
        )


class Client(threading.Thread):
    """One provisioning client: a request after the other until it is told to stop or gets no answer any more."""

    def __init__(self, number: int, scim: ScimClient, groups: list[str], names: Iterator[int], stop: threading.Event):
        super().__init__(daemon=True)
        self.people: list[Person] = []
        self.counts = Counts()
        self._scim = scim
        self._groups = groups
        self._names = names
        self._stop_asked = stop
        self._random = random.Random(number)
        self._number = number

    def run(self) -> None:
        """Work, and note what was acknowledged."""
        steps: list[Callable[[], None]] = [
            self._create,
            self._change,
            self._join,
            self._join,
            self._leave,
            self._replace,
        ]
        try:
            while not self._stop_asked.is_set():
                living = [person for person in self.people if person.states != {None}]
                step = self._create if len(living) < 3 else self._random.choice([*steps, self._remove])
                step()
        except requests.RequestException:
            self.counts.unanswered += 1
        except AssertionError as error:
            self.counts.problems.append(f"client {self._number}: {error}")
        finally:
            self._scim.close()

    def _create(self) -> None:
        person = Person(f"crash{next(self._names)}@example.com")
        text = self._text(person)
        person.states, person.asked = {None, text}, lambda state, _: state == text
        self.people.append(person)
        person.id = self._sent(self._scim.post("/Users", profile(person.name, text)), 201).body["id"]
        person.states, person.asked = {text}, None
        self.counts.created += 1

    def _change(self) -> None:
        person = self._somebody()
        text = self._text(person)
        person.states.add(text)
        person.asked = lambda state, _: state == text
        operations = [
            {"op": "replace", "path": "displayName", "value": text},
            {"op": "replace", "path": "title", "value": text},
            {"op": "replace", "path": 'emails[type eq "work"].display', "value": text},
        ]
        self._sent(self._scim.patch(f"/Users/{person.id}", operations), 200)
        person.states, person.asked = {text}, None
        self.counts.changed += 1

    def _replace(self) -> None:
        person = self._somebody()
        text = self._text(person)
        person.states.add(text)
        person.asked = lambda state, _: state == text
        self._sent(self._scim.put(f"/Users/{person.id}", profile(person.name, text)), 200)
        person.states, person.asked = {text}, None
        self.counts.changed += 1

    def _remove(self) -> None:
        person = self._somebody()
        person.states.add(None)
        person.asked = lambda state, _: state is None
        for possible in person.groups.values():
            possible.add(False)
        self._sent(self._scim.delete(f"/Users/{person.id}"), 204)
        person.states, person.asked, person.groups = {None}, None, {}
        self.counts.deleted += 1

    def _join(self) -> None:
        person, group = self._somebody(), self._random.choice(self._groups)
        self._move(person, group, {"op": "add", "path": "members", "value": [{"value": person.id}]}, member=True)

    def _leave(self) -> None:
        person, group = self._somebody(), self._random.choice(self._groups)
        self._move(person, group, {"op": "remove", "path": f'members[value eq "{person.id}"]'}, member=False)

    def _move(self, person: Person, group: str, operation: dict[str, Any], *, member: bool) -> None:
        person.groups.setdefault(group, {False}).add(member)
        person.asked = lambda _, groups: (group in groups) is member
        self._sent(self._scim.patch(f"/Groups/{group}", [operation]), 200, 204)
        person.groups[group], person.asked = {member}, None
        self.counts.memberships += 1

    def _somebody(self) -> Person:
        return self._random.choice([person for person in self.people if person.states != {None}])

    def _text(self, person: Person) -> str:
        return f"{person.name} {self._random.randrange(10**9)}"

    @staticmethod
    def _sent(answer: Answer, *right: int) -> Answer:
        # A worker that was killed alone leaves the port to others: 503 says honestly that nothing happened.
        assert answer.status in right, str(answer)[:500]
        return answer


def profile(name: str, text: str) -> dict[str, Any]:
    """A user whose texts all say the same, so that half of a change would show."""
    return {
        "schemas": [USER],
        "userName": name,
        "displayName": text,
        "title": text,
        "name": {"givenName": "Crash", "familyName": "Test"},
        "emails": [{"value": name, "type": "work", "primary": True, "display": text}],
        "active": True,
    }


class CrashTest:
    """A gateway, its load, and the comparison."""

    def __init__(self, gateway: GatewayProcess, seed: int = 1) -> None:
        self.gateway = gateway
        self.people: list[Person] = []
        self.groups: list[str] = []
        self._names = itertools.count(1)
        self._random = random.Random(seed)

    def prepare(self) -> None:
        """Start the gateway and make the groups."""
        self.gateway.start()
        scim = self.gateway.client()
        self.groups = [scim.group(f"Crash {number}")["id"] for number in range(GROUPS)]
        scim.close()

    def round(self, seconds: float, *, whole: bool = True) -> Counts:
        """Load, kill, start again, compare.

        :param whole: kill all processes; otherwise one worker, whose place the others and a new one take.
        """
        stop = threading.Event()
        clients = [
            Client(self._random.randrange(10**6), self.gateway.client(), self.groups, self._names, stop)
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        time.sleep(seconds * self._random.uniform(0.5, 1.5))
        if whole:
            self.gateway.kill()
        else:
            os.kill(self._random.choice(self.gateway.workers), signal.SIGKILL)
            time.sleep(0.5)
            stop.set()
        for client in clients:
            client.join(40)
            assert not client.is_alive()
            self.people += client.people
        if whole:
            self.gateway.start()
        return self._compare(sum((client.counts for client in clients), Counts()))

    def _compare(self, counts: Counts) -> Counts:
        """What the gateway has against what it acknowledged; each unanswered request settles one way or the other."""
        scim = self.gateway.client()
        users = {user["userName"]: user for user in everything(scim, "/Users")}
        groups = {group["id"]: {m["value"] for m in group.get("members", [])} for group in everything(scim, "/Groups")}
        scim.close()
        wrong = counts.problems
        if set(groups) != set(self.groups):
            wrong.append("the groups are not the ones that were made")
        for person in self.people:
            user = users.pop(person.name, None)
            counts.unanswered_done += settle(person, user, groups, wrong)
        self.people = [person for person in self.people if person.states != {None}]
        known = {person.id for person in self.people}
        wrong += [f"{name} was never created" for name in users]
        wrong += [f"group {group} holds who does not exist" for group, ids in groups.items() if ids - known]
        return counts


def settle(person: Person, user: dict[str, Any] | None, groups: Mapping[str, set[str]], wrong: list[str]) -> bool:
    """Note what is wrong with a user; what is found counts as acknowledged from here on.

    Returns whether a request without an answer was done after all.
    """
    state = None if user is None else user["displayName"]
    if user is not None:
        wrong += half(user, person)
        person.id = user["id"]
    belongs = {group for group, ids in groups.items() if person.id in ids}
    if state not in person.states:
        wrong.append(f"{person.name} is {state!r}, acknowledged was {person.states}")
    for group in groups:
        if (group in belongs) not in person.groups.get(group, {False}):
            wrong.append(f"{person.name} {'is' if group in belongs else 'is not'} in a group, acknowledged otherwise")
    if user is not None and {entry["value"] for entry in user.get("groups", [])} != belongs:
        wrong.append(f"the groups of {person.name} differ from the members of the groups")
    done = person.asked is not None and person.asked(state, belongs)
    person.states, person.asked = {state}, None
    person.groups = {group: {group in belongs} for group in groups}
    return done


def half(user: dict[str, Any], person: Person) -> list[str]:
    """What is missing or torn in a user."""
    text = user["displayName"]
    whole = profile(person.name, text)
    torn = [key for key, value in whole.items() if user.get(key) != value]
    complete = user.get("id") and user["meta"]["version"] and user["meta"]["lastModified"]
    return [f"{person.name} is torn at {torn}"] if torn or not complete else []


def everything(scim: ScimClient, path: str) -> list[dict[str, Any]]:
    """All resources of an endpoint, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        body = scim.get(path, query={"startIndex": len(found) + 1, "count": PAGE}).expect(200).body
        found += body.get("Resources", [])
        if len(found) >= body["totalResults"]:
            return found


def main() -> int:
    """The long form, from the shell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="about so long is the load of a round")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    total = Counts()
    with tempfile.TemporaryDirectory() as folder:
        test = CrashTest(GatewayProcess(Path(folder), "sql", workers=options.workers), options.seed)
        try:
            test.prepare()
            for number in range(1, options.rounds + 1):
                # Every third round kills one worker of several and lets the others go on.
                whole = number % 3 != 0
                counts = test.round(options.seconds, whole=whole)
                print(f"round {number:3} {'all processes' if whole else 'one worker   '}: {counts}", flush=True)
                for problem in counts.problems:
                    print(f"    {problem}", flush=True)
                total += counts
        finally:
            test.gateway.kill()
    print(f"{options.rounds} rounds, {CLIENTS} clients, {options.workers} workers: {total}")
    return 1 if total.problems else 0


if __name__ == "__main__":
    sys.exit(main())
