"""What a process does before its first operation: see that the tables are there and the index is that of this code.

Any number of processes may start at once. On SQLite one transaction does all of it. On a server each statement that
makes a table commits by itself, so one process at a time works, under a lease, and what it left half done when it died
is done again by the next: no statement minds that. Where there is nothing to do, which is the rule, nobody waits.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scim_gateway.errors import StaleResource, Unavailable

from .database import Session, Transactions
from .ddl import MigrationSet
from .failures import Locked
from .fed import Feeding
from .indexing import Index
from .lease import Held, Lease
from .migrations import lay_foundations, migrate, migrate_step_by_step, refuse_newer, versions
from .portable import insert_if_absent
from .reindex import is_fresh, refresh_index
from .tables import SETTING, settings
from .vocabulary import forget_changes

if TYPE_CHECKING:
    from .database import Database

CURSOR_KEY = "cursor key"
WAIT_SECONDS = 10.0
"""How long a process waits for another one to be done before its first request is answered 503."""
_LEASE_SECONDS = 60.0
_ALL_TENANTS = ""


class Startup:
    """Prepares a database for one tenant.

    :param sets: migrations, those of the directory first.
    :param indexes: of the resource types.
    :param feeding: which targets the directory may feed.
    """

    def __init__(self, tenant: str, sets: Sequence[MigrationSet], indexes: Sequence[Index], feeding: Feeding) -> None:
        self._tenant = tenant
        self._sets = sets
        self._indexes = indexes
        self._feeding = feeding

    def prepare(self, database: Database, begin: Transactions) -> None:
        """See that everything is there.

        :raises Unavailable: the database was made by a newer release, or cannot be prepared now.
        :raises NotFed: the directory feeds targets that this process does not feed.
        """
        if database.driver.concurrent:
            self._prepare_with_others(database, begin)
            return
        with begin(True) as session:
            migrate(session, self._sets)
            self._feeding.check(session)
            self._fill(session)
            forget_changes(session)

    def _prepare_with_others(self, database: Database, begin: Transactions) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        lease = Lease(database, _ALL_TENANTS, "schema", seconds=_LEASE_SECONDS)
        while True:
            with begin(False) as session:
                if self._is_ready(session):
                    self._feeding.check(session)
                    return
                lay_foundations(session)
            held = self._acquire(lease, begin)
            if held is not None:
                break
            if time.monotonic() > deadline:
                raise Unavailable("Another process is preparing the database; try again.", retry_after=5)
            time.sleep(0.2)
        with begin(False) as session:
            migrate_step_by_step(session, self._sets)
        with begin(True) as session:
            if not lease.holds(session, held):
                raise Unavailable("Another process is preparing the database; try again.", retry_after=5)
            database.driver.unhurried(session.connection)
            self._fill(session)
            lease.release_in(session, held)
        with begin(False) as session:
            self._feeding.check(session)

    @staticmethod
    def _acquire(lease: Lease, begin: Transactions) -> Held | None:
        try:
            with begin(True) as session:
                return lease.acquire_in(session)
        except (Locked, StaleResource):
            return None  # the one that has it is filling tables in a transaction

    def _is_ready(self, session: Session) -> bool:
        found = versions(session)
        refuse_newer(found, self._sets)
        return (
            all(found.get(each.package) == each.current for each in self._sets)
            and all(is_fresh(session, self._tenant, index) for index in self._indexes)
            and session.execute(SETTING, {"tenant_": self._tenant, "name_": CURSOR_KEY}).first() is not None
        )

    def _fill(self, session: Session) -> None:
        for index in self._indexes:
            refresh_index(session, self._tenant, index)
        if session.execute(SETTING, {"tenant_": self._tenant, "name_": CURSOR_KEY}).first() is None:
            row = {"tenant": self._tenant, "name": CURSOR_KEY, "payload": secrets.token_bytes(32)}
            insert_if_absent(session, settings, row)
