"""Make a pilot: its prompts leave the study, its images, if there are any, are used again."""

from django.contrib.auth.models import User
from django.db.models import F

from annotation.models import Assignment, Comparison, Study, StudyEvent, StudyShare
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.amendments import amend
from annotation.studies.lifecycle.creation import append_version, create_study
from annotation.studies.manifest import Manifest
from annotation.studies.pilot.drawing import Drawn, draw, usual_prompts
from annotation.voting.storage.sqlite_queue import in_turn
from jobs.refusals import Refused
from jobs.wording import counted

State = Study.State
MAY_HAVE_PILOTS = (State.DRAFT, State.READY)
LONGEST_SLUG = 100


@in_turn
def make_pilot(
    *, study: Study, prompts: int | None = None, overlap: int | None = None, actor: User | None = None
) -> Study:
    """Make a pilot of a draft or ready study, as a draft, and take its prompts out of the study.

    prompts: how many it takes at least; None: `usual_prompts`. overlap: its votes for each comparison; None: as many as
    in the study. Each account has the same role in the pilot as in the study. Refused in another state, for a study
    without images or with votes, for a pilot, and as `draw` refuses.
    """
    locked = Study.objects.select_for_update().get(pk=study.pk)
    manifest = current_manifest(locked)
    _refuse_impossible(locked, manifest)
    drawn = draw(
        manifest,
        slug=_free_slug(locked.slug),
        prompts=usual_prompts(manifest) if prompts is None else prompts,
        overlap=manifest.annotation.overlap if overlap is None else overlap,
    )
    if locked.state == State.DRAFT:
        amend(study=locked, manifest=drawn.of_study, actor=actor)
    else:
        _take_out(locked, manifest, drawn, actor)
    pilot = create_study(manifest=drawn.of_pilot, actor=actor)
    Study.objects.filter(pk=pilot.pk).update(pilot_of=locked)
    _share_alike(locked, pilot)
    detail = {"pilot": pilot.slug, "prompts": len(drawn.places)}
    StudyEvent.objects.create(study=locked, verb="pilot made", detail=detail, actor=actor)
    for one in (pilot, study):
        one.refresh_from_db()
    return pilot


def may_have_pilot(study: Study) -> bool:
    """Return whether the study's state and kind allow a pilot."""
    return study.state in MAY_HAVE_PILOTS and study.source != Study.Source.EXTERNAL and study.pilot_of_id is None


def _refuse_impossible(study: Study, manifest: Manifest) -> None:
    if study.pilot_of_id is not None:
        raise Refused(f"{study} is a pilot itself: make another pilot of its study.")
    if study.source == Study.Source.EXTERNAL:
        raise Refused(f"{study} has imported votes and no images to show, so nothing can be tried in a pilot.")
    if study.state not in MAY_HAVE_PILOTS:
        raise Refused(
            f"{study} is {study.get_state_display().lower()}: a pilot is made of a draft, or of a study that is ready."
        )
    if study.state == State.READY and manifest.pairs.design == "balanced":
        raise Refused(
            f"{study} has a balanced draw of pairs, which changes with its prompts: make its pilot while it is a draft."
        )
    if Assignment.objects.filter(comparison__study=study).exists():
        raise Refused(f"{study} has votes already: a pilot comes before the first vote.")


def _free_slug(slug: str) -> str:
    base = f"{slug[: LONGEST_SLUG - 10].rstrip('-')}-pilot"
    taken = set(Study.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    numbered = (base if number == 1 else f"{base}-{number}" for number in range(1, len(taken) + 2))
    return next(one for one in numbered if one not in taken)


def _take_out(study: Study, manifest: Manifest, drawn: Drawn, actor: User | None) -> None:
    """Delete the comparisons of the pilot's prompts, number the others anew, and append the smaller manifest."""
    planned = manifest.comparisons
    kept = [place for place, one in enumerate(planned) if one.prompt not in drawn.places]
    study.comparisons.exclude(position__in=kept).delete()
    # First out of the way of each other: one position is never held twice, not even within a statement.
    study.comparisons.update(position=F("position") + len(planned))
    places, turn_of = {position: place for place, position in enumerate(kept)}, drawn.of_study.turns()
    rows = list(study.comparisons.order_by("position"))
    for row in rows:
        row.position = places[row.position - len(planned)]
        row.turn = turn_of[row.position] if turn_of else None
    Comparison.objects.bulk_update(rows, ["position", "turn"], batch_size=500)
    reason = f"{counted(len(drawn.places), 'prompt')} left for the pilot {drawn.of_pilot.slug}"
    version = append_version(study=study, manifest=drawn.of_study, reason=reason, actor=actor)
    Study.objects.filter(pk=study.pk).update(manifest_sha256=version.sha256)


def _share_alike(study: Study, pilot: Study) -> None:
    """Give every account its role of the study in the pilot, and no other account a role."""
    pilot.shares.all().delete()
    shares = study.shares.values_list("account", "role")
    StudyShare.objects.bulk_create(StudyShare(study=pilot, account_id=pk, role=role) for pk, role in shares)
