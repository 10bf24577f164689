"""A study of five models by files alone: from the study file to the ranking, the pairs, and the bundle and back."""

import csv
import json
from io import StringIO
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from annotation.models import Study
from annotation.reports.bundle.replay import replay
from annotation.reports.data.pairs import of_pair
from annotation.reports.pooling.studies import pool
from generation.models import ImageSet
from jobs.refusals import Refused
from scoring.scores import record_imported_scores
from tests.annotation.reports.voted_studies import unsealed

pytestmark = pytest.mark.django_db

NAMES = ("Ada", "Bob", "Cyd", "Dan", "Eve")
QUALITY = (0.0, 0.9, -0.4, 0.4, -0.9)
PROMPTS = [f"prompt number {place}" for place in range(1, 31)]
PEOPLE, OVERLAP = [f"simulated annotator {place}" for place in range(1, 9)], 3
Vote = tuple[str, str, str, str, str]  # annotator, prompt, the model on the left, that on the right, the choice


def simulated_votes() -> list[Vote]:
    """Three simulated annotators of eight on each comparison, with ties and a preference for the left."""
    rng = np.random.default_rng(3)
    rows: list[Vote] = []
    for prompt in PROMPTS:
        for pair in combinations(range(5), 2):
            for who in rng.choice(len(PEOPLE), OVERLAP, replace=False):
                left, right = rng.permutation(pair)
                felt = QUALITY[left] - QUALITY[right] + 0.3 + rng.logistic()
                choice = "tie" if abs(felt) < 0.4 else NAMES[left if felt > 0 else right]
                rows.append((PEOPLE[who], prompt, NAMES[left], NAMES[right], choice))
    return rows


def scores() -> dict[tuple[str, str], float]:
    rng = np.random.default_rng(4)
    return {
        (prompt, name): 80 + 2 * QUALITY[place] + rng.normal() for prompt in PROMPTS for place, name in enumerate(NAMES)
    }


def write(path: Path, head: tuple[str, ...], rows: list[tuple[object, ...]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


@pytest.fixture
def votes() -> list[Vote]:
    return simulated_votes()


@pytest.fixture
def study(tmp_path: Path, votes: list[Vote]) -> Path:
    """The study `five`, with its votes and scores; returns the folder of its files."""
    models = "\n".join(f'[models.{name.lower()}]\nname = "{name}"' for name in NAMES)
    prompts = f"[prompts]\nlist = {json.dumps(PROMPTS)}"
    head = 'name = "Five models"\nslug = "five"\nsource = "external"\nnotice = "Simulated votes."\n'
    settings = "[annotation]\nties = true\n[analysis]\nresamples = 100\n"
    (tmp_path / "five.toml").write_text("\n".join((head, models, settings, prompts)) + "\n")
    call_command("create_study", tmp_path / "five.toml", stdout=StringIO())
    columns = ("User Name", "Prompt", "left_model", "right_model", "Selection Choice")
    call_command("import_votes", "five", write(tmp_path / "votes.csv", columns, [*votes]), stdout=StringIO())
    sets = ImageSet.objects.filter(lot="five").select_related("prompt", "diffusion_model")
    values = {row.pk: scores()[row.prompt.text, row.diffusion_model.name] for row in sets}
    record_imported_scores(metric="invented", values=values, higher_is_more_consistent=True)
    return tmp_path


def reported(*arguments: object, **options: object) -> str:
    out = StringIO()
    call_command("report", *arguments, stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


def wins_of(votes: list[Vote], one: str, other: str) -> int:
    return sum(row[4] == one and {row[2], row[3]} == {one, other} for row in votes)


def strengths(votes: list[Vote]) -> dict[str, float]:
    """The maximum of the likelihood by Davidson's iteration of 1970, extended by a side: no gradient, no matrix."""
    worth, nu, side = dict.fromkeys(NAMES, 1.0), 1.0, 1.0
    ties = sum(choice == "tie" for *_, choice in votes)
    left_wins = sum(choice == left for _, _, left, _, choice in votes)
    won = {
        name: sum((choice == name) + 0.5 * (choice == "tie") for *_, a, b, choice in votes if name in (a, b))
        for name in NAMES
    }
    for _ in range(400):
        sums, tie_sum, side_sum = dict.fromkeys(NAMES, 0.0), 0.0, 0.0
        for _, _, left, right, _ in votes:
            first, second = side * worth[left], worth[right]
            both = (worth[left] * worth[right]) ** 0.5
            total = first + second + nu * both
            sums[left] += (side + nu * both / worth[left] / 2) / total
            sums[right] += (1 + nu * both / worth[right] / 2) / total
            tie_sum, side_sum = tie_sum + both / total, side_sum + worth[left] / total
        worth = {name: won[name] / sums[name] for name in NAMES}
        nu, side = ties / tie_sum, left_wins / side_sum
    logs = {name: np.log(value) for name, value in worth.items()}
    return {name: float(value - np.mean(list(logs.values()))) for name, value in logs.items()}


def test_five_models_from_files_to_a_ranking_recomputed_here(study: Path, votes: list[Vote]) -> None:
    document = json.loads(reported("five", format="json"))
    ranking, models = document["results"]["ranking"], document["results"]["ranking"]["models"]
    assert document["counts"]["votes"] == len(votes) == 30 * 10 * OVERLAP
    assert document["counts"]["planned_comparisons"] == 300
    expected = strengths(votes)
    assert {model["name"]: model["strength"]["value"] for model in models} == pytest.approx(expected, abs=1e-3)
    assert [model["name"] for model in models] == sorted(NAMES, key=lambda name: -expected[name])
    for pair in ranking["pairs"]:
        one, other = pair["a"].capitalize(), pair["b"].capitalize()
        assert (pair["wins_a"], pair["wins_b"]) == (wins_of(votes, one, other), wins_of(votes, other, one))
    means = {name: np.mean([value for (_, own), value in scores().items() if own == name]) for name in NAMES}
    assert {model["name"]: model["mean_score"]["value"] for model in models} == pytest.approx(means)
    assert document["results"]["agreement"]["clusters"]["count"] == 30
    _pairs_and_bundle(study, votes)


def _pairs_and_bundle(study: Path, votes: list[Vote]) -> None:
    """The report of a pair, the bundle and a pool of it; in one test, because a study takes seconds."""
    pair = json.loads(reported("five", "--pair", "Eve", "bob", format="json"))
    assert (pair["study"]["model_a"], pair["study"]["model_b"]) == ("Bob", "Eve")
    assert (pair["study"]["pair"], pair["counts"]["votes"]) == ("bob,eve", 30 * OVERLAP)
    assert sum(row["votes_a"] for row in pair["results"]["comparisons"]) == wins_of(votes, "Bob", "Eve")
    bundle = study / "five.zip"
    call_command("report", "five", format="bundle", out=bundle, stdout=StringIO())
    replayed, stored = replay(bundle).data, unsealed(Study.objects.get(slug="five"))
    for one, other in ((replayed, stored), (of_pair(replayed, "bob,eve"), of_pair(stored, "bob,eve"))):
        assert one.manifest == other.manifest
        for name in ("position", "cluster", "model_a", "model_b", "score_a", "score_b"):
            assert getattr(one.comparisons, name).tolist() == getattr(other.comparisons, name).tolist()
        for name in ("comparison", "annotator", "choice", "left", "arrival"):
            assert getattr(one.votes, name).tolist() == getattr(other.votes, name).tolist()
    with pytest.raises(CommandError, match="holds the whole study"):
        reported("five", "--pair", "bob", "eve", format="bundle", out=bundle)
    with pytest.raises(Refused, match="are the same bundle"):
        pool([bundle, bundle], level=0.95)
    assert pool([bundle], level=0.95).studies[0].comparisons == 300
