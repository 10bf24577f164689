"""A small open study, written directly into the database. Voting needs no file, no image and no score."""

import uuid
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from annotation.models import Annotator, Assignment, Comparison, ManifestVersion, Study, Vote
from annotation.studies.documents import document
from annotation.studies.documents import sha256 as sha256_of
from annotation.voting.assignment import lock, next_assignment
from annotation.voting.casting import Ballot, CastResult, cast
from annotation.voting.quality.exclusion import mark
from annotation.voting.rules import VotingRules
from annotation.voting.slots import counted_votes, lead_of
from annotation.voting.storage.sqlite_queue import in_turn
from generation.models import DiffusionModel, GeneratedImage, ImageSet, Prompt
from tests.factories import make_manifest, name_models

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = VotingRules(comparisons_per_annotator=100, lease_seconds=600, undo_seconds=60)


def fingerprint(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def make_study(
    *,
    comparisons: int,
    overlap: int,
    images: int = 0,
    slug: str = "weather",
    quality: dict[str, Any] | None = None,
    **annotation: Any,
) -> Study:
    """An open study. annotation: what its manifest says beyond the overlap."""
    manifest = make_manifest(
        slug=slug,
        comparisons=comparisons,
        quality=quality or {},
        annotation={"overlap": overlap, "comparisons_per_annotator": comparisons, **annotation},
    )
    models = [DiffusionModel.objects.get_or_create(name=name)[0] for name in ("Alpha", "Beta")]
    study = Study.objects.create(
        slug=slug,
        name="Weather",
        source="images",
        state="open",
        opened_at=NOON,
        manifest_sha256=sha256_of(manifest),
    )
    name_models(study, models)
    ManifestVersion.objects.create(study=study, number=1, document=document(manifest), sha256=study.manifest_sha256)
    for position in range(comparisons):
        prompt, _ = Prompt.objects.get_or_create(text=f"prompt {position + 1}")
        image_sets = [_image_set(study, model, prompt, images) for model in models]
        Comparison.objects.create(
            study=study,
            position=position,
            prompt=prompt,
            cluster=str(position),
            image_set_a=image_sets[0],
            image_set_b=image_sets[1],
            overlap=overlap,
            lead=0 if manifest.voting_rules().needs_lead else None,
        )
    return study


def _image_set(study: Study, model: DiffusionModel, prompt: Prompt, images: int) -> ImageSet:
    image_set = ImageSet.objects.create(
        diffusion_model=model,
        prompt=prompt,
        origin="imported",
        rendered_prompt=prompt.text,
        seeds=list(range(images)),
        fingerprint=fingerprint(f"{study.slug}/{model.name}/{prompt.text}"),
    )
    GeneratedImage.objects.bulk_create(
        GeneratedImage(
            image_set=image_set,
            seed=seed,
            path=f"image_sets/{image_set.uid}/{seed}.png",
            sha256=fingerprint(f"{image_set.pk}/{seed}"),
            width=8,
            height=8,
            byte_count=1,
        )
        for seed in range(images)
    )
    return image_set


def make_annotators(study: Study, count: int) -> list[Annotator]:
    return [Annotator.objects.create(study=study, kind="personal", seed=1000 + number) for number in range(count)]


def after(*, seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def lease(annotator: Annotator, *, seconds: float = 0, rules: VotingRules = RULES) -> Assignment:
    """The comparison that the annotator gets at this time."""
    following = next_assignment(annotator=annotator, rules=rules, now=after(seconds=seconds))
    assert following.assignment is not None, following
    return following.assignment


def choose(
    assignment: Assignment, choice: str = "left", *, seconds: float = 0, rules: VotingRules = RULES
) -> CastResult:
    """Cast a new vote at this time; a choice is a side, a tie, or the letter of a model."""
    if choice in ("a", "b"):
        choice = "left" if assignment.left_model == choice else "right"
    ballot = Ballot(uuid.uuid4(), choice)
    return cast_vote(ballot=ballot, assignment=assignment, rules=rules, now=after(seconds=seconds))


def cast_vote(*, ballot: Ballot, assignment: Assignment, rules: VotingRules, now: datetime) -> CastResult:
    """Cast a vote, and lease nothing after it."""
    annotator, result = _cast(ballot, assignment, rules, now)
    if result.are_marks_due:
        mark(annotator=annotator, now=now)
    return result


@in_turn
def _cast(ballot: Ballot, assignment: Assignment, rules: VotingRules, now: datetime) -> tuple[Annotator, CastResult]:
    annotator = lock(assignment.annotator_id)
    return annotator, cast(annotator=annotator, ballot=ballot, assignment=assignment, rules=rules, now=now)


def assert_invariants(study: Study) -> None:
    """Assert by the rows of the tables what must never break."""
    assignments = list(Assignment.objects.filter(comparison__study=study).select_related("annotator"))
    votes = defaultdict(list)
    for vote in Vote.objects.filter(assignment__comparison__study=study):
        votes[vote.assignment_id].append(vote.state)
    held: Counter[int] = Counter()
    standing: Counter[int] = Counter()
    for assignment in assignments:
        states = sorted(state for state in votes[assignment.pk] if state != "superseded")
        assert states == {"voted": ["standing"], "late": ["late"]}.get(assignment.state, [])
        holds_slots = assignment.kind == "main" and assignment.annotator.state != "screened_out"
        held[assignment.comparison_id] += holds_slots and assignment.state in ("leased", "voted")
        standing[assignment.comparison_id] += holds_slots and "standing" in states
    on_screen = Counter(one.annotator_id for one in assignments if one.state == "leased" and not one.is_ahead)
    assert set(on_screen.values()) <= {1}
    counted: Counter[int] = Counter()
    for vote in counted_votes().filter(assignment__comparison__study=study).select_related("assignment"):
        counted[vote.assignment.comparison_id] += lead_of(vote.choice, vote.assignment.left_model)
    left_leads: Counter[int] = Counter()
    for assignment in assignments:
        if assignment.kind == "main":
            left_leads[assignment.comparison_id] += 1 if assignment.left_model == "a" else -1
    for comparison in study.comparisons.all():
        assert comparison.slot_count == held[comparison.pk] <= comparison.overlap
        assert comparison.vote_count == standing[comparison.pk] <= comparison.slot_count
        assert comparison.left_lead == left_leads[comparison.pk]
        assert comparison.lead in (None, counted[comparison.pk])
        if comparison.decided_at:
            assert_is_decided(comparison)


def assert_is_decided(comparison: Comparison) -> None:
    """Assert that one model leads the other and the ties by more counted votes than may still come."""
    tally: Counter[str] = Counter()
    for vote in counted_votes().filter(assignment__comparison=comparison).select_related("assignment"):
        other = {"a": "b", "b": "a"}[vote.assignment.left_model]
        tally[{"left": vote.assignment.left_model, "right": other, "tie": "tie"}[vote.choice]] += 1
    first, second = sorted((tally[choice] for choice in ("a", "b", "tie")), reverse=True)[:2]
    assert first - second > comparison.overlap - tally.total()
    assert tally["tie"] < first
