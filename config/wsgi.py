"""The WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application

from config.database_version import VersionGate

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = VersionGate(get_wsgi_application())
