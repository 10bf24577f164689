"""Amendments: a draft changes freely, a launched study only in a few keys, as a new version with its reason."""

from typing import Any

import pytest
from django.utils import timezone

from annotation.models import Comparison, Study
from annotation.studies.current import current_manifest
from annotation.studies.documents import document, sha256
from annotation.studies.lifecycle import amendments
from annotation.studies.lifecycle.amendments import amend
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.periodic import maintain
from annotation.studies.manifest import Manifest
from generation.models import DiffusionModel
from jobs.refusals import Refused
from tests.factories import make_manifest, make_study

pytestmark = pytest.mark.django_db


def with_changes(study: Study, **changes: Any) -> Manifest:
    """The study's manifest with changed values; tables are merged."""
    plan = document(current_manifest(study))
    for key, value in changes.items():
        plan[key] = {**plan[key], **value} if isinstance(value, dict) else value
    return Manifest.model_validate(plan)


def test_raising_the_overlap_appends_a_version_and_opens_slots() -> None:
    study = make_study(source="images", state="open", comparisons=1)
    design = study.manifest_sha256
    manifest = with_changes(study, annotation={"overlap": 5, "comparisons_per_annotator": 7}, texts={"debrief": "Bye."})
    version = amend(study=study, manifest=manifest, reason="Too few votes.")
    study.refresh_from_db()
    assert (version.number, version.reason, study.manifest_sha256) == (2, "Too few votes.", sha256(manifest))
    assert study.manifest_versions.get(number=1).sha256 == design
    assert current_manifest(study) == manifest
    assert set(Comparison.objects.values_list("overlap", flat=True)) == {5}
    changed = ["annotation.comparisons_per_annotator", "annotation.overlap", "texts.debrief"]
    assert study.events.get(verb="amended").detail["changed"] == changed


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"prompts": [{"text": "other"}]}, "prompts"),
        ({"analysis": {"primary_endpoint": "dropped"}}, "analysis.primary_endpoint"),
        ({"annotation": {"ties": True}}, "annotation.ties"),
        ({"model_a": {"name": "Gamma"}, "sealed": False}, "model_a.name, sealed"),
    ],
)
@pytest.mark.parametrize("state", ["ready", "open", "paused"])
def test_anything_else_wants_a_duplicate(state: str, changes: dict[str, Any], keys: str) -> None:
    study = make_study(source="images", state="draft")
    Study.objects.update(state=state)
    manifest = with_changes(study, **changes)
    with pytest.raises(Refused, match=f"^{keys} cannot change any more: .* Duplicate the study"):
        amend(study=study, manifest=manifest, reason="Why not.")
    assert study.manifest_versions.count() == 1


@pytest.mark.parametrize(
    ("state", "overlap", "reason", "sentence"),
    [
        ("open", 2, "Less.", "overlap can only go up: votes for 3 are being collected, not 2"),
        ("open", 4, " ", "An amendment needs its reason"),
        ("open", 3, "None.", "nothing to change"),
    ],
)
def test_refused_amendments(state: str, overlap: int, reason: str, sentence: str) -> None:
    study = make_study(source="images", state="draft")
    Study.objects.update(state=state)
    with pytest.raises(Refused, match=sentence):
        amend(study=study, manifest=with_changes(study, annotation={"overlap": overlap}), reason=reason)


def test_a_closed_study_stays_what_it_was() -> None:
    study = make_study(source="external")
    with pytest.raises(Refused, match="is closed, and a closed study does not change"):
        amend(study=study, manifest=with_changes(study, notice="Hello"), reason="Because.")


def test_a_draft_is_rewritten_and_keeps_one_version() -> None:
    study = create_study(manifest=make_manifest(source="generated"))
    changes = {"model_b": {"checkpoint": "/models/mended"}, "prompts": [{"text": "other"}]}
    amend(study=study, manifest=with_changes(study, **changes))
    study.refresh_from_db()
    assert study.manifest_versions.get().sha256 == study.manifest_sha256
    assert [prompt.text for prompt in current_manifest(study).prompts] == ["other"]
    assert DiffusionModel.objects.get(name="Beta").checkpoint == "/models/mended"


def test_a_draft_does_not_change_the_model_of_another_study() -> None:
    create_study(manifest=make_manifest(source="generated", slug="first"))
    study = create_study(manifest=make_manifest(source="generated", slug="second"))
    with pytest.raises(Refused, match="A model called Beta exists already"):
        amend(study=study, manifest=with_changes(study, model_b={"checkpoint": "/models/other"}))
    assert DiffusionModel.objects.get(name="Beta").checkpoint == "/models/beta"


def test_a_draft_keeps_its_slug_and_source() -> None:
    study = make_study(state="draft")
    with pytest.raises(Refused, match="slug and source cannot change once the study is made"):
        amend(study=study, manifest=with_changes(study, slug="else", source="external"))


def test_an_amendment_that_died_among_the_comparisons_is_finished_by_the_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(comparisons=3)
    Comparison.objects.filter(position=0).update(lead=3, vote_count=3, slot_count=3)
    manifest = with_changes(study, annotation={"overlap": 5})
    with monkeypatch.context() as patch:
        patch.setattr(amendments, "raise_overlaps", lambda *_args: 0)  # the process died here
        amend(study=study, manifest=manifest, reason="Too few votes.")
    Comparison.objects.filter(position=1).update(overlap=5)
    assert list(Comparison.objects.order_by("position").values_list("overlap", flat=True)) == [3, 5, 3]
    for _ in range(2):
        maintain(timezone.now())
    assert set(Comparison.objects.values_list("overlap", flat=True)) == {5}


def test_a_larger_overlap_opens_again_what_was_decided_and_other_amendments_do_not() -> None:
    study = make_study(comparisons=1, annotation={"early_stopping": True})
    now = timezone.now()
    Comparison.objects.update(lead=2, vote_count=2, slot_count=2, decided_at=now)
    amend(study=study, manifest=with_changes(study, notice="Hello."), reason="Politeness.")
    assert Comparison.objects.get().decided_at == now
    study.refresh_from_db()
    amend(study=study, manifest=with_changes(study, annotation={"overlap": 4}), reason="Too few votes.")
    assert Comparison.objects.get().decided_at is None
