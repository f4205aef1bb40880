"""A target on the double, and what provisioning keeps for it: notes, durable at every ``save``; no directory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from doubles.portal.server import PortalDouble
from scim_gateway_provisioning.target import (
    Deadline,
    Group,
    Inventory,
    Known,
    MemberChanges,
    Outcome,
    TargetSession,
    User,
)
from scim_gateway_singlestore_portal import PortalTarget
from scim_gateway_singlestore_portal.settings import PortalSettings


class Desk:
    """Calls of a session, as provisioning makes them: one session a call, the note of before, the note of after."""

    def __init__(self, double: PortalDouble, **settings: Any) -> None:
        self.double = double
        self.target = PortalTarget(PortalSettings(**{"url": double.url, "api_key": double.key, **settings}))
        self.notes: dict[str, Known] = {}
        self.seconds = 10.0

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.target.close()

    def user(
        self,
        id: str,
        email: str,
        *,
        active: bool = True,
        adoptable: bool = False,
        managed: Iterable[str] = (),
        groups: Iterable[str] = (),
    ) -> str | None:
        """Put a user; what the target waits for."""
        ours = set(managed)
        user = User(
            id,
            person(email),
            active,
            adoptable,
            lambda names: ours & set(names),
            lambda: [self.notes[group] for group in groups],
        )
        with self.target.session(Deadline(self.seconds)) as session:
            return self._kept(id, session.put_user(user, self.notes.get(id, {}), self._saver(id))).waiting

    def remove_user(self, id: str) -> None:
        with self.target.session(Deadline(self.seconds)) as session:
            session.remove_user(id, self.notes.get(id, {}), self._saver(id))
        self.notes.pop(id, None)

    def group(self, id: str, name: str, *, adoptable: bool = False) -> None:
        group = Group(id, {"displayName": name}, adoptable)
        with self.target.session(Deadline(self.seconds)) as session:
            self._kept(id, session.put_group(group, self.notes.get(id, {}), self._saver(id)))

    def remove_group(self, id: str) -> None:
        with self.target.session(Deadline(self.seconds)) as session:
            session.remove_group(id, self.notes.get(id, {}), self._saver(id))
        self.notes.pop(id, None)

    def members(self, group: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> frozenset[str]:
        changes = MemberChanges(self.notes[group], self._notes_of(add), self._notes_of(remove))
        with self.target.session(Deadline(self.seconds)) as session:
            return session.change_members(changes)

    def observe(self) -> Inventory:
        with self.target.session(Deadline(self.seconds)) as session:
            return session.observe()

    def member(self, id: str, email: str) -> None:
        """Put a user who accepts the invitation at once, and is looked at until nothing is waited for."""
        self.user(id, email)
        self.double.organization.accept(email)
        self.settled(id, email)

    def settled(self, id: str, email: str, **more: Any) -> None:
        """Look again, and once more a while later."""
        self.user(id, email, **more)
        self.later(minutes=2)
        assert self.user(id, email, **more) is None

    def later(self, *, minutes: float) -> None:
        """Let the clock of the API go on; the gateway learns it from the next answer."""
        from datetime import timedelta

        self.double.organization.clock_ahead += timedelta(minutes=minutes)
        with self.target.session(Deadline(self.seconds)) as session:
            assert isinstance(session, TargetSession)
            session.observe()

    def _kept(self, id: str, outcome: Outcome) -> Outcome:
        self.notes[id] = dict(outcome.known)
        return outcome

    def _saver(self, id: str) -> Any:
        def save(known: Known) -> None:
            self.notes[id] = dict(known)

        return save

    def _notes_of(self, ids: Iterable[str]) -> Mapping[str, Known]:
        return {id: self.notes[id] for id in ids}


def person(email: str) -> dict[str, Any]:
    """A SCIM User with this primary address."""
    return {"userName": "somebody", "emails": [{"value": email, "primary": True}]}
