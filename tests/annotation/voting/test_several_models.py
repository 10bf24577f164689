"""Voting in a study of several models: pairs, sides, checks, votes from files, exports."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from django.utils import timezone

from annotation.models import Annotator, Assignment, Comparison, Study, Vote
from annotation.reports.exports.votes import write_votes
from annotation.studies.current import current_manifest
from annotation.studies.imports.score_import import import_scores
from annotation.voting.allocation import stored_chance
from annotation.voting.checks.known_order import known_pair
from annotation.voting.imports.vote_import import import_votes
from annotation.voting.simulation.simulated_votes import Crowd, simulate
from generation.models import GeneratedImage
from jobs.refusals import Refused
from scoring.models import SetScore
from tests.factories import make_study, named

pytestmark = pytest.mark.django_db


def a_study(*, models: int = 4, prompts: int = 4, overlap: int = 3, **annotation: object) -> Study:
    plan = {"overlap": overlap, "comparisons_per_annotator": 24, "ties": True, **annotation}
    return make_study(comparisons=prompts, models=named(*"KLMN"[:models]), annotation=plan)


def vote(study: Study, annotators: int, spread_of: dict[str, float], noise: float = 0.3) -> None:
    spreads = {
        pk: (spread_of[a], spread_of[b]) for pk, a, b in study.comparisons.values_list("pk", "model_a", "model_b")
    }
    rules = current_manifest(study).voting_rules()
    simulate(study=study, rules=rules, crowd=Crowd(annotators, noise, 1), spreads=spreads)


def test_each_annotator_has_each_model_about_as_often_on_the_left_and_every_pair_gets_its_votes() -> None:
    study = a_study()
    vote(study, 3, dict.fromkeys("abcd", 1.0))
    pairs = Counter(study.comparisons.values_list("model_a", "model_b", "vote_count"))
    assert set(pairs) == {(a, b, 3) for a, b in ("ab", "ac", "ad", "bc", "bd", "cd")}
    columns = ("annotator", "left_model", "comparison__model_a", "comparison__model_b")
    lead: Counter[tuple[int, str]] = Counter()
    for annotator, left, a, b in Assignment.objects.values_list(*columns):
        lead.update({(annotator, a): 1 if left == "a" else -1, (annotator, b): -1 if left == "a" else 1})
    assert max(map(abs, lead.values())) <= 2  # of 12 comparisons with each model
    assert {abs(one.left_lead) for one in study.comparisons.all()} <= {1, 3}


def test_uncertain_pairs_come_first_once_each_comparison_has_its_floor() -> None:
    study = a_study(models=3, prompts=6, overlap=7, allocation="uncertain_pairs", floor=2, comparisons_per_annotator=12)
    vote(study, 5, {"a": 1.0, "b": 1.05, "c": 9.0})
    votes = {
        pair: [row.vote_count for row in study.comparisons.filter(model_a=pair[0], model_b=pair[1])]
        for pair in ("ab", "ac", "bc")
    }
    assert min(count for counts in votes.values() for count in counts) >= 2
    assert sum(votes["ab"]) > sum(votes["ac"]), "a and c are told apart at once"


def test_a_pair_of_known_order_is_made_of_images_of_one_model_and_of_several_prompts() -> None:
    study = a_study()
    for seed in range(20):
        pair = known_pair(study=study, chance=stored_chance(seed, "test"))
        images = GeneratedImage.objects.filter(pk__in=[*pair.left_images, *pair.right_images])
        assert images.values("image_set__diffusion_model").distinct().count() == 1
        assert images.values("image_set__prompt").distinct().count() == 2
        shown = Comparison.objects.get(pk=pair.comparison_id)
        of_side = shown.image_set_a if pair.left_model == "a" else shown.image_set_b
        assert of_side.diffusion_model_id == images[0].image_set.diffusion_model_id


def imported(study: Study, folder: Path, text: str) -> int:
    path = folder / "votes.csv"
    path.write_text(text)
    rules = current_manifest(study).voting_rules()
    return import_votes(study=study, path=path, rules=rules, now=timezone.now()).new_count


NAMES = ("SDXL", "PixArt", "LoRA")


def external(slug: str = "study") -> Study:
    return make_study(source="external", slug=slug, models=named(*NAMES), comparisons=2, annotation={"ties": True})


ROWS = """annotator,prompt,choice,model 1,model 2,left_model,right_model
ann,prompt 1,SDXL,PixArt,SDXL,,
ann,prompt 1,left,,,LoRA,SDXL
ann,prompt 1,right,,,LoRA,PixArt
bob,prompt 2,tie,SDXL,LoRA,,
"""


def test_votes_name_the_pair_by_two_columns_of_either_kind(tmp_path: Path) -> None:
    study = external()
    assert imported(study, tmp_path, ROWS) == 4
    rows = study.comparisons.order_by("position").values_list("model_a", "model_b", "votes_a", "votes_b", "votes_tie")
    assert list(rows[:3]) == [("a", "b", 1, 0, 0), ("a", "c", 0, 1, 0), ("b", "c", 1, 0, 0)]
    assert rows[4] == ("a", "c", 0, 0, 1)
    assert imported(study, tmp_path, ROWS) == 0
    out = tmp_path / "out.csv"
    write_votes(study, out, manifest=current_manifest(study), export_format="csv")
    with out.open(encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert (first["model_a"], first["model_b"], first["chosen_model"], first["left_model"]) == (
        "SDXL",
        "PixArt",
        "SDXL",
        "",
    )
    again = external("copy")
    rules = current_manifest(again).voting_rules()
    assert import_votes(study=again, path=out, rules=rules, now=timezone.now()).new_count == 4
    assert list(again.comparisons.order_by("position").values_list("votes_a", "votes_b", "votes_tie")) == list(
        study.comparisons.order_by("position").values_list("votes_a", "votes_b", "votes_tie")
    )


def test_scores_name_the_model_and_count_for_each_comparison_that_shows_it(tmp_path: Path) -> None:
    study = external()
    path = tmp_path / "scores.csv"
    rows = [f"prompt {number},{name},{number + place}" for number in (1, 2) for place, name in enumerate(NAMES)]
    path.write_text("\n".join(["prompt,model,score", *rows[:-1]]))
    done = import_scores(study=study, path=path, metric="mine", higher_is_more_consistent=True)
    assert (done.new_count, done.unchanged_count, done.missing) == (6, 0, ("prompt 2", "prompt 2"))
    assert SetScore.objects.filter(metric="mine").count() == 5
    done = import_scores(study=study, path=path, metric="mine", higher_is_more_consistent=True)
    assert (done.new_count, done.unchanged_count) == (0, 6)
    path.write_text("prompt,model,score\nprompt 1,Imagen,3\nprompt 1,LoRA,4\nprompt 1,LoRA,5\n")
    with pytest.raises(Refused) as refused:
        import_scores(study=study, path=path, metric="other", higher_is_more_consistent=True)
    assert '"Imagen" has no images of "prompt 1" in this study, whose models are SDXL, PixArt, LoRA' in str(
        refused.value
    )
    assert 'line 4: "prompt 1" of LoRA occurs twice, first in line 3' in str(refused.value)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("ann,prompt 1,SDXL,,", "name both models, in the columns model_a and model_b"),
        ("ann,prompt 1,SDXL,PixArt,LoRA", "are not compared with each other on this prompt"),
        ("ann,prompt 1,SDXL,SDXL,Imagen", 'model_b "Imagen" is not a model of this study (SDXL, PixArt, LoRA)'),
    ],
)
def test_a_line_that_leaves_the_pair_open_is_refused(row: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        imported(external(), tmp_path, f"annotator,prompt,choice,model_a,model_b\n{row}\n")
    assert sentence in str(refused.value)
    assert not Vote.objects.exists()
    assert not Annotator.objects.exists()
