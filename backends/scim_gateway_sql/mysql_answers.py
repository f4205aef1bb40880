"""Rows of an answer whose columns were described before, read in one loop (text protocol of MySQL).

With every answer the columns are described anew, in the same bytes, and PyMySQL makes an object of each packet: for a
user and the groups of the user that takes longer than all that the gateway does with them. Here the descriptions are
compared as a whole, and only packets that are rows are taken, as many as have arrived; errors, the end of the
connection and everything else are PyMySQL's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

from .columns import DECODE, decoded
from .driver import Columns, Convert, Row

Decoders = Sequence[tuple[str | None, Convert | None]]
"""PyMySQL's, for each column: the encoding of its bytes, and what makes a value of the text."""

_HEADER = 4
_NULL, _TWO_BYTES, _THREE_BYTES = 0xFB, 0xFC, 0xFD
_END = 0xFE
_LONGEST_END = 8


@dataclass(frozen=True, slots=True)
class Description:
    """How the answers to a statement begin, and what their rows are made of.

    :param head: the packets before the first row, but for what the last one tells of warnings and of transactions.
    :param start: where the first row begins, in a packet with this ``number``.
    :param values: what makes a value of the bytes of each column; ``None`` where they are the value.
    """

    head: bytes
    start: int
    number: int
    values: tuple[Convert | None, ...]

    def take(self, data: bytes, at: int, number: int, rows: list[Row]) -> tuple[int, int, bool]:
        """Add the rows that have arrived.

        :param at: where the next packet begins, whose number is ``number``.
        :return: the same two for the first packet that was not taken, and whether the answer has ended.
        """
        end = len(data)
        while at + _HEADER < end:
            begin = at + _HEADER
            stop = begin + (data[at] | data[at + 1] << 8 | data[at + 2] << 16)
            if stop > end or data[at + 3] != number:
                break
            if data[begin] >= _END:
                if data[begin] == _END and stop - begin <= _LONGEST_END:
                    return stop, number + 1 & 0xFF, True
                break
            rows.append(self.row(data, begin))
            at, number = stop, number + 1 & 0xFF
        return at, number, False

    def row(self, data: bytes, at: int = 0) -> Row:
        """The row in a packet that begins there."""
        found: list[Any] = []
        for value in self.values:
            length = data[at]
            at += 1
            if length >= _NULL:
                if length == _NULL:
                    found.append(None)
                    continue
                size = 2 if length == _TWO_BYTES else 3 if length == _THREE_BYTES else 8
                length = int.from_bytes(data[at : at + size], "little")
                at += size
            text = data[at : at + length]
            found.append(text if value is None else value(text))
            at += length
        return tuple(found)


def description_of(data: bytes, decoders: Decoders, values: Columns) -> Description | None:
    """How an answer begins; ``None`` if not all of that has arrived.

    :param values: what makes a value of PyMySQL's for each column, where something has to.
    """
    at = end = number = 0
    for _ in range(len(decoders) + 2):  # their count and the mark of their end are packets, too
        if at + _HEADER >= len(data):
            return None
        number = data[at + 3] + 1 & 0xFF
        end = at + _HEADER
        at = end + int.from_bytes(data[at : at + 3], "little")
    if at > len(data) or data[end] != _END:
        return None
    made = [
        _value(encoding, decode, value)
        for (encoding, decode), value in zip(decoders, values or [None] * len(decoders), strict=True)
    ]
    return Description(data[: end + 1], at, number, tuple(made))


def _value(encoding: str | None, decode: Convert | None, value: Convert | None) -> Convert | None:
    """What PyMySQL does with the bytes of a value, and what is done with PyMySQL's, as one."""
    of_bytes: Convert | None = None if encoding is None else methodcaller("decode", encoding)
    # NULL does not come here.
    of_value: Convert | None = DECODE if value is decoded else value
    steps = [step for step in (of_bytes, decode, of_value) if step is not None]
    if len(steps) < 2:
        return steps[0] if steps else None
    first, *others = steps

    def convert(text: bytes) -> object:
        made = first(text)
        for step in others:
            made = step(made)
        return made

    return convert
