"""The list of what an administrator allowed to be taken under management: rows of ``scim_adoption``."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from scim_gateway_sql.columns import Key
from scim_gateway_sql.database import Session
from scim_gateway_sql.portable import Clock, insert_if_absent
from scim_gateway_sql.prepared import batches
from sqlalchemy import BigInteger, Column, MetaData, Table, and_, bindparam, delete, select

from .target import Kind

metadata = MetaData()

#: ``name_hash`` is that of the name's key in the target (:meth:`.target.Target.name_key`), which may be long.
adoptions = Table(
    "scim_adoption",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("target_name", Key, primary_key=True),
    Column("kind", Key, primary_key=True),
    Column("name_hash", Key, primary_key=True),
    Column("shown_name", Key, nullable=False),
    Column("listed_ms", BigInteger, nullable=False),
)

STATEMENTS = {
    "sqlite": (
        """
        CREATE TABLE scim_adoption (
            tenant TEXT NOT NULL, target_name TEXT NOT NULL, kind TEXT NOT NULL, name_hash TEXT NOT NULL,
            shown_name TEXT NOT NULL, listed_ms INTEGER NOT NULL,
            PRIMARY KEY (tenant, target_name, kind, name_hash)
        ) WITHOUT ROWID
        """,
    ),
    "mysql": (
        """
        CREATE TABLE IF NOT EXISTS scim_adoption (
            tenant VARBINARY(64) NOT NULL, target_name VARBINARY(64) NOT NULL, kind VARBINARY(64) NOT NULL,
            name_hash VARBINARY(64) NOT NULL, shown_name VARBINARY(4096) NOT NULL, listed_ms BIGINT NOT NULL,
            PRIMARY KEY (tenant, target_name, kind, name_hash)
        ) ENGINE = InnoDB
        """,
    ),
    "singlestore": (
        """
        CREATE ROWSTORE TABLE IF NOT EXISTS scim_adoption (
            tenant VARBINARY(64) NOT NULL, target_name VARBINARY(64) NOT NULL, kind VARBINARY(64) NOT NULL,
            name_hash VARBINARY(64) NOT NULL, shown_name VARBINARY(4096) NOT NULL, listed_ms BIGINT NOT NULL,
            PRIMARY KEY (tenant, target_name, kind, name_hash), SHARD KEY (tenant)
        )
        """,
    ),
}
"""The table above, by the name of the dialect; a migration of this package runs them."""

_OF_TARGET = and_(adoptions.c.tenant == bindparam("tenant_"), adoptions.c.target_name == bindparam("target_"))
_AMONG = select(adoptions.c.name_hash).where(
    _OF_TARGET,
    adoptions.c.kind == bindparam("kind_"),
    adoptions.c.name_hash.in_(bindparam("hashes", expanding=True)),
)
_EVERY = select(adoptions.c.kind, adoptions.c.name_hash, adoptions.c.shown_name).where(_OF_TARGET)
_TAKE_OFF = delete(adoptions).where(
    _OF_TARGET, adoptions.c.kind == bindparam("kind_"), adoptions.c.name_hash == bindparam("hash_")
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list; ``digest`` is :func:`digest_of` the key of its name."""

    kind: Kind
    digest: str
    name: str


def digest_of(key: bytes) -> str:
    """How the key of a name stands in the list."""
    return hashlib.sha256(key).hexdigest()[:40]


def adoptable(session: Session, tenant: str, target: str, kind: Kind, keys: Collection[bytes]) -> set[bytes]:
    """Those of the keys whose names may be taken under management if something of that name exists in the target."""
    by_digest = {digest_of(key): key for key in keys}
    found: set[bytes] = set()
    for batch in batches(by_digest):
        parameters = {"tenant_": tenant, "target_": target, "kind_": kind, "hashes": batch}
        found.update(by_digest[digest] for digest in session.execute(_AMONG, parameters).scalars())
    return found


def every(session: Session, tenant: str, target: str) -> list[Listed]:
    """The whole list for a target."""
    rows = session.execute(_EVERY, {"tenant_": tenant, "target_": target})
    return [Listed("Group" if kind == "Group" else "User", digest, name) for kind, digest, name in rows]


def put_on(session: Session, tenant: str, target: str, kind: Kind, names: Mapping[bytes, str]) -> None:
    """Put names on the list.

    :param names: names as they stand in the target, by their keys.
    """
    now = session.execute(select(Clock())).scalar_one()
    row = {"tenant": tenant, "target_name": target, "kind": kind, "listed_ms": now}
    for key in sorted(names, key=digest_of):
        insert_if_absent(session, adoptions, {**row, "name_hash": digest_of(key), "shown_name": names[key]})


def take_off(session: Session, tenant: str, target: str, kind: Kind, digests: Iterable[str]) -> int:
    """Take names off the list; how many of them were on it."""
    here = {"tenant_": tenant, "target_": target, "kind_": kind}
    return sum(session.execute(_TAKE_OFF, {**here, "hash_": digest}).rowcount for digest in sorted(digests))
