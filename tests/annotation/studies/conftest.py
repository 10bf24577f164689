"""The fake worker, for every test here."""

from tests.annotation.studies.worker import worker

__all__ = ["worker"]
