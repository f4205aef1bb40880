"""Bearer tokens whose making and revoking the audit trail records: who may change things is the first to know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from scim_gateway_sql.database import Database, Session

from scim_gateway.tokens import Token, TokenStore

from .audit_event import DONE, Event
from .safeguards import Safeguards


class RecordedTokens(TokenStore):
    """The tokens of a directory.

    :param tokens: where they are kept, in the same database as the trail.
    """

    def __init__(self, tokens: TokenStore, database: Database, safeguards: Safeguards) -> None:
        self._tokens = tokens
        self._database = database
        self._safeguards = safeguards

    def add(self, token: Token) -> None:
        expires = token.expires.isoformat(timespec="seconds") if token.expires else "never"
        detail = {"scopes": sorted(token.scopes), "expires": expires}
        event = Event("token create", DONE, None, token.id, token.name, detail)

        def work(session: Session) -> None:
            self._tokens.add(token)
            self._safeguards.note(session, [event])

        self._database.run(work)

    def revoke(self, id: str) -> bool:
        def work(session: Session) -> bool:
            token = self._tokens.find(id)
            if token is None or not self._tokens.revoke(id):
                return False
            self._safeguards.note(session, [Event("token revoke", DONE, None, token.id, token.name)])
            return True

        return self._database.run(work)

    def find(self, id: str) -> Token | None:
        return self._tokens.find(id)

    def list(self) -> Sequence[Token]:
        return self._tokens.list()

    def touch(self, id: str, when: datetime) -> None:
        self._tokens.touch(id, when)
