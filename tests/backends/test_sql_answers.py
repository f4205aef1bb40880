"""Answers of a server are read as PyMySQL reads them, however they arrive (text protocol of MySQL)."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Any

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql.connections import MAX_PACKET_LEN
from pymysql.constants import FIELD_TYPE
from scim_gateway_sql.address import driver_for
from scim_gateway_sql.mysql import MysqlDriver
from scim_gateway_sql.mysql_connection import ServerConnection

Row = tuple[bytes | None, str | None, int | None]
SQL = "SELECT doc, name, number FROM t WHERE id = %s"
BINARY, UTF8 = 63, 45
ROWS: list[Row] = [(b"{}", "ä", 1), (None, None, None), (b"", "", -7), (b"x" * 300, "y" * 70_000, 2**60)]


class Pieces(io.RawIOBase):
    """What arrives, piece by piece; then the connection has ended."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._pieces:
            return 0
        view = memoryview(buffer)
        piece = self._pieces.pop(0)
        if len(piece) > len(view):
            self._pieces.insert(0, piece[len(view) :])
        taken = piece[: len(view)]
        view[: len(taken)] = taken
        return len(taken)


class Deaf:
    """A socket that takes everything."""

    def __init__(self) -> None:
        self.sent = b""

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def settimeout(self, seconds: float | None) -> None:
        """It waits for nothing."""

    def close(self) -> None:
        """There is nothing to close."""


def connected(kind: type[Any], *pieces: bytes) -> Any:
    """A connection to somebody who says that."""
    connection = kind(defer_connect=True, charset="utf8mb4")
    connection._sock, connection._rfile, connection._closed = Deaf(), io.BufferedReader(Pieces(pieces)), False
    connection._current_timeout, connection.server_status = None, 0
    return connection


def packets(*payloads: bytes) -> bytes:
    """Payloads as they are sent, from number 1 on; long ones in several packets."""
    sent, number = [], 1
    for payload in payloads:
        for start in range(0, len(payload) + 1, MAX_PACKET_LEN):
            part = payload[start : start + MAX_PACKET_LEN]
            sent.append(len(part).to_bytes(3, "little") + bytes([number & 0xFF]) + part)
            number += 1
    return b"".join(sent)


def with_length(text: bytes | None) -> bytes:
    if text is None:
        return b"\xfb"
    size = len(text)
    if size < 251:
        return bytes([size]) + text
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + text
    if size < 1 << 24:
        return b"\xfd" + size.to_bytes(3, "little") + text
    return b"\xfe" + size.to_bytes(8, "little") + text


def described(name: str, kind: int, charset: int) -> bytes:
    names = [with_length(each.encode()) for each in ("def", "scim", "t", "t", name, name)]
    return b"".join(names) + struct.pack("<BHIBHBxx", 12, charset, 1024, kind, 0, 0)


COLUMNS = (
    described("doc", FIELD_TYPE.BLOB, BINARY),
    described("name", FIELD_TYPE.VAR_STRING, UTF8),
    described("number", FIELD_TYPE.LONGLONG, BINARY),
)
END = b"\xfe\0\0\x02\0"
ERROR = b"\xff" + (1317).to_bytes(2, "little") + b"#70100interrupted"


def row(values: Row) -> bytes:
    doc, name, number = values
    in_text = (doc, None if name is None else name.encode(), None if number is None else str(number).encode())
    return b"".join(map(with_length, in_text))


def answer(rows: Sequence[Row], *, end: bytes = END, columns: Sequence[bytes] = COLUMNS) -> bytes:
    return packets(bytes([len(columns)]), *columns, END, *map(row, rows), end)


def cut(data: bytes, at: Sequence[int]) -> list[bytes]:
    places = sorted({place % (len(data) + 1) for place in at})
    return [data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True)]


def select(connection: Any, values: Any = None) -> list[Row]:
    return list(connection.select(SQL, (b"\0'",), values))


def as_pymysql_reads(data: bytes) -> list[Row]:
    plain = connected(pymysql.connections.Connection, data)
    plain._next_seq_id = 1
    plain._read_query_result()
    return list(plain._result.rows)


rows_of_a_table = st.lists(
    st.tuples(
        st.none() | st.binary(max_size=300),
        st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
        st.none() | st.integers(-(2**63), 2**63 - 1),
    ),
    max_size=8,
)


@given(rows_of_a_table, rows_of_a_table, st.lists(st.integers(0, 100_000), max_size=8))
def test_rows_are_those_that_pymysql_finds_wherever_the_answer_is_cut(
    first: list[Row], second: list[Row], cuts: list[int]
) -> None:
    connection = connected(ServerConnection, answer(first), *cut(answer(second), cuts), answer(ROWS))
    assert select(connection) == as_pymysql_reads(answer(first)) == first
    assert select(connection) == as_pymysql_reads(answer(second)) == second
    assert select(connection) == ROWS


def test_there_may_be_more_rows_than_packets_have_numbers() -> None:
    rows: list[Row] = [(b"x" * number, str(number), number) for number in range(1000)]
    connection = connected(ServerConnection, *[answer(rows)] * 3)
    assert [select(connection) for _ in range(3)] == [rows] * 3


@pytest.mark.parametrize("size", [250, 251, 65_535, 65_536, MAX_PACKET_LEN - 100, MAX_PACKET_LEN, MAX_PACKET_LEN + 9])
def test_values_may_be_longer_than_a_packet(size: int) -> None:
    rows: list[Row] = [*ROWS, (b"d" * size, "ä", 3), *ROWS]
    connection = connected(ServerConnection, answer(ROWS), answer(rows), answer(ROWS))
    assert [select(connection) for _ in range(3)] == [ROWS, rows, ROWS]


def test_every_value_goes_through_what_its_column_asks_for() -> None:
    connection = connected(ServerConnection, answer(ROWS[:1]), answer(ROWS[:1]))
    values = (bytes.decode, str.upper, None)
    assert select(connection, values) == select(connection, values) == [("{}", "Ä", 1)]


def test_parameters_are_sent_as_a_cursor_sends_them() -> None:
    connection = connected(ServerConnection, answer([]))
    values = (b"\0'", "o'\\ä%s", 7, None)
    sql = "SELECT '%%', %s, %s, %s, %s"
    connection.select(sql, values, None)
    sent = connection.cursor().mogrify(sql, values).encode()
    assert connection._sock.sent == struct.pack("<iB", len(sent) + 1, 3) + sent


def test_a_value_that_cannot_be_read_ends_the_connection() -> None:
    """What is left of the answer would be taken for that to the next statement."""
    connection = connected(ServerConnection, answer(ROWS[:1]), answer([(b"\xff", None, 0), *ROWS]), answer(ROWS))
    assert select(connection, (bytes.decode, None, None)) == [("{}", "ä", 1)]
    with pytest.raises(UnicodeDecodeError):
        select(connection, (bytes.decode, None, None))
    assert not connection.open
    with pytest.raises(pymysql.MySQLError):
        select(connection)


def test_columns_are_known_inside_a_transaction_and_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = answer(ROWS).replace(END, b"\xfe\x01\0\x03\0")
    connection = connected(
        ServerConnection, answer(ROWS), inside, *cut(inside, [len(packets(b"\3", *COLUMNS, END)) - 3])
    )
    assert select(connection) == ROWS
    monkeypatch.setattr(connection, "_described", None)
    assert [select(connection), select(connection)] == [ROWS, ROWS]


def test_other_columns_than_before_are_taken_as_they_are() -> None:
    other = answer([(b"7", "8", 9)], columns=[described(f"c{n}", FIELD_TYPE.LONGLONG, BINARY) for n in range(3)])
    connection = connected(ServerConnection, answer(ROWS), other, other, answer(ROWS))
    assert [select(connection) for _ in range(4)] == [ROWS, [(7, 8, 9)], [(7, 8, 9)], ROWS]


@pytest.mark.parametrize("rows", [ROWS, []])
@pytest.mark.parametrize("known", [True, False])
def test_what_the_server_has_to_say_instead_of_a_row_is_raised(rows: list[Row], known: bool) -> None:
    before = [answer(ROWS)] if known else []
    connection = connected(ServerConnection, *before, answer(rows, end=ERROR), packets(ERROR), answer(ROWS))
    for _ in before:
        select(connection)
    for _ in range(2):
        with pytest.raises(pymysql.MySQLError) as caught:
            select(connection)
        assert caught.value.args == (1317, "interrupted")
    assert select(connection) == ROWS


def test_an_answer_that_breaks_off_is_a_connection_that_was_lost() -> None:
    whole = answer(ROWS)
    for length in (0, 3, len(packets(b"\x03", *COLUMNS, END)), len(whole) - 12, len(whole) - 1):
        connection = connected(ServerConnection, whole, whole[:length])
        select(connection)
        with pytest.raises(pymysql.OperationalError) as caught:
            select(connection)
        assert caught.value.args[0] == 2013
        assert not connection.open


def test_a_row_out_of_turn_is_no_row() -> None:
    whole = answer(ROWS)
    head = len(packets(b"\x03", *COLUMNS, END))
    connection = connected(ServerConnection, whole, whole[:head] + whole[head:].replace(b"\x06", b"\x09", 1))
    select(connection)
    with pytest.raises(pymysql.InternalError, match="sequence number"):
        select(connection)
    assert not connection.open


def test_time_that_runs_out_while_an_answer_is_awaited_is_a_connection_that_was_lost() -> None:
    connection = connected(ServerConnection)

    class Silent(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            raise TimeoutError("timed out")

    connection._rfile = io.BufferedReader(Silent())
    with pytest.raises(pymysql.OperationalError, match="timed out") as caught:
        select(connection)
    assert caught.value.args[0] == 2013
    assert not connection.open


def test_a_server_is_read_as_the_driver_itself_reads_it_however_many_statements_there_are(mariadb: str) -> None:
    driver = driver_for({"database_url": mariadb, "database_tls": "off"})
    assert isinstance(driver, MysqlDriver)
    at = driver.address
    plain = pymysql.connect(host=at.host, port=at.port, user=at.user, password=at.password, database=at.database)
    ours = driver.connect()
    # The same name with values of another type, names by the hundred, and those of the beginning once more.
    several = "SELECT seq, REPEAT('ä', seq), NULL FROM seq_0_to_700"
    again = [several, *(f"SELECT {value} AS c" for value in ("1", "'ä'", "X'00FF'", "NULL", "1.5", "NOW(6) < 0"))]
    statements = [*again, *again, *(f"SELECT {number} AS column_{number}" for number in range(600)), *again, *again]
    for statement in statements:
        with plain.cursor() as cursor:
            cursor.execute(statement)
            assert list(ours.select(statement, (), None)) == list(cursor.fetchall())
    assert len(ours._known) < 600
    plain.close()
    ours.close()
