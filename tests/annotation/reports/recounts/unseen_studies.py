"""Studies that the program has never seen: drawn, written as CSV files, imported, reported and counted again."""

import csv
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from tests.annotation.reports import recount
from tests.annotation.reports.recount import Comparison, Recount

RESAMPLES = 100
SEED = 99
ENDS = {"low": 0.025, "high": 0.975}


@dataclass(frozen=True)
class Shape:
    """How a study is drawn: who votes how often, how often they tie, how far one model is ahead."""

    comparisons: int
    annotators: int
    missing: float
    ties: float
    ahead: float = 0.3
    cluster: int = 1
    are_sides_said: bool = True


SHAPES = {
    "unequal counts, ties, missing votes": Shape(40, 7, missing=0.45, ties=0.15),
    "two hundred annotators": Shape(30, 200, missing=0.96, ties=0.05),
    "one model far ahead, everybody votes": Shape(45, 4, missing=0.0, ties=0.0, ahead=1.6),
    "prompts in clusters, sides unknown": Shape(36, 6, missing=0.2, ties=0.3, cluster=3, are_sides_said=False),
}


@dataclass
class Case:
    """The results of the report's JSON, its whole document, and the files counted again."""

    document: dict[str, Any]
    again: Recount
    may_tie: bool

    @property
    def reported(self) -> dict[str, Any]:
        reported: dict[str, Any] = self.document["results"]
        return reported

    @property
    def rows(self) -> list[Comparison]:
        return self.again.analysed

    def names(self) -> list[str]:
        """Annotators as the file has them first."""
        return list(dict.fromkeys(who for row in self.again.everything.values() for who, _, _ in row.votes))

    def check(
        self,
        estimate: dict[str, Any],
        rows: Sequence[Comparison],
        statistic: Callable[..., float],
        is_expanded: bool = False,
    ) -> None:
        """Value, n and interval of an estimate whose interval is the percentile bootstrap's, plain or expanded."""
        value = statistic(rows)
        if np.isnan(value):
            assert estimate["value"] is None
            assert estimate["reason"]
            return
        assert estimate["value"] == pytest.approx(value)
        values = recount.resampled(rows, statistic, resamples=RESAMPLES, seed=SEED)
        defined = [one for one in values if not np.isnan(one)]
        if estimate["low"] is None:
            assert estimate["reason"]
            reasons = ("other than the most frequent choice", "and an interval needs")
            is_refused = any(reason in estimate["reason"] for reason in reasons)
            assert is_refused or len(defined) < 0.95 * RESAMPLES or np.ptp(defined) < 1e-9
            return
        groups = len({row.cluster for row in rows})
        for end, share in ENDS.items():
            if is_expanded:
                share = stats.norm.cdf(np.sqrt(groups / (groups - 1)) * stats.t.ppf(share, groups - 1))
            assert estimate[end] == pytest.approx(np.quantile(defined, share), abs=1e-9)


_MADE: dict[Shape, Case] = {}


def made(shape: Shape, folder: Path) -> Case:
    """The study of this shape, imported and reported once in a process; its tests then read files only."""
    if shape not in _MADE:
        _MADE[shape] = _case(shape, folder)
    return _MADE[shape]


def _case(shape: Shape, tmp_path: Path) -> Case:
    prompts = [f"prompt {number}, unseen" for number in range(shape.comparisons)]
    clusters = {prompt: number // shape.cluster for number, prompt in enumerate(prompts)}
    _write(shape, tmp_path, clusters)
    call_command("create_study", tmp_path / "study.toml", stdout=StringIO())
    call_command(
        "import_scores",
        "unseen",
        tmp_path / "scores.csv",
        metric="made/up",
        higher_is_more_consistent=True,
        stdout=StringIO(),
    )
    call_command("import_votes", "unseen", tmp_path / "votes.csv", stdout=StringIO())
    call_command("report", "unseen", format="json", out=tmp_path / "report.json", stdout=StringIO())
    again = recount.read(tmp_path / "votes.csv", tmp_path / "scores.csv", clusters)
    return Case(json.loads((tmp_path / "report.json").read_text()), again, may_tie=shape.ties > 0)


def _write(shape: Shape, folder: Path, clusters: dict[str, int]) -> None:
    rng = random.Random(f"{shape}")
    listed = ", ".join(
        f'{{text = "{prompt}", cluster = "c{cluster}"}}' if shape.cluster > 1 else f'"{prompt}"'
        for prompt, cluster in clusters.items()
    )
    (folder / "study.toml").write_text(
        f'name = "Unseen"\nslug = "unseen"\nsource = "external"\n[prompts]\nlist = [{listed}]\n'
        '[models.a]\nname = "Alpha"\n[models.b]\nname = "Beta"\n'
        f"[annotation]\nties = {str(shape.ties > 0).lower()}\n[analysis]\nresamples = {RESAMPLES}\nseed = {SEED}\n"
    )
    votes, scores = [], []
    for number, prompt in enumerate(clusters):
        lean = rng.gauss(shape.ahead, 1)
        scores.append((prompt, 70.0, 70.0) if number == 5 else (prompt, 70 + lean + rng.gauss(0, 0.8), 70.0))
        for annotator in range(shape.annotators):
            if rng.random() >= shape.missing:
                side = "Alpha" if rng.random() < 1 / (1 + np.exp(-1.8 * lean)) else "Beta"
                choice = "tie" if rng.random() < shape.ties else side
                left = rng.choice(("Alpha", "Beta")) if shape.are_sides_said else ""
                votes.append((f"person {annotator}", prompt, choice, left))
    for name, head, rows in (
        ("votes.csv", ("annotator", "prompt", "choice", "left_model"), votes),
        ("scores.csv", ("prompt", "score_a", "score_b"), scores),
    ):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([head, *rows])


def wilson(successes: int, n: int, estimate: dict[str, Any], method: str = "wilson") -> None:
    assert (estimate["n"], estimate["value"]) == (n, pytest.approx(successes / n))
    ends = proportion_confint(successes, n, method=method)
    assert (estimate["low"], estimate["high"]) == pytest.approx(ends, abs=1e-9)


def share(rows: Sequence[Comparison], earned: Sequence[bool], estimate: dict[str, Any], method: str = "wilson") -> None:
    """A share of comparisons, whose interval knows their clusters."""
    if not recount.is_clustered(rows):
        wilson(sum(earned), len(rows), estimate, method)
        return
    assert (estimate["n"], estimate["value"]) == (len(rows), pytest.approx(np.mean(earned)))
    ends = recount.clustered_share(rows, [float(one) for one in earned], method)
    assert (estimate["low"], estimate["high"]) == pytest.approx(ends, abs=1e-7)
