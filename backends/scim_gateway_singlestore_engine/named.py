"""What an account and a group have in common: a note of their names, kept before and after each step that makes one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar

from scim_gateway_provisioning.target import Kind, Save, Unreachable

from scim_gateway.errors import ScimError
from scim_gateway.text import collision_key

from .notes import Note
from .work import Work


class Named(ABC):
    """One call about one resource.

    :param note: what provisioning kept.
    :param save: keeps a note in the middle of the call.
    """

    kind: ClassVar[Kind]

    def __init__(self, work: Work, note: Note, save: Save) -> None:
        self._work = work
        self._note = note
        self._began = note
        self._save = save

    def remove(self) -> None:
        """Remove whatever stands under any name of this resource."""
        self._remove_each(self._note.names)

    def _remove_each(self, names: Iterable[str]) -> None:
        """Remove what stands under several names: one that cannot be does not keep the others there."""
        trouble: Unreachable | None = None
        for name in names:
            try:
                self._remove(name)
            except Unreachable as error:
                trouble = trouble or error
        if trouble is not None:
            raise trouble

    @abstractmethod
    def _remove(self, name: str) -> None:
        """Remove what stands under one name, if it is this resource's."""

    def _settled_name(self, wanted: str) -> str:
        """The name that it is to have in the end, after it was made sure that it may be touched at all.

        A name stays by the operator's choice, or when it is only spelled otherwise: that may be one name to the server.

        :raises scim_gateway.errors.Forbidden: the name that it has, or the one that it is to have, is protected.
        """
        stands = self._note.name
        if stands is not None:
            self._work.protected.admit(self.kind, stands)
            if not self._work.settings.carry_names or collision_key(stands) == collision_key(wanted):
                return stands
        self._work.protected.admit(self.kind, wanted)
        return wanted

    def _keep(self, note: Note) -> None:
        if note != self._note:
            self._save(note.known)
            self._note = note

    @contextmanager
    def _intending(self, note: Note) -> Iterator[None]:
        """Keep a note before something is made; if that is refused, what exists under the name is not the gateway's."""
        before = self._note
        self._keep(note)
        try:
            yield
        except ScimError:
            self._keep(before)
            raise

    def _clear(self, wanted: str) -> None:
        """Remove what an earlier call left under names that do not count any more."""
        self._remove_each(
            name
            for name in (self._note.making, self._note.old, *self._note.also)
            if name is not None and (name == self._note.old or name not in (wanted, self._note.name))
        )
        self._keep(self._note.cleared(but=wanted))
