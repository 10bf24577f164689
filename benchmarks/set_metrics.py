"""All metrics of the embeddings of one set of 1,000 images: the processor's time, on one thread.

    python -m benchmarks.set_metrics [--images 1000] [--dimensions 512]

Each line is the fastest of ten repeats on float32 embeddings of the width of CLIP ViT-B/32. The time is the
processor's, so that other processes do not count; one thread, because small eigenvalue problems wait for more.
"""

import argparse
import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from scoring.metric_spec import score_of_embeddings
from scoring.set_metrics import metrics_of_embeddings

NAMES = ("scs", "mean_of_pairs", "distance_to_medoid", "worst_pair", "quantile", "vendi", "effective_rank")


def milliseconds(compute: Callable[[], object], repeats: int = 10) -> float:
    """Return the time of the fastest repeat."""
    fastest = math.inf
    for _ in range(repeats):
        begun = time.process_time()
        compute()
        fastest = min(fastest, time.process_time() - begun)
    return 1000 * fastest


def main() -> None:
    """Measure all together, then each alone, and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--dimensions", type=int, default=512)
    options = parser.parse_args()
    embeddings = np.random.default_rng(1).normal(size=(options.images, options.dimensions)).astype(np.float32)
    with threadpool_limits(1):
        together = milliseconds(lambda: metrics_of_embeddings(embeddings))
        print(f"all, with the work that they share done once  {together:6.1f} ms")
        for name in NAMES:
            print(f"{name:45} {milliseconds(partial(score_of_embeddings, name, embeddings)):6.1f} ms")


if __name__ == "__main__":
    main()
