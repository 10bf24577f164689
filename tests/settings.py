"""The settings of the tests: config.settings over a temporary folder, never the developer's var/ or servers.

Without anything: SQLite in a file (threads and the live server share it), messages that nobody consumes.
Under `python -m tests.services COMMAND`: the real PostgreSQL and Redis that it started or was given.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_var = Path(tempfile.mkdtemp(prefix="semblance-tests-"))
atexit.register(shutil.rmtree, _var, ignore_errors=True)
(_var / "static").mkdir()

# A developer's own variables lead to servers of theirs; the tests and their child processes never see them.
for _name in (
    *("DATABASE_URL", "CELERY_BROKER_URL", "CACHE_URL", "EMAIL_URL", "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "HTTPS"),
    *("IMAGE_STORAGE", "IMAGE_STORAGE_TRIES", "IMAGE_CACHE_BYTES", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    *("TRUSTED_PROXIES", "OPEN_LINK_JOINS_PER_MINUTE", "LOG_LEVEL", "LOG_FORMAT"),
):
    os.environ.pop(_name, None)
os.environ["SEMBLANCE_VAR"] = str(_var)
os.environ["CELERY_BROKER_URL"] = "memory://"
# There is a test process for each core: threads of torch would wait for one that has none.
os.environ.setdefault("OMP_NUM_THREADS", "1")
ON_SERVICES = os.environ.get("SEMBLANCE_TESTS_ON_SERVICES") == "1"
if ON_SERVICES:
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES  # noqa: E402

if not ON_SERVICES:
    DATABASES["default"]["OPTIONS"]["timeout"] = 600  # a writer on a busy machine may wait for long
    DATABASES["default"]["TEST"] = {"NAME": str(_var / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA foreign_keys=ON;"  # no power cut in a test
    )
else:
    # Django refuses to drop a test database while a pool holds connections to it.
    DATABASES["default"]["OPTIONS"].pop("pool")

# No beat while a test runs: most tests are one transaction, which the beat's own connection cannot see on PostgreSQL
# (so it gives the job up) and waits for on SQLite. A test of leases sets its own.
JOB_HEARTBEAT_SECONDS = 24 * 3600
SILENCED_SYSTEM_CHECKS = ["semblance.E002"]  # which says that no lease outlives such a pause

# Most tests launch studies without a worker that could try their models; the tests of trials set it themselves.
TRY_MODELS = False

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast; no test's password is worth a salt
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "images": {"BACKEND": "generation.pictures.local_folder.LocalFolder"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},  # no collectstatic
}
WHITENOISE_USE_FINDERS = True
