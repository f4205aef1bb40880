"""How a write keeps what it read from changing under it, where several writes run side by side.

A write reads first and changes last: what it has read of resources, and which resources it refers to, is noted as it
goes. Before its first change all of these rows are locked at once, in the order of their ids; whatever is not as it was
read, or not there any more, makes the write stale, and the core does it again. So no lock is waited for while one is
held that comes behind it, and two writes cannot wait for each other, whatever they read in which order. When it is done
again, the same rows are locked before anything is read, and it cannot be stale for them a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from scim_gateway.errors import StaleResource

from .prepared import Prepared, batches
from .tables import resources

if TYPE_CHECKING:
    from .database import Session

# In the order of the key, and by the key: the order in which rows are locked is the order in which they are found.
_LOCK = Prepared(
    select(resources.c.id, resources.c.revision)
    .where(resources.c.tenant == bindparam("tenant_"), resources.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(resources.c.tenant, resources.c.id)
    .with_for_update(),
    among="ids",
)

Row = tuple[str, str]
"""Tenant and id of a resource."""


class Locks:
    """What one write has read and locked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._noted: dict[Row, str | None] = {}
        self._held: set[Row] = set()
        self._taken: frozenset[Row] = frozenset()

    @property
    def rows(self) -> Set[Row]:
        """All rows that the write depends on, for the next try."""
        return self._noted.keys() | self._taken

    def read(self, tenant: str, id: str, revision: str) -> None:
        """A resource was read.

        :raises StaleResource: it is not what was read of it before.
        """
        before = self._noted.get((tenant, id))
        if before is not None and before != revision:
            raise StaleResource(id)
        self._noted[tenant, id] = revision

    def wrote(self, tenant: str, id: str, revision: str) -> None:
        """A resource was created or changed by this write."""
        self._noted[tenant, id] = revision
        self._held.add((tenant, id))

    def refer(self, tenant: str, ids: Iterable[str]) -> None:
        """Resources were found to be there, and have to be there at the end."""
        for id in ids:
            self._noted.setdefault((tenant, id), None)

    def settle(self, own: Row | None = None) -> None:
        """Lock what was noted, before something is changed.

        :param own: the row that is to be changed next by a statement that locks it and looks at its revision by itself;
            where there is no other, nothing is asked here.
        :raises StaleResource: something is not as it was read, or gone.
        """
        wanted = self._noted.keys() - self._held
        if own is not None:
            wanted |= {own} - self._held
        if wanted and self._taken and min(wanted) < max(self._taken):
            # A row that comes before those that were taken at the beginning: next time it is among them.
            raise StaleResource(min(wanted)[1])
        if wanted and wanted != {own}:
            self._check(self._lock(wanted), wanted)
        self._held |= wanted

    def take(self, rows: Iterable[Row]) -> None:
        """Lock rows before anything is read; those that are gone are left out."""
        self._taken = frozenset(rows)
        self._lock(self._taken)
        self._held |= self._taken

    def _lock(self, rows: Set[Row]) -> Mapping[Row, str]:
        found: dict[Row, str] = {}
        for tenant in sorted({tenant for tenant, _ in rows}):
            for batch in batches(id for owner, id in rows if owner == tenant):
                some = _LOCK.rows(self._session, {"tenant_": tenant, "ids": batch})
                found.update(((tenant, id), revision) for id, revision in some)
        return found

    def _check(self, found: Mapping[Row, str], rows: Set[Row]) -> None:
        for row in rows:
            revision = found.get(row)
            if revision is None or self._noted.get(row, revision) not in (None, revision):
                raise StaleResource(row[1])
