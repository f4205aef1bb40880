"""The service provider: SCIM requests in, SCIM answers out, over one backend (RFC 7644)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import orjson

from scim_gateway import json_body
from scim_gateway.actor import Acting, Actor, current
from scim_gateway.backend import Backend
from scim_gateway.bulk import Bulk
from scim_gateway.call import Answer, Call, read_parameters
from scim_gateway.discovery import Discovery
from scim_gateway.errors import (
    Forbidden,
    InsufficientScope,
    InternalError,
    NotFound,
    NotImplementedFeature,
    PayloadTooLarge,
    ScimError,
    StaleResource,
    Unauthorized,
)
from scim_gateway.exchange import SCIM_JSON, Principal, Request, Response
from scim_gateway.ids import is_id
from scim_gateway.look_ups import SOME_TEXT, Answering, Form, LookUps, Meaning
from scim_gateway.media import check_content_type, negotiate
from scim_gateway.messages import error_body
from scim_gateway.profile import PROFILES, Profile
from scim_gateway.provider_settings import USUAL_SETTINGS, ProviderSettings
from scim_gateway.query import Searches
from scim_gateway.relations import Relations
from scim_gateway.representation import Representation
from scim_gateway.resources import TypeOperations
from scim_gateway.routing import BULK, ME, Match, Router
from scim_gateway.splicing import make_splicers
from scim_gateway.text import printable

logger = logging.getLogger("scim_gateway.provider")

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_CHANGES = frozenset({"create", "replace", "patch", "delete"})
_CHALLENGE = "Bearer"


class ServiceProvider:
    """A SCIM service provider over one backend; knows neither HTTP server nor store.

    :param backend: where the resources are.
    :param settings: the choices of its operator.
    :raises ValueError: the settings name a profile that does not exist.
    """

    def __init__(self, backend: Backend, settings: ProviderSettings = USUAL_SETTINGS) -> None:
        if settings.profile not in PROFILES:
            raise ValueError(f"there is no profile {settings.profile!r}; there are {', '.join(PROFILES)}")
        self.backend = backend
        self.settings = settings
        self._router = Router(backend.resource_types)
        self._discovery = Discovery(backend.resource_types, settings)
        relations = Relations(backend)
        representation = Representation(backend, relations)
        splicers = make_splicers(backend, relations, representation)
        self._types = {
            kind.name: TypeOperations(backend, kind, settings, relations, representation, splicers.get(kind.name))
            for kind in backend.resource_types
        }
        self._searches = searches = Searches(backend, settings, relations, representation, splicers)
        self._look_ups = LookUps(self._meaning_of)
        bulk = Bulk(self._router, settings, self._perform)
        self._operations: Mapping[str, Callable[[Call], Answer]] = {
            "create": lambda call: self._types[call.resource_type.name].create(call),
            "read": lambda call: self._types[call.resource_type.name].read(call),
            "replace": lambda call: self._types[call.resource_type.name].replace(call),
            "patch": lambda call: self._types[call.resource_type.name].patch(call),
            "delete": lambda call: self._types[call.resource_type.name].delete(call),
            "search": searches.one,
            "search_all": searches.all,
            "bulk": bulk.run,
            "discover": self._discover,
            "options": lambda call: Answer(204, None, {"Allow": ", ".join(call.route.allow)}),
        }

    def handle(self, request: Request) -> Response:
        """Answer a request; whatever happens, the answer is SCIM's (RFC 7644 §3.12)."""
        route, media_type, scim_type = "", SCIM_JSON, None
        try:
            look_up = self._look_ups.of(request)
            if look_up is not None:
                (route, media_type, answering), wanted = look_up
                known = self._looked_up(answering, request, wanted)
                if known is not None:
                    return _response(known, media_type, route, None, head=False)
            match = self._admitted(request)
            route = f"{request.method} {match.route.template}"
            media_type = negotiate(request.headers.get("accept", ""))
            match = self._own(match, request.principal)
            match.route.operation(request.method)
            with Acting(_actor(request)):
                answer = self._perform(self._call(request, match))
        except ScimError as error:
            answer, scim_type = _error(error), error.scim_type
        except Exception:  # a defect, here or in a backend: it is for the log, and the request is answered all the same
            logger.exception("%s failed unexpectedly", route, extra={"request_id": request.headers.get("x-request-id")})
            answer = _error(InternalError("The gateway failed; its log says why."))
        return _response(answer, media_type, route, scim_type, head=request.method == "HEAD")

    def _looked_up(self, answering: Answering, request: Request, wanted: str) -> Answer | None:
        with Acting(_actor(request)):
            try:
                return answering(request, wanted)
            except StaleResource:
                return None

    def _meaning_of(self, form: Form) -> Meaning | None:
        """What look-ups of a form mean, if they can be answered without reading each."""
        match = self._router.match(form.path if form.filter else f"{form.path}/{SOME_TEXT}")
        kind, media_type = match.route.resource_type, negotiate(form.accept)
        if kind is None or form.path != kind.endpoint:
            return None
        if form.filter:
            parameters = read_parameters((*form.others, ("filter", f'{form.filter}"{SOME_TEXT}"')))
            answering = self._searches.answering(kind, parameters, self._profile(form.profile))
        else:
            answering = self._types[kind.name].answering()
        return answering and Meaning(f"GET {match.route.template}", media_type, answering)

    def _admitted(self, request: Request) -> Match:
        """The route, if the request may know of it: anonymous ones see discovery and nothing else (RFC 7644 §2, §4)."""
        if request.principal is not None:
            return self._router.match(request.path)
        if self.settings.public_discovery:
            try:
                match = self._router.match(request.path)
            except ScimError:
                match = None
            if match is not None and match.route.public and match.route.scope(request.method) == "read":
                return match
        raise Unauthorized("Send a bearer token in the Authorization header.", headers={"WWW-Authenticate": _CHALLENGE})

    def _call(self, request: Request, match: Match) -> Call:
        if request.method in _WITH_BODY:
            self._check_body(request, bulk=match.route.template == BULK)
        return Call(
            route=match.route,
            method=request.method,
            id=match.id,
            base_url=request.base_url,
            profile=self._profile(request.principal.profile if request.principal else None),
            principal=request.principal,
            body=lambda: json_body.loads(request.body, max_depth=self.settings.max_depth),
            headers=request.headers,
            parameters=read_parameters(request.query) if request.query else {},
        )

    def _perform(self, call: Call) -> Answer:
        """Run one operation, if the principal may do it; each one of a bulk request comes this way too."""
        operation = call.route.operation(call.method)
        if operation not in _CHANGES or call.route.resource_type is None:
            return self._permitted(operation, call)
        # A store that keeps an audit trail records who asked for what, and also that it was refused.
        asked = current()._replace(action=operation, kind=call.route.resource_type.name, id=call.id or None)
        with Acting(asked):
            try:
                return self._permitted(operation, call)
            except ScimError as error:
                self.backend.refused(error)
                raise

    def _permitted(self, operation: str, call: Call) -> Answer:
        """Run an operation, if its scope is the principal's."""
        scope = call.route.scope(call.method)
        # What a bulk request may do is asked for each of its operations (checklist A-03).
        if call.principal is not None and scope not in call.principal.scopes and operation != "bulk":
            raise InsufficientScope(
                f"The credentials do not allow this; it needs the scope {scope!r}.",
                headers={"WWW-Authenticate": f'{_CHALLENGE} error="insufficient_scope", scope="{scope}"'},
            )
        if call.id and call.route.resource_type is not None and not is_id(call.id):
            raise NotFound(f"There is no {call.route.resource_type.name} with id {printable(call.id)!r}.")
        return self._operations[operation](call)

    def _check_body(self, request: Request, *, bulk: bool) -> None:
        """Whether the body may be parsed at all."""
        limit = self.settings.bulk_max_payload if bulk else self.settings.max_body
        if len(request.body) > limit:
            name = "maxPayloadSize of a bulk request" if bulk else "the largest body"
            raise PayloadTooLarge(f"The body has {len(request.body)} bytes; {name} is {limit}.")
        check_content_type(request.headers.get("content-type", ""))

    def _profile(self, name: str | None) -> Profile:
        """The IdP profile of that name, if there is one, else the usual one."""
        default = PROFILES[self.settings.profile]
        return default if name is None else PROFILES.get(name, default)

    def _own(self, match: Match, principal: Principal | None) -> Match:
        """The resource that ``/Me`` stands for; its answers name the permanent URL in ``Location`` (RFC 7644 §3.11)."""
        if match.route.template != ME:
            return match
        if principal is None or principal.resource_id is None:
            raise NotImplementedFeature("The credentials stand for no User, so that /Me has no meaning; use /Users.")
        types = self.backend.resource_types
        kind = types.by_name.get("User") or next(iter(types))
        return self._router.match(f"{kind.endpoint}/{principal.resource_id}")

    def _discover(self, call: Call) -> Answer:
        """The discovery documents, whole or one by one (RFC 7644 §4)."""
        if "filter" in call.parameters:
            # A client that filters does not see all there is, and would not notice.
            raise Forbidden("The discovery endpoints cannot be filtered; read them whole.")
        discovery, base_url = self._discovery, call.base_url
        match call.route.template:
            case "/ServiceProviderConfig":
                return Answer(200, discovery.service_provider_config(base_url))
            case "/ResourceTypes":
                return Answer(200, discovery.resource_types(base_url))
            case "/ResourceTypes/{id}":
                return Answer(200, discovery.resource_type(call.id, base_url))
            case "/Schemas":
                return Answer(200, discovery.schemas(base_url))
        return Answer(200, discovery.schema(call.id, base_url))


def _actor(request: Request) -> Actor:
    name = request.principal.name if request.principal else "anonymous"
    return Actor(name, request.headers.get("x-request-id"), request.headers.get("user-agent"))


def _error(error: ScimError) -> Answer:
    return Answer(error.status, error_body(error), error.headers)


def _response(answer: Answer, media_type: str, route: str, scim_type: str | None, *, head: bool) -> Response:
    if answer.json is not None:
        body = answer.json
    elif answer.document is not None:
        body = orjson.dumps(answer.document)
    else:
        return Response(answer.status, answer.headers, b"", route, scim_type)
    headers = {"Content-Type": media_type, **answer.headers}
    if head:
        headers["Content-Length"] = str(len(body))
    return Response(answer.status, headers, b"" if head else body, route, scim_type)
