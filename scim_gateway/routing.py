"""Which URL means what: endpoints and methods as a table (RFC 7644 §3.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from scim_gateway.errors import InvalidVersion, MethodNotAllowed, NotFound
from scim_gateway.schema import ResourceType, ResourceTypes

Scope = Literal["read", "write"]

BULK = "/Bulk"
ME = "/Me"

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_VERSION = re.compile(r"[vV]\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    :param template: the URL with its variable part in braces; what logs and metrics show.
    :param operations: name of the operation by method; ``HEAD`` and ``OPTIONS`` follow from the others.
    :param resource_type: the type it serves, if it serves one.
    :param public: whether it is discovery, which may be read without credentials.
    :param searches: whether POST only reads here.
    """

    template: str
    operations: Mapping[str, str]
    resource_type: ResourceType | None = None
    public: bool = False
    searches: bool = False

    @property
    def allow(self) -> tuple[str, ...]:
        """The methods that apply, for the ``Allow`` header."""
        extra = ("HEAD", "OPTIONS") if "GET" in self.operations else ("OPTIONS",)
        return tuple(method for method in _METHODS if method in self.operations or method in extra)

    def operation(self, method: str) -> str:
        """The name of the operation that a method asks for.

        :raises MethodNotAllowed: none; the error carries ``Allow``.
        """
        if method == "OPTIONS":
            return "options"
        name = self.operations.get("GET" if method == "HEAD" else method)
        if name is None:
            raise MethodNotAllowed(
                f"{method[:20]} does not apply to {self.template}; allowed: {', '.join(self.allow)}.", allow=self.allow
            )
        return name

    def scope(self, method: str) -> Scope:
        """What a principal needs for a method here."""
        if method in ("GET", "HEAD", "OPTIONS") or self.searches:
            return "read"
        return "write"


class Match(NamedTuple):
    """A route, and the variable part of the URL."""

    route: Route
    id: str = ""


class Router:
    """The table for one set of resource types."""

    def __init__(self, resource_types: ResourceTypes) -> None:
        self._root = Route("/", {"GET": "search_all"})
        self._fixed: dict[str, Route] = {
            "": self._root,
            "Bulk": Route(BULK, {"POST": "bulk"}),
            "Me": Route(ME, {"GET": "read", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}),
            ".search": Route("/.search", {"POST": "search_all"}, searches=True),
        }
        self._items: dict[str, Route] = {}
        for name in ("ServiceProviderConfig", "ResourceTypes", "Schemas"):
            self._fixed[name] = Route(f"/{name}", {"GET": "discover"}, public=True)
        for name in ("ResourceTypes", "Schemas"):
            self._items[name] = Route(f"/{name}/{{id}}", {"GET": "discover"}, public=True)
        self._searches: dict[str, Route] = {}
        for kind in resource_types:
            name = kind.endpoint.strip("/")
            self._fixed[name] = Route(kind.endpoint, {"GET": "search", "POST": "create"}, kind)
            self._searches[name] = Route(f"{kind.endpoint}/.search", {"POST": "search"}, kind, searches=True)
            operations = {"GET": "read", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}
            self._items[name] = Route(f"{kind.endpoint}/{{id}}", operations, kind)

    def match(self, path: str) -> Match:
        """The route of a decoded path below the base URL.

        Slashes at the end or doubled are tolerated, never redirected: a redirect turns POST into GET.

        :raises InvalidVersion: the path starts with a protocol version other than 2.
        :raises NotFound: there is no such endpoint.
        """
        parts = [part for part in path.split("/") if part]
        if parts and _VERSION.fullmatch(parts[0]):
            version = parts.pop(0)
            if version.lower() not in ("v2", "v2.0"):
                raise InvalidVersion(f"Protocol version {version} is not supported; use v2.")
        route: Route | None = None
        match parts:
            case []:
                return Match(self._root)
            case [name]:
                route = self._fixed.get(name)
                if route:
                    return Match(route)
            case [name, ".search"]:
                route = self._searches.get(name)
                if route:
                    return Match(route)
            case [name, id]:
                route = self._items.get(name)
                if route:
                    return Match(route, id)
        raise NotFound("There is no such endpoint; GET /ResourceTypes lists those that exist.")
