"""Single operations on a backend, as the core runs them, also from several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from scim_gateway.abilities import MemberChange, MembershipHandler
from scim_gateway.backend import Backend, Query, Reference, ResourceHandler
from scim_gateway.errors import StaleResource
from scim_gateway.schema import Resource
from scim_gateway.testing.filters import resolved
from scim_gateway.testing.samples import changed, group, user

T = TypeVar("T")


def create(backend: Backend, *resources: Resource) -> None:
    """Create resources, each in an operation of its own."""
    for each in resources:
        with backend.operation(write=True):
            backend.handlers[each["meta"]["resourceType"]].create(each)


def modify(backend: Backend, before: Resource, after: Resource) -> None:
    """Modify a resource in an operation of its own."""
    with backend.operation(write=True):
        backend.handlers[before["meta"]["resourceType"]].modify(before, after)


def exchange_names(backend: Backend, first: Resource, second: Resource) -> None:
    """Let two users exchange their names in one operation."""
    users = backend.handlers["User"]
    between = changed(first, userName=f"{first['userName']} between")
    with backend.operation(write=True):
        users.modify(first, between)
        users.modify(second, changed(second, userName=first["userName"]))
        users.modify(between, changed(between, userName=second["userName"]))


def delete(backend: Backend, gone: Resource) -> None:
    """Delete a resource in an operation of its own."""
    with backend.operation(write=True):
        backend.handlers[gone["meta"]["resourceType"]].delete(gone)


def get(backend: Backend, like: Resource) -> Resource:
    """The resource as it is stored now."""
    with backend.operation(write=False):
        return backend.handlers[like["meta"]["resourceType"]].get(like["id"])


def look_up(backend: Backend, like: Resource) -> Resource:
    """The same, as it is found in a look-up."""
    with backend.look_up():
        return backend.handlers[like["meta"]["resourceType"]].get(like["id"])


def references(backend: Backend, ids: Collection[str]) -> Mapping[str, Reference]:
    """What ids stand for now."""
    with backend.operation(write=False):
        return backend.references(ids)


def retried(backend: Backend, work: Callable[[], T]) -> T:
    """Run a write as the core does: from its start again when another one got in between."""
    for _ in range(1000):
        try:
            with backend.operation(write=True):
                return work()
        except StaleResource:
            continue
    raise AssertionError("a write never got through")


def change_members(backend: Backend, group_id: str, add: Iterable[Resource] = (), remove: Iterable[str] = ()) -> None:
    """Change the members of a group as the core does, with the ability and without it."""
    joining = {each["id"]: each["meta"]["resourceType"] for each in add}
    leaving = frozenset(remove)
    retried(backend, lambda: _exchange_members(backend.handlers["Group"], group_id, joining, leaving))


def _exchange_members(
    handler: ResourceHandler, group_id: str, joining: Mapping[str, str], leaving: frozenset[str]
) -> None:
    """The step of the operation that is under way."""
    if isinstance(handler, MembershipHandler):
        before = handler.get(group_id, without=("members",))
        before.pop("members", None)
        now = handler.member_ids(group_id, among=joining.keys() | leaving)
        change = MemberChange({id: kind for id, kind in joining.items() if id not in now}, leaving & now)
        if change:
            handler.change_members(before, changed(before), change)
    else:
        before = handler.get(group_id)
        kept = [each for each in before.get("members", ()) if each["value"] not in leaving | joining.keys()]
        elements = [*kept, *({"value": id, "type": kind} for id, kind in joining.items())]
        handler.modify(before, changed(before, "members", **({"members": elements} if elements else {})))


def delete_user(backend: Backend, id: str) -> None:
    """Delete a user as the core does, who is taken out of every group before."""
    users, groups = backend.handlers["User"], backend.handlers["Group"]
    kind = groups.resource_type

    def work() -> None:
        gone = users.get(id)
        for holder in groups.query(Query(kind, resolved(kind, f'members.value eq "{id}"'))).resources:
            _exchange_members(groups, holder["id"], {}, frozenset({id}))
        users.delete(gone)

    retried(backend, work)


def refer_during_deletion(backend: Backend, another: Backend, name: str) -> list[Resource]:
    """Put a user into a new group while another thread deletes that user; the groups that hold him when both are done.

    The deletion begins when the write has been told that the user is there. The write asks again and again before it
    goes on, which leaves a store that lets a deletion come in between every opportunity to do so.

    :param another: what the user is deleted with; perhaps the same backend.
    """
    ada = user(name)
    groups, staff = backend.handlers["Group"], group(name, ada)
    create(backend, ada)
    told = threading.Event()

    def refer() -> None:
        there = backend.references([ada["id"]])
        told.set()
        for _ in range(10):
            backend.references([ada["id"]])
        if there:
            groups.create(staff)

    def write() -> None:
        try:
            retried(backend, refer)
        finally:
            told.set()

    def remove() -> None:
        assert told.wait(timeout=60), "nobody was told whether the user is there"
        delete_user(another, ada["id"])

    assert in_parallel([write, remove]) == [None, None]
    with backend.operation(write=False):
        assert backend.references([ada["id"]]) == {}
        held = Query(groups.resource_type, resolved(groups.resource_type, f'members.value eq "{ada["id"]}"'))
        return list(groups.query(held).resources)


def member_ids(backend: Backend, group_id: str) -> set[str]:
    """Ids of the members that a group is shown with."""
    with backend.operation(write=False):
        return {element["value"] for element in backend.handlers["Group"].get(group_id).get("members", ())}


def in_parallel(work: Sequence[Callable[[], T]]) -> list[T | BaseException]:
    """Run each function in a thread, all released at once; what they returned or raised, in order."""
    barrier = threading.Barrier(len(work))
    results: list[Any] = [None] * len(work)

    def run(number: int) -> None:
        try:
            barrier.wait(timeout=30)
            results[number] = work[number]()
        except BaseException as error:
            # A thread would keep it to itself.
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads), "an operation hangs"
    return results
