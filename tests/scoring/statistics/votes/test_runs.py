import itertools

import pytest

from scoring.statistics.votes.runs import run_probability, suspicious_run


def test_published_run() -> None:
    assert run_probability(10, length=10) == pytest.approx(0.00195, abs=5e-6)


@pytest.mark.parametrize("votes", [0, 1, 2, 5, 11])
def test_equals_counting_every_sequence(votes: int) -> None:
    longest = [
        max((len(list(block)) for _, block in itertools.groupby(sides)), default=0)
        for sides in itertools.product("lr", repeat=votes)
    ]
    for length in range(1, votes + 2):
        assert run_probability(votes, length=length) == sum(run >= length for run in longest) / 2**votes


def test_the_threshold_grows_with_the_votes() -> None:
    thresholds = [suspicious_run(votes, probability=0.002) for votes in (10, 20, 60, 200)]
    assert thresholds[0] == 10
    assert thresholds == sorted(thresholds)
    for votes, length in zip((10, 20, 60, 200), thresholds, strict=True):
        assert run_probability(votes, length=length) <= 0.002 < run_probability(votes, length=length - 1)


def test_few_votes_are_never_suspicious() -> None:
    assert suspicious_run(5, probability=0.002) == 6


def test_no_run_is_refused() -> None:
    with pytest.raises(ValueError, match="runs of 0"):
        run_probability(3, length=0)
