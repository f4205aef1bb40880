"""Work that one process at a time may do: a lease by the database's clock, with a fence that only grows.

The clocks of the gateway's machines have no say: the database compares an expiry that it worked out itself. What a
holder does outside of the database cannot be fenced, so it stops before :attr:`Held.until`, and renews well before.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, or_, select, update

from .database import Database, Session
from .portable import Clock, insert_if_absent
from .tables import leases

_HERE = and_(leases.c.tenant == bindparam("tenant_"), leases.c.name == bindparam("name_"))
_MINE = and_(_HERE, leases.c.holder == bindparam("holder_"), leases.c.fence == bindparam("fence_"))
_TAKE = (
    update(leases)
    .where(_HERE, or_(leases.c.expires <= Clock(), leases.c.holder == bindparam("holder_")))
    .values(holder=bindparam("holder_"), fence=leases.c.fence + 1, expires=Clock() + bindparam("milliseconds_"))
)
_FENCE = select(leases.c.fence).where(_HERE, leases.c.holder == bindparam("holder_"))
# The counter makes each renewal a change: rows are counted that were changed, not those that were found.
_RENEW = (
    update(leases)
    .where(_MINE, leases.c.expires > Clock())
    .values(renewals=leases.c.renewals + 1, expires=Clock() + bindparam("milliseconds_"))
)
_RELEASE = update(leases).where(_MINE).values(holder="", expires=0, renewals=leases.c.renewals + 1)
_HOLDS = select(leases.c.fence).where(_MINE, leases.c.expires > Clock()).with_for_update()


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that was granted.

    :param fence: larger than that of every grant before; what a holder writes can be told from what its successor does.
    :param until: when the holder has to have stopped, by ``time.monotonic()`` of this process. Counted from before the
        database was asked, so it is never later than the database's own expiry, as long as its clock goes forward.
    """

    fence: int
    until: float

    @property
    def remaining(self) -> float:
        """Seconds until the holder has to have stopped; negative when it should have."""
        return self.until - time.monotonic()


class Lease:
    """One name that one holder at a time has.

    :param name: what the lease is for, at most 64 bytes.
    :param seconds: how long it holds without being renewed.
    :param holder: who asks, at most 64 bytes; by default a name that nobody else has.
    """

    def __init__(
        self, database: Database, tenant: str, name: str, *, seconds: float = 30.0, holder: str | None = None
    ) -> None:
        self.name = name
        self.seconds = seconds
        self.holder = secrets.token_hex(16) if holder is None else holder
        self._database = database
        self._here = {"tenant_": tenant, "name_": name}
        self._row = {"tenant": tenant, "name": name, "holder": "", "fence": 0, "expires": 0, "renewals": 0}
        self._milliseconds = int(seconds * 1000)

    def acquire(self) -> Held | None:
        """Take the lease if it is free, or ours already; ``None`` if another one has it.

        :raises Unavailable: the database cannot be asked.
        """
        with self._database.session(write=True) as session:
            return self.acquire_in(session)

    def acquire_in(self, session: Session) -> Held | None:
        """:meth:`acquire` inside a transaction; the row stays locked until that ends, so it ends soon."""
        asked = time.monotonic()
        wanted = {**self._here, "holder_": self.holder}
        taking = {**wanted, "milliseconds_": self._milliseconds}
        if session.execute(_TAKE, taking).rowcount != 1 and not (
            insert_if_absent(session, leases, self._row) and session.execute(_TAKE, taking).rowcount == 1
        ):
            return None
        return Held(int(session.execute(_FENCE, wanted).scalar_one()), asked + self.seconds)

    def renew(self, held: Held) -> Held | None:
        """Hold it for as long again; ``None`` if it has expired, even if nobody took it since.

        :raises Unavailable: the database cannot be asked.
        """
        asked = time.monotonic()
        with self._database.session(write=True) as session:
            renewed = session.execute(_RENEW, {**self._mine(held), "milliseconds_": self._milliseconds}).rowcount == 1
        return Held(held.fence, asked + self.seconds) if renewed else None

    def release(self, held: Held) -> bool:
        """Let another one have it at once; ``False`` if it was lost before.

        :raises Unavailable: the database cannot be asked.
        """
        with self._database.session(write=True) as session:
            return self.release_in(session, held)

    def release_in(self, session: Session, held: Held) -> bool:
        """:meth:`release` inside a transaction."""
        return session.execute(_RELEASE, self._mine(held)).rowcount == 1

    def holds(self, session: Session, held: Held) -> bool:
        """Whether the lease is held still; inside a write nobody else gets it until that has ended.

        Asked last before the end: leases are the last rows to be locked (:mod:`.tables`).
        """
        return session.execute(_HOLDS, self._mine(held)).first() is not None

    def _mine(self, held: Held) -> dict[str, object]:
        return {**self._here, "holder_": self.holder, "fence_": held.fence}
