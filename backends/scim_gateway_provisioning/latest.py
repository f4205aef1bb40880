"""What the newest comparison with each target found, kept where every process and the command line can read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from scim_gateway_sql.database import Session
from scim_gateway_sql.portable import NOW, insert_if_absent, instant
from scim_gateway_sql.tables import settings
from sqlalchemy import and_, bindparam, select, update

from scim_gateway.provisioned import Reconciled, Step

_HERE = and_(settings.c.tenant == bindparam("tenant_"), settings.c.name == bindparam("name_"))
_READ = select(settings.c.payload).where(_HERE)
_WRITE = update(settings).where(_HERE).values(payload=bindparam("payload_"))


def note(
    session: Session,
    tenant: str,
    target: str,
    *,
    found: Iterable[Step] = (),
    left: int = 0,
    problem: str | None = None,
) -> None:
    """Note what came of a comparison.

    :param found: the steps of the plan.
    :param left: how many steps are left to do.
    """
    counts: dict[str, int] = dict(Counter(step.action for step in found))
    document = {"at": session.execute(NOW).scalar_one(), "counts": counts | {"left": left}, "problem": problem}
    row = {"tenant": tenant, "name": _name(target), "payload": orjson.dumps(document)}
    if not insert_if_absent(session, settings, row):
        session.execute(_WRITE, {"tenant_": tenant, "name_": _name(target), "payload_": row["payload"]})


def latest(session: Session, tenant: str, targets: Iterable[str]) -> Iterator[Reconciled]:
    """The newest comparison with each target that was ever compared."""
    for target in targets:
        document = _document(session, tenant, target)
        if document is not None:
            yield Reconciled(target, instant(document["at"]), document["counts"], document["problem"])


def age(session: Session, tenant: str, target: str) -> float | None:
    """Seconds since the newest comparison; ``None``: there was none."""
    document = _document(session, tenant, target)
    now: int = session.execute(NOW).scalar_one()
    return None if document is None else (now - document["at"]) / 1000


def _document(session: Session, tenant: str, target: str) -> Mapping[str, Any] | None:
    payload = session.execute(_READ, {"tenant_": tenant, "name_": _name(target)}).scalar()
    return None if payload is None else orjson.loads(payload)


def _name(target: str) -> str:
    return f"compared {target}"
