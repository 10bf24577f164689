"""Fixtures of all tests: a media folder and a folder of reports of their own."""

import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django.fixtures import Settings

from tests.clock import database_clock
from tests.database_template import django_db_keepdb, django_db_modify_db_settings, django_db_setup
from tests.settings import ON_SERVICES

__all__ = ["database_clock", "django_db_keepdb", "django_db_modify_db_settings", "django_db_setup"]

# No deadline, and no complaint about slow examples: no test depends on the machine's speed. The same examples every
# time: a run that passes passes again.
hypothesis_settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("repeatable")


# Files of a few tests that take minutes. They begin first, so that no worker waits for the other at the end.
LONGEST = ("test_demo.py", "test_crash.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest files first; deselect the tests that need PostgreSQL and Redis in a run without them.

    `make test` does both runs.
    """
    items.sort(key=lambda item: item.path.name not in LONGEST)
    if ON_SERVICES:
        return
    left_out = [item for item in items if item.get_closest_marker("services")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """Take what the modules hold out of the garbage collector's walks: they free none of it, and each costs 0.3 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def media_root(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The media folder of this test alone, outside of the folder that it may import."""
    folder = tmp_path_factory.mktemp("var") / "media"  # a web server over this var folder finds it
    folder.mkdir()
    settings.MEDIA_ROOT = folder
    return folder


@pytest.fixture(autouse=True)
def reports_root(settings: Settings, tmp_path: Path) -> Path:
    """The folders of finished reports and of uploads of this test alone."""
    settings.REPORTS_ROOT = tmp_path / "reports"
    settings.UPLOADS_ROOT = tmp_path / "uploads"
    return tmp_path / "reports"
