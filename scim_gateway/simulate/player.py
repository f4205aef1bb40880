"""One request after the other, each checked and reported, with the means to clean up behind them all."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from scim_gateway.exchange import SCIM_JSON
from scim_gateway.simulate.transport import Answer, Connection, NoAnswerError

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"

DOMAIN = "scim-gateway-simulation.invalid"
"""Reserved never to exist (RFC 2606 §2): no invitation mail reaches anybody."""

Check = Callable[[Any], str | None]
"""Looks at a JSON body and says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a simulation.

    :param request: method and target, decoded and without any header.
    :param detail: what came; for a failure also what is wrong and what to do about it.
    """

    name: str
    ok: bool
    detail: str
    request: str
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{'ok  ' if self.ok else 'FAIL'} {self.name}: {self.request} -> {self.detail}"


class ScenarioError(Exception):
    """The scenario cannot go on; the step that stopped it is reported already."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as one identity provider forms it; the ``Authorization`` header stands for the token only when sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


class Player:
    """Sends requests, judges answers, remembers what has to be removed in the end."""

    def __init__(self, connection: Connection, report: Callable[[Step], None], idp: str) -> None:
        self._connection = connection
        self._report = report
        self._made: list[tuple[str, str, str]] = []
        self._ids: list[tuple[str, str]] = []
        self.good = True
        self._again = f"scim-gateway simulate {idp} --url {connection.url} --clean-up "
        self.run = secrets.token_hex(5)
        self.token = connection.token

    def will_make(self, endpoint: str, attribute: str, name: str) -> str:
        """Note a throw-away name before it is used, so that it goes even if the answer is lost; returns the name."""
        self._made.append((endpoint, attribute, name))
        return name

    def step(
        self,
        name: str,
        request: Request,
        status: int | tuple[int, ...],
        *checks: Check,
        remedy: str = "",
        essential: bool = False,
    ) -> Any:
        """Send a request, judge and report the answer; returns its JSON body.

        :param status: the status codes that are right.
        :param checks: what the body has to be like; not asked where there is rightly none (204).
        :param remedy: what to do when a check fails.
        :param essential: without this step the ones behind it make no sense.
        :raises ScenarioError: the step failed and is essential, there was no answer at all, or the circuit breaker of
            the gateway holds: who is made now cannot be removed.
        """
        wanted = (status,) if isinstance(status, int) else status
        line = f"{request.method} {unquote(self._connection.target(request.path, request.query))}"
        try:
            answer = self._connection.send(
                request.method, request.path, query=request.query, headers=request.headers, body=request.body
            )
        except NoAnswerError as error:
            self._tell(Step(name, False, str(error), line))
            raise ScenarioError from error
        problem = self._judge(answer, wanted, checks)
        if problem:
            advice = _advice(answer, wanted) or remedy
            detail = f"{_summary(answer)}. {problem} {advice}".rstrip()
        else:
            detail = _summary(answer)
        self._tell(Step(name, not problem, detail, line, answer.seconds))
        if problem and (essential or _by_breaker(answer)):
            raise ScenarioError
        return answer.body

    def create(self, name: str, request: Request, *checks: Check, remedy: str = "") -> str:
        """A step that creates a resource; returns its id.

        :raises ScenarioError: no id came.
        """
        body = self.step(name, request, 201, has_id, *checks, remedy=remedy)
        identifier = body.get("id") if isinstance(body, dict) else None
        if not isinstance(identifier, str) or not identifier:
            raise ScenarioError
        self._ids.append((request.path, identifier))
        return identifier

    def clean_up(self) -> bool:
        """Delete whatever the scenario has made and not deleted; only what bears one of its own names.

        Whether nothing is left; what is left is told.
        """
        is_clean = False
        headers = clean_up_headers(self.token)
        refused: list[Answer] = []
        try:
            left = dict.fromkeys(reversed(self._ids))
            for endpoint, attribute, name in reversed(self._made):
                query = {"filter": f'{attribute} eq "{name}"'}
                answer = self._connection.send("GET", endpoint, query=query, headers=headers, body=None)
                left.update(dict.fromkeys((endpoint, id) for id in _ids_of(answer.body, attribute, name)))
            for endpoint, id in left:
                line = f"DELETE {endpoint}/{id}"
                answer = self._connection.send("DELETE", f"{endpoint}/{id}", query={}, headers=headers, body=None)
                if answer.status == 204:
                    self._tell(Step("clean up", True, _summary(answer), line, answer.seconds))
                elif answer.status != 404:  # 404: the scenario has deleted it itself
                    refused.append(answer)
                    self._tell(Step("clean up", False, _summary(answer), line, answer.seconds))
            is_clean = not refused
            if refused:
                self._tell_left(approval="scim-gateway approve, then " if any(map(_by_breaker, refused)) else "")
        except NoAnswerError as error:
            self._tell_left(reason=f"{error} ")
        self._made.clear()
        self._ids.clear()
        return is_clean

    def _tell_left(self, approval: str = "", reason: str = "") -> None:
        names = ", ".join(name for _, _, name in self._made)
        remedy = f"To remove it: {approval}{self._again}{self.run}"
        self._tell(Step("left", False, f"{reason}What is left bears one of these names: {names}. {remedy}", "DELETE"))

    def _tell(self, step: Step) -> None:
        self.good = self.good and step.ok
        hide = self._connection.hide
        self._report(Step(step.name, step.ok, hide(step.detail), hide(step.request), step.seconds))

    def _judge(self, answer: Answer, wanted: Sequence[int], checks: Sequence[Check]) -> str:
        if answer.status not in wanted:
            return f"Expected {' or '.join(map(str, wanted))}."
        if answer.status == 204:
            return ""
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in (SCIM_JSON, "application/json"):
            return f"The answer is {media_type or 'of no declared type'}, not {SCIM_JSON}."
        if not isinstance(answer.body, dict):
            return "The answer holds no JSON object."
        found = [problem for check in checks if (problem := check(answer.body))]
        return " ".join(found)


def clean_up_headers(token: str) -> Mapping[str, str]:
    """Of requests that are our own, and no identity provider's."""
    return {"Accept": SCIM_JSON, "Authorization": f"Bearer {token}", "User-Agent": "scim-gateway simulate"}


def _ids_of(body: Any, attribute: str, name: str) -> list[str]:
    """Ids of the resources in a list that really bear the name: a gateway with a broken filter answers strangers."""
    resources = body.get("Resources") if isinstance(body, dict) else None
    return [
        resource["id"]
        for resource in (resources if isinstance(resources, list) else [])
        if isinstance(resource, dict)
        and isinstance(resource.get("id"), str)
        and str(resource.get(attribute, "")).casefold() == name.casefold()
    ]


def _summary(answer: Answer) -> str:
    """What came, in a few words."""
    parts = [str(answer.status)]
    match answer.body:
        case {"schemas": [*schemas], "detail": detail} if ERROR in schemas:
            kind = answer.body.get("scimType")
            parts.append(f"{kind}: {detail}" if kind else str(detail))
        case {"totalResults": total}:
            parts.append(f"totalResults {total}")
        case None if answer.text.strip():
            parts.append(f"no JSON: {answer.text.strip()[:120]}")
    return f"{', '.join(parts)} ({answer.seconds * 1000:.0f} ms)"


def _by_breaker(answer: Answer) -> bool:
    """Whether the gateway lets nothing be removed until somebody approves."""
    return answer.status == 403 and "scim-gateway approve" in str(value_at(answer.body, "detail"))


def _advice(answer: Answer, wanted: Sequence[int]) -> str:
    """What to do about a status that came instead of a right one, or an answer that is not the gateway's."""
    if answer.status in wanted and isinstance(answer.body, dict):
        return ""
    if 300 <= answer.status < 400:
        return "Identity providers follow no redirect; enter the URL that it leads to."
    if answer.status != 204 and not isinstance(answer.body, dict):
        return (
            "This is not the gateway's answer: look at the proxy in front of it, and at the URL "
            "(the gateway's path is /scim/v2 unless it was configured otherwise)."
        )
    match answer.status:
        case 401:
            return "The token is not valid here; make one with `scim-gateway token create`."
        case 403 if _by_breaker(answer):
            return "Runs count as removals, too; look at `scim-gateway audit` before you approve of more."
        case 403:
            return "The token lacks the scope for this; make one with read and write."
        case 404:
            return "If the first request already says this, the base URL is wrong: enter it without /Users."
        case 429:
            return "A rate limit is in the way; identity providers send bursts of 25 requests a second."
        case 503:
            return "The gateway cannot reach its store; run `scim-gateway check`."
        case status if status >= 500:
            return "This is a defect or an outage of the gateway; its log has the request id of the answer."
    return ""


# -- checks -----------------------------------------------------------------------------------------------------------


def value_at(body: Any, *keys: str | int) -> Any:
    """The value at a path of keys and indexes, or ``None``."""
    for key in keys:
        try:
            body = body[key]
        except (KeyError, IndexError, TypeError):
            return None
    return body


def has_id(body: Any) -> str | None:
    """Every resource has an id, opaque to the client."""
    return None if isinstance(value_at(body, "id"), str) and value_at(body, "id") else "The answer has no id."


def holds(wanted: Any, *keys: str | int) -> Check:
    """The body holds this value at a path; JSON types included, ``"true"`` is not ``true``."""

    def check(body: Any) -> str | None:
        found = value_at(body, *keys)
        same = found == wanted and isinstance(found, bool) == isinstance(wanted, bool)
        return None if same else f"{_show(keys)} is {found!r} and should be {wanted!r}."

    return check


def lacks(*keys: str | int) -> Check:
    """The body holds nothing at a path."""

    def check(body: Any) -> str | None:
        return None if value_at(body, *keys) in (None, [], {}) else f"{_show(keys)} should not be in the answer."

    return check


def is_list(total: int | None = None) -> Check:
    """The body is a ListResponse whose numbers are integers (RFC 7644 §3.4.2); Okta stops at any other."""

    def check(body: Any) -> str | None:
        if LIST_RESPONSE not in (value_at(body, "schemas") or []):
            return "The answer is no ListResponse."
        for name in ("totalResults", "startIndex", "itemsPerPage"):
            number = value_at(body, name)
            if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
                return f"{name} is {number!r} and has to be a JSON integer."
        found = value_at(body, "totalResults")
        if found is None:
            return "totalResults is missing."
        if total is not None and found != total:
            return f"totalResults is {found} and should be {total}."
        resources = value_at(body, "Resources") or []
        given = value_at(body, "itemsPerPage")
        return None if given in (None, len(resources)) else f"itemsPerPage is {given}, the page holds {len(resources)}."

    return check


def is_error(scim_type: str | None = None) -> Check:
    """The body is a SCIM error with a text for the administrator (RFC 7644 §3.12)."""

    def check(body: Any) -> str | None:
        if ERROR not in (value_at(body, "schemas") or []):
            return "The answer is no SCIM error."
        if not isinstance(value_at(body, "status"), str):
            return "status of the error has to be a string."
        if not value_at(body, "detail"):
            return "The error has no detail; the administrator would see an empty message."
        if scim_type and value_at(body, "scimType") != scim_type:
            return f"scimType is {value_at(body, 'scimType')!r} and should be {scim_type!r}."
        return None

    return check


def has_members(*ids: str) -> Check:
    """The group has exactly these members."""

    def check(body: Any) -> str | None:
        found = {value_at(member, "value") for member in value_at(body, "members") or []}
        return None if found == set(ids) else f"The group has {len(found)} members, not the {len(ids)} it should have."

    return check


def _show(keys: Sequence[str | int]) -> str:
    return ".".join(map(str, keys))
