"""A bearer token, compared with the one in the environment."""

import os
from types import SimpleNamespace

_EXPECTED = f"Bearer {os.environ['BENCHMARK_TOKEN']}"


class Bearer:
    """Middleware that says who asks."""

    def __init__(self, get_response):
        self._get_response = get_response

    def __call__(self, request):
        known = request.headers.get("Authorization") == _EXPECTED
        request.user = SimpleNamespace(is_anonymous=not known, is_authenticated=known)
        return self._get_response(request)
