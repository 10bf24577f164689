"""Similarities of images for data of reports that have scores only."""

from dataclasses import replace

import numpy as np

from annotation.reports.data.study_data import Similarities, UnsealedData


def with_images(data: UnsealedData, *, images: int = 6) -> UnsealedData:
    """The study with similarities of images that vary around the scores of their sets."""
    rng, rows = np.random.default_rng(3), data.comparisons
    n = len(rows)
    noise = rng.normal(0, 1.5, (2, n, images, images))
    a, b = np.array([rows.score_a, rows.score_b])[:, :, np.newaxis, np.newaxis] + noise + noise.transpose(0, 1, 3, 2)
    for similar in (a, b):
        similar[:, range(images), range(images)] = 0
    return replace(data, similarities=Similarities(np.arange(n), a, b, ""))
