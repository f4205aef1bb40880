"""The contract of a target: a system whose users and groups are kept equal to the directory.

All that the author of a target reads. The rules:

1.  The directory is what the identity provider asked for, the target is what is. Provisioning decides *what* has to be
    done, in which order, and when again; a target knows *how*.
2.  Every call of a session may be repeated at any time, after a crash at any step as well: it looks at what is, does
    what is missing, and accepts that it was done already.
3.  A call returns when the target has confirmed the effect, not before: an inactive or removed user cannot log in and
    has no open session any more.
4.  What cannot be reached, or was cut, raises :class:`Unreachable`: the outcome may be unknown, the call is repeated.
    What the target will not do, however often it is asked, raises a :class:`~scim_gateway.errors.ScimError` of the 4xx
    kind, whose detail is for the administrator of the identity provider; nothing of the call is left behind.
5.  A target never touches what the gateway did not make or adopt (:class:`~scim_gateway.errors.Conflict`), nor what is
    protected (:class:`~scim_gateway.errors.Forbidden`), whatever the spelling of the request.
6.  Before it makes something of a name, it saves its intention (``save``): after a crash it knows that this is its own.
7.  No step gives more rights, not for a moment, than the state before or the state after.
8.  Nothing begins when the deadline is over: a write that lands after the client gave up is a surprise. A call of many
    steps asks :meth:`Deadline.check` before each; that also keeps others from working on the same resource meanwhile.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

from scim_gateway.backend import Finding
from scim_gateway.schema import Resource
from scim_gateway.text import collision_key

Kind = Literal["User", "Group"]

Known = Mapping[str, Any]
"""What a target noted of a resource, as JSON: the names and ids by which the target knows it. ``{}``: not made yet.

Provisioning keeps it, and reads four keys of it: ``name``, the name under which the resource stands in the target now;
``also``, a list of names under which it still stands besides, as long as the target waits (:class:`Outcome`); ``left``,
in place of both, the name of somebody inactive whom the target keeps nothing of: who shows up there is taken out again;
``stuck``, while the target waits: why nothing more happens unless somebody does something; shown as an error.
A comparison that finds it twice by the target's own mark puts the second name into ``also``: it is to go.
"""

Save = Callable[[Known], None]
"""Keep a note durably, at once, in the middle of a call."""


class Unreachable(Exception):
    """The target could not be asked, or its answer was lost; the text is one line for the operator, without secrets."""


class Deadline:
    """The moment after which no new step may begin.

    :param seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left; never negative."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Stop here when there is no time left.

        :raises Unreachable: the time is over.
        """
        if self.left() <= 0:
            raise Unreachable("The time for this request is over.")


def _none(names: Collection[str]) -> Collection[str]:
    """A directory without groups."""
    return ()


def _nowhere() -> Collection[Known]:
    """Somebody in no group."""
    return ()


@dataclass(frozen=True, slots=True)
class User:
    """A person as the directory wants the target to have it; ``resource`` is the SCIM User without ``groups``.

    :param adoptable: whether an account of this name that the gateway did not make may be taken under management;
        otherwise it is a :class:`~scim_gateway.errors.Conflict`. Protected ones are refused all the same.
    :param managed_groups: which of these names in the target are groups of the gateway's: those that somebody inactive
        has to leave. Groups of administrators are left alone.
    :param groups: notes of the groups that the user has to be in now, for a target that can give them together with
        the user; :meth:`TargetSession.change_members` follows all the same.
    """

    id: str
    resource: Resource
    active: bool
    adoptable: bool = False
    managed_groups: Callable[[Collection[str]], Collection[str]] = _none
    groups: Callable[[], Collection[Known]] = _nowhere


@dataclass(frozen=True, slots=True)
class Group:
    """A group as the directory wants the target to have it; ``resource`` is the SCIM Group without ``members``.

    :param adoptable: like that of a :class:`User`; the members that the group has are kept until they are compared.
    """

    id: str
    resource: Resource
    adoptable: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call.

    :param known: the note to keep.
    :param waiting: what the target waits for before the user is really there (an invitation to be accepted), as a line
        for an administrator; provisioning calls again from time to time.
    """

    known: Known
    waiting: str | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """One user or group that exists in the target.

    :param owner: SCIM id that the target's own mark names, if targets of this kind can carry a mark; ``None`` where
        the mark is that of another directory or tenant: what is marked and unknown here is taken for a left-over.
    :param active: whether a user can log in; ``True`` for groups. ``None`` where that cannot be told, or is not the
        gateway's to change (locked by an administrator, or for failed log-ins): no difference from either state.
    :param protected: why the gateway must not touch it, or ``None``.
    :param shut_out: the target's own mark says that the gateway shut this user out, whatever ``active`` says: a lock
        may have been lost since.
    """

    name: str
    owner: str | None = None
    active: bool | None = True
    protected: str | None = None
    shut_out: bool = False


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything that exists in the target, read at one time.

    :param users: by the key of their name (:meth:`Target.name_key`).
    :param members: keys of the names of the members, by the key of the group's name.
    :param warnings: lines for the operator: what was not to be seen, names with several hosts, and the like.
    """

    users: Mapping[bytes, Observed]
    groups: Mapping[bytes, Observed]
    members: Mapping[bytes, frozenset[bytes]]
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class MemberChanges:
    """Memberships of one group to bring about; the notes are those of users (or, if the target nests, of groups).

    :param group: note of the group.
    :param add: notes of those who have to be members, by SCIM id.
    :param remove: notes of those who must not be members, by SCIM id.
    """

    group: Known
    add: Mapping[str, Known] = field(default_factory=dict)
    remove: Mapping[str, Known] = field(default_factory=dict)


class TargetSession(ABC):
    """A connection to the target for a few calls; used by one thread."""

    @abstractmethod
    def put_user(self, user: User, known: Known, save: Save) -> Outcome:
        """Make the user, or make it equal to ``user``: name, attributes, active or not.

        A user that is not active is there, cannot log in, has no open session, and is in no group of the gateway's.
        Memberships of an active one are brought about by :meth:`change_members` afterwards; one that becomes active
        has none, or has those that it had, but no others. A new name keeps rights and memberships.
        """

    @abstractmethod
    def remove_user(self, id: str, known: Known, save: Save) -> None:
        """Remove the user and end its sessions; that it is gone already is fine."""

    @abstractmethod
    def put_group(self, group: Group, known: Known, save: Save) -> Outcome:
        """Make the group, or make it equal to ``group``; a new name keeps members and rights."""

    @abstractmethod
    def remove_group(self, id: str, known: Known, save: Save) -> None:
        """Remove the group and so its memberships; that it is gone already is fine."""

    @abstractmethod
    def change_members(self, changes: MemberChanges) -> frozenset[str]:
        """Bring memberships about, in proportion to the changes; removals first.

        A note may be older than the member: to one that is not there under its name nothing is given, and nothing is
        made for it; that is :class:`Unreachable`, and is looked at again with the note of then.

        :return: SCIM ids whose membership has to wait (for an invitation to be accepted); asked for again later.
        """

    @abstractmethod
    def observe(self) -> Inventory:
        """Read everything that is there.

        :raises Unreachable: also when the target shows less than there is: nothing is concluded from a partial view.
        """


class Target(ABC):
    """A system that is kept equal to the directory.

    The methods of this class do no input or output: they are asked inside the transaction that records a change.
    """

    name: str
    """Short name in settings, answers, tables and logs: ``engine``, ``portal``."""

    nests: bool = False
    """Whether a group can be a member of a group; otherwise the gateway flattens."""

    renames: bool = True
    """Whether what stands in the target gets a new name when the directory has one; otherwise it keeps its first."""

    naming_help: str = "give one of them another name"
    """What to do about two resources that would have the same name here: the settings by which names are made."""

    @abstractmethod
    def name_of(self, kind: Kind, resource: Resource) -> str:
        """The name that the resource has to have in the target.

        :raises scim_gateway.errors.InvalidValue: none can be made of it; the detail names the setting that helps.
        """

    def name_key(self, kind: Kind, name: str) -> bytes:
        """Two names with the same key are one in the target; the default is the gateway's own rule for names."""
        return collision_key(name).encode()

    @abstractmethod
    def admit(self, kind: Kind, name: str) -> None:
        """Refuse a name that is protected by its own look: built in, the gateway's account, configured patterns.

        :raises scim_gateway.errors.Forbidden: it must not be managed through SCIM.
        """

    def wants(self, kind: Kind, resource: Resource) -> bool:
        """Whether the target is to have this resource (configured patterns of groups)."""
        return True

    @abstractmethod
    def concerns(self, kind: Kind, before: Resource, after: Resource) -> bool:
        """Whether the difference of two states of one resource means anything to the target, members apart."""

    @abstractmethod
    def session(self, deadline: Deadline) -> AbstractContextManager[TargetSession]:
        """Connect, or take a connection from the pool.

        :raises Unreachable: the target cannot be reached.
        """

    def still_waiting(self, deadline: Deadline, known: Mapping[str, Known]) -> Collection[str]:
        """Of users that only wait (:class:`Outcome`), those of whom a few calls for all of them show nothing new.

        Optional. Who is named is not looked at this time, nor are groups that wait for nobody else; everybody else is
        put again, one by one: by default all are. Name only who is seen to be waiting, and whose memberships have to
        wait too; whoever is not found, or in doubt, is left out. Asked outside of any transaction.

        :param known: their notes, by SCIM id.
        :raises Unreachable: the target cannot be asked, or shows less than there is.
        """
        return ()

    def check(self) -> Iterator[Finding]:
        """Look at the target for ``scim-gateway check``: a finding for each thing looked at."""
        yield Finding(self.name, True, "nothing to look at")

    def close(self) -> None:
        """Give connections back, where there are some; the target is not used afterwards."""
        return
