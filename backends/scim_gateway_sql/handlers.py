"""Resources of one type in SQL, written: the difference between before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, delete, insert, select, update

from scim_gateway.backend import value_taken
from scim_gateway.errors import Conflict, StaleResource
from scim_gateway.schema import Resource

from .database import Session
from .failures import Duplicate
from .portable import insert_if_absent
from .prepared import Prepared
from .reading import HERE, OF_KIND, SqlReader
from .tables import identifiers, members, resources
from .value_index import add_values, change_values, drop_values

_UNCHANGED = and_(HERE, OF_KIND, resources.c.revision == bindparam("before_"))

_CREATE = Prepared(insert(resources))
_MODIFY = Prepared(
    update(resources)
    .where(_UNCHANGED)
    .values(revision=bindparam("revision_"), display=bindparam("display_"), doc=bindparam("doc_"))
)
_DELETE = Prepared(delete(resources).where(_UNCHANGED))
_STORED = Prepared(select(resources.c.revision, resources.c.doc).where(HERE).with_for_update())

_RELEASE = Prepared(
    delete(identifiers).where(
        identifiers.c.tenant == bindparam("tenant_"),
        identifiers.c.kind == bindparam("kind_"),
        identifiers.c.attr == bindparam("attr_"),
        identifiers.c.name_key == bindparam("name_key_"),
        identifiers.c.resource_id == bindparam("id_"),
    )
)
_STILL_IN = Prepared(
    select(members.c.group_id)
    .where(
        members.c.tenant == bindparam("tenant_"),
        members.c.member_id == bindparam("id_"),
        members.c.group_id != bindparam("id_"),
    )
    .limit(1)
)


class SqlHandler(SqlReader):
    """Resources of a type without members."""

    def create(self, resource: Resource) -> None:
        with self._database.session(write=True) as session:
            id, state = resource["id"], self._state(resource)
            session.fit(state["doc"], state["display"])
            if session.locks is not None:
                session.locks.settle()
            try:
                _CREATE.changed(session, {**self._row, "id": id, "created": resource["meta"]["created"], **state})
            except Duplicate:
                raise Conflict(f"There is a resource with id {id!r} already.") from None
            self._wrote(session, id, state)
            self._exchange(session, id, {}, self.index.unique_keys(resource))
            add_values(session, self._tenant, id, self.index.rows(resource))

    def modify(self, before: Resource, after: Resource) -> None:
        with self._database.session(write=True) as session:
            id, state = before["id"], self._state(after)
            session.fit(state["doc"], state["display"])
            self._replace(session, _MODIFY, before, {f"{column}_": value for column, value in state.items()})
            self._wrote(session, id, state, before)
            if any(before.get(member) != after.get(member) for member in self.index.unique_members):
                self._exchange(session, id, self.index.unique_keys(before), self.index.unique_keys(after))
            change_values(session, self._tenant, id, *self.index.changes(before, after))

    def delete(self, resource: Resource) -> None:
        with self._database.session(write=True) as session:
            id = resource["id"]
            session.regrouped = True
            self._replace(session, _DELETE, resource, {})
            if session.locks is not None:
                session.prove_by(lambda later: self._is_gone(later, id))
            if _STILL_IN.first(session, {"tenant_": self._tenant, "id_": id}) is not None:
                # It has joined a group since the core looked; now that its row is locked nobody can add it any more.
                raise StaleResource(id)
            self._exchange(session, id, self.index.unique_keys(resource), {})
            drop_values(session, self._tenant, id, self.index.rows(resource))

    def _state(self, resource: Resource) -> dict[str, Any]:
        return {
            "revision": resource["meta"]["version"],
            "display": self.resource_type.display_of(resource),
            "doc": orjson.dumps(resource),
        }

    def _replace(self, session: Session, statement: Prepared, before: Resource, state: Mapping[str, Any]) -> None:
        """Change or delete the row if it still is what the core read; its lock is taken before any other."""
        if session.locks is not None:
            session.locks.settle((self._tenant, before["id"]))
        found = {**self._at, "id_": before["id"], "before_": before["meta"]["version"]}
        if statement.changed(session, {**found, **state}) != 1:
            raise StaleResource(before["id"])

    def _wrote(self, session: Session, id: str, state: Mapping[str, Any], before: Resource | None = None) -> None:
        self._vocabularies.wrote(session)
        if session.locks is not None:
            session.locks.wrote(self._tenant, id, state["revision"])
            session.prove_by(lambda later: self._is_stored(later, id, state, before))

    def _exchange(self, session: Session, id: str, held: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> None:
        """Give up unique keys and claim others, in the order of the keys: two who exchange names do not lock up."""
        for attr, key in sorted(held.items() ^ wanted.items()):
            if held.get(attr) == key:
                here = {**self._at, "attr_": attr, "name_key_": key, "id_": id}
                _RELEASE.changed(session, here)
            elif not insert_if_absent(
                session, identifiers, {**self._row, "attr": attr, "name_key": key, "resource_id": id}
            ):
                raise value_taken(self.resource_type, self.index.unique[attr].path)

    def _is_stored(self, session: Session, id: str, state: Mapping[str, Any], before: Resource | None) -> bool | None:
        """Whether a resource was written, by what is stored after a commit without an answer."""
        stored = _STORED.first(session, {"tenant_": self._tenant, "id_": id})
        if before is None:
            return stored is not None
        if stored is None:
            return None
        revision, doc = stored
        if revision == state["revision"]:
            return bool(bytes(doc) == state["doc"])
        # A change of what it was is not ours; one of what we made of it is somebody's, who has seen ours or its like.
        return False if revision == before["meta"]["version"] else None

    def _is_gone(self, session: Session, id: str) -> bool:
        # Ids never come back: a row that is there was not deleted.
        return _STORED.first(session, {"tenant_": self._tenant, "id_": id}) is None
