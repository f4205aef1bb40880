"""A first import through SCIM, as Okta makes it, beside what the target takes for the same changes sent directly.

``python -m benchmarks.import_at_scale [--users N] [--groups N] [--members N]``; ends with 1 if anything was answered as
it should not be, or if the target has something else in the end. The target is a double in a process of its own on one
core, the gateway and the client share another one. A double is quicker than a real target: ``--latency`` lets it take
some milliseconds more, for each account statement of the Engine, one after the other, and for each call of the Portal.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pymysql

from benchmarks.processes import cores, pinned
from benchmarks.servers import served, store
from benchmarks.target_process import ACCOUNT, KEY, ROOT, TargetProcess, member_address, running_target
from scim_gateway.bench import people
from scim_gateway.bench.measuring import Client
from scim_gateway.bench.wire import BenchmarkError

if TYPE_CHECKING:
    from scim_gateway_singlestore_portal.transport import Transport


_TRIES = 10


@dataclass(frozen=True, slots=True)
class Size:
    """What is imported.

    :param users: people.
    :param groups: groups, each of ``members`` people.
    :param push: members in one request.
    """

    users: int
    groups: int
    members: int
    push: int

    def teams(self) -> list[list[int]]:
        """The numbers of the members of each group; the same each time."""
        return [random.Random(group).sample(range(self.users), self.members) for group in range(self.groups)]

    def pushes(self) -> Iterator[tuple[int, list[int]]]:
        """Groups with some of their members, all groups in turns: two requests for one group seldom meet."""
        teams = self.teams()
        for start in range(0, self.members, self.push):
            for group, numbers in enumerate(teams):
                yield group, numbers[start : start + self.push]


def group_name(group: int) -> str:
    """The name of a group, by its number."""
    return f"group {group:04}"


class Timings:
    """Seconds, and what the target was asked, by who did it and what."""

    def __init__(self, target: TargetProcess) -> None:
        self._target = target
        self.seconds: dict[str, float] = {}
        self.asked: dict[str, Counter[str]] = {}

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Measure the block."""
        before, began = self._target.counts(), time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - began
        self.asked[step] = Counter(self._target.counts())
        self.asked[step].subtract(before)
        print(f"    {step}: {self.seconds[step]:.1f} s", file=sys.stderr, flush=True)


def in_threads(jobs: Sequence[Callable[[Any], object]], connections: Sequence[Any]) -> None:
    """Do jobs over these connections, each of which takes the next one as soon as it is done.

    :raises Exception: what a job raised first.
    """
    rest, lock, over = iter(jobs), threading.Lock(), threading.Event()

    def work(connection: Any) -> None:
        with ExitStack() as unless_done:
            unless_done.callback(over.set)  # after a failure nobody begins another job
            while not over.is_set():
                with lock:
                    job = next(rest, None)
                if job is None:
                    break
                job(connection)
            unless_done.pop_all()

    with ThreadPoolExecutor(len(connections)) as pool:
        for done in [pool.submit(work, connection) for connection in connections]:
            done.result()


class Engine:
    """The Engine: a statement for each account, group and membership."""

    def __init__(self, target: TargetProcess) -> None:
        self._port = target.port

    def settings(self) -> Mapping[str, str]:
        """Those of a gateway in front of it."""
        return {
            "SCIM_GATEWAY_BACKEND": "engine",
            "SCIM_GATEWAY_ENGINE_URL": f"singlestore://{ACCOUNT}@127.0.0.1:{self._port}/",
            "SCIM_GATEWAY_ENGINE_PASSWORD": KEY,
        }

    def connect(self) -> pymysql.Connection[Any]:
        """A connection of its own."""
        return pymysql.connect(host="127.0.0.1", port=self._port, user=ACCOUNT, password=KEY, autocommit=True)

    def direct(self, size: Size, timings: Timings, connections: int) -> None:
        """What an administrator's script would send."""
        from scim_gateway_singlestore_engine.statements import (
            Identified,
            Statement,
            create_group,
            create_user,
            grant_group,
        )

        def sending(statement: Statement) -> Callable[[pymysql.Connection[Any]], None]:
            def send(connection: pymysql.Connection[Any]) -> None:
                with connection.cursor() as cursor:
                    cursor.execute(statement.sql, statement.parameters)

            return send

        jwt = Identified("authentication_jwt")
        users = [create_user(people.user_name(n), jwt, require="ssl", attribute="{}") for n in range(size.users)]
        groups = [create_group(group_name(n)) for n in range(size.groups)]
        members = [grant_group(group_name(g), people.user_name(n)) for g, ns in size.pushes() for n in ns]
        with ExitStack() as stack:
            opened = [stack.enter_context(closing(self.connect())) for _ in range(connections)]
            for step, statements in (("users", users), ("groups", groups), ("memberships", members)):
                with timings.timed(step):
                    in_threads([sending(one) for one in statements], opened)

    def found(self) -> tuple[int, int]:
        """How many accounts and memberships there are."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT `USER` FROM information_schema.USERS")
            users = sum(name not in (ACCOUNT, "root") for (name,) in cursor.fetchall())
            cursor.execute("SELECT `USER` FROM information_schema.USERS_GROUPS")
            return users, len(cursor.fetchall())

    @staticmethod
    def user(number: int) -> dict[str, Any]:
        """Somebody who is imported."""
        return people.user(number) | {"active": True}


class Portal:
    """The Portal: a team takes many members in one call; people are members already, and taken under management."""

    def __init__(self, target: TargetProcess) -> None:
        self._url = f"http://127.0.0.1:{target.port}"

    def settings(self) -> Mapping[str, str]:
        """Those of a gateway in front of it."""
        return {
            "SCIM_GATEWAY_BACKEND": "portal",
            "SCIM_GATEWAY_PORTAL_URL": self._url,
            "SCIM_GATEWAY_PORTAL_API_KEY": KEY,
            "SCIM_GATEWAY_PORTAL_MATCH_MEMBERS": "true",
        }

    def transport(self) -> Transport:
        """A connection of its own."""
        from scim_gateway_singlestore_portal.transport import Transport

        return Transport(self._url, KEY, connections=1)

    def direct(self, size: Size, timings: Timings, connections: int) -> None:
        """What an administrator's script would call: somebody's id is looked for, a team made, members added."""
        from scim_gateway_provisioning.target import Deadline
        from scim_gateway_singlestore_portal.patterns import pattern_of

        users: dict[int, str] = {}
        teams: dict[int, str] = {}

        def call(transport: Transport, method: str, path: str, **more: Any) -> Any:
            return transport.call(Deadline(60), method, path, **more)

        def look(number: int, transport: Transport) -> None:
            query = [("email", pattern_of(member_address(number)))]
            users[number] = call(transport, "GET", "/v1/users", query=query)[0]["userID"]

        def make(group: int, transport: Transport) -> None:
            body = {"name": group_name(group), "description": "a team"}
            teams[group] = call(transport, "POST", "/v1/teams", body=body)["teamID"]

        def add(push: tuple[int, list[int]], transport: Transport) -> None:
            body = {"addMemberUserIDs": [users[number] for number in push[1]]}
            call(transport, "PATCH", f"/v1/teams/{quote(teams[push[0]])}", body=body)

        opened = [self.transport() for _ in range(connections)]
        for step, act, things in (
            ("users", look, range(size.users)),
            ("groups", make, range(size.groups)),
            ("memberships", add, list(size.pushes())),
        ):
            with timings.timed(step):
                jobs = [lambda transport, act=act, one=one: act(one, transport) for one in things]
                in_threads(jobs, opened)

    def found(self) -> tuple[int, int]:
        """How many members of the organization were imported, and how many memberships of teams there are."""
        from scim_gateway_provisioning.target import Deadline

        transport = self.transport()
        members = transport.call(Deadline(60), "GET", "/v1/users")
        users = sum(one["email"].startswith("member.") for one in members)
        teams = transport.call(Deadline(60), "GET", "/v1/teams")
        ours = [team for team in teams if team["name"].startswith("group ")]
        return users, sum(len(team["memberUsers"]) for team in ours)

    @staticmethod
    def user(number: int) -> dict[str, Any]:
        """Somebody who is imported."""
        address = member_address(number)
        emails = [{"value": address, "type": "work", "primary": True}]
        return people.user(number) | {"active": True, "userName": address, "emails": emails}


TARGETS: Mapping[str, type[Engine] | type[Portal]] = {"engine": Engine, "portal": Portal}


def through_scim(target: Engine | Portal, client: Client, size: Size, timings: Timings) -> None:
    """What an identity provider sends.

    :raises BenchmarkError: something was not answered as it should be.
    """
    service = client.target
    with timings.timed("users"):
        bodies = (target.user(number) for number in range(size.users))
        replies = client.send_all((service.request("POST", "/Users", body) for body in bodies), (201,))
    users = {user["externalId"]: user["id"] for user in (reply.json() for reply in replies)}
    ids = [users[target.user(number)["externalId"]] for number in range(size.users)]
    with timings.timed("groups"):
        bodies = (people.group(group_name(group), ()) for group in range(size.groups))
        replies = client.send_all((service.request("POST", "/Groups", body) for body in bodies), (201,))
    groups = {group["displayName"]: group["id"] for group in (reply.json() for reply in replies)}
    with timings.timed("memberships"):
        requests = [
            service.request(
                "PATCH", f"/Groups/{groups[group_name(group)]}", people.joining(*(ids[number] for number in numbers))
            )
            for group, numbers in size.pushes()
        ]
        for _ in range(_TRIES):
            late = sum(reply.status == 503 for reply in client.send_all(iter(requests), (200, 204, 503)))
            if not late:
                return
            # More at a time than the target can do within the time of a request: sent again, as Okta does.
            print(f"    {late} of {len(requests)} requests came too late and are sent again", file=sys.stderr)
    raise BenchmarkError(f"{late} requests are answered 503 again and again")


def main(arguments: Sequence[str] | None = None) -> int:
    """From the shell."""
    options = _options(arguments)
    sys.path.append(str(ROOT / "backends"))  # what is sent directly is made by the same modules
    size = Size(options.users, options.groups, min(options.members, options.users), options.push)
    print(
        f"{size.users} users, {size.groups} groups of {size.members}, {size.push} members in a request; "
        f"{options.connections} connections; directory: {options.store}; the targets take "
        f"{options.latency:g} ms more than the double's own time\n\n{_HEADER}"
    )
    ours, theirs = cores()
    try:
        with pinned(ours):
            for name in options.targets:
                for line in _compare(name, size, options, theirs):
                    print(line, flush=True)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.import_at_scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--members", type=int, default=500, help="of each group")
    parser.add_argument("--push", type=int, default=100, help="members in one request")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--latency", type=float, default=2.0, help="milliseconds that the targets take besides")
    parser.add_argument("--store", choices=("sqlite", "mariadb"), default="sqlite", help="where the directory is")
    parser.add_argument("--targets", type=lambda text: text.split(","), default=list(TARGETS))
    options = parser.parse_args(arguments)
    if unknown := set(options.targets) - TARGETS.keys():
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    return options


_HEADER = (
    f"{'':<22}{'things':>9}{'direct s':>10}{'gateway s':>11}{'of its speed':>14}"
    f"{'changes':>10}{'reads':>10}{'through SCIM/s':>16}"
)


def _compare(name: str, size: Size, options: argparse.Namespace, theirs: Collection[int]) -> Iterator[str]:
    """The lines of one target, which is started anew for each of the two.

    :raises BenchmarkError: the target has something else in the end than was imported.
    """
    ours = os.sched_getaffinity(0)
    timings: dict[str, Timings] = {}
    for how in ("direct", "gateway"):
        print(f"{name}, {how}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="scim-import-") as place, ExitStack() as stack:
            folder = Path(place)
            process = stack.enter_context(
                running_target(name, folder / "target", theirs, latency=options.latency, members=size.users)
            )
            target = TARGETS[name](process)
            timings[how] = Timings(process)
            if how == "direct":
                target.direct(size, timings[how], options.connections)
            else:
                (folder / "gateway").mkdir()
                settings = {**stack.enter_context(store(options.store, ours)), **target.settings()}
                server = stack.enter_context(
                    served(name, folder / "gateway", ours, settings, workers=2, threads=options.connections)
                )
                client = stack.enter_context(closing(Client(server.target, options.connections)))
                through_scim(target, client, size, timings[how])
            if target.found() != (size.users, size.groups * size.members):
                raise BenchmarkError(f"{name}, {how}: {target.found()} users and memberships are there in the end")
    things = {"users": size.users, "groups": size.groups, "memberships": size.groups * size.members}
    for step, number in things.items():
        direct, through = (timings[how].seconds[step] for how in ("direct", "gateway"))
        asked = timings["gateway"].asked[step]
        yield (
            f"{name + ': ' + step:<22}{number:>9,}{direct:>10.1f}{through:>11.1f}{direct / through:>14.0%}"
            f"{asked['changes']:>10,}{asked['reads']:>10,}{number / through:>16,.0f}"
        )
    direct, through = (sum(timings[how].seconds.values()) for how in ("direct", "gateway"))
    yield f"{name + ': all':<22}{sum(things.values()):>9,}{direct:>10.1f}{through:>11.1f}{direct / through:>14.0%}"


if __name__ == "__main__":
    sys.exit(main())
