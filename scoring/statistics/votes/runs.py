"""Runs of votes for one side: how long they may be for an honest annotator."""

from fractions import Fraction


def run_probability(votes: int, *, length: int) -> float:
    """The chance of a run of at least `length` equal results among `votes` fair coins.

    The sides are drawn for every assignment, so an honest annotator's left and right votes are such coins, whichever
    model is better. Exact, by counting the sequences without such a run.
    Source: Schilling (1990), "The longest run of heads".

    >>> round(run_probability(10, length=10), 5)
    0.00195
    """
    if length < 1 or votes < 0:
        raise ValueError(f"runs of {length} among {votes} votes")
    if votes < length:
        return 0.0
    if length == 1:
        return 1.0
    return float(1 - Fraction(_sequences_without_run(votes, length), 2**votes))


def suspicious_run(votes: int, *, probability: float) -> int:
    """The shortest run that an honest annotator with so many votes has with at most this probability.

    It is the number of votes plus one if even a run of all votes is likelier than that.

    >>> suspicious_run(60, probability=0.001)
    16
    """
    # Start where the chances of a run at each place add up to this probability; one or two steps remain.
    length = next((n for n in range(1, votes + 1) if (votes - n + 1) * 2.0 ** (1 - n) <= probability), votes + 1)
    while length > 1 and run_probability(votes, length=length - 1) <= probability:
        length -= 1
    return length


def _sequences_without_run(votes: int, length: int) -> int:
    """A sequence ends with a block shorter than `length`: ways[n] = ways[n - 1] + … + ways[n - length + 1].

    Two neighbouring sums differ by one term at each end, so ways[n] = 2 ways[n - 1] - ways[n - length].
    """
    ways = [2, 2]  # two each, because the first block may be of either side
    for n in range(2, votes + 1):
        ways.append(2 * ways[-1] - (ways[n - length] if n >= length else 0))
    return ways[votes]
