"""Names in targets: claimed in the transaction that gives them, given up when the target has confirmed it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from scim_gateway_sql.database import Session
from scim_gateway_sql.portable import insert_if_absent
from scim_gateway_sql.tables import resources
from sqlalchemy import and_, bindparam, delete, select

from scim_gateway.errors import StaleResource, Uniqueness
from scim_gateway.text import shown

from .tables import names
from .target import Kind, Target
from .work import read

LONGEST_KEY = 256
"""Bytes of a key that is kept as it is; a longer one by its hash."""

_HERE = and_(
    names.c.tenant == bindparam("tenant_"),
    names.c.target_name == bindparam("target_"),
    names.c.kind == bindparam("kind_"),
    names.c.name_key == bindparam("key_"),
)
_HOLDER = select(names.c.resource_id).where(_HERE)
_OF_RESOURCE = select(names.c.name_key).where(
    names.c.tenant == bindparam("tenant_"),
    names.c.resource_id == bindparam("id_"),
    names.c.target_name == bindparam("target_"),
)
_GIVE_UP = delete(names).where(_HERE, names.c.resource_id == bindparam("id_"))
_DISPLAY = select(resources.c.display).where(
    resources.c.tenant == bindparam("tenant_"), resources.c.id == bindparam("id_")
)


class HeldByPending(Exception):
    """The name is held by a resource that is about to give it up: that is settled first.

    :param id: the resource.
    """

    def __init__(self, target: str, id: str) -> None:
        super().__init__(target, id)
        self.target = target
        self.id = id


def key_of(target: Target, kind: Kind, name: str) -> bytes:
    """The key under which a name is claimed."""
    key = target.name_key(kind, name)
    return key if len(key) <= LONGEST_KEY else b"sha256:" + hashlib.sha256(key).digest()


def claim(session: Session, tenant: str, target: Target, kind: Kind, name: str, id: str) -> bool:
    """Claim a name for a resource; whether it is a new claim.

    :raises Uniqueness: another resource has the name.
    :raises HeldByPending: another resource has it, but something is pending there; it may be about to give it up.
    :raises StaleResource: it was given up a moment ago.
    """
    key = key_of(target, kind, name)
    row = {"tenant": tenant, "target_name": target.name, "kind": kind, "name_key": key}
    if insert_if_absent(session, names, {**row, "resource_id": id, "name_text": name}):
        return True
    here = {"tenant_": tenant, "target_": target.name, "kind_": kind, "key_": key}
    holder = session.execute(_HOLDER, here).scalar()
    if holder == id:
        return False
    if holder is None:
        raise StaleResource(id)  # given up a moment ago
    work = read(session, tenant, [holder], target=target.name).get((holder, target.name))
    if work is not None and work.pending:
        raise HeldByPending(target.name, holder)
    raise _taken(session, tenant, target, kind, name, holder)


def give_up(session: Session, tenant: str, target: str, kind: Kind, id: str, *, but: Collection[bytes] = ()) -> None:
    """Give up the names of a resource in a target.

    :param but: keys of those that it keeps.
    """
    held = session.execute(_OF_RESOURCE, {"tenant_": tenant, "id_": id, "target_": target}).scalars().all()
    rows = [
        {"tenant_": tenant, "target_": target, "kind_": kind, "key_": bytes(key), "id_": id}
        for key in sorted(held)
        if bytes(key) not in but
    ]
    if rows:
        session.execute(_GIVE_UP, rows)


def holder_of(session: Session, tenant: str, target: Target, kind: Kind, name: str) -> str | None:
    """Id of the resource that has a name in a target, is about to get it, or has not lost it yet."""
    here = {"tenant_": tenant, "target_": target.name, "kind_": kind, "key_": key_of(target, kind, name)}
    holder: str | None = session.execute(_HOLDER, here).scalar()
    return holder


def _taken(session: Session, tenant: str, target: Target, kind: Kind, name: str, holder: str) -> Uniqueness:
    display = session.execute(_DISPLAY, {"tenant_": tenant, "id_": holder}).scalar()
    other = f"the {kind} {shown(display)}" if display else f"another {kind}"
    return Uniqueness(
        f"This {kind} and {other} (id {holder}) would have the same name {shown(name)} in {target.name}; "
        f"{target.naming_help}."
    )
