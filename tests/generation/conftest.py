"""The fixtures that the tests of generation share."""

from tests.models import tiny_models

__all__ = ["tiny_models"]
