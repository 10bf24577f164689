"""The fake worker, for all tests of this folder."""

from tests.annotation.studies.worker import worker, working

__all__ = ["worker", "working"]
