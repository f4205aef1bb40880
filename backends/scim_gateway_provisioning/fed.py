"""The targets that the directory feeds: noted before anything is brought there, dropped on purpose alone.

What is pending in a target that is dropped stays written down, and rests: nobody tries it. When the target is fed again
it goes on, and the comparison of whole with whole finds what happened in between.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from scim_gateway_sql.database import START_SECONDS, Session
from scim_gateway_sql.fed import Feeding, NotFed, listed
from scim_gateway_sql.portable import Clock
from sqlalchemy import Select, Update, and_, bindparam, case, func, or_, select, update

from scim_gateway.backend import Finding
from scim_gateway.errors import NotFound, Unavailable
from scim_gateway.provisioned import Dropped, Dropping

from .audit_event import DONE, Event
from .context import Context
from .safeguards import Safeguards
from .tables import works
from .work import HERE

_log = logging.getLogger("scim_gateway.provisioning")
T = TypeVar("T")

_OF_TARGET = and_(works.c.tenant == bindparam("tenant_"), works.c.target_name == bindparam("target_"))
_PENDING = works.c.applied_no < works.c.gen_no
_RESTLESS = select(works.c.resource_id).where(_OF_TARGET, works.c.next_ms.is_not(None)).order_by(works.c.resource_id)
_RESTING = (
    select(works.c.resource_id)
    .where(_OF_TARGET, works.c.next_ms.is_(None), or_(_PENDING, works.c.waiting_text.is_not(None)))
    .order_by(works.c.resource_id)
)
_REST = update(works).where(HERE).values(next_ms=None)
_WAKE = update(works).where(HERE).values(next_ms=Clock())
_TAKES = or_(works.c.revoking_flag == 1, works.c.absent_flag == 1)
_COUNTS = select(
    func.count().label("rows_"),
    func.coalesce(func.sum(case((_PENDING, 1), else_=0)), 0).label("pending_"),
    func.coalesce(func.sum(case((and_(_PENDING, _TAKES), 1), else_=0)), 0).label("revoking_"),
).where(_OF_TARGET)


def feed(context: Context) -> None:
    """Note, once in a process, that the directory feeds its targets.

    :raises scim_gateway_sql.fed.NotFed: the directory feeds others as well.
    """
    feeding = context.directory.feeding
    if feeding.noted:
        return
    # Threads that begin together would wait for each other's lock on the row, each with a connection of its own.
    if not feeding.turn.acquire(timeout=START_SECONDS):
        raise Unavailable("The gateway is starting; try again.", retry_after=2)
    try:
        if not feeding.noted:
            _note(context, feeding)
            feeding.noted = True
    finally:
        feeding.turn.release()


def _note(context: Context, feeding: Feeding) -> None:
    with context.database.operation(write=False) as session:
        if feeding.is_noted(session):
            return

    def work(session: Session) -> None:
        session.prove_by(lambda _later: False)  # done twice, it is the same
        for target in feeding.begin(session):
            _change(session, context, target, _RESTING, _WAKE)

    context.database.run(work)


def _change(session: Session, context: Context, target: str, which: Select[Any], change: Update) -> None:
    """Change rows of a target, each by its whole key: so no row but these is locked."""
    here = {"tenant_": context.tenant, "target_": target}
    rows = [{**here, "id_": id} for id in session.execute(which, here).scalars()]
    if rows:
        session.execute(change, rows)


class Fed(Dropping):
    """The part of a backend with targets that knows which ones its directory has fed."""

    context: Context
    safeguards: Safeguards

    def begin_feeding(self) -> None:
        """Note the targets at the start; if the database cannot be reached now, before the first change.

        :raises scim_gateway_sql.fed.NotFed: the directory feeds others as well.
        """
        try:
            feed(self.context)
        except NotFed:
            raise
        except Unavailable as error:
            _log.warning("the targets that are fed are noted later: %s", error.detail)

    def finding(self) -> Finding:
        """How it stands, for ``scim-gateway check``."""
        fed = self._read_fed()
        if new := [name for name in self.context.targets if name not in fed]:
            are = "is" if len(new) == 1 else "are"
            return Finding("targets", True, f"{listed(new)} {are} fed from the first start or change on")
        return Finding("targets", True, f"this directory feeds {listed(fed)}")

    def fed(self) -> Sequence[str]:
        return self._opened(self._read_fed)

    def drop(self, target: str) -> Dropped:
        return self._opened(lambda: self._drop(target))

    def _opened(self, work: Callable[[], T]) -> T:
        """Do something with the directory, even if it feeds what this gateway does not."""
        feeding = self.context.directory.feeding
        try:
            return work()
        except NotFed:
            feeding.checked = False
        try:
            return work()
        finally:
            feeding.checked = True
            self.context.database.close()  # whatever comes next has to be let in first

    def _read_fed(self) -> list[str]:
        with self.context.database.session() as session:
            return self.context.directory.feeding.fed(session)

    def _drop(self, target: str) -> Dropped:
        fed, feeding = self._read_fed(), self.context.directory.feeding
        if target not in fed:
            feeds = f"feeds {listed(fed)}" if fed else "feeds nothing"
            raise NotFound(f"This directory {feeds}; there is no target {target!r} to drop.")

        def work(session: Session) -> Dropped:
            session.prove_by(lambda later: target not in feeding.fed(later))
            was_fed = feeding.end(session, target)
            here = {"tenant_": self.context.tenant, "target_": target}
            left, pending, revoking = (int(count) for count in session.execute(_COUNTS, here).one())
            _change(session, self.context, target, _RESTLESS, _REST)
            if was_fed:
                detail = {"target": target, "left": left, "pending": pending, "revoking": revoking}
                self.safeguards.note(session, [Event("drop target", DONE, detail=detail)])
            return Dropped(target, left, pending, revoking)

        dropped = self.context.database.run(work)
        feeding.noted = False
        return dropped
