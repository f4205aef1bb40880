"""Looking for somebody or a team by name: by a filter of the API where that is proven to work, else in the list."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from scim_gateway.text import collision_key

from .answers import PENDING, Invitation, Member, Team
from .client import Client
from .patterns import pattern_of

NESTING_SECONDS = 60.0
"""So long it is remembered which team is inside which: the list of all teams is too long to be read for each change."""


class _Listed(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Listed)


class _Filter(Generic[T]):
    """One list of the API. What a filter does not show is believed to be absent only after it has shown something.

    :param text_of: what the filter is about.
    """

    def __init__(self, fetch: Callable[[Client, str | None], Sequence[T]], text_of: Callable[[T], str]) -> None:
        self._fetch = fetch
        self._text_of = text_of
        self._proven = False

    def find(self, client: Client, text: str) -> list[T]:
        """All whose text has the same key."""
        if self._proven:
            candidates = self._fetch(client, pattern_of(text))
        else:
            candidates = self._fetch(client, None)
            if candidates:
                one = candidates[0]
                shown = self._fetch(client, pattern_of(self._text_of(one)))
                self._proven = any(other.id == one.id for other in shown)
        wanted = collision_key(text)
        return [one for one in candidates if collision_key(self._text_of(one)) == wanted]

    def matching(self, client: Client, pattern: str) -> Sequence[T]:
        """Perhaps more than what matches a pattern, never less."""
        return self._fetch(client, pattern if self._proven else None)


class Sight:
    """What a process has learned of how the API answers; shared by its threads."""

    def __init__(self) -> None:
        self._members = _Filter[Member](lambda client, text: client.members(text), lambda one: one.email)
        self._pending = _Filter[Invitation](
            lambda client, text: client.invitations(PENDING, text), lambda one: one.email
        )
        self._teams = _Filter[Team](lambda client, text: client.teams(text), lambda one: one.name)
        self._nesting: tuple[float, list[Team]] | None = None

    def members(self, client: Client, address: str) -> list[Member]:
        """The members with this address."""
        return self._members.find(client, address)

    def pending(self, client: Client, address: str) -> list[Invitation]:
        """The pending invitations of this address, the newest first."""
        found = self._pending.find(client, address)
        return sorted(found, key=lambda one: (one.created is not None, one.created, one.id), reverse=True)

    def teams(self, client: Client, name: str) -> list[Team]:
        """The teams with this name, in any letter case."""
        return self._teams.find(client, name)

    def teams_matching(self, client: Client, pattern: str) -> Sequence[Team]:
        """Perhaps more than the teams whose name matches a pattern, never less."""
        return self._teams.matching(client, pattern)

    def above(self, client: Client, id: str) -> Mapping[str, str]:
        """Names of the teams that a team is inside of, through others too, by id; as it was within the last minute."""
        known = self._nesting
        if known is None or time.monotonic() - known[0] >= NESTING_SECONDS:
            known = self._nesting = time.monotonic(), [team for team in client.teams() if team.teams]
        return {team.id: team.name for team in outer(known[1], {id})}


def outer(teams: Iterable[Team], ids: Iterable[str]) -> list[Team]:
    """The teams that hold one of these teams, directly or through a team in a team."""
    everything = list(teams)
    inside = set(ids)
    found: dict[str, Team] = {}
    grew = True
    while grew:
        more = [team for team in everything if team.id not in found and inside & team.teams.keys()]
        found.update((team.id, team) for team in more)
        inside.update(team.id for team in more)
        grew = bool(more)
    return list(found.values())
