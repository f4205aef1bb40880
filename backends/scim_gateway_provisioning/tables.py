"""The tables of provisioning as SQLAlchemy Core sees them; the statements that make them are in :mod:`.ddl`.

Rows are locked in one order: first those of the directory, then the turn of nested groups, work by resource and target,
edges, names, and last the guard of the audit trail (:mod:`.guard`). Every key starts with ``tenant``, as everywhere.
"""

from __future__ import annotations

from scim_gateway_sql.columns import Key
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table

metadata = MetaData()

#: One row for each target and resource that the target has, is to have, or is to lose; :class:`.work.Work` explains it.
works = Table(
    "scim_work",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("resource_id", Key, primary_key=True),
    Column("target_name", Key, primary_key=True),
    Column("kind", Key, nullable=False),
    Column("gen_no", BigInteger, nullable=False),
    Column("applied_no", BigInteger, nullable=False),
    Column("stale_no", BigInteger, nullable=False),
    Column("granted_no", BigInteger, nullable=False),
    Column("absent_flag", Integer, nullable=False),
    Column("revoking_flag", Integer, nullable=False),
    Column("renaming_flag", Integer, nullable=False),
    Column("answered_flag", Integer, nullable=False),
    Column("spread_flag", Integer, nullable=False),
    Column("known_doc", LargeBinary, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("next_ms", BigInteger),
    Column("attempt_count", Integer, nullable=False),
    Column("trouble_text", String),
    Column("waiting_text", String),
    Column("holder", Key),
    Column("held_until_ms", BigInteger, nullable=False),
    Column("beat_no", BigInteger, nullable=False),
)

#: One row for each membership that needs looking at; ``edge_no`` is the generation of the group that asked for it, and
#: ``cause_id`` the resource whose change made it necessary: the group itself, a group in it, or a user.
#: A deferred one waits for its member (an invitation to be accepted) and is looked at from time to time only.
edges = Table(
    "scim_edge",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("target_name", Key, primary_key=True),
    Column("group_id", Key, primary_key=True),
    Column("member_id", Key, primary_key=True),
    Column("edge_no", BigInteger, nullable=False),
    Column("cause_id", Key, nullable=False),
    Column("deferred_flag", Integer, nullable=False),
)

#: Names that resources have in a target, or are about to have or to lose there: never two resources on one name.
names = Table(
    "scim_target_name",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("target_name", Key, primary_key=True),
    Column("kind", Key, primary_key=True),
    Column("name_key", LargeBinary, primary_key=True),
    Column("resource_id", Key, nullable=False),
    Column("name_text", String, nullable=False),
)

#: The row that whoever changes a membership where groups are nested locks, so that each sees what the other did.
nestings = Table(
    "scim_nesting",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("turn_no", BigInteger, nullable=False),
)
