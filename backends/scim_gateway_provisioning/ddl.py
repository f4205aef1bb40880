"""The hand-written statements that make the tables of provisioning, by migration and dialect."""

from __future__ import annotations

from scim_gateway_sql.ddl import INNODB, Migration, MigrationSet

from . import adoption_list, guard, plan_store, promises

_SQLITE_1 = (
    """
    CREATE TABLE scim_work (
        tenant TEXT NOT NULL, resource_id TEXT NOT NULL, target_name TEXT NOT NULL, kind TEXT NOT NULL,
        gen_no INTEGER NOT NULL, applied_no INTEGER NOT NULL, stale_no INTEGER NOT NULL, granted_no INTEGER NOT NULL,
        absent_flag INTEGER NOT NULL, revoking_flag INTEGER NOT NULL, renaming_flag INTEGER NOT NULL,
        answered_flag INTEGER NOT NULL, spread_flag INTEGER NOT NULL, known_doc BLOB NOT NULL,
        since_ms INTEGER NOT NULL, next_ms INTEGER,
        attempt_count INTEGER NOT NULL, trouble_text TEXT, waiting_text TEXT, holder TEXT,
        held_until_ms INTEGER NOT NULL, beat_no INTEGER NOT NULL,
        PRIMARY KEY (tenant, resource_id, target_name)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX scim_work_by_time ON scim_work (tenant, next_ms) WHERE next_ms IS NOT NULL",
    """
    CREATE TABLE scim_edge (
        tenant TEXT NOT NULL, target_name TEXT NOT NULL, group_id TEXT NOT NULL, member_id TEXT NOT NULL,
        edge_no INTEGER NOT NULL, cause_id TEXT NOT NULL, deferred_flag INTEGER NOT NULL,
        PRIMARY KEY (tenant, target_name, group_id, member_id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX scim_edge_by_cause ON scim_edge (tenant, cause_id)",
    """
    CREATE TABLE scim_target_name (
        tenant TEXT NOT NULL, target_name TEXT NOT NULL, kind TEXT NOT NULL, name_key BLOB NOT NULL,
        resource_id TEXT NOT NULL, name_text TEXT NOT NULL,
        PRIMARY KEY (tenant, target_name, kind, name_key)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX scim_target_name_of_resource ON scim_target_name (tenant, resource_id)",
    """
    CREATE TABLE scim_nesting (
        tenant TEXT NOT NULL, turn_no INTEGER NOT NULL,
        PRIMARY KEY (tenant)
    ) WITHOUT ROWID
    """,
)

_WORK = """
    tenant VARBINARY(64) NOT NULL, resource_id VARBINARY(64) NOT NULL, target_name VARBINARY(64) NOT NULL,
    kind VARBINARY(16) NOT NULL, gen_no BIGINT NOT NULL, applied_no BIGINT NOT NULL, stale_no BIGINT NOT NULL,
    granted_no BIGINT NOT NULL, absent_flag INT NOT NULL, revoking_flag INT NOT NULL, renaming_flag INT NOT NULL,
    answered_flag INT NOT NULL, spread_flag INT NOT NULL, known_doc MEDIUMBLOB NOT NULL,
    since_ms BIGINT NOT NULL, next_ms BIGINT,
    attempt_count INT NOT NULL, trouble_text TEXT COLLATE utf8mb4_bin, waiting_text TEXT COLLATE utf8mb4_bin,
    holder VARBINARY(64), held_until_ms BIGINT NOT NULL, beat_no BIGINT NOT NULL,
    PRIMARY KEY (tenant, resource_id, target_name), KEY scim_work_by_time (tenant, next_ms)
"""
_EDGE = """
    tenant VARBINARY(64) NOT NULL, target_name VARBINARY(64) NOT NULL, group_id VARBINARY(64) NOT NULL,
    member_id VARBINARY(64) NOT NULL, edge_no BIGINT NOT NULL, cause_id VARBINARY(64) NOT NULL,
    deferred_flag INT NOT NULL,
    PRIMARY KEY (tenant, target_name, group_id, member_id), KEY scim_edge_by_cause (tenant, cause_id)
"""
_NAME = """
    tenant VARBINARY(64) NOT NULL, target_name VARBINARY(64) NOT NULL, kind VARBINARY(16) NOT NULL,
    name_key VARBINARY(512) NOT NULL, resource_id VARBINARY(64) NOT NULL, name_text TEXT COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (tenant, target_name, kind, name_key), KEY scim_target_name_of_resource (tenant, resource_id)
"""
_NESTING = "tenant VARBINARY(64) NOT NULL, turn_no BIGINT NOT NULL, PRIMARY KEY (tenant)"
_TABLES = {
    "scim_work": _WORK,
    "scim_edge": _EDGE,
    "scim_target_name": _NAME,
    "scim_nesting": _NESTING,
}
_MYSQL_1 = tuple(f"CREATE TABLE IF NOT EXISTS {name} ({columns}) {INNODB}" for name, columns in _TABLES.items())
_SINGLESTORE_1 = tuple(
    f"CREATE ROWSTORE TABLE IF NOT EXISTS {name} ({columns}, SHARD KEY (tenant))" for name, columns in _TABLES.items()
)

PROVISIONING = MigrationSet(
    "provisioning",
    (
        Migration(
            1,
            "pending work, memberships to look at, names in targets",
            {"sqlite": _SQLITE_1, "mysql": _MYSQL_1, "singlestore": _SINGLESTORE_1},
        ),
        Migration(2, "audit trail, pause, removals", guard.STATEMENTS),
        Migration(3, "what may be adopted", adoption_list.STATEMENTS),
        Migration(4, "plans that were shown", plan_store.STATEMENTS),
        Migration(5, "grants that are not answered yet", promises.STATEMENTS),
    ),
)
