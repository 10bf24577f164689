"""The judgement of a simulated annotator on two sets of images: by their pixels alone, with its own noise.

It knows no encoder and no score, so that the agreement in a simulated study is measured, not built in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

import numpy as np
from PIL import Image
from scipy.spatial.distance import pdist

THUMB_PIXELS = 16
# A difference below this, in units of the typical difference, is a tie if ties are allowed.
TIE_BAND = 0.1

Choice = Literal["left", "right", "tie"]


@dataclass(frozen=True, slots=True)
class Eye:
    """The parameters that all simulated annotators of one study share.

    typical_difference: the root mean square difference in spread between the two sets of a comparison. noise: the
    standard deviation of an annotator's error, in that unit.
    """

    typical_difference: float
    noise: float
    are_ties_allowed: bool

    def choose(self, *, left_spread: float, right_spread: float, chance: Random) -> Choice:
        """Choose the set with the smaller spread, after adding noise to the difference."""
        difference = right_spread - left_spread
        seen = difference / self.typical_difference if self.typical_difference else 0.0
        seen += self.noise * chance.gauss(0.0, 1.0)
        if self.are_ties_allowed and abs(seen) < TIE_BAND:
            return "tie"
        if seen == 0.0:
            return chance.choice(("left", "right"))
        return "left" if seen > 0 else "right"


def spread(images: Sequence[Image.Image]) -> float:
    """Return how different the images of a set look: the mean over pairs of the RMS distance of 16 x 16 thumbs, 0 to 1.

    0 for fewer than two images.
    """
    if len(images) < 2:
        return 0.0
    size = (THUMB_PIXELS, THUMB_PIXELS)
    thumbs = [image.convert("RGB").resize(size, Image.Resampling.BOX) for image in images]
    pixels = np.stack([np.asarray(thumb, dtype=np.float64).ravel() / 255 for thumb in thumbs])
    return float(pdist(pixels).mean() / math.sqrt(pixels.shape[1]))


def typical(differences: Sequence[float]) -> float:
    """Root mean square of the differences; 0 if there are none."""
    return math.sqrt(math.fsum(value * value for value in differences) / len(differences)) if differences else 0.0
