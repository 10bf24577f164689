"""Studies written straight into the database, so that a report's input is known to the last vote."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

import numpy as np
from django.utils import timezone

from annotation.models import Annotator, Assignment, Comparison, ManifestVersion, Study, Vote
from annotation.reports.data.gathering import gather
from annotation.reports.data.study_data import SealedData, UnsealedData
from annotation.reports.figures.draw import DRAWINGS
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.report import build_report
from annotation.studies import documents
from annotation.studies.current import current_manifest
from annotation.studies.manifest import Manifest
from annotation.voting.slots import recount
from generation.models import DiffusionModel, GeneratedImage, ImageSet, Prompt
from scoring.models import Encoder, ImageEmbedding, SetScore
from tests.annotation.reports.readable import readable
from tests.factories import name_models, own

# Of a study of two models without embedded images.
FIGURES = tuple(name for name in DRAWINGS if "images" not in name and name not in ("ranking", "pairs"))


@dataclass
class Plan:
    """What a study of a test holds. `votes[i][j]` is annotator j's choice on comparison i."""

    votes: Sequence[Sequence[str]]
    scores: Sequence[tuple[float | None, float | None]]
    prompts: Sequence[str] = ()
    slug: str = "weather"
    state: str = "closed"
    kind: str = "personal"
    are_sides_known: bool = True
    manifest: dict[str, Any] = field(default_factory=dict)
    clusters: Sequence[str] = ()


def make_study(plan: Plan) -> Study:
    """The study of a plan."""
    prompts = plan.prompts or [f"a prompt number {index}" for index in range(len(plan.votes))]
    study_manifest = Manifest.model_validate(
        {
            "name": "Weather",
            "slug": plan.slug,
            "source": "external",
            "model_a": {"name": "Alpha"},
            "model_b": {"name": "Beta"},
            "prompts": [{"text": prompt} for prompt in prompts] or [{"text": "never asked"}],
            "annotation": {"ties": any("tie" in row for row in plan.votes)},
            "analysis": {"resamples": 200},
            **plan.manifest,
        }
    )
    study = _study(plan, study_manifest)
    own(study)
    comparisons = [_comparison(study, plan, index, prompt) for index, prompt in enumerate(prompts)]
    annotators = Annotator.objects.bulk_create(
        Annotator(study=study, kind=plan.kind, label=f"person {index}")
        for index in range(max((len(row) for row in plan.votes), default=0))
    )
    _cast(plan, comparisons, annotators)
    return study


def gathered(study: Study, **named: str) -> SealedData:
    """The data of a study by its manifest in force."""
    return gather(study, manifest=current_manifest(study), **named)


def unsealed(study: Study, **named: str) -> UnsealedData:
    """The data of a study that is not sealed."""
    data = gathered(study, **named)
    assert isinstance(data, UnsealedData)
    return data


def report_of(study: Study, **named: str) -> AgreementReport:
    """The report of a study by its manifest in force, which can be read."""
    return readable(build_report(gathered(study, **named)))


def results_of(study: Study, **named: str) -> Results:
    """The results in the report of a study that is not sealed."""
    found = report_of(study, **named).results
    assert found is not None
    return found


def _study(plan: Plan, study_manifest: Manifest) -> Study:
    now = timezone.now()
    models = [DiffusionModel.objects.get_or_create(name=name)[0] for name in ("Alpha", "Beta")]
    study = Study.objects.create(
        slug=plan.slug,
        name=study_manifest.name,
        source=study_manifest.source,
        state=plan.state,
        manifest_sha256=documents.sha256(study_manifest),
        opened_at=now - timedelta(days=2),
        closed_at=now if plan.state == "closed" else None,
    )
    name_models(study, models)
    ManifestVersion.objects.create(
        study=study, number=1, document=documents.document(study_manifest), sha256=study.manifest_sha256
    )
    return study


def _comparison(study: Study, plan: Plan, index: int, prompt: str) -> Comparison:
    row, _ = Prompt.objects.get_or_create(text=prompt)
    sets = [
        ImageSet.objects.create(
            diffusion_model=model,
            prompt=row,
            origin="external",
            rendered_prompt=prompt,
            lot=study.slug,
            fingerprint=sha256(f"{study.slug} {model} {prompt}".encode()).hexdigest(),
        )
        for model in study.diffusion_models
    ]
    metric = Manifest.model_fields["encoder"].default.metric
    for image_set, score in zip(sets, plan.scores[index], strict=True):
        if score is not None:
            SetScore.objects.create(image_set=image_set, metric=metric, value=score, source="imported")
    cast = sum(1 for choice in plan.votes[index] if choice)
    return Comparison.objects.create(
        study=study,
        position=index,
        prompt=row,
        cluster=plan.clusters[index] if plan.clusters else str(index),
        image_set_a=sets[0],
        image_set_b=sets[1],
        overlap=max(cast, 1),
        slot_count=cast,
        vote_count=cast,
    )


def _cast(plan: Plan, comparisons: list[Comparison], annotators: list[Annotator]) -> None:
    """Every vote, with the sides in turn: model A stands left where comparison and annotator add up to even."""
    assignments, votes = [], []
    for row, (comparison, choices) in enumerate(zip(comparisons, plan.votes, strict=True)):
        for column, choice in enumerate(choices):
            if not choice:
                continue
            left = "a" if (row + column) % 2 == 0 or not plan.are_sides_known else "b"
            assignment = Assignment(
                comparison=comparison,
                annotator=annotators[column],
                state="voted",
                left_model=left,
                are_sides_known=plan.are_sides_known,
                leased_at=timezone.now(),
            )
            side = "tie" if choice == "tie" else "left" if choice.lower() == left else "right"
            assignments.append(assignment)
            votes.append(Vote(assignment=assignment, choice=side, response_ms=1000 * (1 + column)))
    Assignment.objects.bulk_create(assignments)
    Vote.objects.bulk_create(votes)
    recount([comparison.pk for comparison in comparisons])


def crossed(table: Sequence[Sequence[int]], *, voters: int = 3, kind: str = "personal", state: str = "closed") -> Plan:
    """Unanimous votes and scores whose winners cross as in the table: rows people, columns metric, A then B."""
    names = ("A", "B")
    cells = [
        (people, metric)
        for people, row in zip(names, table, strict=True)
        for metric, cell in zip(names, row, strict=True)
        for _ in range(cell)
    ]
    return Plan(
        votes=[[people] * voters for people, _ in cells],
        scores=[(2.0, 1.0) if metric == "A" else (1.0, 2.0) for _, metric in cells],
        kind=kind,
        state=state,
    )


def embed(comparison: Comparison, *, spread_a: float, spread_b: float, images: int = 4, metric: str = "") -> None:
    """Images with embeddings for both sets, from the same seeds: the wider the spread, the lower the score.

    metric: of the encoder; the study's own by default. Images that are there are embedded by another encoder, too.
    """
    metric = metric or Manifest.model_fields["encoder"].default.metric
    encoder, _ = Encoder.objects.get_or_create(identity=metric.removeprefix("scs/"), fingerprint="e" * 64)
    for image_set, spread in ((comparison.image_set_a, spread_a), (comparison.image_set_b, spread_b)):
        rng = np.random.default_rng(image_set.pk)
        for seed in range(images):
            facts = {"path": "", "sha256": "a" * 64, "width": 8, "height": 8, "byte_count": 1}
            image, _ = GeneratedImage.objects.get_or_create(image_set=image_set, seed=seed, defaults=facts)
            vector = np.ones(8) + spread * rng.normal(size=8)
            ImageEmbedding.objects.create(
                image=image, encoder=encoder, dimension=8, vector=vector.astype("<f4").tobytes()
            )
