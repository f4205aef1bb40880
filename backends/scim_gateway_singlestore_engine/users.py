"""Accounts as information_schema.USERS shows them, whatever columns this version has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .marks import Mark, attributes_of, mark_in

_TRUE = ("1", "YES", "TRUE", "Y")


def is_true(value: object) -> bool:
    """Whether a column that is a flag says yes, however this version spells it."""
    return str(value).upper() in _TRUE


@dataclass(frozen=True, slots=True)
class Account:
    """One row.

    :param type: how it logs in, in upper case: ``NATIVE``, ``JWT``, ``PAM``, ``SAML``, ``GSSAPI``.
    :param locked: what ACCOUNT_STATUS says; ``None`` where this version says nothing.
    :param pool: default resource pool.
    :param attributes: what ATTRIBUTE holds; ``None``: this version does not show it.
    :param connections: how many sessions it has on this node.
    """

    name: str
    host: str
    type: str
    deleted: bool
    locked: bool | None
    pool: str | None
    attributes: Mapping[str, Any] | None
    comment: str | None
    local: bool
    connections: int

    @property
    def mark(self) -> Mark | None:
        """The gateway's mark, if it carries one and this version shows it."""
        return mark_in(self.attributes) if self.attributes is not None else None


def account_of(row: Mapping[str, Any]) -> Account:
    """One row by its columns in upper case."""
    status = row.get("ACCOUNT_STATUS")
    known = str(status).upper() if status is not None else ""
    return Account(
        name=_text(row["USER"]),
        host=_text(row["HOST"]),
        type=_text(row.get("TYPE") or "").upper(),
        deleted=is_true(row.get("IS_DELETED", 0)),
        locked=known == "LOCKED" if known in ("LOCKED", "OPEN") else None,
        pool=_text(row["DEFAULT_RESOURCE_POOL"]) if row.get("DEFAULT_RESOURCE_POOL") else None,
        attributes=attributes_of(row["ATTRIBUTE"]) if "ATTRIBUTE" in row else None,
        comment=_text(row["COMMENT"]) if row.get("COMMENT") else None,
        local=str(row.get("IS_LOCAL", "")).upper() in ("LOCAL", *_TRUE),
        connections=int(row.get("CONNECTIONS") or 0),
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@dataclass(frozen=True, slots=True)
class Standing:
    """All accounts of one name.

    :param here: the account of any host, the only kind that the gateway makes.
    :param elsewhere: those of particular hosts.
    :param alike: names that differ in letter case only.
    :param dropped: accounts that are gone and still have sessions.
    """

    name: str
    here: Account | None = None
    elsewhere: tuple[Account, ...] = ()
    alike: tuple[Account, ...] = ()
    dropped: tuple[Account, ...] = field(default=())

    @classmethod
    def of(cls, name: str, accounts: Iterable[Account]) -> Standing:
        """Sort accounts that a view shows for a name."""
        here, elsewhere, alike, dropped = None, [], [], []
        for account in accounts:
            if account.deleted:
                dropped.append(account)
            elif account.name != name:
                alike.append(account)
            elif account.host == "%":
                here = account
            else:
                elsewhere.append(account)
        return cls(name, here, tuple(elsewhere), tuple(alike), tuple(dropped))
