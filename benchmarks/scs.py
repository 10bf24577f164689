"""The score of one set of 1,000 images, compared with two loops over its pairs.

    python -m benchmarks.scs [--images 1000] [--dimensions 512]

Every line is measured in the same run, on float32 embeddings of the width of CLIP ViT-B/32, and all results must agree
to 1e-9. The loops run once, the score takes the best of ten.
"""

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scoring.consistency import semantic_consistency_score

Embeddings = NDArray[np.float32]


def by_plain_loop(embeddings: Embeddings) -> float:
    """Compute the definition in plain Python: two loops over the images, one over the dimensions."""
    rows = embeddings.tolist()
    norms = [math.sqrt(sum(x * x for x in row)) for row in rows]
    total = 0.0
    for i, first in enumerate(rows):
        for j in range(i + 1, len(rows)):
            product = 0.0
            for x, y in zip(first, rows[j], strict=True):
                product += x * y
            total += max(100 * product / (norms[i] * norms[j]), 0.0)
    return total / math.comb(len(rows), 2)


def by_loop_of_dot_products(embeddings: Embeddings) -> float:
    """Compute with two loops over the images in Python, and the product of each pair by NumPy."""
    rows = embeddings.astype(np.float64)
    total = 0.0
    for i in range(len(rows)):
        for j in range(i + 1, len(rows)):
            cosine = rows[i] @ rows[j] / math.sqrt((rows[i] @ rows[i]) * (rows[j] @ rows[j]))
            total += max(100 * cosine, 0.0)
    return total / math.comb(len(rows), 2)


def measure(score: Callable[[Embeddings], float], embeddings: Embeddings, repeats: int) -> tuple[float, float]:
    """Return the score, and the seconds of the fastest repeat."""
    seconds, value = math.inf, math.nan
    for _ in range(repeats):
        started_at = time.perf_counter()
        value = score(embeddings)
        seconds = min(seconds, time.perf_counter() - started_at)
    return value, seconds


def main() -> None:
    """Measure, check that all agree, print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--dimensions", type=int, default=512)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    embeddings = (rng.standard_normal((options.images, options.dimensions)) + 0.3).astype(np.float32)

    value, ours = measure(semantic_consistency_score, embeddings, repeats=10)
    print(f"{options.images} images, {options.dimensions} dimensions: SCS {value:.6f}")
    print(f"semantic_consistency_score            {ours * 1e3:10.1f} ms")
    rivals = {
        "double loop, NumPy product of a pair": by_loop_of_dot_products,
        "double loop, plain Python": by_plain_loop,
    }
    for name, rival in rivals.items():
        same, seconds = measure(rival, embeddings, repeats=1)
        if abs(same - value) > 1e-9:
            raise SystemExit(f"{name} gives {same}, not {value}")
        print(f"{name:37} {seconds * 1e3:10.1f} ms   {seconds / ours:8.0f} times slower")


if __name__ == "__main__":
    main()
