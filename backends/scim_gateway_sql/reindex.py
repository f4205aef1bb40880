"""The value index is built anew when what it holds has changed: other schemas, another Unicode, newer code."""

from __future__ import annotations

import logging

import orjson
from sqlalchemy import bindparam, delete, insert, select, update

from .database import Session
from .indexing import Index, value_rows
from .tables import identifiers, resources, settings, values

_log = logging.getLogger(__name__)

_SETTING = select(settings.c.payload).where(
    settings.c.tenant == bindparam("tenant_"), settings.c.name == bindparam("name_")
)
_DOCS = (
    select(resources.c.id, resources.c.doc)
    .where(
        resources.c.tenant == bindparam("tenant_"),
        resources.c.kind == bindparam("kind_"),
        resources.c.id > bindparam("after_"),
    )
    .order_by(resources.c.id)
    .limit(500)
)
_DISPLAY = (
    update(resources)
    .where(resources.c.tenant == bindparam("tenant_"), resources.c.id == bindparam("id_"))
    .values(display=bindparam("display_"))
)


def refresh_index(session: Session, tenant: str, index: Index) -> None:
    """Bring identifiers, values and displays of one resource type to what this process would store.

    Inside the write transaction in which a process starts, so other processes see the old index or the new one.
    """
    kind = index.resource_type.name
    name = f"index of {kind}"
    stored = session.execute(_SETTING, {"tenant_": tenant, "name_": name}).scalar()
    if stored == index.fingerprint:
        return
    row = {"tenant": tenant, "kind": kind}
    session.execute(delete(settings).where(settings.c.tenant == tenant, settings.c.name == name))
    session.execute(insert(settings), {"tenant": tenant, "name": name, "payload": index.fingerprint})
    session.execute(delete(identifiers).where(identifiers.c.tenant == tenant, identifiers.c.kind == kind))
    of_kind = select(resources.c.id).where(resources.c.tenant == tenant, resources.c.kind == kind)
    session.execute(delete(values).where(values.c.tenant == tenant, values.c.resource_id.in_(of_kind)))
    held: set[tuple[str, bytes]] = set()
    after = ""
    while docs := session.execute(_DOCS, {"tenant_": tenant, "kind_": kind, "after_": after}).all():
        claims, rows, displays = [], [], []
        for id, doc in docs:
            resource = orjson.loads(doc)
            displays.append({"tenant_": tenant, "id_": id, "display_": index.resource_type.display_of(resource)})
            rows += value_rows(tenant, id, index.rows(resource))
            for attr, key in index.unique_keys(resource).items():
                if (attr, key) in held:
                    _log.error("%s %s has the same %s as another one: rename one of them", kind, id, attr)
                    continue
                held.add((attr, key))
                claims.append({**row, "attr": attr, "name_key": key, "resource_id": id})
            after = id
        session.execute(_DISPLAY, displays)
        if claims:
            session.execute(insert(identifiers), claims)
        if rows:
            session.execute(insert(values), rows)
    if after:
        _log.info("the index of %s was built anew", kind)
