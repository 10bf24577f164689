"""The states of a study: draft -> generating -> scoring -> ready -> open <-> paused -> closing -> closed.

A study whose models cannot be used goes back to draft before anything is planned.

Every change of state is one conditional UPDATE whose row count is checked, stored together with a StudyEvent.
`advance` looks at the database and does the next thing that is due; it may run twice, at the same time, or late.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from annotation.models import Comparison, Study, StudyEvent
from annotation.studies.comparisons import image_sets_of, images_detail, plan_comparisons
from annotation.studies.current import current_manifest
from annotation.studies.imports.images_of_others import refuse_images_of_others
from annotation.studies.lifecycle import pipeline_jobs
from annotation.studies.lifecycle.amendments import raise_overlaps
from annotation.studies.lifecycle.creation import Actor, complete_external, diffusion_model_of
from annotation.studies.lifecycle.deciding import decision_so_far, votes_left
from annotation.studies.lifecycle.endpoint_facts import generated_detail
from annotation.studies.lifecycle.trials import ensure_tried, is_to_try, retry_trials, trial_faults
from annotation.studies.sealing import WAITS, are_sealed_elsewhere
from annotation.studies.warnings.image_warnings import flagged_images
from annotation.voting.imports.import_runs import refuse_unfinished_import, unfinished_import
from annotation.voting.quality.exclusion import review_all
from generation.endpoints.accounts import check_is_known
from generation.models import ImageSet
from generation.pictures import remarks
from generation.plans.image_sets import LARGEST_GENERATED_SEED, seed_too_large, without_seed
from jobs.refusals import Refused
from jobs.wording import counted

State = Study.State
LAUNCHED = (State.GENERATING, State.SCORING, State.READY)  # and not open yet
ADVANCING = (State.GENERATING, State.SCORING, State.CLOSING)
ANNOTATING = (State.READY, State.OPEN, State.PAUSED)


def launch(*, study: Study, actor: Actor = None) -> bool:
    """Launch a study, so that its images are made. Return False, with no change, if it was launched before.

    Planning thousands of sets takes minutes, so the next `advance` does it, in the worker or in run_study.
    """
    study.refresh_from_db()
    if study.source == Study.Source.EXTERNAL:
        raise Refused(f"{study} has no images of its own, so there is nothing to launch: import its votes and scores.")
    if actor is not None:  # a command is an admin's
        refuse_images_of_others(study, actor)
    manifest = current_manifest(study)
    if max(manifest.seeds, default=0) > LARGEST_GENERATED_SEED:  # a draft of an earlier version
        raise Refused(f"{study} cannot be launched: {seed_too_large(max(manifest.seeds))} Amend the draft.")
    for plan in manifest.models.values():
        diffusion_model_of(manifest, plan)  # refuses a model that was changed in the admin meanwhile
        check_is_known(plan.endpoint)
    is_launched = _move(study, "launched", State.GENERATING, sources=(State.DRAFT,), actor=actor)
    if is_launched:
        retry_trials(study, manifest)  # the cause of an earlier failure may be mended
        pipeline_jobs.request_advance(study)
    return is_launched


def open_study(*, study: Study, actor: Actor = None) -> None:
    """Let annotators vote. The first opening freezes the manifest; a paused study opens again with the same one."""
    now = timezone.now()
    manifest = current_manifest(study)
    for key, what, moment in (
        ("closes_at", "close", manifest.annotation.closes_at),
        ("erase_at", "have its personal data erased", manifest.privacy.erase_at),
    ):
        if moment and moment <= now:
            raise Refused(f"{study} was to {what} at {moment:%Y-%m-%d %H:%M} UTC; amend {key} before opening it.")
    if _move(study, "opened", State.OPEN, sources=(State.READY,), actor=actor, opened_at=now):
        return
    if not _move(study, "reopened", State.OPEN, sources=(State.PAUSED,), actor=actor):
        raise Refused(f"{study} cannot open: {_state_in_words(study)}")


def pause(*, study: Study, actor: Actor = None) -> None:
    """Stop giving out comparisons. A comparison that is on a screen may still be answered."""
    if not _move(study, "paused", State.PAUSED, sources=(State.OPEN,), actor=actor):
        raise Refused(f"{study} cannot be paused: {_state_in_words(study)}")


def close(*, study: Study, actor: Actor = None) -> None:
    """End the voting for good. The next `advance` judges every annotator and then unseals the study."""
    sources = (State.READY, State.OPEN, State.PAUSED)
    refuse_unfinished_import(study)
    if not _end_the_voting(study, sources, timezone.now(), actor=actor):
        raise Refused(f"{study} cannot be closed: {_state_in_words(study)}")


def _end_the_voting(study: Study, sources: Sequence[Study.State], now: datetime, **event: Any) -> bool:
    """End the voting. A study is CLOSING until its quality rules have judged every annotator by all votes.

    It stays so while a sealed study that takes votes has the same image sets: the results would show its scores.
    """
    manifest = current_manifest(study)
    is_over = not manifest.quality.in_force and not are_sealed_elsewhere(study)
    state = State.CLOSED if is_over else State.CLOSING
    erases_at = manifest.privacy.moment(now)
    has_ended = _move(study, "closed", state, sources=sources, closed_at=now, erases_at=erases_at, **event)
    if has_ended and not is_over:
        pipeline_jobs.request_advance(study)
    return has_ended


def retry_failed(*, study: Study, actor: Actor = None) -> int:
    """Requeue the failed jobs of the study; return how many. Refused if none has failed."""
    count = pipeline_jobs.retry_failed(study)
    if not count:
        raise Refused(f"{study} has no failed jobs.")
    StudyEvent.objects.create(study=study, verb="retried", detail={"jobs": count}, actor=actor)
    pipeline_jobs.request_advance(study)
    return count


def may_drop_seeds(study: Study) -> bool:
    """Return whether a job of the study failed, and the study is in a state in which a seed can be dropped."""
    is_possible = study.source == Study.Source.GENERATED and study.state in LAUNCHED
    return is_possible and pipeline_jobs.has_failed_jobs(study)


def drop_seed(*, study: Study, position: int, seed: int, actor: Actor = None) -> None:
    """Remove a seed that failed for good from both sets of a comparison (by position, from 0).

    In a study of several models, from all sets of its prompt.
    This is possible before opening only. An event records it, because the sets then have fewer images than planned.
    """
    with transaction.atomic():
        comparison = _comparison_without(study, position, seed)
        # Of several models, other comparisons show the same sets: all sets of a prompt keep one size.
        of_prompt = list(study.comparisons.select_for_update().filter(prompt=comparison.prompt_id).order_by("pk"))
        sets = ImageSet.objects.filter(
            pk__in={pk for one in of_prompt for pk in (one.image_set_a_id, one.image_set_b_id)}
        )
        smaller = {image_set.pk: without_seed(image_set=image_set, seed=seed) for image_set in sets.order_by("pk")}
        for one in of_prompt:
            one.image_set_a, one.image_set_b = smaller[one.image_set_a_id], smaller[one.image_set_b_id]
            one.save(update_fields=["image_set_a", "image_set_b"])
        pipeline_jobs.cancel_unused(sets)
        detail = {"position": position, "prompt": comparison.prompt.text, "seed": seed}
        # The new sets may lack images or scores, so the study goes back to generating.
        if not _move(study, "seed dropped", State.GENERATING, sources=LAUNCHED, actor=actor, detail=detail):
            raise Refused(f"Seed {seed} cannot be dropped: {_state_in_words(study)}")
    pipeline_jobs.request_advance(study)


def _comparison_without(study: Study, position: int, seed: int) -> Comparison:
    """Lock and return the comparison if the seed may be dropped from it."""
    if study.source != Study.Source.GENERATED:
        raise Refused(f"{study} generates no images, so there is no seed to drop.")
    comparison = Comparison.objects.select_for_update().filter(study=study, position=position).first()
    if comparison is None:
        raise Refused(f"{study} has no comparison {position + 1}; launch it first, and count from 1.")
    image_sets = (comparison.image_set_a, comparison.image_set_b)
    for image_set in image_sets:
        if seed not in image_set.seeds:
            raise Refused(f"Seed {seed} is not a seed of comparison {position + 1} ({comparison.prompt}).")
        if len(image_set.seeds) <= 2:
            raise Refused(f"Comparison {position + 1} would be left with one image in each set; nothing was dropped.")
    has_failed = any(pipeline_jobs.has_failed(image_set, seed) for image_set in image_sets)
    if study.state in Study.BEFORE_OPENING and not has_failed:
        raise Refused(
            f"Seed {seed} of comparison {position + 1} did not fail: only an image that cannot be made or scored "
            "may be dropped, so that nobody chooses images by their looks."
        )
    return comparison


def advance(study: Study) -> str:
    """Do everything that is due, and return it in words. Safe to call at any time, also twice at the same time."""
    study.refresh_from_db()
    done = []
    if study.state == State.GENERATING:
        done.append(_advance_generation(study))
    if study.state == State.SCORING:
        done.append(_advance_scoring(study))
    if study.state in ANNOTATING and (count := raise_overlaps(study, current_manifest(study).annotation.overlap)):
        done.append(f"{counted(count, 'comparison')} to get more votes, as amended")
    if study.state == State.CLOSING:
        done.append(_judge_and_close(study))
    done += [_follow_the_clock(study, timezone.now()), _follow_the_evidence(study, timezone.now())]
    return "; ".join(sentence for sentence in done if sentence) or "nothing to do"


def _advance_generation(study: Study) -> str:
    if study.source == Study.Source.EXTERNAL:
        complete_external(study, current_manifest(study))
        return "every comparison is there"
    manifest = current_manifest(study)
    if is_to_try(study):
        if to_do := ensure_tried(study, manifest):
            return to_do
        if faults := trial_faults(study, manifest):
            why = {"reasons": faults}
            _move(study, "trial failed", State.DRAFT, sources=(State.GENERATING,), actor=None, detail=why)
            return f"back to draft: {' '.join(faults)}"
    gaps = plan_comparisons(study, manifest)
    if gaps:
        more = f", and {len(gaps) - 1} more" if len(gaps) > 1 else ""
        return f"waits for images: {gaps[0].sentence}{more}; import them with import_images"
    if to_do := pipeline_jobs.ensure_images(study):
        return to_do
    remarks.note(image_sets_of(study))
    is_imported = study.source == Study.Source.IMAGES
    verb, detail = ("images imported", images_detail(study)) if is_imported else ("generated", generated_detail(study))
    _move(study, verb, State.SCORING, sources=(State.GENERATING,), actor=None, detail=detail)
    return "every image is there"


def _advance_scoring(study: Study) -> str:
    for spec in current_manifest(study).computed_metrics():
        if to_do := pipeline_jobs.ensure_scores(study, spec):
            return to_do
    _move(study, "scored", State.READY, sources=(State.SCORING,), actor=None)
    return " ".join(["every set is scored", *flagged_images(study)])


def is_due(study: Study, now: datetime) -> bool:
    """Return whether `advance` may have something to do, by the study's row and its manifest."""
    return study.state in ADVANCING or _may_be_decided(study) or bool(_due_by_the_clock(study, now))


def _due_by_the_clock(study: Study, now: datetime) -> State | None:
    """Return the state that is due by the times of the manifest; None if no change is due."""
    if study.state not in ANNOTATING:
        return None
    plan = current_manifest(study).annotation
    is_over = bool(plan.closes_at and plan.closes_at <= now)
    if study.state != State.READY:
        return State.CLOSED if is_over else None
    return State.OPEN if plan.opens_at and plan.opens_at <= now and not is_over else None


def _follow_the_clock(study: Study, now: datetime) -> str:
    """Open or close the study at the times in its manifest; return in words what was done."""
    match _due_by_the_clock(study, now):
        case State.CLOSED:
            if source := unfinished_import(study):
                return f"closes as soon as the import of {source.file_name} is finished"
            closes_at = current_manifest(study).annotation.closes_at
            detail = {"closes_at": closes_at.isoformat() if closes_at else ""}
            is_closed = _end_the_voting(study, (State.OPEN, State.PAUSED), now, actor=None, detail=detail)
            return "closed on time" if is_closed else ""
        case State.OPEN:
            is_open = _move(study, "opened", State.OPEN, sources=(State.READY,), actor=None, opened_at=now)
            return "opened on time" if is_open else ""
        case _:
            return ""


def _may_be_decided(study: Study) -> bool:
    """Return whether the study stops as soon as its claim is decided, and takes votes."""
    return study.state == State.OPEN and bool(current_manifest(study).annotation.stop_when_decided)


def _follow_the_evidence(study: Study, now: datetime) -> str:
    """End the voting if the claim that the manifest names is decided; return in words what was done."""
    if not _may_be_decided(study) or unfinished_import(study):
        return ""
    decision = decision_so_far(study, current_manifest(study), now)
    if decision.decided_after is None:
        return ""
    detail = {
        "decided_after_clusters": decision.decided_after,
        "verdict": decision.verdict,
        "votes_saved": votes_left(study),
    }
    is_closed = _end_the_voting(study, (State.OPEN,), now, actor=None, detail=detail)
    return f"closed: its claim is decided after {counted(decision.decided_after, 'cluster')}" if is_closed else ""


def _judge_and_close(study: Study) -> str:
    """Decide every exclusion for good, and only then close and so unseal the study."""
    if are_sealed_elsewhere(study):
        return WAITS
    review_all(study=study, rules=current_manifest(study).voting_rules(), now=study.closed_at or timezone.now())
    _move(study, "judged", State.CLOSED, sources=(State.CLOSING,), actor=None)
    return "every annotator is judged, and the study is closed"


def _move(
    study: Study,
    verb: str,
    state: Study.State,
    *,
    sources: Sequence[Study.State],
    actor: Actor,
    detail: dict[str, Any] | None = None,
    **changes: Any,
) -> bool:
    """Change the state; nothing else does. Return False, with no change, if the study is in none of `sources`."""
    with transaction.atomic():
        moved = Study.objects.filter(pk=study.pk, state__in=sources).update(state=state, **changes)
        if moved:
            StudyEvent.objects.create(study=study, verb=verb, detail=detail or {}, actor=actor)
    study.refresh_from_db()
    return bool(moved)


def _state_in_words(study: Study) -> str:
    """Return why the study's state does not allow an action."""
    return {
        State.DRAFT: "it is a draft; launch it first.",
        State.GENERATING: "its images are not all there yet; study_status says what is missing.",
        State.SCORING: "its image sets are not all scored yet; study_status says what is missing.",
        State.READY: "it was never opened.",
        State.OPEN: "it is open.",
        State.PAUSED: "it is paused.",
        State.CLOSING: "its voting has ended, and it closes by itself once every annotator is judged and no sealed "
        "study that takes votes shows the same images.",
        State.CLOSED: "it is closed, which cannot be undone; duplicate the study instead.",
    }[State(study.state)]
