"""The fixtures that the tests of generation share."""

from tests.fake_hub import hub
from tests.models import tiny_families, tiny_models

__all__ = ["hub", "tiny_families", "tiny_models"]
