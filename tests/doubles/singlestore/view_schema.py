"""The views of information_schema that tell of accounts, with the vendor's columns."""

from __future__ import annotations

from .cluster import Cluster
from .versions import ATTRIBUTE_AND_COMMENT

_USERS = """
    USER, HOST, TYPE, CONNECTIONS, IS_DELETED, LAST_UPDATED, DEFAULT_RESOURCE_POOL, IS_LOCAL, CREATED,
    PASSWORD_EXPIRATION, PASSWORD_UPDATED, EFFECTIVE_FAILED_LOGIN_ATTEMPTS, EFFECTIVE_PASSWORD_LOCK_TIME, ACCOUNT_STATUS
"""

_TABLES = """
    CREATE TABLE asker (serial INTEGER, sees_accounts INTEGER, sees_groups INTEGER, sees_privileges INTEGER,
                        sees_processes INTEGER);
    CREATE TABLE user_ (
        serial INTEGER PRIMARY KEY, USER TEXT {collation}, HOST TEXT {collation}, TYPE TEXT {collation},
        CONNECTIONS INTEGER, IS_DELETED INTEGER, LAST_UPDATED TEXT, DEFAULT_RESOURCE_POOL TEXT {collation},
        IS_LOCAL TEXT {collation}, CREATED TEXT, PASSWORD_EXPIRATION INTEGER, PASSWORD_UPDATED TEXT,
        EFFECTIVE_FAILED_LOGIN_ATTEMPTS INTEGER, EFFECTIVE_PASSWORD_LOCK_TIME INTEGER, ACCOUNT_STATUS TEXT {collation},
        ATTRIBUTE TEXT {collation}, COMMENT TEXT {collation});
    CREATE INDEX user_name ON user_ (USER);
    CREATE INDEX user_spelling ON user_ (LOWER(USER));
    CREATE TABLE group_ (serial INTEGER PRIMARY KEY, GROUP_NAME TEXT {collation}, NUM_USERS INTEGER);
    CREATE INDEX group_name ON group_ (GROUP_NAME);
    CREATE INDEX group_spelling ON group_ (LOWER(GROUP_NAME));
    CREATE TABLE role_ (serial INTEGER PRIMARY KEY, ROLE TEXT {collation});
    CREATE TABLE member (
        serial INTEGER, group_serial INTEGER, "GROUP" TEXT {collation}, USER TEXT {collation},
        PRIMARY KEY (serial, group_serial)) WITHOUT ROWID;
    CREATE INDEX member_user ON member (USER);
    CREATE INDEX member_group ON member ("GROUP");
    CREATE INDEX member_of ON member (group_serial);
    CREATE TABLE group_role (
        group_serial INTEGER, role_serial INTEGER, "GROUP" TEXT {collation}, ROLE TEXT {collation},
        PRIMARY KEY (group_serial, role_serial)) WITHOUT ROWID;
    CREATE INDEX group_role_group ON group_role ("GROUP");
    CREATE TABLE privilege (
        serial INTEGER, GRANTEE TEXT {collation}, TABLE_CATALOG TEXT, PRIVILEGE_TYPE TEXT {collation},
        IS_GRANTABLE TEXT {collation});
    CREATE INDEX privilege_serial ON privilege (serial);
    CREATE INDEX privilege_grantee ON privilege (GRANTEE);
    CREATE TABLE process (
        serial INTEGER, NODE_ID INTEGER, ID INTEGER, USER TEXT {collation}, HOST TEXT, DB TEXT {collation},
        COMMAND TEXT {collation}, TIME INTEGER, STATE TEXT {collation}, INFO TEXT {collation});

    CREATE VIEW USERS AS SELECT {users} FROM user_, asker
        WHERE asker.sees_accounts OR user_.serial = asker.serial;
    CREATE VIEW "GROUPS" AS SELECT GROUP_NAME, NUM_USERS FROM group_, asker
        WHERE asker.sees_groups
           OR EXISTS (SELECT 1 FROM member m WHERE m.serial = asker.serial AND m.group_serial = group_.serial);
    CREATE VIEW ROLES AS SELECT ROLE FROM role_, asker WHERE asker.sees_groups;
    CREATE VIEW USERS_GROUPS AS SELECT "GROUP", USER FROM member, asker
        WHERE asker.sees_accounts OR member.serial = asker.serial;
    CREATE VIEW GROUPS_ROLES AS SELECT "GROUP", ROLE FROM group_role, asker
        WHERE asker.sees_accounts
           OR EXISTS (
               SELECT 1 FROM member m WHERE m.serial = asker.serial AND m.group_serial = group_role.group_serial);
    CREATE VIEW USER_PRIVILEGES AS SELECT GRANTEE, TABLE_CATALOG, PRIVILEGE_TYPE, IS_GRANTABLE FROM privilege, asker
        WHERE asker.sees_privileges OR privilege.serial = asker.serial;
    CREATE VIEW MV_PROCESSLIST AS SELECT NODE_ID, ID, USER, HOST, DB, COMMAND, TIME, STATE, INFO FROM process, asker
        WHERE asker.sees_processes OR process.serial = asker.serial;
    INSERT INTO asker VALUES (0, 0, 0, 0, 0);
"""

VIEWS = frozenset({"USERS", "GROUPS", "ROLES", "USERS_GROUPS", "GROUPS_ROLES", "USER_PRIVILEGES", "MV_PROCESSLIST"})


def schema_of(cluster: Cluster) -> str:
    """The statements that make the tables and views, for this version and behaviour."""
    shown = cluster.behaviour.attribute_shown and cluster.has(ATTRIBUTE_AND_COMMENT)
    collation = "COLLATE utf8mb4_general_ci" if cluster.behaviour.views_ignore_case else ""
    return _TABLES.format(collation=collation, users=_USERS + (", ATTRIBUTE, COMMENT" if shown else ""))
