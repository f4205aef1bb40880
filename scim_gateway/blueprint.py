"""A service provider as a Flask blueprint."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import flask
from flask.sansio.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from scim_gateway.auth import Authenticator
from scim_gateway.wsgi import WITHOUT_CONTENT, Service

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from scim_gateway.provider import ServiceProvider


class ScimResponse(flask.Response):
    """An answer whose headers are complete: it has no media type unless it is given one, and is sent as it is.

    Werkzeug would look at each header again, which takes a tenth of the time of a short request.
    """

    default_mimetype = None
    _sent_as_it_is = True

    def call_on_close(self, func: Callable[[], Any]) -> Callable[[], Any]:
        self._sent_as_it_is = False
        return super().call_on_close(func)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = self.response
        if not (self._sent_as_it_is and isinstance(body, list) and environ["REQUEST_METHOD"] != "HEAD"):
            return super().__call__(environ, start_response)
        if "Content-Length" not in self.headers and self.status_code not in WITHOUT_CONTENT:
            self.headers["Content-Length"] = str(sum(map(len, body)))
        start_response(self.status, self.headers.to_wsgi_list())
        return body


class _Rest(BaseConverter):
    """All of a path behind the prefix: empty, with slashes at either end or doubled, with any character."""

    regex = r"[\s\S]*"
    part_isolating = False
    weight = 10_000


def create_blueprint(
    provider: ServiceProvider,
    *,
    name: str,
    authenticate: Authenticator,
    public_url: str | None = None,
) -> flask.Blueprint:
    """A blueprint that serves a service provider below the ``url_prefix`` it is registered with.

    Every path and every method below the prefix is authenticated and answered by the service provider, those that
    exist nowhere too. It may be registered next to others in one application; nothing is shared between them.

    :param provider: what answers.
    :param name: name of the blueprint, unique in the application.
    :param authenticate: who is asking; :class:`~scim_gateway.auth.BearerAuthenticator`, or the host application's own.
    :param public_url: the SCIM base URL that clients see; by default taken from each request.
    :raises TypeError: there is no authenticator.
    """
    if not callable(authenticate):
        raise TypeError(
            "create_blueprint needs an authenticator: pass authenticate=BearerAuthenticator(backend.tokens), "
            "or a function that takes a scim_gateway.exchange.Request and returns a Principal"
        )
    return blueprint_of(Service(provider, authenticate, public_url), name)


def blueprint_of(service: Service, name: str) -> flask.Blueprint:
    """A blueprint that answers by a service; :func:`create_blueprint` makes both."""
    blueprint = flask.Blueprint(name, __name__)

    def serve(rest: str = "", **_: Any) -> flask.Response:
        # A function: of any other callable Flask finds out at each request whether it is a coroutine.
        # The request itself: Flask's name for it is a stand-in (a werkzeug.local.LocalProxy, though it is typed as a
        # request), which finds it anew each time.
        proxy: Any = flask.request
        http: flask.Request = proxy._get_current_object()
        path = http.path
        prefix = http.root_path.rstrip("/") + (path[: len(path) - len(rest)] if rest else path).rstrip("/")
        response, headers = service.answer(http.environ, rest, prefix, lambda: http)
        # As a list: Werkzeug measures a plain body, and would overwrite the Content-Length that HEAD has without one.
        return ScimResponse([response.body] if response.body else [], response.status, headers)

    @blueprint.record
    def add_rules(state: BlueprintSetupState) -> None:
        # Flask's add_url_rule wants a list of methods, but PROPFIND is to be authenticated like GET. A rule of
        # Werkzeug without methods matches them all; so does ours match what Flask would answer by a redirect.
        app = state.app
        app.url_map.converters["scim_gateway_rest"] = _Rest
        endpoint = f"{state.name_prefix}.{state.name}.scim".lstrip(".")
        prefix = (state.url_prefix or "").rstrip("/")
        for path in (prefix, f"{prefix}/<scim_gateway_rest:rest>"):
            if not path:
                continue
            # Any: Flask reads provide_automatic_options from its rules, Werkzeug's class does not know it.
            rule: Any = app.url_rule_class(
                path,
                endpoint=endpoint,
                methods=None,
                strict_slashes=False,
                merge_slashes=False,
                subdomain=state.subdomain,
            )
            rule.provide_automatic_options = False
            app.url_map.add(rule)
        app.view_functions[endpoint] = serve

    return blueprint
