"""The fake worker, for all tests of this folder."""

from tests.annotation.studies.worker import worker

__all__ = ["worker"]
