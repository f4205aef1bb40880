"""The SingleStore side of the SQL backend over a MariaDB: its own statements, without the words that MariaDB lacks.

What SingleStore itself makes of them only a SingleStore can tell; this runs every line of ours that is chosen for it.
"""

from __future__ import annotations

import re
from typing import Any

from scim_gateway_sql.address import driver_for
from scim_gateway_sql.mysql import MysqlDriver
from sqlalchemy import Engine, event

_SHARD_KEY = re.compile(r",\s*SHARD KEY \([^)]*\)")


def in_mariadb(statement: str) -> str:
    """A definition of SingleStore's as MariaDB takes it."""
    return _SHARD_KEY.sub("", statement.replace("CREATE ROWSTORE TABLE", "CREATE TABLE"))


class SingleStoreOnMariaDb(MysqlDriver):
    """Takes a MariaDB for a SingleStore."""

    @classmethod
    def at(cls, url: str) -> SingleStoreOnMariaDb:
        """The driver of a database URL."""
        driver = driver_for({"database_url": url})
        assert isinstance(driver, MysqlDriver)
        return cls(driver.address)

    def _recognise(self, cursor: Any) -> None:
        super()._recognise(cursor)
        self._dialect = "singlestore"
        self.version = "SingleStore 8.5.0"

    def open(self) -> Engine:
        engine = super().open()

        @event.listens_for(engine, "before_cursor_execute", retval=True)
        def translate(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
            return in_mariadb(statement), parameters

        return engine
