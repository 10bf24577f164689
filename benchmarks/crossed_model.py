"""The crossed model of 50,000 and of a million votes, and one of its fits compared with the package glmm.

    python -m benchmarks.crossed_model

Votes of a simulated study: everything that a report prints of the model. Then the likelihood with an intercept for each
prompt and each annotator is maximised by the package glmm (written in Rust), on the same votes in the same run; the two
must find the same effects.
"""

import time

import glmm
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.people.crossed_model.design import Design
from scoring.statistics.people.crossed_model.fitting import fit
from scoring.statistics.people.crossed_model.model import crossed_model
from scoring.statistics.votes.counts import Floats
from scoring.statistics.votes.votes import Votes

SIZES = ((100, 5, 25), (10_000, 5, 300), (10_000, 100, 1_000))  # comparisons, votes of each, annotators
COMPARED = SIZES[1]
SLOPE = 1.2


def simulated(comparisons: int, votes: int, annotators: int) -> tuple[Votes, Floats, Floats]:
    """Return votes, the margins of the comparisons, and the side of each vote."""
    rng = np.random.default_rng(20240412)
    comparison = np.repeat(np.arange(comparisons), votes)
    who = np.concatenate([rng.choice(annotators, votes, replace=False) for _ in range(comparisons)])
    margin = rng.normal(0.3, 1, comparisons)
    side: Floats = (rng.integers(0, 2, len(who)) - 0.5).astype(np.float64)

    def of_annotators(scale: float) -> Floats:
        return np.asarray(scale * rng.normal(size=annotators)[who], dtype=np.float64)

    latent = (SLOPE + of_annotators(0.4)) * margin[comparison] + (0.2 + of_annotators(0.4)) * side + of_annotators(0.5)
    latent += 0.9 * rng.normal(size=comparisons)[comparison] + rng.logistic(size=len(who))
    return Votes.of(comparison, who, (latent <= 0).astype(int)), margin, side


def measure(comparisons: int, votes: int, annotators: int) -> None:
    """Print how long the model of one study takes."""
    study = simulated(comparisons, votes, annotators)
    started_at, began_at = time.perf_counter(), time.process_time()
    found = crossed_model(*study, resampling=Resampling())
    seconds, of_processor = time.perf_counter() - started_at, time.process_time() - began_at
    slope = found.slope
    if (
        slope.value is None
        or slope.low is None
        or slope.high is None
        or abs(slope.value - SLOPE) > slope.high - slope.low
    ):
        raise SystemExit(f"the slope should be near {SLOPE}: {slope}")
    print(
        f"crossed model, {comparisons} x {votes} by {annotators}: {seconds:.2f} s ({of_processor:.2f} s of processors)"
    )


def compare(comparisons: int, votes: int, annotators: int) -> None:
    """Maximise the likelihood with two intercepts by ours and by glmm."""
    cast, margin, side = simulated(comparisons, votes, annotators)
    is_for_a, at_vote = (cast.choice == 0).astype(int), margin[cast.comparison]
    data = {"y": is_for_a.astype(float), "margin": at_vote, "side": side}
    names = {"prompt": _named(cast.comparison), "annotator": _named(cast.annotator)}
    began_at = time.process_time()
    theirs = glmm.fit(data | names, "y ~ margin + side + (1 | prompt) + (1 | annotator)", "binomial")
    their_seconds = time.process_time() - began_at
    groups = (cast.comparison, np.arange(comparisons), cast.annotator)
    design = Design.of(is_for_a, np.column_stack([at_vote, side]), groups, np.ones((len(side), 1)))
    began_at = time.process_time()
    with threadpool_limits(limits=1, user_api="blas"):  # as the report does
        ours = fit(design, np.array([True, False, True]))
    our_seconds = time.process_time() - began_at
    if not np.allclose(ours.parameters[1:3], theirs.beta[1:], atol=1e-3):
        raise SystemExit(f"glmm finds {theirs.beta}, we {ours.parameters}")
    print(f"two intercepts, {len(side)} votes: {our_seconds:.2f} s of processors")
    print(f"  glmm {their_seconds:.2f} s; ours takes {our_seconds / their_seconds:.1f} times as long")


def _named(numbers: NDArray[np.int64]) -> list[str]:
    return [f"g{number}" for number in numbers]


def main() -> None:
    """Measure each size, then compare."""
    for size in SIZES:
        measure(*size)
    compare(*COMPARED)


if __name__ == "__main__":
    main()
