"""Replay of recorded and reconstructed IdP traffic: each file of ``tests/idp/transcripts/`` is one scenario.

A step holds a ``request`` and what to ``expect``:

* ``status``: any of these; ``headers``: prefixes of values, ``"*"`` for present; not asked of a 204.
* ``body_contains``: path to matcher, ``body_absent``: paths that lead to nothing. A path is dotted with indexes
  (``Resources[0].name.givenName``), ends in ``#`` for the length of an array, or is a JSON pointer (starts with ``/``).
* A matcher is a value, or an object of one member: ``capture``, ``present``, ``type``, ``contains``, ``not_contains``,
  ``iequals``, ``min``.
* ``{{name}}`` anywhere stands for something captured, or for ``token``, ``badToken``, ``run``, ``uuid``.

A step with ``variant`` repeats an operation in another form and has to pass as well. A failed step that should have
captured something ends the replay; any other one is noted and the replay goes on.
"""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scim_http import Answer, ScimClient

FOLDER = Path(__file__).parent / "idp" / "transcripts"
FILES = sorted(FOLDER.glob("*.json"))

# Where the RFC says otherwise than a transcript: (scenario, step, header) and the prefix that is right.
CONTRADICTIONS = {
    # RFC 7644 §3.8: a client that accepts only application/json gets application/json; the transcript asks for the
    # other type. Every identity provider takes either.
    ("transport-forms", "Accept application/json", "Content-Type"): "application/json",
}

_VARIABLE = re.compile(r"\{\{(\w+)\}\}")
_TYPES = {"integer": int, "string": str, "boolean": bool, "array": list, "object": dict}
_runs = itertools.count(7_310_000_001)


@dataclass
class Replay:
    """One transcript on its way through a gateway."""

    scim: ScimClient
    transcript: Mapping[str, Any]
    variables: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    played: int = 0

    def __post_init__(self) -> None:
        self.variables |= {
            "token": str(self.scim.token),
            "badToken": "a-token-that-nobody-has-issued-0000000000",
            "run": str(next(_runs)),
        }

    def play(self) -> Replay:
        """Setup and all steps in order."""
        for step in [*self.transcript.get("setup", ()), *self.transcript["steps"]]:
            answer = self._send(step["request"])
            self.played += 1
            problems = self._problems(self._corrected(step), answer)
            if problems:
                self.failures.append(f"{step['name']}: {'; '.join(problems)}\n    {answer}")
                if _captures(step["expect"]):
                    self.failures.append("stopped: later steps need what this one should have captured")
                    break
        return self

    def _corrected(self, step: Mapping[str, Any]) -> Mapping[str, Any]:
        expect = step["expect"]
        headers = {
            name: CONTRADICTIONS.get((self.transcript["scenario"], step["name"], name), prefix)
            for name, prefix in expect.get("headers", {}).items()
        }
        return {**expect, "headers": headers}

    def _send(self, request: Mapping[str, Any]) -> Answer:
        if "raw_target" in request:
            target = self._fill(request["raw_target"])
        else:
            query = {**self._fill(request.get("query", {})), **self.transcript.get("base_query", {})}
            pairs = (f"{quote(name)}={quote(value)}" if value else quote(name) for name, value in query.items())
            target = "?".join(part for part in (self._fill(request["path"]), "&".join(pairs)) if part)
        # Only what the transcript says: the headers that the client would add by itself are taken away.
        headers: dict[str, str | None] = {"Accept": None, "Authorization": None, "Content-Type": None}
        for name, value in self._fill(request.get("headers", {})).items():
            headers = {known: old for known, old in headers.items() if known.lower() != name.lower()} | {name: value}
        body = request.get("body")
        if isinstance(body, dict) and "$raw" in body:
            return self.scim.request(request["method"], target, data=self._fill(body["$raw"]), headers=headers)
        if "body" in request:
            # A body without a declared type is sent by the preparation of a few transcripts only.
            headers["Content-Type"] = headers["Content-Type"] or "application/scim+json"
            return self.scim.request(request["method"], target, self._fill(body), headers=headers)
        return self.scim.request(request["method"], target, headers=headers)

    def _problems(self, expect: Mapping[str, Any], answer: Answer) -> list[str]:
        problems = []
        if answer.status not in expect["status"]:
            return [f"status {answer.status}, expected {expect['status']}"]
        if answer.status == 204:
            return []
        for name, prefix in expect.get("headers", {}).items():
            value = answer.headers.get(name, "")
            if not value or (prefix != "*" and not value.lower().startswith(self._fill(prefix).lower())):
                problems.append(f"header {name} is {value!r}")
        if expect.get("body_contains") and answer.body is None:
            problems.append("no body")
        captured = {}
        for path, matcher in expect.get("body_contains", {}).items():
            value = _at(answer.body, self._fill(path))
            if problem := _mismatch(value, self._fill(matcher)):
                problems.append(f"{path}: {problem}")
            elif isinstance(matcher, dict) and "capture" in matcher:
                captured[matcher["capture"]] = value
        absent = (
            path for path in expect.get("body_absent", ()) if _at(answer.body, self._fill(path)) not in (None, [])
        )
        problems.extend(f"{path} should not be there" for path in absent)
        if not problems:
            self.variables |= captured
        return problems

    def _fill(self, value: Any) -> Any:
        """The value with all variables put in."""
        if isinstance(value, str):
            return _VARIABLE.sub(lambda match: self._variable(match[1]), value)
        if isinstance(value, list):
            return [self._fill(item) for item in value]
        if isinstance(value, dict):
            return {self._fill(key): self._fill(item) for key, item in value.items()}
        return value

    def _variable(self, name: str) -> str:
        return str(uuid.uuid4()) if name == "uuid" else self.variables[name]


def load(path: Path) -> dict[str, Any]:
    """A transcript from its file."""
    transcript: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return transcript


def _captures(expect: Mapping[str, Any]) -> bool:
    return any(
        isinstance(matcher, dict) and "capture" in matcher for matcher in expect.get("body_contains", {}).values()
    )


def _at(body: Any, path: str) -> Any:
    """The value at a path; ``None`` where it leads nowhere."""
    if path.startswith("/"):
        keys: list[str | int] = [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
        counted = False
    else:
        counted = path.endswith("#")
        keys = [name or int(index) for name, index in re.findall(r"([^.\[\]#]+)|\[(\d+)\]", path)]
    for key in keys:
        try:
            body = body[int(key)] if isinstance(body, list) else body[key]
        except (KeyError, IndexError, TypeError, ValueError):
            body = None
            break
    return len(body or ()) if counted else body


def _mismatch(value: Any, matcher: Any) -> str | None:
    match matcher:
        case {"capture": _} | {"present": True}:
            return None if value not in (None, "", [], {}) else "missing or empty"
        case {"type": name}:
            right = isinstance(value, _TYPES[name]) and (name != "integer" or not isinstance(value, bool))
            return None if right else f"{value!r} is no {name}"
        case {"contains": wanted}:
            return None if _contains(value, wanted) else f"{value!r} does not contain {wanted!r}"
        case {"not_contains": wanted}:
            return f"{value!r} contains {wanted!r}" if _contains(value, wanted) else None
        case {"iequals": wanted}:
            return None if str(value).casefold() == wanted.casefold() else f"{value!r} is not {wanted!r}"
        case {"min": least}:
            return None if isinstance(value, (int, float)) and value >= least else f"{value!r} is below {least}"
        case dict():
            raise AssertionError(f"unknown matcher {matcher}")
        case _:
            same = value == matcher and isinstance(value, bool) == isinstance(matcher, bool)
            return None if same else f"{value!r}, expected {matcher!r}"


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return str(wanted) in value
    if not isinstance(value, list):
        return False
    if isinstance(wanted, dict):
        return any(isinstance(item, dict) and wanted.items() <= item.items() for item in value)
    return wanted in value
