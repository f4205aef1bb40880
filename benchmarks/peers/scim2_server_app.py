"""scim2-server with its in-memory storage, behind gunicorn; runs in an environment that has that package."""

import os

from scim2_server.memory import InMemoryStorage
from scim2_server.testserver.application import BearerTokenApplication
from scim2_server.utils import load_default_provider


def create_app() -> BearerTokenApplication:
    """The application of the ``scim2-server`` command, without its development server."""
    provider = load_default_provider()
    return BearerTokenApplication(InMemoryStorage(), provider, bearer_tokens=[os.environ["BENCHMARK_TOKEN"]])
