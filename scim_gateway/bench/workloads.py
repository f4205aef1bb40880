"""What identity providers do all day, as requests: each workload measures one kind of request (RFC 7644 §3)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import quote

from scim_gateway.bench import people
from scim_gateway.bench.directory import Directory
from scim_gateway.bench.wire import Reply

T = TypeVar("T")

PAGE = 100
CHANGED = 10
"""How many people a delta import finds."""
CYCLE = 16
"""How many people join a group before the first of them leaves it again."""
_MAYBE = (200, 400, 403, 500, 501)


class NotApplicable(Exception):
    """The workload makes no sense for this directory, or the service cannot do it; says why in a few words."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Requests that are ready to be sent.

    :param statuses: those of a right answer.
    :param again: undoes what the requests did, given their answers.
    """

    requests: Iterator[bytes]
    statuses: Sequence[int] = (200,)
    again: Callable[[Sequence[Reply]], None] | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request.

    :param name: what tables call it.
    :param plan: makes the requests, or raises :class:`NotApplicable`.
    :param writes: whether it changes something.
    """

    name: str
    plan: Callable[[Directory], Plan]
    writes: bool = False


def all_workloads(groups: Sequence[int] = (1_000, 10_000)) -> tuple[Workload, ...]:
    """All of them, in the order of the tables; what destroys comes last.

    :param groups: sizes of the groups that are changed, in ascending order; the largest is read and replaced as well.
    """
    largest = groups[-1]
    return (
        Workload("create", _create, writes=True),
        Workload("get by id", _get),
        Workload("userName eq", _find),
        Workload("page, first", partial(_page, place=0.0)),
        Workload("page, middle", partial(_page, place=0.5)),
        Workload("page, last", partial(_page, place=1.0)),
        Workload("cursor, first", partial(_cursor, place=0.0)),
        Workload("cursor, middle", partial(_cursor, place=0.5)),
        Workload("cursor, last", partial(_cursor, place=1.0)),
        Workload("complex filter", _complex),
        Workload("lastModified gt", _delta, writes=True),
        Workload("PATCH active", _activate, writes=True),
        Workload("PUT profile", _put, writes=True),
        *(Workload(f"member ±1 of {size}", partial(_member, size=size), writes=True) for size in groups),
        Workload(f"PUT group {largest} ±1", partial(_put_group, size=largest), writes=True),
        Workload(f"GET group {largest}", partial(_get_group, size=largest, query="")),
        Workload("… without members", partial(_get_group, size=largest, query="?excludedAttributes=members")),
        Workload("GET user in 50", _get_in_many),
        Workload("DELETE user in 50", _delete_in_many, writes=True),
    )


def _create(directory: Directory) -> Plan:
    target = directory.client.target
    numbers = directory.numbers

    def undo(replies: Sequence[Reply]) -> None:
        directory.remove("/Users", [reply.json()["id"] for reply in replies])

    requests = (target.request("POST", "/Users", people.user(number, directory.prefix)) for number in numbers)
    return Plan(requests, (201,), undo)


def _get(directory: Directory) -> Plan:
    target, ids = directory.client.target, directory.users
    return Plan(target.request("GET", f"/Users/{id}") for id in _scattered(ids))


def _find(directory: Directory) -> Plan:
    target, prefix = directory.client.target, directory.prefix
    return Plan(
        target.request("GET", f"/Users?filter={_filter('userName', 'eq', people.user_name(number, prefix))}")
        for number in _scattered(range(len(directory.users)))
    )


def _page(directory: Directory, place: float) -> Plan:
    count = min(PAGE, len(directory.users))
    start = 1 + int(place * (len(directory.users) - count))
    request = directory.client.target.request("GET", f"/Users?startIndex={start}&count={count}")
    return Plan(itertools.repeat(request))


def _cursor(directory: Directory, place: float) -> Plan:
    path = f"/Users?count={PAGE}&cursor"
    steps = int(place * max(0, len(directory.users) // PAGE - 1))
    if steps > 1000:
        raise NotApplicable("more than 1000 pages to walk")
    cursor = ""
    began = time.monotonic()
    for step in range(steps):
        document = directory.client.call("GET", f"{path}={cursor}", statuses=_MAYBE).json()
        if "nextCursor" not in document:
            raise NotApplicable("no cursors")
        cursor = quote(document["nextCursor"], safe="")
        if step == 2 and (time.monotonic() - began) / 3 * steps > 60:
            raise NotApplicable("over a minute to walk there")
    request = directory.client.target.request("GET", f"{path}={cursor}")
    if steps == 0 and "nextCursor" not in directory.client.call("GET", f"{path}=", statuses=_MAYBE).json():
        raise NotApplicable("no cursors")
    return Plan(itertools.repeat(request))


def _complex(directory: Directory) -> Plan:
    text = f'emails[type eq "work" and value co "@{people.RARE_DOMAIN}"] and active eq true'
    request = directory.client.target.request("GET", f"/Users?filter={quote(text)}&count={PAGE}")
    expected = sum(number % 100 == 7 for number in range(len(directory.users)))
    found = directory.client.call("GET", f"/Users?filter={quote(text)}&count={PAGE}", statuses=_MAYBE)
    if found.status != 200 or found.json().get("totalResults", 0) < expected:
        raise NotApplicable("cannot be filtered so")
    return Plan(itertools.repeat(request))


def _delta(directory: Directory) -> Plan:
    client = directory.client
    first, *others = _changing(directory)
    changed = others[:CHANGED]
    before = _modified(directory, first)
    time.sleep(0.01)
    for id in changed:
        _modified(directory, id)
    path = f"/Users?filter={_filter('meta.lastModified', 'gt', before)}&count={PAGE}"
    found = client.call("GET", path, statuses=_MAYBE)
    if found.status != 200 or found.json().get("totalResults", 0) < len(changed):
        raise NotApplicable("cannot be filtered so")
    return Plan(itertools.repeat(client.target.request("GET", path)))


def _changing(directory: Directory) -> Sequence[str]:
    """Some who are active and have no rare address, so that the other workloads find what they did.

    Those with 1 at the end; among a few people all who are like that.
    """
    users = directory.users
    if len(users) >= 10 * CHANGED:
        return users[1::10]
    return [id for number, id in enumerate(users) if number % 10 not in (3, 7)]


def _modified(directory: Directory, id: str) -> str:
    """Change something of a person; when that was by the clock of the service."""
    client = directory.client
    for active in (False, True):
        client.call("PATCH", f"/Users/{id}", people.activation(active))
    document = client.call("GET", f"/Users/{id}").json()
    return str(document.get("meta", {}).get("lastModified", ""))


def _activate(directory: Directory) -> Plan:
    target = directory.client.target
    ids = _changing(directory)
    turns = ((id, active) for active in itertools.cycle((False, True)) for id in ids)
    # Goes on where the last measurement ended: what is as it should be already would cost less.
    directory.activations = directory.activations or turns
    requests = (
        target.request("PATCH", f"/Users/{id}", people.activation(active)) for id, active in directory.activations
    )
    return Plan(requests, (200, 204))


def _put(directory: Directory) -> Plan:
    target = directory.client.target

    def requests() -> Iterator[bytes]:
        for number in _scattered(range(len(directory.users))):
            document = {**people.user(number, directory.prefix), "title": f"Title {next(directory.numbers)}"}
            yield target.request("PUT", f"/Users/{directory.users[number]}", document)

    return Plan(requests())


def _member(directory: Directory, size: int) -> Plan:
    target, group = directory.client.target, _group(directory, size)
    by_value = directory.traits.leaves_by_value

    def requests() -> Iterator[bytes]:
        # A cycle longer than there are connections: nobody leaves while his joining is still under way.
        while True:
            for id in directory.outsiders[:CYCLE]:
                yield target.request("PATCH", f"/Groups/{group}", people.joining(id))
            for id in directory.outsiders[:CYCLE]:
                yield target.request("PATCH", f"/Groups/{group}", people.leaving(id, by_value=by_value))

    def undo(_: Sequence[Reply]) -> None:
        for id in directory.outsiders[:CYCLE]:
            leaving = people.leaving(id, by_value=by_value)
            directory.client.call("PATCH", f"/Groups/{group}", leaving, statuses=(200, 204, 400, 404))

    return Plan(requests(), (200, 204), undo)


def _put_group(directory: Directory, size: int) -> Plan:
    if not directory.traits.members_in_body:
        raise NotApplicable("PUT leaves members alone")
    target, group = directory.client.target, _group(directory, size)
    name = f"{directory.prefix} group of {size}"
    # One of the members is another person each time.
    bodies = [people.group(name, [*directory.people_of(size)[: size - 1], id]) for id in directory.outsiders[:CYCLE]]
    prepared = [target.request("PUT", f"/Groups/{group}", body) for body in bodies]

    def undo(_: Sequence[Reply]) -> None:
        whole = people.group(name, directory.people_of(size))
        directory.client.call("PUT", f"/Groups/{group}", whole)

    return Plan(itertools.cycle(prepared), (200, 204), undo)


def _get_group(directory: Directory, size: int, query: str) -> Plan:
    path = f"/Groups/{_group(directory, size)}{query}"
    if query and "members" in directory.client.call("GET", path).json():
        raise NotApplicable("shows them all the same")
    return Plan(itertools.repeat(directory.client.target.request("GET", path)))


def _get_in_many(directory: Directory) -> Plan:
    return Plan(itertools.repeat(directory.client.target.request("GET", _somebody(directory))))


def _delete_in_many(directory: Directory) -> Plan:
    _somebody(directory)
    target = directory.client.target

    def requests() -> Iterator[bytes]:
        # The last one stays, to be read.
        while len(directory.committee) > 1:
            yield target.request("DELETE", f"/Users/{directory.committee.pop()}")

    return Plan(requests(), (204,))


def _somebody(directory: Directory) -> str:
    """The path of a person who is in many groups."""
    if not directory.committee or not directory.teams:
        raise NotApplicable("nobody is in many groups")
    path = f"/Users/{directory.committee[0]}"
    if len(directory.client.call("GET", path).json().get("groups", ())) < len(directory.teams):
        raise NotApplicable("does not tell the groups of a user")
    return path


def _group(directory: Directory, size: int) -> str:
    if size not in directory.groups:
        raise NotApplicable("more members than people")
    return directory.groups[size]


def _filter(path: str, operator: str, value: str) -> str:
    return quote(f'{path} {operator} "{value}"')


def _scattered(items: Sequence[T]) -> Iterator[T]:
    """The items over and over, each time far from the last one."""
    step = next(step for step in (7919, 104729, 1) if step == 1 or len(items) % step)
    return (items[number * step % len(items)] for number in itertools.count())
