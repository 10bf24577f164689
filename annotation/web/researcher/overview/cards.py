"""The live part of a study's overview: what each of its cards shows, the same for everybody who may see the study."""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.core.cache import cache
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from annotation.models import Annotator, Assignment, Study
from annotation.reports.data.pseudonyms import names_for_staff
from annotation.studies.current import current_manifest
from annotation.studies.imports.imported_images import imported_images
from annotation.studies.lifecycle.endpoint_facts import endpoint_sentences
from annotation.studies.lifecycle.needed_files import files_in_words
from annotation.studies.lifecycle.overview import cells, next_step, steps
from annotation.studies.lifecycle.pipeline_jobs import pauses
from annotation.studies.lifecycle.progress import StudyProgress, progress
from annotation.studies.lifecycle.quality_watch import RuleCount, alarming, rule_counts
from annotation.studies.lifecycle.trials import trial_sentences_of
from annotation.studies.lifecycle.votes_over_time import VotesOverTime, votes_over_time
from annotation.studies.lifecycle.watching import pace, refusals, workers_for
from annotation.studies.lifecycle.workers import missing_worker, served
from annotation.studies.manifest import Manifest
from annotation.studies.sealing import is_sealed
from annotation.studies.warnings.image_warnings import flagged_images, waiting_comparisons
from annotation.voting.overview_cache import overview_key
from annotation.web.annotator import markdown
from annotation.web.researcher.overview.votes_chart import forecast_words, votes_chart
from annotation.web.researcher.reported import waiting_count
from jobs.row_counts import count_of

CARDS = ("steps", "next", "alarms", "images", "workers", "votes", "cells", "annotators", "quality")
FRESH_SECONDS = 5.0
SHARE_OF_TIME = 0.1  # at most so much of a process's time goes into the snapshots of one study
STORED_SECONDS = 120  # an old snapshot is shown while a new one is made
MOST_NOW = 8
EXAMPLE_CELLS = (5, 5, 4, 5, 3, 2, 4, 1, 0, 2, 0, 0)
EXTERNAL = Study.Source.EXTERNAL


class Alarm(NamedTuple):
    """A thing that needs attention, and the page that deals with it. words may be HTML that is safe."""

    words: str
    address: str = ""
    label: str = ""


class NowVoting(NamedTuple):
    """An annotator with a comparison on the screen. since: when it was given to them. quota: their comparisons."""

    name: str
    state: str
    vote_count: int
    quota: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cards of a study at a moment, as HTML by name. version changes when the page's buttons do.

    counts: the study's progress. etag: the hash of the cards. fresh_until: when the next one is due, in seconds since
    1970. lacks_images: whether images of the researcher's own have to be uploaded before anything else.
    """

    cards: dict[str, str]
    counts: StudyProgress
    version: str
    etag: str
    fresh_until: float
    lacks_images: bool

    @property
    def is_complete(self) -> bool:
        """Whether no comparison needs another vote."""
        return 0 < self.counts.comparison_count == self.counts.complete_count

    @property
    def page_version(self) -> str:
        """The state that the buttons of the page follow from."""
        facts = {"complete": self.is_complete, "without images": self.lacks_images}
        return " ".join([self.version, *(words for words, is_so in facts.items() if is_so)])


def snapshot_of(study: Study) -> Snapshot:
    """Return the study's snapshot: one that is at most some seconds old is shared by everybody who watches."""
    key = overview_key(study.pk)
    lock = f"{key}-is-made"
    stored: Snapshot | None = cache.get(key)
    is_usable = stored is not None and stored.version == version_of(study)
    if stored and is_usable and (stored.fresh_until > time.time() or not cache.add(lock, True, timeout=30)):
        return stored
    snapshot = _made(study)
    cache.set(key, snapshot, timeout=STORED_SECONDS)
    cache.delete(lock)
    return snapshot


def version_of(study: Study) -> str:
    """Return what the page must be loaded again for, because its buttons follow from it."""
    return f"{study.state} {study.manifest_sha256[:12]}"


def _made(study: Study) -> Snapshot:
    began = time.monotonic()
    # By whole minutes: each second would move the drawing, and so give every watcher all cards again.
    context = overview_context(study, timezone.now().replace(second=0, microsecond=0))
    cards = {name: render_to_string(f"web/researcher/overview/{name}.html", context).strip() for name in CARDS}
    version = version_of(study)
    etag = hashlib.sha256(json.dumps([version, cards]).encode()).hexdigest()[:32]
    spent = time.monotonic() - began
    return Snapshot(
        cards=cards,
        counts=context["progress"],
        version=version,
        etag=f'"{etag}"',
        fresh_until=time.time() + max(FRESH_SECONDS, spent / SHARE_OF_TIME),
        lacks_images=context["lacks_images"],
    )


def overview_context(study: Study, now: datetime) -> dict[str, Any]:
    """Return what the templates of the cards show."""
    manifest, counts = current_manifest(study), progress(study)
    rules, seen = rule_counts(study), votes_over_time(study, counts, now)
    imported = imported_images(study)
    imported_count = sum(one.image_count for one in imported)
    is_made, is_blind = study.state in Study.BEFORE_READY, is_sealed(study, manifest=manifest)
    alarms = list(_alarms(study, counts, rules, is_blind=is_blind))
    return {
        "study": study,
        "now": now,
        "progress": counts,
        "is_sealed": is_blind,
        "overlap": manifest.annotation.overlap,
        "steps": steps(study, counts),
        "next_step": next_step(study, counts, imported_count=imported_count),
        "lacks_images": study.state == Study.State.DRAFT and study.source == Study.Source.IMAGES and not imported_count,
        "more": _more(study, seen, needs_attention=bool(alarms)),
        "alarms": alarms,
        "imported": imported,
        "models": [*trial_sentences_of([study])[study.pk], *endpoint_sentences(study)] if is_made else [],
        "pace": str(pace(study, counts)),
        "workers": workers_for(study) if is_made and study.source != EXTERNAL else [],
        "chart": votes_chart(seen, is_over=study.is_over) if seen and study.source != EXTERNAL else None,
        "cells": cells(study),
        "example_cells": EXAMPLE_CELLS,
        "now_voting": _now_voting(study, manifest) if study.state == Study.State.OPEN else [],
        "rule_counts": rules,
    }


def _more(study: Study, seen: VotesOverTime | None, *, needs_attention: bool) -> str:
    """Return the second sentence of the next step: the forecast and the date of the closing, or that nothing is due."""
    if study.state in (Study.State.GENERATING, Study.State.SCORING):
        return "" if needs_attention else "Nothing to do now."
    if study.state != Study.State.OPEN or seen is None:
        return ""
    words = forecast_words(seen)
    closes_at = current_manifest(study).annotation.closes_at
    said = [words[:1].upper() + words[1:]] if words else []
    if closes_at:
        is_late = seen.complete_at is not None and seen.complete_at > closes_at
        said.append(
            f"It closes by itself on {closes_at:%d %b, %H:%M} UTC{', before all votes are there' if is_late else ''}"
        )
    if not said and seen.last.votes < seen.wanted:
        said.append("A forecast is shown here after ten minutes and a few votes")
    return "".join(f"{one}. " for one in said).strip()


def _alarms(study: Study, counts: StudyProgress, rules: Iterable[RuleCount], *, is_blind: bool) -> Iterator[Alarm]:
    """Yield what needs attention, the most urgent first."""
    reported = reverse("reported", args=[study.slug])
    parked = 0 if study.is_over else waiting_count(study)
    if parked:
        which = "One comparison is" if parked == 1 else f"{parked} comparisons are"
        yield Alarm(f"{which} set aside after reports of images.", reported, "Look at the images and decide")
    for alarm in alarming(study, rules):
        yield Alarm(str(alarm))
    for failure in counts.failures:
        yield Alarm(failure)
    for sentence in (*refusals(), *pauses(study), missing_worker(study, served()), files_in_words(study)):
        if sentence:
            yield Alarm(markdown.render_line(str(sentence)))
    for warning in waiting_comparisons(study):
        yield Alarm(warning)
    address = f"{reverse('study-images', args=[study.slug])}?show=flagged" if is_blind else ""
    for warning in flagged_images(study):
        yield Alarm(warning, address, "Look at them" if address else "")


def _now_voting(study: Study, manifest: Manifest) -> list[NowVoting]:
    """Return the annotators who have a comparison on the screen, the latest first."""
    # From the annotators who are not done, who are few: from the comparisons, the database would read all assignments.
    people = study.annotators.filter(state=Annotator.State.ACTIVE)
    live = Assignment.objects.filter(
        annotator__in=people, state=Assignment.State.LEASED, is_ahead=False, lease_expires_at__gt=timezone.now()
    )
    rows = list(live.order_by("-leased_at").values_list("annotator", "kind", "leased_at")[:MOST_NOW])
    if not rows:
        return []
    voted = Assignment.objects.filter(state=Assignment.State.VOTED, kind=Assignment.Kind.MAIN)
    shown = Annotator.objects.filter(pk__in=[pk for pk, _kind, _since in rows])
    counts = dict(shown.annotate(votes=count_of(voted, "annotator")).values_list("pk", "votes"))
    names, quota = names_for_staff(study), manifest.voting_rules().comparisons_per_annotator
    return [
        NowVoting(names[pk], "practising" if kind == Assignment.Kind.PRACTICE else "voting", counts[pk], quota, since)
        for pk, kind, since in rows
        if pk in counts and pk in names
    ]
