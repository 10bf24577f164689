"""The fake worker and the fake hub, for all tests of this folder."""

from tests.annotation.studies.worker import worker, working
from tests.fake_hub import hub

__all__ = ["hub", "worker", "working"]
