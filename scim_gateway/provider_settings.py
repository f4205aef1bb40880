"""What an operator can choose about the service provider; discovery tells, the core enforces it (RFC 7643 §5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from scim_gateway.filter_parser import FilterLimits


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """The choices of one service provider; the defaults suit a gateway behind Okta or Entra ID.

    :param profile: name of the IdP profile for requests whose principal names none.
    :param default_count: page size when a query has no ``count``.
    :param max_results: largest page; a larger ``count`` is cut (``filter.maxResults``, ``pagination.maxPageSize``).
    :param max_body: most bytes of a request body; more is 413.
    :param max_depth: deepest nesting of a JSON body.
    :param bulk_max_operations: most operations of one bulk request.
    :param bulk_max_payload: most bytes of a bulk request's body.
    :param max_root_candidates: a sorted query over several types that matches more than this is refused (``tooMany``).
    :param search_seconds: how long a search may look through the directory; after that it is refused (``tooMany``).
    :param searches_at_once: how many such searches of one process go on at once; as many more wait.
    :param filter_limits: bounds of a filter text, checked before it is parsed.
    :param cursor_timeout: seconds after which a cursor has expired.
    :param patch_answer_members: PATCH of a resource with more members than this is answered 204 without a body.
    :param public_discovery: whether the discovery endpoints answer without credentials.
    :param stale_retries: how often an operation is run again after another one changed the same resource.
    :param documentation_uri: address of human-readable help for the ServiceProviderConfig.
    """

    profile: str = "lenient"
    default_count: int = 100
    max_results: int = 1000
    max_body: int = 1024 * 1024
    max_depth: int = 32
    bulk_max_operations: int = 1000
    bulk_max_payload: int = 1024 * 1024
    max_root_candidates: int = 10_000
    search_seconds: int = 10
    searches_at_once: int = 2
    filter_limits: FilterLimits = field(default_factory=FilterLimits)
    cursor_timeout: int = 3600
    patch_answer_members: int = 1000
    public_discovery: bool = True
    stale_retries: int = 20
    documentation_uri: str | None = None


USUAL_SETTINGS = ProviderSettings()
