"""Bearer tokens in the database, shared by all processes that serve it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, and_, bindparam, delete, insert, select, update

from scim_gateway.tokens import Token, TokenStore

from .database import Database
from .tables import tokens

_HERE = and_(tokens.c.tenant == bindparam("tenant_"), tokens.c.id == bindparam("id_"))
_FIND = select(tokens).where(_HERE)
_LIST = select(tokens).where(tokens.c.tenant == bindparam("tenant_")).order_by(tokens.c.created, tokens.c.id)
_REVOKE = delete(tokens).where(_HERE)
_TOUCH = update(tokens).where(_HERE).values(last_used=bindparam("last_used_"))


class SqlTokenStore(TokenStore):
    """The tokens of one tenant."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    def add(self, token: Token) -> None:
        row = {
            "tenant": self._tenant,
            "id": token.id,
            "title": token.name,
            "digest": token.digest,
            "scopes": " ".join(sorted(token.scopes)),
            "created": token.created.isoformat(),
            "expires": token.expires and token.expires.isoformat(),
            "idp_profile": token.profile,
            "last_used": token.last_used and token.last_used.isoformat(),
        }
        with self._database.session(write=True) as session:
            session.execute(insert(tokens), row)

    def find(self, id: str) -> Token | None:
        with self._database.session() as session:
            row = session.execute(_FIND, {"tenant_": self._tenant, "id_": id}).first()
        return None if row is None else _token(row)

    def list(self) -> Sequence[Token]:
        with self._database.session() as session:
            return [_token(row) for row in session.execute(_LIST, {"tenant_": self._tenant})]

    def revoke(self, id: str) -> bool:
        with self._database.session(write=True) as session:
            return session.execute(_REVOKE, {"tenant_": self._tenant, "id_": id}).rowcount == 1

    def touch(self, id: str, when: datetime) -> None:
        with self._database.session(write=True) as session:
            session.execute(_TOUCH, {"tenant_": self._tenant, "id_": id, "last_used_": when.isoformat()})


def _token(row: Row[tuple[object, ...]]) -> Token:
    return Token(
        row.id,
        row.title,
        bytes(row.digest),
        frozenset(row.scopes.split()),
        datetime.fromisoformat(row.created),
        _time(row.expires),
        row.idp_profile,
        _time(row.last_used),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
