"""The application, with its tables made."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_peer.settings")


def create_app():
    """Make the tables, then serve."""
    django.setup()
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", run_syncdb=True, verbosity=0)
    return get_wsgi_application()
