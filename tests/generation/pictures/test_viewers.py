"""Files that viewers may read differently: the refusals. Journeys compare the others with Chromium."""

import re

import pytest

from generation.pictures.reading import Limits, decode
from jobs.refusals import Refused
from tests.generation.pictures.viewer_files import CASES

LIMITS = Limits(pixel_count=40_000_000, byte_count=10_000_000)


@pytest.mark.parametrize(("data", "suffix", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_refused_or_read(data: bytes, suffix: str, reason: str | None) -> None:
    if reason is None:
        assert decode(data, suffix=suffix, limits=LIMITS).mode == "RGB"
    else:
        with pytest.raises(Refused, match=re.escape(reason)):
            decode(data, suffix=suffix, limits=LIMITS)
