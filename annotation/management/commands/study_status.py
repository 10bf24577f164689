"""study_status [STUDY]: how far a study is, or all of them."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from rich.box import SIMPLE
from rich.measure import Measurement
from rich.table import Column, Table

from annotation.management.console import console_on
from annotation.models import Study
from annotation.studies.imports.image_counts import Imported, imported_images
from annotation.studies.lifecycle.progress import StudyProgress, progress_of
from annotation.studies.lifecycle.quality_watch import RuleCount, alarming, rule_counts_of
from annotation.studies.lifecycle.workers import missing_worker
from annotation.studies.validation.image_warnings import image_warnings_of

MOST_COLUMNS = 1000


class Command(BaseCommand):
    """Counts only: nothing that a sealed study keeps to itself."""

    help = "How far a study is: images, scores, votes, exclusions, failures. Without a study: one line for each."

    def add_arguments(self, parser: CommandParser) -> None:
        """The study and the format."""
        parser.add_argument("study", nargs="?", help="The study's slug; all studies without it.")
        parser.add_argument("--format", choices=("table", "json"), default="table")

    def handle(self, *args: Any, **options: Any) -> None:
        """Count and print."""
        studies = Study.objects.select_related("model_a", "model_b").order_by("created_at", "pk")
        if options["study"]:
            studies = studies.filter(slug=options["study"])
            if not studies:
                raise CommandError(f"There is no study {options['study']!r}.")
        counts_of, rules_of = progress_of(list(studies)), rule_counts_of(studies)
        warnings_of = image_warnings_of(list(studies))
        found = [(study, counts_of[study.pk]) for study in studies]
        sentence = missing_worker(timezone.now())
        if options["format"] == "json":
            documents = [
                _document(study, counts, rules_of[study.pk], warnings_of[study.pk]) | {"missing_worker": sentence}
                for study, counts in found
            ]
            self.stdout.write(json.dumps(documents[0] if options["study"] else documents, indent=2))
            return
        console = console_on(self.stdout)
        imported = {study.pk: imported_images(study) for study in studies}
        table = _table(found, imported)
        needed = Measurement.get(console, console.options.update(width=MOST_COLUMNS), table).minimum
        console.width = max(console.width, needed)
        console.print(table)
        for study, counts in found:
            rules = rules_of[study.pk]
            for some in imported[study.pk]:
                console.print(f"{study.slug}: imported for {some}", markup=False, soft_wrap=True)
            for one in rules:
                console.print(f"{study.slug}: excluded, {one.rule.words}: {one.excluded}", markup=False, soft_wrap=True)
            for warning in warnings_of[study.pk]:
                console.print(f"{study.slug}: {warning}", style="yellow", markup=False, soft_wrap=True)
            for fault in (*map(str, alarming(study, rules)), *counts.failures):
                console.print(f"{study.slug}: {fault}", style="red", markup=False, soft_wrap=True)
        if sentence and any(study.state != Study.State.CLOSED for study in studies):
            console.print(sentence, style="yellow", markup=False, soft_wrap=True)


def _document(study: Study, counts: StudyProgress, rules: Iterable[RuleCount], warnings: list[str]) -> dict[str, Any]:
    exclusions = [{"rule": one.rule, "annotator_count": one.annotators, "vote_count": one.votes} for one in rules]
    return {
        "slug": study.slug,
        **counts.as_document(),
        "exclusions": exclusions,
        "image_warnings": warnings,
        "imported": [asdict(some) for some in imported_images(study)],
    }


def _table(found: list[tuple[Study, StudyProgress]], imported: dict[int, tuple[Imported, ...]]) -> Table:
    names = ("study", "state", "images", "sets scored", "jobs", "votes", "annotators")
    # A slug is typed again, so it stays in one piece; the others fold where 80 columns do not hold them.
    columns = (Column(name, overflow="fold", no_wrap=name == "study") for name in names)
    table = Table(*columns, box=SIMPLE, padding=(0, 1, 0, 0), show_edge=False)
    for study, counts in found:
        jobs = f"{counts.waiting_job_count} waiting, {counts.running_job_count} running"
        failed = f", {counts.failed_job_count} failed" if counts.failed_job_count else ""
        simulated = f" ({counts.simulated_annotator_count} simulated)" if counts.simulated_annotator_count else ""
        table.add_row(
            study.slug,
            counts.state,
            _images(counts, imported[study.pk]),
            f"{counts.scored_set_count} of {counts.set_count}",
            jobs + failed,
            counts.votes_in_words(study),
            f"{counts.annotator_count}{simulated}",
        )
    return table


def _images(counts: StudyProgress, imported: tuple[Imported, ...]) -> str:
    if counts.planned_image_count:
        return f"{counts.image_count} of {counts.planned_image_count}"
    return f"{sum(some.image_count for some in imported)} imported" if imported else "–"
