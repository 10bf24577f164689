"""What the tests on an accelerator share."""

from tests.models import tiny_models

__all__ = ["tiny_models"]
