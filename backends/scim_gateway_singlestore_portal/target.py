"""The target: people and groups of the identity provider are members and teams of a SingleStore organization."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import wraps
from typing import ParamSpec, TypeVar

from scim_gateway_provisioning.target import (
    Deadline,
    Group,
    Inventory,
    Kind,
    Known,
    MemberChanges,
    Outcome,
    Save,
    Target,
    TargetSession,
    Unreachable,
    User,
)

from scim_gateway.backend import Finding
from scim_gateway.errors import Conflict, InvalidValue
from scim_gateway.schema import Resource
from scim_gateway.text import collision_key, shown

from . import glance, team_members
from .addresses import address_of
from .answers import Member, Organization
from .check import findings
from .client import Client
from .context import Context
from .inventory import observe
from .owners import DefaultRights
from .people import People
from .probe import probe
from .protection import Protection
from .settings import PortalSettings
from .sight import Sight
from .teams import Teams, fits
from .transport import Absent, Refused, Transport

CALL_SECONDS = 12.0
"""For so long one call of a session may take: less than a claim of provisioning lasts."""

P = ParamSpec("P")
R = TypeVar("R")


def _translated(call: Callable[P, R]) -> Callable[P, R]:
    """What the API says, where no step of the call knew better, in the terms of the contract."""

    @wraps(call)
    def translating(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except Refused as error:
            raise Conflict(f"The SingleStore Portal does not do this: {error.text}") from None
        except Absent as error:
            raise Unreachable(f"Something is not in the organization any more: {error}") from None

    return translating


class PortalSession(TargetSession):
    """A few calls within one deadline."""

    def __init__(self, target: PortalTarget, deadline: Deadline) -> None:
        self._target = target
        self._deadline = deadline

    def _context(self, seconds: float = CALL_SECONDS) -> Context:
        return self._target.context(Deadline(min(seconds, self._deadline.left())))

    @_translated
    def put_user(self, user: User, known: Known, save: Save) -> Outcome:
        return People(self._context()).put(user, known, save)

    @_translated
    def remove_user(self, id: str, known: Known, save: Save) -> None:
        People(self._context()).remove(known)

    @_translated
    def put_group(self, group: Group, known: Known, save: Save) -> Outcome:
        return Teams(self._context()).put(group, known, save)

    @_translated
    def remove_group(self, id: str, known: Known, save: Save) -> None:
        Teams(self._context()).remove(id, known)

    @_translated
    def change_members(self, changes: MemberChanges) -> frozenset[str]:
        return team_members.change(self._context(), changes)

    @_translated
    def observe(self) -> Inventory:
        return observe(self._context(self._deadline.left()), nests=self._target.nests)


class PortalTarget(Target):
    """The organization that the API key belongs to.

    :param settings: what the operator chose.
    :param threads: how many threads may work at a time.
    :raises ConfigurationError: URL, key or certificate authorities cannot be used.
    """

    name = "portal"
    naming_help = "give one of them another primary email address, or the group another name"

    def __init__(self, settings: PortalSettings, *, threads: int = 8) -> None:
        self.settings = settings
        self.nests = settings.nested_groups
        self.transport = Transport(settings.url, settings.api_key, ca_file=settings.ca_file, connections=threads)
        self._sight = Sight()
        self._protection = Protection(settings, self._sight)
        self._rights = DefaultRights(settings.default_owner, self._protection)
        self._groups = tuple(collision_key(pattern) for pattern in settings.groups)
        self._lock = threading.Lock()
        self._whose: tuple[Organization, Member] | None = None

    def name_of(self, kind: Kind, resource: Resource) -> str:
        if kind == "User":
            return address_of(resource, self.settings)
        name = str(resource.get("displayName", ""))
        if not fits(name):
            raise InvalidValue(
                f"{shown(name)} cannot be the name of a team in the SingleStore organization: a name there is one line "
                "of printable characters without blanks around it."
            )
        return name

    def admit(self, kind: Kind, name: str) -> None:
        if kind == "User":
            self._protection.address(name)
        else:
            self._protection.team_name(name, self._whose[0] if self._whose else None)

    def wants(self, kind: Kind, resource: Resource) -> bool:
        if kind == "User":
            return self.settings.without_address == "refuse" or self._name_or_none(kind, resource) is not None
        key = collision_key(str(resource.get("displayName", "")))
        return any(fnmatchcase(key, pattern) for pattern in self._groups)

    def concerns(self, kind: Kind, before: Resource, after: Resource) -> bool:
        if kind == "User" and before.get("active", True) != after.get("active", True):
            return True
        return self._name_or_none(kind, before) != self._name_or_none(kind, after)

    def _name_or_none(self, kind: Kind, resource: Resource) -> str | None:
        try:
            return self.name_of(kind, resource)
        except InvalidValue:
            return None

    @contextmanager
    def session(self, deadline: Deadline) -> Iterator[TargetSession]:
        deadline.check()
        yield PortalSession(self, deadline)

    def context(self, deadline: Deadline) -> Context:
        """What the calls of a session share.

        :raises Unreachable: the key does not belong to the organization that the settings name.
        """
        client = Client(self.transport, deadline)
        organization, me = self._known_to_be(client)
        return Context(client, self.settings, self._sight, self._protection, self._rights, organization, me)

    def _known_to_be(self, client: Client) -> tuple[Organization, Member]:
        with self._lock:
            whose = self._whose
        if whose is None:
            whose = client.organization(), client.myself()
            expected = self.settings.organization
            if expected is not None and expected not in (whose[0].id, whose[0].name):
                raise Unreachable(
                    f"The API key belongs to the organization {shown(whose[0].name)}, portal_organization is "
                    f"{shown(expected)}: nothing is done."
                )
            with self._lock:
                self._whose = whose
        return whose

    @_translated
    def still_waiting(self, deadline: Deadline, known: Mapping[str, Known]) -> frozenset[str]:
        return glance.still_waiting(self.context(Deadline(min(CALL_SECONDS, deadline.left()))), known)

    def check(self) -> Iterator[Finding]:
        return findings(self)

    def probe(self) -> Iterator[Finding]:
        """Try out what the vendor's documents leave open; see :mod:`.probe`."""
        return probe(self.context, self.settings.probe_address)

    def close(self) -> None:
        self.transport.close()
