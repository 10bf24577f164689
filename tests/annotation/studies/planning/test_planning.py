"""The size of a study: published numbers, and the simulation against probabilities that are known exactly."""

import json
from dataclasses import replace
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from scipy.stats import beta, binom, multinomial

from annotation.reports.plan import caption, plan_figure, to_text
from annotation.studies.documents import document
from annotation.studies.manifest import Manifest
from annotation.studies.planning.design import design_of_study
from annotation.studies.planning.question import CHOICES, Design, Question, ask, design_of, most_flips, turned_by_noise
from annotation.studies.planning.sample_size import plan_study
from annotation.studies.planning.simulated_studies import Point, _verdict, simulated
from jobs.refusals import Refused
from scoring.statistics.agreement.agreement import ORDER, TieTreatment, agreement
from scoring.statistics.agreement.constant_choice import constant_choice
from tests.factories import import_sets, make_manifest, make_study, named


def question(design: Design | None = None, **values: Any) -> Question:
    return ask(design or Design(), **{"simulations": 60, **values})


def point(asked: Question, *, images: int | None = None) -> Point:
    """The averages of the simulated studies of one size, without the curves around it."""
    return simulated(asked, x=0, images=images or asked.design.images)


@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_simulated_studies_are_judged_as_the_report_judges_comparisons(endpoint: TieTreatment) -> None:
    few = [np.reshape(cells, (3, 2)) for cells in product((0, 2), repeat=6)]
    many = list(np.random.default_rng(1).integers(0, 30, (100, 3, 2)))
    for counts in few + many:
        people, metric = np.repeat(ORDER, counts.sum(axis=1)), np.repeat((1, -1) * 3, counts.ravel())
        value, width, is_beaten = _verdict(tuple(map(tuple, counts.tolist())), endpoint, 0.95)
        seen = agreement(people, metric, ties=endpoint)
        assert np.isnan(value) if seen.value is None else value == seen.value
        assert np.isnan(width) if seen.low is None or seen.high is None else width == seen.high - seen.low
        assert is_beaten == (constant_choice(people, metric, ties=endpoint).verdict == "shown")


@pytest.mark.parametrize(("baseline", "first", "safe"), [(0.85, 76, 85), (0.90, 286, 333)])
def test_published_numbers(baseline: float, first: int, safe: int) -> None:
    plan = plan_study(question(Design(prompts=20), baseline=baseline, simulations=20))
    exact = plan.exact
    assert exact.needed is not None
    assert (exact.needed.first, exact.needed.safe) == (first, safe)
    text = to_text(plan)
    assert f"{first} comparisons are the first number" in text
    assert f"from {safe} on the chance never falls below" in text


def test_the_sawtooth_is_there_to_be_drawn() -> None:
    exact = plan_study(question(simulations=20)).exact
    chances = dict(zip(exact.sizes, exact.powers, strict=True))
    assert chances[76] >= 0.8 > chances[75]
    assert min(chances[n] for n in range(77, 85)) < 0.8 <= min(chances[n] for n in range(85, max(chances)))


def test_the_majority_errs_as_often_as_the_binomial_says() -> None:
    """With a perfect metric the observed agreement is the chance that a majority of five is right."""
    asked = question(agreement=0.9999, flips=0.0, person=0.8, baseline=0.6, simulations=300)
    right = binom.sf(2, 5, 0.8)
    assert point(asked).agreement == pytest.approx(right, abs=4 * np.sqrt(right * (1 - right) / (300 * 100)) + 1e-4)


@pytest.mark.parametrize("unevenness", [0.1, 0.5, 0.9])
def test_unequally_clear_comparisons_err_as_often_as_the_moments_say(unevenness: float) -> None:
    person = 0.8
    size = 1 / unevenness - 1
    clarity = beta((2 * person - 1) * size, (2 - 2 * person) * size)
    at = np.linspace(0, 1, 6)  # the chance of a majority of five is a polynomial of the fifth degree
    powers = np.linalg.solve(np.vander(at, increasing=True), np.asarray(binom.sf(2, 5, 0.5 + at / 2)))
    right = float(sum(weight * clarity.moment(power) for power, weight in enumerate(powers.tolist())))
    assert right < binom.sf(2, 5, person)
    asked = question(agreement=0.9999, flips=0.0, person=person, unevenness=unevenness, baseline=0.6, simulations=300)
    found = point(asked).agreement
    assert found == pytest.approx(right, abs=4 * np.sqrt(right * (1 - right) / (300 * 100)) + 1e-4)


def test_votes_that_never_err_leave_the_agreement_as_supposed() -> None:
    asked = question(person=0.9999, simulations=300)
    assert point(asked).agreement == pytest.approx(0.94, abs=0.005)


def test_fewer_images_flip_more_winners_and_more_bring_the_agreement_to_its_limit() -> None:
    asked = question(person=0.9999, flips=0.05, agreement=0.9)
    seen = [point(asked, images=images).agreement for images in (2, 3, 5, 8, 12, 20, 30, 50)]
    assert seen == sorted(seen)
    turned = turned_by_noise(0.05)
    assert seen[0] < 0.85 < seen[-1] < (0.9 - turned) / (1 - 2 * turned) + 0.01


def test_flips_are_between_two_draws_of_seeds_and_not_between_one_draw_and_the_truth() -> None:
    rng = np.random.default_rng(3)
    margins, noise = rng.normal(size=200_000), rng.normal(0, 0.4, (2, 200_000))
    first, second = np.sign(margins + noise)
    flips = float((first != second).mean())
    assert turned_by_noise(flips) == pytest.approx((first != np.sign(margins)).mean(), abs=0.003)
    assert most_flips(1 - turned_by_noise(flips)) == pytest.approx(flips)
    assert turned_by_noise(0) == 0


def test_more_prompts_narrow_the_interval() -> None:
    found = plan_study(question()).by_prompts
    widths = [point.width for point in found.points]
    assert widths == sorted(widths, reverse=True)
    assert found.enough_for_width is not None
    assert next(point.x for point in found.points if point.width <= 0.1) == found.enough_for_width


def test_annotators_give_their_quota_and_no_more() -> None:
    asked = question(Design(prompts=20, overlap=3, comparisons_per_annotator=10))
    plan = plan_study(asked)
    assert plan.annotators_needed == 6
    by_annotators = next(curve for curve in plan.curves if curve.of == "annotators")
    points = {point.x: point for point in by_annotators.points}
    assert points[6].votes == 3.0
    assert points[1].votes == 0.5
    assert points[1].voted == 10


@pytest.mark.parametrize("allocation", ["even", "nearly_done", "split"])
def test_early_stopping_saves_votes_and_finds_the_same_winners(allocation: str) -> None:
    """Enough annotators: the agreement is that of every vote. Votes of unanimous fives: three are certain."""
    design = replace(Design(prompts=40), allocation=allocation)  # type: ignore[arg-type]
    supposed = {"person": 0.8, "agreement": 0.9999, "flips": 0.0, "baseline": 0.6}
    stopped = point(question(replace(design, early_stopping=True), **supposed))
    every = point(question(design, **supposed))
    assert every.votes == 5.0
    # Three of one model end it: 3 votes with .8^3 + .2^3, 4 with 3 (.8^3 .2 + .2^3 .8), else 5.
    three, four = 0.8**3 + 0.2**3, 3 * (0.8**3 * 0.2 + 0.2**3 * 0.8)
    assert stopped.votes == pytest.approx(3 * three + 4 * four + 5 * (1 - three - four), abs=0.06)
    assert stopped.agreement == pytest.approx(every.agreement, abs=0.02)
    assert stopped.agreement == pytest.approx(binom.sf(2, 5, 0.8), abs=0.02)


def test_early_stopping_lets_fewer_annotators_decide_more() -> None:
    """Too few annotators for five votes each: with four votes some tie, and the votes saved elsewhere break them."""
    design = Design(prompts=40, comparisons_per_annotator=20, annotators=8)
    supposed = {"person": 0.85, "agreement": 0.9999, "flips": 0.0, "baseline": 0.6, "simulations": 200}
    stopped = point(question(replace(design, early_stopping=True), **supposed))
    every = point(question(design, **supposed))
    assert stopped.votes < every.votes == 4.0
    assert stopped.agreement > every.agreement + 0.02


def test_nearly_done_leaves_comparisons_without_a_vote_where_annotators_are_few() -> None:
    design = Design(prompts=40, overlap=5, comparisons_per_annotator=10, annotators=10)
    assert point(question(design)).voted == 40
    few = point(question(replace(design, allocation="nearly_done")))
    assert (few.voted, few.votes) == (20, 2.5)


def test_the_text_says_by_which_rules_the_votes_came() -> None:
    text = to_text(plan_study(question(replace(Design(), allocation="split", early_stopping=True), simulations=20)))
    assert "5 votes for each comparison, or fewer once its winner is certain (on average 3." in text
    assert "who are given first the comparisons whose votes so far are closest" in text
    assert "or fewer" not in to_text(plan_study(question(simulations=20)))


def test_the_plan_leads_with_the_fewest_prompts_whose_simulated_studies_reach_the_power() -> None:
    plan = plan_study(question(Design(prompts=20, comparisons_per_annotator=25)))
    chosen, points = plan.recommended, plan.by_prompts.points
    assert chosen is not None
    sizes = [point.x for point in points]
    place = sizes.index(chosen.point.x)
    assert chosen.point.x > 60, "the curve grew beyond three times the 20 planned"
    assert all((point.power.value or 0) >= 0.8 for point in points[place:])
    assert (points[place - 1].power.value or 0) < 0.8
    assert sizes[place] - sizes[place - 1] <= 0.05 * sizes[place]
    assert chosen.annotators == -(-chosen.point.x * 5 // 25)
    first = to_text(plan).splitlines()[0]
    assert first.startswith(f"Plan {sizes[place]} comparisons, 5 votes each, {chosen.annotators} annotators of 25 ")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [({}, "Plan more votes for each comparison"), ({"agreement": 0.8}, "cannot be shown to beat it")],
)
def test_a_power_out_of_reach_is_said_with_the_largest_size_tried(values: dict[str, Any], sentence: str) -> None:
    plan = plan_study(question(Design(prompts=10), simulations=20, **values), most_prompts=50)
    last = plan.by_prompts.points[-1].x
    assert plan.recommended is None
    assert last == (30 if values else 50)
    first = to_text(plan).splitlines()[0]
    assert first.startswith(f"No number of comparisons up to {last} was found")
    assert sentence in first


@pytest.mark.parametrize("early_stopping", [False, True])
def test_tie_votes_leave_majorities_as_wrong_as_the_multinomial_says(early_stopping: bool) -> None:
    """Both ways to draw votes: at once, and annotator by annotator. A tied comparison is no agreement."""
    tie, person, votes = 0.3, 0.8, 5
    right = sum(
        multinomial.pmf([yes, no, votes - yes - no], votes, [(1 - tie) * person, (1 - tie) * (1 - person), tie])
        for yes in range(votes + 1)
        for no in range(votes + 1 - yes)
        if yes > no
    )
    design = Design(prompts=40, overlap=votes, comparisons_per_annotator=40, early_stopping=early_stopping)
    asked = question(design, agreement=0.9999, flips=0.0, person=person, tie_share=tie, simulations=300)
    assert point(asked).agreement == pytest.approx(right, abs=4 * np.sqrt(right * (1 - right) / (300 * 40)) + 1e-4)


def test_annotators_who_leave_early_are_replaced_by_more_of_them() -> None:
    """Half of them leave, after 4.5 of 10 on average: each gives 7.25 votes, and 60 votes need 9 of them."""
    asked = question(Design(prompts=20, overlap=3, comparisons_per_annotator=10), dropout=0.5, simulations=400)
    assert asked.annotators_needed == 9
    few = replace(asked, design=replace(asked.design, annotators=4))
    assert point(few).votes * 20 == pytest.approx(4 * 7.25, abs=4 * np.sqrt(4 * 17 / 400))
    assert point(asked).votes < 3.0


@pytest.mark.parametrize(("dropout", "right"), [(0.0, 0.5 + 0.4 * 0.7), (0.9, None)])
def test_learning_makes_first_votes_less_clear_and_those_who_leave_early_are_the_least_clear(
    dropout: float, right: float | None
) -> None:
    design = Design(prompts=40, overlap=1, comparisons_per_annotator=40, annotators=1)
    assumed = {"agreement": 0.9999, "flips": 0.0, "person": 0.9, "learning": 0.6, "dropout": dropout}
    seen = point(question(design, simulations=400, **assumed)).agreement
    assert seen == pytest.approx(right, abs=0.02) if right else seen < 0.5 + 0.4 * 0.6


def test_comparisons_in_clusters_tell_as_much_as_fewer_independent_ones() -> None:
    """Kish: 1 + (10 - 1) x 0.5 = 5.5. All comparisons get their votes, and a tenth tell more than they do."""
    clustered = question(Design(prompts=110, cluster_size=10))
    assert (clustered.design_effect, clustered.independent(110)) == (5.5, 20)
    seen, fewer = point(clustered), point(question(Design(prompts=20)))
    assert seen.voted == 110
    assert seen.width == pytest.approx(fewer.width, abs=0.01)
    assert point(question(Design(prompts=110, cluster_size=20), cluster_correlation=0.0)).power.value == 0, "5 clusters"
    assert (point(question(Design(prompts=110, cluster_size=10), cluster_correlation=0.0)).power.value or 0) > 0.3
    plan = plan_study(question(Design(prompts=110, cluster_size=10), cluster_correlation=1.0, simulations=20))
    assert f"{85 * 10:,}." in to_text(plan), "85 independent ones are safe"
    assert "110 tell as much as 11 independent ones" in to_text(plan)


def test_nobody_votes_twice_on_a_comparison() -> None:
    plan = plan_study(question(Design(prompts=10, overlap=5, comparisons_per_annotator=100)))
    assert plan.annotators_needed == 5


def test_the_same_question_has_the_same_answer_and_another_seed_another() -> None:
    assert plan_study(question()) == plan_study(question())
    assert plan_study(question()).curves != plan_study(question(seed=7)).curves


@pytest.mark.parametrize("endpoint", ["strict", "half", "dropped"])
def test_an_even_overlap_ties_and_the_endpoint_says_what_a_tie_is_worth(endpoint: str) -> None:
    design = replace(Design(prompts=40, overlap=2), endpoint=endpoint)  # type: ignore[arg-type]
    seen = point(question(design, person=0.8, agreement=0.9999, flips=0.0)).agreement
    right, tie = 0.8**2, 2 * 0.8 * 0.2
    expected = {"strict": right, "half": right + tie / 2, "dropped": right / (1 - tie)}[endpoint]
    assert seen == pytest.approx(expected, abs=0.015)


def test_a_design_comes_from_the_study_file() -> None:
    annotation = {"overlap": 4, "most_annotators": 9, "early_stopping": True, "allocation": "nearly_done"}
    manifest = make_manifest(comparisons=7, source="generated", annotation=annotation)
    design = design_of(manifest)
    assert (design.prompts, design.images, design.overlap, design.annotators) == (7, 3, 4, 9)
    assert (design.early_stopping, design.allocation, design.cluster_size) == (True, "nearly_done", 1.0)
    prompts = [{"text": text, "cluster": text[0]} for text in ("a1", "a2", "a3", "b1")]
    clustered = Manifest.model_validate(document(manifest) | {"prompts": prompts})
    assert design_of(clustered).cluster_size == (3 * 3 + 1) / 4  # of the comparisons three are in a cluster of three


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"prompts": 1}, "number of prompts must be between 2 and 2,000"),
        ({"prompts": 10_000}, "number of prompts"),
        ({"overlap": 0}, "votes for each comparison"),
        ({"comparisons_per_annotator": 0}, "comparisons for each annotator"),
        ({"annotators": 0}, "number of annotators"),
        ({"agreement": 1.0}, "The agreement must be above 0.5 and below 1, not 1"),
        ({"baseline": 0.2}, "The baseline"),
        ({"person": 0.5}, "votes for the winner"),
        ({"power": 0.0}, "The power"),
        ({"width": float("nan")}, "The width"),
        ({"flips": 0.2}, r"cannot agree on 0.94: the flips must lie between 0 and 0.0846\."),
        ({"flips": -0.1}, "cannot agree on 0.94"),
        ({"flips": float("nan")}, "cannot agree on 0.94"),
        ({"simulations": 1}, "number of simulations"),
        ({"seed": -1}, "number of seed"),
        ({"tie_share": 1.0}, "The share of ties must be at least 0 and below 1, not 1"),
        ({"dropout": 1.0}, "who leave early must be at least 0 and below 1"),
        ({"learning": 1.5}, "The learning must be at least 0 and at most 1"),
        ({"cluster_correlation": -0.1}, "The correlation within clusters"),
        ({"cluster_size": 101}, "comparisons that share a cluster must be between 1 and 100, not 101"),
        ({"dropout": 0.99, "comparisons_per_annotator": 1}, "number of annotators"),
        ({"endpoint": "maybe"}, "The endpoint is strict, half or dropped, not 'maybe'"),
        ({"allocation": "odd"}, "The allocation is even, nearly_done or split"),
    ],
)
def test_what_has_no_answer_is_refused_in_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        plan_study(question(**values))


def test_an_agreement_below_the_baseline_has_curves_but_no_number() -> None:
    plan = plan_study(question(agreement=0.8, baseline=0.85))
    assert plan.exact.needed is None
    assert "No number of comparisons was found" in to_text(plan)


# --- command --------------------------------------------------------------------------------------
def test_the_command_reads_a_study_file_and_options_override_it(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        'name = "Small"\nsource = "images"\n[models.a]\nname = "Alpha"\n[models.b]\nname = "Beta"\n'
        '[prompts]\nlist = ["one", "two", "three"]\n[annotation]\noverlap = 7\ncomparisons_per_annotator = 3\n'
    )
    out = StringIO()
    call_command("plan_study", file, "--overlap=4", "--simulations=20", format="json", stdout=out)
    design = json.loads(out.getvalue())["question"]["design"]
    assert (design["prompts"], design["overlap"], design["comparisons_per_annotator"]) == (3, 4, 3)


@pytest.mark.django_db
def test_the_command_starts_from_a_study_that_is_here() -> None:
    study = make_study(comparisons=4, annotation={"overlap": 3, "early_stopping": True})
    out = StringIO()
    call_command("plan_study", "--simulations=20", study=study.slug, format="json", stdout=out)
    design = json.loads(out.getvalue())["question"]["design"]
    assert (design["prompts"], design["overlap"], design["early_stopping"]) == (4, 3, True)
    out = StringIO()
    call_command("plan_study", "--simulations=20", "--no-early-stopping", study=study.slug, format="json", stdout=out)
    assert json.loads(out.getvalue())["question"]["design"]["early_stopping"] is False
    with pytest.raises(CommandError, match="There is no study 'nowhere'"):
        call_command("plan_study", study="nowhere")
    with pytest.raises(CommandError, match="either a study file or"):
        call_command("plan_study", "a.toml", study=study.slug)


def test_the_command_s_figure_is_an_svg_file_of_the_same_bytes_each_time(tmp_path: Path) -> None:
    out = tmp_path / "plan.svg"
    call_command("plan_study", "--simulations=20", format="svg", out=out, stdout=StringIO())
    assert ElementTree.fromstring(out.read_text()).tag.endswith("svg")
    assert plan_figure(plan_study(ask(Design(), simulations=20))) == out.read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--agreement=2"], "The agreement must be"),
        (["--endpoint=maybe"], "strict, half or dropped"),
        (["nowhere.toml"], "nowhere.toml"),
    ],
)
def test_the_command_refuses_in_one_sentence(options: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command("plan_study", *options)


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["draft", "open"])
def test_a_study_of_imported_images_is_planned_with_as_many_as_there_are(state: str) -> None:
    study = make_study(state=state, images_per_set=8, comparisons=2)
    if state == "draft":
        assert design_of_study(study).images == 0, "nothing is imported yet"
        for model in study.diffusion_models:
            import_sets(model, ["prompt 1", "prompt 2"], 8)
    assert design_of_study(study).images == 8
    said = StringIO()
    call_command("plan_study", "--study", study.slug, "--simulations", "20", stdout=said)
    assert "8 (planned)" in said.getvalue()


@pytest.mark.django_db
def test_a_study_without_images_is_planned_without_a_number_of_them() -> None:
    study, said = make_study(source="external", comparisons=2), StringIO()
    call_command("plan_study", "--study", study.slug, "--simulations", "20", stdout=said)
    assert "(planned)" in said.getvalue()
    assert "images" not in said.getvalue().casefold()
    drawn = plan_study(ask(design_of_study(study), simulations=20))
    assert "images" not in caption(drawn)
    assert plan_figure(drawn).count("</svg>") == 1


def test_a_plan_of_several_models_is_about_comparisons_and_the_best_fixed_order() -> None:
    plan = {"allocation": "uncertain_pairs", "floor": 1, "overlap": 3}
    manifest = make_manifest(comparisons=8, models=named("Kite", "Lamp", "Moth"), annotation=plan)
    design = replace(design_of(manifest), images=0)
    assert (design.prompts, design.models, design.cluster_size) == (24, 3, 3.0)
    planned = plan_study(ask(design, simulations=20, agreement=0.97, baseline=0.6), most_prompts=200)
    text = " ".join(to_text(planned).split())
    assert "the report shows that the metric beats the best fixed order of the models." in text
    assert "In the design, with 24 comparisons," in text
    assert "all pairs are simulated as one, the comparisons of a prompt as a cluster" in text
    assert "The allocation of uncertain pairs first is simulated as fewest votes first" in text
    assert "always naming one model" not in text
    assert "prompts," not in text
    assert "by number of comparisons, votes" in caption(planned)
    of_two = " ".join(to_text(plan_study(question(simulations=20))).split())
    assert "beats always naming one model" in of_two
    assert "fixed order" not in of_two
