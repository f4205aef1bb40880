"""The hand-written statements that make and change the tables, by migration and dialect.

A migration is never edited once it was released; a change is a new one. On SQLite all of them run in one transaction.
On the others each statement commits by itself, and a process may die between two, so every statement there can be run
again. The rules for SingleStore, which no other database would catch: rowstore tables, the shard key (``tenant``) in
every unique key, a collation named wherever there is text, no foreign keys, no names that are reserved. Keys fit the
3072 bytes of InnoDB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a schema: its number, what it is for, and its statements.

    :param statements: by the name of the dialect: ``sqlite``, ``mysql`` (MariaDB, too), ``singlestore``.
    """

    number: int
    title: str
    statements: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class MigrationSet:
    """The migrations of one package, numbered from 1 without a gap.

    :param package: a name that stays the same for ever; the directory's own is ``directory``.
    """

    package: str
    migrations: tuple[Migration, ...]

    @property
    def current(self) -> int:
        """Number of the newest."""
        return self.migrations[-1].number


INNODB = "ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
"""How MariaDB and MySQL keep a table: keys up to 3072 bytes, text without a collation of its own compared by bytes."""

#: What has to be there before a migration of a server can be noted, and before two processes can take turns.
FOUNDATIONS: Mapping[str, tuple[str, ...]] = {
    "mysql": (
        f"""
        CREATE TABLE IF NOT EXISTS scim_schema (
            package VARBINARY(64) NOT NULL, number INT NOT NULL, title VARCHAR(255) COLLATE utf8mb4_bin NOT NULL,
            applied VARBINARY(40) NOT NULL,
            PRIMARY KEY (package, number)
        ) {INNODB}
        """,
        f"""
        CREATE TABLE IF NOT EXISTS scim_lease (
            tenant VARBINARY(64) NOT NULL, name VARBINARY(64) NOT NULL, holder VARBINARY(64) NOT NULL,
            fence BIGINT NOT NULL, expires BIGINT NOT NULL, renewals BIGINT NOT NULL,
            PRIMARY KEY (tenant, name)
        ) {INNODB}
        """,
    ),
    "singlestore": (
        """
        CREATE ROWSTORE TABLE IF NOT EXISTS scim_schema (
            package VARBINARY(64) NOT NULL, number INT NOT NULL, title VARCHAR(255) COLLATE utf8mb4_bin NOT NULL,
            applied VARBINARY(40) NOT NULL,
            PRIMARY KEY (package, number), SHARD KEY (package)
        )
        """,
        """
        CREATE ROWSTORE TABLE IF NOT EXISTS scim_lease (
            tenant VARBINARY(64) NOT NULL, name VARBINARY(64) NOT NULL, holder VARBINARY(64) NOT NULL,
            fence BIGINT NOT NULL, expires BIGINT NOT NULL, renewals BIGINT NOT NULL,
            PRIMARY KEY (tenant, name), SHARD KEY (tenant)
        )
        """,
    ),
}

_SQLITE_1 = (
    """
    CREATE TABLE scim_resource (
        tenant TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, revision TEXT NOT NULL,
        created TEXT NOT NULL, display TEXT, doc BLOB NOT NULL,
        PRIMARY KEY (tenant, id)
    )
    """,
    "CREATE INDEX scim_resource_in_order ON scim_resource (tenant, kind, created, id)",
    """
    CREATE TABLE scim_identifier (
        tenant TEXT NOT NULL, kind TEXT NOT NULL, attr TEXT NOT NULL, name_key BLOB NOT NULL,
        resource_id TEXT NOT NULL,
        PRIMARY KEY (tenant, kind, attr, name_key)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX scim_identifier_of_resource ON scim_identifier (tenant, resource_id)",
    """
    CREATE TABLE scim_member (
        tenant TEXT NOT NULL, group_id TEXT NOT NULL, member_id TEXT NOT NULL,
        PRIMARY KEY (tenant, group_id, member_id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX scim_member_by_member ON scim_member (tenant, member_id, group_id)",
    """
    CREATE TABLE scim_value (
        tenant TEXT NOT NULL, attr INTEGER NOT NULL, sortable BLOB NOT NULL, resource_id TEXT NOT NULL,
        elem INTEGER NOT NULL,
        PRIMARY KEY (tenant, attr, sortable, resource_id, elem)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE scim_token (
        tenant TEXT NOT NULL, id TEXT NOT NULL, label TEXT NOT NULL, digest BLOB NOT NULL,
        scopes TEXT NOT NULL, created TEXT NOT NULL, expires TEXT, profile TEXT, last_used TEXT,
        PRIMARY KEY (tenant, id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE scim_setting (
        tenant TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (tenant, name)
    ) WITHOUT ROWID
    """,
    # The planner takes the sizes of a large directory for granted, instead of guessing without statistics
    # or changing its mind when they are gathered. Rows per distinct value of each leading column
    # (https://sqlite.org/fileformat2.html#stat1tab); ANALYZE makes the table and, at the end, reads it.
    "ANALYZE",
    """
    INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
        ('scim_resource', 'sqlite_autoindex_scim_resource_1', '100000 100000 1'),
        ('scim_resource', 'scim_resource_in_order', '100000 100000 50000 2 1'),
        ('scim_identifier', 'scim_identifier', '100000 100000 50000 50000 1'),
        ('scim_identifier', 'scim_identifier_of_resource', '100000 100000 1'),
        ('scim_member', 'scim_member', '1000000 1000000 100 1'),
        ('scim_member', 'scim_member_by_member', '1000000 1000000 10 1'),
        ('scim_value', 'scim_value', '3000000 3000000 100000 10 1 1')
    """,
    "ANALYZE sqlite_schema",
)

# Names that SingleStore reserves are given up; an index that only a delete used; and what other packages and several
# processes need.
_SQLITE_2 = (
    "ALTER TABLE scim_token RENAME COLUMN label TO title",
    "ALTER TABLE scim_token RENAME COLUMN profile TO idp_profile",
    "ALTER TABLE scim_setting RENAME COLUMN content TO payload",
    "DROP INDEX scim_identifier_of_resource",
    "DELETE FROM sqlite_stat1 WHERE idx = 'scim_identifier_of_resource'",
    """
    CREATE TABLE scim_lease (
        tenant TEXT NOT NULL, name TEXT NOT NULL, holder TEXT NOT NULL, fence INTEGER NOT NULL,
        expires INTEGER NOT NULL, renewals INTEGER NOT NULL,
        PRIMARY KEY (tenant, name)
    ) WITHOUT ROWID
    """,
    "ALTER TABLE scim_schema RENAME TO scim_schema_of_one",
    """
    CREATE TABLE scim_schema (
        package TEXT NOT NULL, number INTEGER NOT NULL, title TEXT NOT NULL, applied TEXT NOT NULL,
        PRIMARY KEY (package, number)
    ) WITHOUT ROWID
    """,
    "INSERT INTO scim_schema SELECT 'directory', number, title, applied FROM scim_schema_of_one",
    "DROP TABLE scim_schema_of_one",
)

# A row of the settings that becomes another one with each change of what a member is called: as long as it and the
# document of a group are the same, so is what is shown of the members. Whoever changes a name, changes it; on a server
# it would make changes of names wait for each other.
_SQLITE_3 = (
    """
    CREATE TRIGGER scim_member_is_called AFTER UPDATE OF display ON scim_resource
    WHEN old.display IS NOT new.display
        AND EXISTS (SELECT 1 FROM scim_member WHERE tenant = new.tenant AND member_id = new.id)
    BEGIN
        INSERT INTO scim_setting (tenant, name, payload) VALUES (new.tenant, 'names of members', randomblob(16))
        ON CONFLICT (tenant, name) DO UPDATE SET payload = excluded.payload;
    END
    """,
)

# A row for each change of a document, numbered in the order of the commits: whoever has kept something of the documents
# in memory sees what has changed since (vocabulary.py). The first row makes this database's history its own; the newest
# is always there. Whoever writes removes old ones: a trigger that did would cost each write more than the note itself.
_SQLITE_4 = (
    "CREATE TABLE scim_change (number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, resource_id TEXT NOT NULL)",
    "INSERT INTO scim_change VALUES (1, '', hex(randomblob(16)))",
    """
    CREATE TRIGGER scim_resource_is_added AFTER INSERT ON scim_resource
    BEGIN
        INSERT INTO scim_change (tenant, resource_id) VALUES (new.tenant, new.id);
    END
    """,
    """
    CREATE TRIGGER scim_resource_is_changed AFTER UPDATE OF doc ON scim_resource
    BEGIN
        INSERT INTO scim_change (tenant, resource_id) VALUES (new.tenant, new.id);
    END
    """,
)

#: Of which resources the id does not begin with the time of creation, in milliseconds and in the form that makes texts
#: of times sort as times do. Where there is none, the order of ids is that of ``created`` and ``id`` (RFC 9562 §5.7).
OUT_OF_ORDER = """
    NOT (
        created GLOB '????-??-??T??:??:??.[0-9][0-9][0-9]Z' AND substr(id, 9, 1) = '-'
        AND substr(id, 1, 8) || substr(id, 10, 4)
            = printf('%012x', CAST(round((julianday(created) - 2440587.5) * 86400000.0) AS INTEGER))
    )
"""

_SQLITE_5 = (f"CREATE INDEX scim_resource_out_of_order ON scim_resource (tenant, kind) WHERE {OUT_OF_ORDER}",)

_MYSQL_1 = (
    f"""
    CREATE TABLE IF NOT EXISTS scim_resource (
        tenant VARBINARY(64) NOT NULL, id VARBINARY(64) NOT NULL, kind VARBINARY(128) NOT NULL,
        revision VARBINARY(32) NOT NULL, created VARBINARY(32) NOT NULL, display MEDIUMTEXT COLLATE utf8mb4_bin,
        doc LONGBLOB NOT NULL,
        PRIMARY KEY (tenant, id), KEY scim_resource_in_order (tenant, kind, created, id)
    ) {INNODB}
    """,
    f"""
    CREATE TABLE IF NOT EXISTS scim_identifier (
        tenant VARBINARY(64) NOT NULL, kind VARBINARY(128) NOT NULL, attr VARBINARY(512) NOT NULL,
        name_key VARBINARY(255) NOT NULL, resource_id VARBINARY(64) NOT NULL,
        PRIMARY KEY (tenant, kind, attr, name_key)
    ) {INNODB}
    """,
    f"""
    CREATE TABLE IF NOT EXISTS scim_member (
        tenant VARBINARY(64) NOT NULL, group_id VARBINARY(64) NOT NULL, member_id VARBINARY(64) NOT NULL,
        PRIMARY KEY (tenant, group_id, member_id), KEY scim_member_by_member (tenant, member_id, group_id)
    ) {INNODB}
    """,
    f"""
    CREATE TABLE IF NOT EXISTS scim_value (
        tenant VARBINARY(64) NOT NULL, attr BIGINT NOT NULL, sortable VARBINARY(1000) NOT NULL,
        resource_id VARBINARY(64) NOT NULL, elem INT NOT NULL,
        PRIMARY KEY (tenant, attr, sortable, resource_id, elem)
    ) {INNODB}
    """,
    f"""
    CREATE TABLE IF NOT EXISTS scim_token (
        tenant VARBINARY(64) NOT NULL, id VARBINARY(64) NOT NULL, title TEXT COLLATE utf8mb4_bin NOT NULL,
        digest VARBINARY(64) NOT NULL, scopes VARBINARY(255) NOT NULL, created VARBINARY(40) NOT NULL,
        expires VARBINARY(40), idp_profile VARBINARY(64), last_used VARBINARY(40),
        PRIMARY KEY (tenant, id)
    ) {INNODB}
    """,
    f"""
    CREATE TABLE IF NOT EXISTS scim_setting (
        tenant VARBINARY(64) NOT NULL, name VARBINARY(255) NOT NULL, payload LONGBLOB NOT NULL,
        PRIMARY KEY (tenant, name)
    ) {INNODB}
    """,
)

_SINGLESTORE_1 = (
    """
    CREATE ROWSTORE TABLE IF NOT EXISTS scim_resource (
        tenant VARBINARY(64) NOT NULL, id VARBINARY(64) NOT NULL, kind VARBINARY(128) NOT NULL,
        revision VARBINARY(32) NOT NULL, created VARBINARY(32) NOT NULL, display MEDIUMTEXT COLLATE utf8mb4_bin,
        doc LONGBLOB NOT NULL,
        PRIMARY KEY (tenant, id), KEY scim_resource_in_order (tenant, kind, created, id), SHARD KEY (tenant)
    )
    """,
    """
    CREATE ROWSTORE TABLE IF NOT EXISTS scim_identifier (
        tenant VARBINARY(64) NOT NULL, kind VARBINARY(128) NOT NULL, attr VARBINARY(512) NOT NULL,
        name_key VARBINARY(255) NOT NULL, resource_id VARBINARY(64) NOT NULL,
        PRIMARY KEY (tenant, kind, attr, name_key), SHARD KEY (tenant)
    )
    """,
    """
    CREATE ROWSTORE TABLE IF NOT EXISTS scim_member (
        tenant VARBINARY(64) NOT NULL, group_id VARBINARY(64) NOT NULL, member_id VARBINARY(64) NOT NULL,
        PRIMARY KEY (tenant, group_id, member_id), KEY scim_member_by_member (tenant, member_id, group_id),
        SHARD KEY (tenant)
    )
    """,
    """
    CREATE ROWSTORE TABLE IF NOT EXISTS scim_value (
        tenant VARBINARY(64) NOT NULL, attr BIGINT NOT NULL, sortable VARBINARY(1000) NOT NULL,
        resource_id VARBINARY(64) NOT NULL, elem INT NOT NULL,
        PRIMARY KEY (tenant, attr, sortable, resource_id, elem), SHARD KEY (tenant)
    )
    """,
    """
    CREATE ROWSTORE TABLE IF NOT EXISTS scim_token (
        tenant VARBINARY(64) NOT NULL, id VARBINARY(64) NOT NULL, title TEXT COLLATE utf8mb4_bin NOT NULL,
        digest VARBINARY(64) NOT NULL, scopes VARBINARY(255) NOT NULL, created VARBINARY(40) NOT NULL,
        expires VARBINARY(40), idp_profile VARBINARY(64), last_used VARBINARY(40),
        PRIMARY KEY (tenant, id), SHARD KEY (tenant)
    )
    """,
    """
    CREATE ROWSTORE TABLE IF NOT EXISTS scim_setting (
        tenant VARBINARY(64) NOT NULL, name VARBINARY(255) NOT NULL, payload LONGBLOB NOT NULL,
        PRIMARY KEY (tenant, name), SHARD KEY (tenant)
    )
    """,
)

DIRECTORY = MigrationSet(
    "directory",
    (
        Migration(
            1,
            "resources, identifiers, memberships, values, tokens, settings",
            {"sqlite": _SQLITE_1, "mysql": _MYSQL_1, "singlestore": _SINGLESTORE_1},
        ),
        Migration(
            2,
            "leases, migrations of other packages, no reserved names",
            {"sqlite": _SQLITE_2, "mysql": (), "singlestore": ()},
        ),
        Migration(3, "whether a member got another name", {"sqlite": _SQLITE_3, "mysql": (), "singlestore": ()}),
        Migration(4, "which documents have changed", {"sqlite": _SQLITE_4, "mysql": (), "singlestore": ()}),
        Migration(5, "which ids do not tell when", {"sqlite": _SQLITE_5, "mysql": (), "singlestore": ()}),
    ),
)
