"""The tables of the directory as SQLAlchemy Core sees them; the statements that make them are in :mod:`.ddl`.

Every key starts with ``tenant``, the shard key on SingleStore, so that each unique key contains it. Nothing relies on
a foreign key or on a collation: keys and values are compared as bytes (:mod:`.columns`).

The order in which rows are locked, everywhere: those of resources, all that a write depends on at once, by tenant and
id (:mod:`.locks`); identifiers, by attribute and key; memberships and values, which belong to a resource that is locked
by then, so nobody else wants them; rows of other packages; leases last.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table, bindparam, select

from .columns import Key

metadata = MetaData()

#: One row per resource. ``doc`` is its JSON without the memberships; the other columns repeat what is asked for most.
resources = Table(
    "scim_resource",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("id", Key, primary_key=True),
    Column("kind", Key, nullable=False),
    Column("revision", Key, nullable=False),
    Column("created", Key, nullable=False),
    Column("display", String),
    Column("doc", LargeBinary, nullable=False),
)

#: One row per unique value: its primary key is what holds uniqueness under a race.
identifiers = Table(
    "scim_identifier",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("kind", Key, primary_key=True),
    Column("attr", Key, primary_key=True),
    Column("name_key", LargeBinary, primary_key=True),
    Column("resource_id", Key, nullable=False),
)

#: One row per membership; type and display of a member come from its own row when they are read.
members = Table(
    "scim_member",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("group_id", Key, primary_key=True),
    Column("member_id", Key, primary_key=True),
)

#: One row per value that filters and sorting may ask for, in the form in which the core compares it; the key is all
#: there is. ``attr`` stands for resource type and path (:func:`.indexing.number_of`), ``elem`` numbers the elements
#: of a multi-valued attribute, so that a value path finds what stands side by side.
values = Table(
    "scim_value",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("attr", BigInteger, primary_key=True),
    Column("sortable", LargeBinary, primary_key=True),
    Column("resource_id", Key, primary_key=True),
    Column("elem", Integer, primary_key=True),
)

#: Bearer tokens, as hashes; times are ISO 8601 text in UTC.
tokens = Table(
    "scim_token",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("id", Key, primary_key=True),
    Column("title", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("scopes", Key, nullable=False),
    Column("created", Key, nullable=False),
    Column("expires", Key),
    Column("idp_profile", Key),
    Column("last_used", Key),
)

#: Small things that all processes share: the key of the cursors, the fingerprint of the value index.
settings = Table(
    "scim_setting",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("name", Key, primary_key=True),
    Column("payload", LargeBinary, nullable=False),
)
SETTING = select(settings.c.payload).where(
    settings.c.tenant == bindparam("tenant_"), settings.c.name == bindparam("name_")
)
"""Selects the payload of one of them."""

#: One row per lease; times are milliseconds since 1970 by the database's clock (:mod:`.lease`).
leases = Table(
    "scim_lease",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("name", Key, primary_key=True),
    Column("holder", Key, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("renewals", BigInteger, nullable=False),
)

#: The migrations that were applied, of this package and of others that keep tables beside ours.
schema_versions = Table(
    "scim_schema",
    metadata,
    Column("package", Key, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("title", String, nullable=False),
    Column("applied", Key, nullable=False),
)
