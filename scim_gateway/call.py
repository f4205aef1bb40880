"""One operation of the protocol as routed: what the modules behind the provider are given, and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from scim_gateway.errors import InvalidValue, ScimError
from scim_gateway.exchange import Principal
from scim_gateway.profile import Profile
from scim_gateway.projection import Projection, parse
from scim_gateway.routing import Route
from scim_gateway.schema import ResourceType

T = TypeVar("T")

_PARAMETERS = (
    "attributes",
    "excludedAttributes",
    "filter",
    "sortBy",
    "sortOrder",
    "startIndex",
    "count",
    "cursor",
)
_BY_LOWER_NAME = {name.lower(): name for name in _PARAMETERS}
_LISTS = ("attributes", "excludedAttributes")


class Settled(Generic[T]):
    """A value worked out ahead of a transaction, or the error it came to, kept until it is its turn.

    Preconditions are checked before the body (RFC 9110 §13.2.2), yet a body is not parsed while locks are held.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._error: ScimError | None = None
        try:
            self._value = work()
        except ScimError as error:
            self._error = error

    def get(self) -> T:
        """The value; raises the error instead if there was one."""
        if self._error is not None:
            raise self._error
        return self._value


@dataclass(slots=True)
class Call:
    """One operation, alone or out of a bulk request.

    :param id: variable part of the URL.
    :param headers: header values by lower-case name; in a bulk request only what states a condition.
    :param parameters: the known query parameters by their canonical name.
    :param body: gives the parsed body; raises what is wrong with it.
    """

    route: Route
    method: str
    id: str
    base_url: str
    profile: Profile
    principal: Principal | None
    body: Callable[[], dict[str, Any]]
    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def resource_type(self) -> ResourceType:
        """The type that the route serves."""
        kind = self.route.resource_type
        if kind is None:
            raise LookupError(f"{self.route.template} serves no resource type")
        return kind

    @property
    def projects(self) -> bool:
        """Whether the client asks for certain attributes."""
        return any(self.parameters.get(name) for name in _LISTS)

    def projection(self) -> Projection:
        """What the answer shows of a resource."""
        return parse(self.parameters.get("attributes"), self.parameters.get("excludedAttributes"), self.resource_type)


@dataclass(slots=True)
class Answer:
    """What an operation came to.

    :param document: the body before it becomes JSON.
    :param json: the body, if it is JSON already.
    """

    status: int
    document: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    json: bytes | None = None


def read_parameters(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The query parameters that mean something, by canonical name; others are ignored (RFC 7644 §3.4.2).

    Their names are read in any letter case: a ``Filter`` that was ignored would answer with everybody.

    :raises InvalidValue: one that is no list is repeated.
    """
    parameters: dict[str, str] = {}
    for sent, value in pairs:
        name = _BY_LOWER_NAME.get(sent.lower())
        if name is None:
            continue
        if name not in parameters:
            parameters[name] = value
        elif name in _LISTS:
            parameters[name] = f"{parameters[name]},{value}"
        else:
            raise InvalidValue(f"The query parameter {name} is given more than once.")
    return parameters
