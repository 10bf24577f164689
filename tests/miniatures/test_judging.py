"""Judging sampled pictures: the rules' verdict, retrieval among captions, and how much a set differs."""

import random

import numpy as np
import pytest
from PIL import Image

from miniatures.cards import as_text, contact_sheet
from miniatures.judging import Verdict, by_rule, retrieved, spreads
from miniatures.renderer import render
from miniatures.scenes import Description, imagine

DESCRIPTION = Description((("red", "star"),), "white", style="flat")


def test_the_rules_see_what_was_described_and_what_was_not() -> None:
    picture = render(imagine(DESCRIPTION, random.Random(1)))
    assert by_rule(picture, DESCRIPTION) == Verdict(colour=True, shape=True)
    assert by_rule(picture, Description((("blue", "star"),), "white")) == Verdict(colour=False, shape=True)
    assert not by_rule(picture, Description((("red", "ring"),), "white")).both
    assert by_rule(Image.new("RGB", (96, 96), "white"), DESCRIPTION) == Verdict(colour=False, shape=False)


def test_retrieval_is_right_only_where_the_own_caption_is_strictly_nearest() -> None:
    captions = np.eye(4, dtype=np.float32)
    pictures = captions.copy()
    pictures[3] = captions[2]  # looks like another's caption
    hits = retrieved(pictures, captions, among=4, rng=np.random.default_rng(0))
    assert hits.tolist() == [True, True, True, False]
    assert not retrieved(np.ones_like(captions), captions, among=4, rng=np.random.default_rng(0)).any()  # all tied


def test_retrieval_among_more_captions_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="100 captions are wanted to choose from, and there are 4"):
        retrieved(np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32), among=100, rng=np.random.default_rng(0))


def test_the_same_picture_twenty_times_has_no_spread_and_different_ones_have() -> None:
    rng = random.Random(2)
    same = spreads([render(imagine(DESCRIPTION, random.Random(5)))] * 20)
    assert same == pytest.approx({"seen": 1.0, "place": 0.0, "size": 0.0, "styles": 1.0})
    open_description = Description(DESCRIPTION.kinds, "white")
    different = spreads([render(imagine(open_description, rng)) for _ in range(20)])
    assert different["place"] > 0.1
    assert different["size"] > 0.02
    assert different["styles"] > 2
    assert spreads([Image.new("RGB", (96, 96))] * 3) == {"seen": 0.0}


def test_a_contact_sheet_holds_every_picture() -> None:
    sheet = contact_sheet([Image.new("RGB", (96, 96), "red")] * 11)
    assert sheet.size == (10 * 98 + 2, 2 * 98 + 2)
    assert sheet.getpixel((2, 100)) == (255, 0, 0)
    assert sheet.getpixel((100, 100)) == (255, 255, 255)


def test_a_proportion_is_written_with_interval_and_n() -> None:
    assert as_text({"value": 0.94, "low": 0.8752, "high": 0.9722, "n": 100}) == (
        "94.0 % [87.5 to 97.2], n = 100 (Wilson, 95 %)"
    )
