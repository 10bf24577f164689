"""The fixtures that the tests of generation share."""

from tests.fake_hub import hub
from tests.models import tiny_families, tiny_models
from tests.object_storage import s3, s3_server

__all__ = ["hub", "s3", "s3_server", "tiny_families", "tiny_models"]
