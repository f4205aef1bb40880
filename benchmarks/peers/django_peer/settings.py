"""Settings: an own user model with SCIM's mixins, SQLite as durable as the gateway's, a bearer token."""

import os

SECRET_KEY = "of-the-benchmark"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django_scim", "django_peer"]
MIDDLEWARE = ["django_peer.bearer.Bearer", "django_scim.middleware.SCIMAuthCheckMiddleware"]
ROOT_URLCONF = "django_peer.urls"
AUTH_USER_MODEL = "django_peer.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["BENCHMARK_DATABASE"],
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
        },
    }
}
SCIM_SERVICE_PROVIDER = {
    "NETLOC": "127.0.0.1",
    "SCHEME": "http",
    "AUTHENTICATION_SCHEMES": [{"type": "oauth2", "name": "OAuth 2", "description": "bearer token"}],
    "USER_ADAPTER": "django_peer.adapters.User",
    "GROUP_MODEL": "django_peer.models.Group",
    "GROUP_ADAPTER": "django_peer.adapters.Group",
}
