"""A database with every migration applied, kept between runs: applying them takes longer than most test files."""

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests.settings import ON_SERVICES


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Let Django take the file that lies there. It goes with the folder of the run."""
    return not ON_SERVICES


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """Lay the kept database where Django makes that of the tests."""
    del django_db_modify_db_settings_parallel_suffix  # it has named the file after the process
    if not ON_SERVICES and not request.config.getvalue("nomigrations") and _kept().exists():
        shutil.copyfile(_kept(), settings.DATABASES["default"]["TEST"]["NAME"])


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, request: pytest.FixtureRequest) -> None:
    """Keep the database of this run for the next one."""
    del django_db_setup
    kept = _kept()
    if ON_SERVICES or request.config.getvalue("nomigrations") or kept.exists():
        return
    for outdated in kept.parent.glob("migrated-*.sqlite3"):
        outdated.unlink(missing_ok=True)
    kept.parent.mkdir(exist_ok=True)
    half = kept.with_suffix(f".{os.getpid()}")
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as database:
        database.execute("VACUUM INTO ?", [str(half)])
    half.replace(kept)


def _kept() -> Path:
    """Return where the database of these migrations and versions of libraries is kept."""
    digest = hashlib.sha256()
    for path in (settings.BASE_DIR / "constraints.txt", *sorted(settings.BASE_DIR.glob("*/migrations/*.py"))):
        digest.update(path.read_bytes())
    return Path(settings.BASE_DIR) / ".pytest_cache" / f"migrated-{digest.hexdigest()[:16]}.sqlite3"
