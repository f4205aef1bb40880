"""The note that provisioning keeps of a user or group: under which names it stands, or is about to stand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from scim_gateway_provisioning.target import Known


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of one resource.

    :param name: name under which it stands.
    :param making: name that is being made: what exists under it from then on is the gateway's own.
    :param old: name that it had, and that is being removed.
    :param locked: whether the gateway has locked the account, for servers that keep no mark.
    :param also: names under which something of it was found besides, and that are to be removed.
    :param method: how the account logs in, if the gateway made it: ``jwt``, ``password``, …
    """

    name: str | None = None
    making: str | None = None
    old: str | None = None
    locked: bool = False
    method: str | None = None
    also: tuple[str, ...] = ()

    @classmethod
    def of(cls, known: Known) -> Self:
        """Read a note; what it does not say is nothing."""

        def text(key: str) -> str | None:
            value = known.get(key)
            return value if isinstance(value, str) and value else None

        listed = known.get("also")
        also = tuple(name for name in listed if isinstance(name, str) and name) if isinstance(listed, list) else ()
        return cls(text("name"), text("making"), text("old"), known.get("locked") is True, text("method"), also)

    @property
    def known(self) -> Known:
        """The note as it is kept."""
        found: dict[str, object] = {"name": self.name, "making": self.making, "old": self.old, "method": self.method}
        kept = {key: value for key, value in found.items() if value is not None}
        if self.also:
            kept["also"] = list(self.also)
        return {**kept, "locked": True} if self.locked else kept

    @property
    def names(self) -> tuple[str, ...]:
        """Every name under which something of it may stand, the one that counts first."""
        return tuple(dict.fromkeys(name for name in (self.name, self.making, self.old, *self.also) if name is not None))

    def beginning(self, name: str) -> Self:
        """The note before something is made under a name."""
        return replace(self, making=name)

    def standing(self, name: str, *, instead_of: str | None = None) -> Self:
        """The note when it stands under a name, and what stood under another one is to go."""
        return replace(self, name=name, making=None, old=instead_of)

    def cleared(self, *, but: str) -> Self:
        """The note after all is removed that does not count, except what is being made under one name."""
        return replace(self, making=self.making if self.making == but else None, old=None, also=())

    def with_lock(self, locked: bool) -> Self:
        """The note of an account that the gateway has locked, or not."""
        return replace(self, locked=locked)
