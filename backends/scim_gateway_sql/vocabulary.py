"""The texts that an attribute has, kept in memory, so that ``co`` and ``ew`` do not look at every row (SQLite only).

What matches among these texts is looked up in the value index, so only who has such a text *now* is found. A text that
nobody has any more does no harm; one that is missing would. That none is missing is known from ``scim_change``, to
which triggers add a row with each change of a document, whoever makes it, numbered without a gap in the order of the
commits. A read sees a moment; where that is older than the newest change considered, it looks at every row instead.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from itertools import chain

import orjson
from sqlalchemy import ColumnElement, String, bindparam, literal, select

from .indexing import Index, Leaf
from .pages import HAS_JSON
from .prepared import Prepared, batches
from .session import Session
from .tables import resources, values

MOST_TEXTS = 5_000
"""Of more texts that match, looking each up would take as long as looking at every row."""
MOST_BYTES = 12 * 2**20
"""Memory for the texts of one resource type."""
MOST_CHANGES = 2_000
"""Up to so many changes are caught up with; after more, the texts are read anew."""
_KEPT = 4_096
_AT_ONCE = 1_024
"""After so many writes of a process it removes the notes of all changes but those that are kept; at its start, too."""
_LITTLE = 64 * 2**10
_LATELY = 100
_LATER = 1_000
_WAIT_SECONDS = 0.1
_FETCH = 1_000
_END = b"\xff"
"""Between two texts: no UTF-8 has this byte."""

# What tables of SQLite alone are asked is not translated by SQLAlchemy.
_SINCE = "SELECT number, tenant, resource_id FROM scim_change WHERE number >= ? ORDER BY number LIMIT ?"
_NEWEST = "SELECT number, tenant, resource_id FROM scim_change ORDER BY number DESC LIMIT 1"
# Without DISTINCT, which SQLite would answer by looking for each next text from the top of the index.
_TEXTS = "SELECT sortable FROM scim_value WHERE tenant = ? AND attr = ?"
_OUTDATE = (
    "UPDATE scim_change SET number = number + 1 WHERE number = (SELECT max(number) FROM scim_change)",
    "DELETE FROM scim_change WHERE number < (SELECT max(number) FROM scim_change)",
)
_REMOVE = "DELETE FROM scim_change WHERE number <= (SELECT max(number) FROM scim_change) - ?"
_CHANGED = Prepared(
    select(resources.c.doc).where(
        resources.c.tenant == bindparam("tenant_"),
        resources.c.kind == bindparam("kind_"),
        resources.c.id.in_(bindparam("ids", expanding=True)),
    ),
    among="ids",
)
_CUT = Prepared(
    select(values.c.elem).where(values.c.tenant == bindparam("tenant_"), values.c.attr == bindparam("cut_")).limit(1)
)

_Change = tuple[int, str, str]


def outdate(session: Session) -> None:
    """Have all processes read the texts anew, after a change of the value index that no document tells."""
    if session.dialect == "sqlite":
        for statement in _OUTDATE:
            session.run(statement, ())


def forget_changes(session: Session) -> None:
    """Remove the notes of all changes but the newest: of what is older, the texts are read anew."""
    if session.dialect == "sqlite":
        session.run(_REMOVE, (_KEPT,))


class Vocabulary:
    """The texts of one attribute.

    :ivar change: the newest change that they are known to include.
    :ivar used: which search used them last.
    :ivar holds_nul: whether JSON of SQLite, which ends a text at a NUL, cannot tell one of them.
    """

    __slots__ = ("_added", "_texts", "change", "holds_nul", "used")

    def __init__(self, change: _Change, texts: bytes, used: int) -> None:
        self._texts = texts
        self._added = bytearray(_END)
        self.change = change
        self.used = used
        self.holds_nul = b"\0" in texts

    def __len__(self) -> int:
        return len(self._texts) + len(self._added)

    @property
    def is_worn(self) -> bool:
        """Whether so much was added that it is time to read them anew, without those that nobody has any more."""
        return len(self._added) > _LITTLE + len(self._texts) // 4

    def add(self, text: bytes) -> None:
        """A text that somebody has got."""
        self._added += text + _END
        self.holds_nul = self.holds_nul or b"\0" in text

    def search(self, form: bytes, *, at_end: bool) -> list[bytes] | None:
        """The texts that contain, or end with, another one, some perhaps twice; ``None`` for too many."""
        wanted, length = form + _END if at_end else form, len(form)
        found: list[bytes] = []
        for texts in (self._texts, bytes(self._added)):
            at = texts.find(wanted)
            while at >= 0 and len(found) <= MOST_TEXTS:
                end = texts.find(_END, at + length)
                found.append(texts[texts.rfind(_END, 0, at) + 1 : end])
                at = texts.find(wanted, end)
        return found if len(found) <= MOST_TEXTS else None


class Vocabularies:
    """The texts of the attributes of one resource type that somebody looked for a part of."""

    def __init__(self, tenant: str, index: Index) -> None:
        self._tenant = tenant
        self._index = index
        self._kept: dict[int, Vocabulary] = {}
        self._too_large: dict[int, int] = {}
        self._uses = 0
        self._writes = 0
        self._locks: dict[int, threading.Lock] = {}

    @property
    def _lock(self) -> threading.Lock:
        """Of this process: one that another thread holds in the moment of a fork stays closed in the child."""
        return self._locks.get(os.getpid()) or self._locks.setdefault(os.getpid(), threading.Lock())

    def wrote(self, session: Session) -> None:
        """A document was written: see now and then that the notes of changes do not pile up."""
        self._writes += 1
        if self._writes % _AT_ONCE == 0:
            forget_changes(session)

    def search(self, session: Session, leaf: Leaf, form: bytes, *, at_end: bool) -> Sequence[str] | None:
        """All texts that resources have in an attribute now and that contain, or end with, another one.

        :return: with texts that nobody has, or had before; ``None`` if they cannot be told, or are too many.
        """
        lock = self._lock
        if not (HAS_JSON and session.tells_changes) or not lock.acquire(timeout=_WAIT_SECONDS):
            return None
        try:
            vocabulary = self._of(session, leaf)
        finally:
            lock.release()
        found = None if vocabulary is None or vocabulary.holds_nul else vocabulary.search(form, at_end=at_end)
        # None is cut, perhaps within a character: nobody asks for texts while there is one that is (condition.py).
        return None if found is None else [text.decode() for text in found]

    def _of(self, session: Session, leaf: Leaf) -> Vocabulary | None:
        """The texts of an attribute as of the moment that the session sees, and perhaps more."""
        self._uses += 1
        vocabulary = self._kept.get(leaf.number)
        if vocabulary is not None:
            changes = session.run(_SINCE, (vocabulary.change[0], MOST_CHANGES + 2)).fetchall()
            if not changes:
                return None  # The session sees an older moment: what has gone since may not be among the texts.
            if changes[0] == vocabulary.change and len(changes) <= MOST_CHANGES + 1 and not vocabulary.is_worn:
                self._catch_up(session, leaf, vocabulary, changes[1:])
                vocabulary.used = self._uses
                return vocabulary
            del self._kept[leaf.number]
        return self._read(session, leaf)

    def _catch_up(self, session: Session, leaf: Leaf, vocabulary: Vocabulary, changes: Sequence[_Change]) -> None:
        here = {"tenant_": self._tenant, "kind_": self._index.resource_type.name}
        for batch in batches({id for _, tenant, id in changes if tenant == self._tenant}):
            for (doc,) in _CHANGED.rows(session, {**here, "ids": batch}):
                for (attr, _), form in self._index.rows(orjson.loads(doc)).items():
                    if attr == leaf.number:
                        vocabulary.add(form)
        if changes:
            vocabulary.change = changes[-1]

    def _read(self, session: Session, leaf: Leaf) -> Vocabulary | None:
        """Read the texts of an attribute, as long as there is room beside those that are in use."""
        if self._too_large.get(leaf.number, 0) > self._uses:
            return None
        in_use = {number: each for number, each in self._kept.items() if each.used > self._uses - _LATELY}
        room = MOST_BYTES - sum(map(len, in_use.values()))
        newest: _Change | None = session.run(_NEWEST, ()).fetchone()
        if newest is None:
            return None
        texts, size = [b""], 0
        rows = session.run(_TEXTS, (self._tenant, leaf.number))
        while size <= room and (found := rows.fetchmany(_FETCH)):
            texts.append(_END.join(dict.fromkeys(chain.from_iterable(found))))
            size += len(texts[-1]) + len(_END)
        rows.close()
        if size > room:
            self._too_large[leaf.number] = self._uses + _LATER
            return None
        vocabulary = Vocabulary(newest, _END.join([*texts, b""]), self._uses)
        self._kept = {**in_use, leaf.number: vocabulary}
        return vocabulary


class Stored:
    """What is asked of the value index while a filter is translated."""

    def __init__(self, session: Session, tenant: str, index: Index, vocabularies: Vocabularies) -> None:
        self._session = session
        self._cut = {"tenant_": tenant, "cut_": index.cut}
        self._vocabularies = vocabularies
        self._told: dict[tuple[int, bytes, bool], str | None] = {}
        self._has_cut: bool | None = None

    def has_cut(self) -> bool:
        """Whether a text was too long for the index."""
        if self._has_cut is None:
            self._has_cut = _CUT.first(self._session, self._cut) is not None
        return self._has_cut

    def texts(self, leaf: Leaf, form: bytes, *, at_end: bool) -> ColumnElement[str] | None:
        """The texts that contain, or end with, another one, in JSON; ``None`` if every row has to be looked at."""
        told = self.told(leaf, form, at_end)
        return None if told is None else literal(told)

    def told(self, leaf: Leaf, form: bytes, at_end: bool) -> str | None:
        """The same by itself."""
        key = leaf.number, form, at_end
        if key not in self._told:
            texts = self._vocabularies.search(self._session, leaf, form, at_end=at_end)
            self._told[key] = None if texts is None else orjson.dumps(texts).decode()
        return self._told[key]


class Later(Stored):
    """Notes what will be asked when a statement is sent, instead of answering: it holds as long as no text is cut.

    :ivar asked: what each parameter of the statement stands for.
    """

    def __init__(self) -> None:
        self.asked: dict[str, tuple[Leaf, bytes, bool]] = {}

    def has_cut(self) -> bool:
        return False

    def texts(self, leaf: Leaf, form: bytes, *, at_end: bool) -> ColumnElement[str] | None:
        name = f"texts_{len(self.asked)}_"
        self.asked[name] = leaf, form, at_end
        return bindparam(name, type_=String())
