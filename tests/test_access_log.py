"""The access log: one line of JSON for each request, whoever listens."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from scim_gateway import access_log

LINE: dict[str, Any] = {
    "request_id": "r1",
    "token": "okta",
    "method": "GET",
    "route": "/Users/{id}",
    "status": 200,
    "scim_type": None,
    "seconds": 0.0123,
    "size": 42,
    "client": "192.0.2.1",
}


class TestTheShortWayOfARequestToTheLog:
    """A line that only we listen to is written without logging's own work, and is the same line."""

    @pytest.fixture
    def configured(self) -> Iterator[logging.Logger]:
        ours = logging.getLogger("scim_gateway")
        before = ours.handlers[:], ours.level, ours.propagate
        access_log.configure("info")
        yield ours
        ours.handlers[:], ours.propagate = before[0], before[2]
        ours.setLevel(before[1])

    def written(self, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
        access_log.record(**LINE)
        (line,) = capsys.readouterr().out.splitlines()
        written: dict[str, Any] = json.loads(line)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", written.pop("ts"))
        return written

    def test_both_ways_write_the_same(
        self, configured: logging.Logger, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        configured.propagate = False
        short = self.written(capsys)
        assert not caplog.records
        configured.propagate = True
        assert self.written(capsys) == short
        assert [record.name for record in caplog.records] == ["scim_gateway.access"]
        assert short["ms"] == 12.3

    def test_whoever_listens_besides_is_told(
        self, configured: logging.Logger, capsys: pytest.CaptureFixture[str]
    ) -> None:
        heard: list[logging.LogRecord] = []

        class Listener(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                heard.append(record)

        configured.propagate = False
        configured.addHandler(Listener())
        self.written(capsys)
        assert [record.getMessage() for record in heard] == ["GET /Users/{id} 200"]

    @pytest.mark.parametrize("odd", [{}, {"token": None, "route": None}, {"client": 'x"\n{', "request_id": "\ud800"}])
    def test_the_parts_that_others_find_are_those_of_the_line_and_the_line_is_the_same_bytes(
        self,
        configured: logging.Logger,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
        odd: dict[str, Any],
    ) -> None:
        monkeypatch.setattr("time.time", lambda: 1_800_000_000.125)
        lines = []
        for configured.propagate in (False, True):
            access_log.record(**{**LINE, **odd})
            lines.append(capsys.readouterr().out)
        assert lines[0] == lines[1]
        line = json.loads(lines[0])
        assert [line.pop(name) for name in ("ts", "level", "event")] == ["2027-01-15T08:00:00.125Z", "info", "request"]
        assert [record.entry for record in caplog.records] == [line]
        assert line == {
            **{name: value for name, value in {**LINE, **odd}.items() if name not in ("seconds", "size")},
            "ms": 12.3,
            "bytes": 42,
        }

    def test_a_closed_output_fails_no_request(
        self, configured: logging.Logger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        configured.propagate = False
        closed = io.StringIO()
        closed.close()
        monkeypatch.setattr("sys.stdout", closed)
        complaints = io.StringIO()
        monkeypatch.setattr("sys.stderr", complaints)
        access_log.record(**LINE)
        assert "closed file" in complaints.getvalue()
