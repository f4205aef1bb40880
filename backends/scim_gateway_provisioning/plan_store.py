"""The plans that were shown lately: rows of ``scim_plan``, so that ``apply`` can tell what moved, and go on.

A plan that was begun and cut short is the one that was shown, less what is done already: nothing that nobody saw.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from scim_gateway_sql.columns import Key
from scim_gateway_sql.database import Session
from scim_gateway_sql.portable import Clock, insert_if_absent
from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table, and_, bindparam, delete, select, update

from scim_gateway.provisioned import Step

from .difference import Difference

KEPT = 20
"""How many plans are kept."""

LARGEST = 100_000
"""Steps of the largest plan that is kept; of a larger one only the hash is known."""

metadata = MetaData()

#: ``steps_doc`` is compressed JSON; ``scope`` the target that was compared, empty for all.
plans = Table(
    "scim_plan",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("plan_hash", Key, primary_key=True),
    Column("scope", Key, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("begun_ms", BigInteger, nullable=False),
    Column("approved_until_ms", BigInteger, nullable=False),
    Column("steps_doc", LargeBinary),
)

STATEMENTS = {
    "sqlite": (
        """
        CREATE TABLE scim_plan (
            tenant TEXT NOT NULL, plan_hash TEXT NOT NULL, scope TEXT NOT NULL, made_ms INTEGER NOT NULL,
            begun_ms INTEGER NOT NULL, approved_until_ms INTEGER NOT NULL, steps_doc BLOB,
            PRIMARY KEY (tenant, plan_hash)
        )
        """,
    ),
    "mysql": (
        """
        CREATE TABLE IF NOT EXISTS scim_plan (
            tenant VARBINARY(64) NOT NULL, plan_hash VARBINARY(64) NOT NULL, scope VARBINARY(64) NOT NULL,
            made_ms BIGINT NOT NULL, begun_ms BIGINT NOT NULL, approved_until_ms BIGINT NOT NULL, steps_doc LONGBLOB,
            PRIMARY KEY (tenant, plan_hash)
        ) ENGINE = InnoDB
        """,
    ),
    "singlestore": (
        """
        CREATE ROWSTORE TABLE IF NOT EXISTS scim_plan (
            tenant VARBINARY(64) NOT NULL, plan_hash VARBINARY(64) NOT NULL, scope VARBINARY(64) NOT NULL,
            made_ms BIGINT NOT NULL, begun_ms BIGINT NOT NULL, approved_until_ms BIGINT NOT NULL, steps_doc LONGBLOB,
            PRIMARY KEY (tenant, plan_hash), SHARD KEY (tenant)
        )
        """,
    ),
}
"""The table above, by the name of the dialect; a migration of this package runs them."""

_HERE = and_(plans.c.tenant == bindparam("tenant_"), plans.c.plan_hash == bindparam("hash_"))
_READ = select(plans, Clock().label("now_ms")).where(_HERE)
_TOUCH = update(plans).where(_HERE).values(made_ms=Clock(), begun_ms=0, scope=bindparam("scope_"))
_BEGIN = update(plans).where(_HERE).values(begun_ms=Clock())
_APPROVE = update(plans).where(_HERE).values(approved_until_ms=Clock() + bindparam("milliseconds_"))
_DELETE = delete(plans).where(_HERE)
_IN_ORDER = select(plans.c.plan_hash).where(plans.c.tenant == bindparam("tenant_")).order_by(plans.c.made_ms.desc())


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan that somebody was shown.

    :param scope: the target that was compared; ``None``: all of them.
    :param begun: whether it was begun to be carried out.
    :param approved: whether an administrator approved it, not too long ago.
    :param steps: the steps to take, by their fingerprint; ``None``: too many were to be kept.
    """

    hash: str
    scope: str | None
    begun: bool
    approved: bool
    steps: dict[bytes, Step] | None


def keep(session: Session, tenant: str, hash: str, scope: str | None, differences: Sequence[Difference]) -> None:
    """Remember a plan that is being shown; the oldest are forgotten."""
    to_do = [difference for difference in differences if difference.to_do]
    here = {"tenant_": tenant, "hash_": hash}
    row = {"tenant": tenant, "plan_hash": hash, "scope": scope or "", "made_ms": 0, "begun_ms": 0}
    document = _packed(to_do) if len(to_do) <= LARGEST else None
    insert_if_absent(session, plans, {**row, "approved_until_ms": 0, "steps_doc": document})
    session.execute(_TOUCH, {**here, "scope_": scope or ""})
    for old in session.execute(_IN_ORDER, {"tenant_": tenant}).scalars().all()[KEPT:]:
        session.execute(_DELETE, {"tenant_": tenant, "hash_": old})


def shown(session: Session, tenant: str, hash: str) -> Shown | None:
    """The plan with this hash, if it is remembered."""
    row = session.execute(_READ, {"tenant_": tenant, "hash_": hash}).first()
    if row is None:
        return None
    steps = None if row.steps_doc is None else _unpacked(row.steps_doc)
    return Shown(row.plan_hash, row.scope or None, row.begun_ms > 0, row.approved_until_ms > row.now_ms, steps)


def begin(session: Session, tenant: str, hash: str) -> None:
    """Note that the plan is being carried out."""
    session.execute(_BEGIN, {"tenant_": tenant, "hash_": hash})


def approve(session: Session, tenant: str, hash: str, minutes: int) -> bool:
    """Approve a plan for a while; ``False`` if it is not remembered."""
    here = {"tenant_": tenant, "hash_": hash}
    if session.execute(_READ, here).first() is None:
        return False
    session.execute(_APPROVE, {**here, "milliseconds_": minutes * 60_000})
    return True


def forget(session: Session, tenant: str, hash: str) -> None:
    """The plan was carried out."""
    session.execute(_DELETE, {"tenant_": tenant, "hash_": hash})


def _packed(differences: Sequence[Difference]) -> bytes:
    rows = []
    for difference in differences:
        step = difference.step
        fields = (step.target, step.action, step.kind, step.name, step.member, step.reason, step.id)
        rows.append((difference.fingerprint.hex(), *fields))
    return zlib.compress(orjson.dumps(rows), 6)


def _unpacked(document: bytes) -> dict[bytes, Step]:
    rows: list[list[Any]] = orjson.loads(zlib.decompress(document))
    return {bytes.fromhex(fingerprint): Step(*step) for fingerprint, *step in rows}
