"""SQL on tables: what SingleStore takes of it, and the same in MariaDB's words (reference §6, §9.1)."""

from __future__ import annotations

from .errors import UnknownStatement
from .session import Session


class Rules:
    def translate(self, session: Session, sql: str) -> str:
        raise UnknownStatement(f"not yet: {sql}")
