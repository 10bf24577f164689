"""study_status [STUDY]: print the progress of one study or of all."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser
from rich.box import SIMPLE
from rich.table import Column, Table

from annotation.management.base import StudyCommand
from annotation.models import Study
from annotation.studies.imports.imported_images import Imported, imported_images
from annotation.studies.lifecycle.endpoint_facts import endpoint_sentences
from annotation.studies.lifecycle.needed_files import files_in_words
from annotation.studies.lifecycle.pipeline_jobs import pauses
from annotation.studies.lifecycle.progress import StudyProgress, progress_of
from annotation.studies.lifecycle.quality_watch import RuleCount, alarming, rule_counts_of
from annotation.studies.lifecycle.trials import trial_sentences_of
from annotation.studies.lifecycle.watching import WorkerView, pace, refusals, workers
from annotation.studies.lifecycle.workers import missing_worker, served
from annotation.studies.warnings.image_warnings import image_warnings_of
from generation.tables.printed_tables import print_table
from jobs.wording import command


class Command(StudyCommand):
    """Prints counts only, which a sealed study may show."""

    help = "The progress of a study: images, scores, votes, exclusions, failures. Without a study: one line for each."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study and the format."""
        parser.add_argument("study", nargs="?", help="The study's slug; all studies without it.")
        parser.add_argument("--format", choices=("table", "json"), default="table")

    def handle(self, *args: Any, **options: Any) -> None:
        """Count, and print as a table or as JSON."""
        rows = Study.objects.prefetch_related("study_models").order_by("created_at", "pk")
        if options["study"]:
            rows = rows.filter(pk=self.study(options["study"]).pk)
        studies = list(rows)
        if options["format"] == "json":
            documents = _documents(studies)
            self.stdout.write(json.dumps(documents[0] if options["study"] else documents, indent=2))
        elif studies:
            self._print(studies)
        else:
            made = command("create_study", "my-study.toml")
            self.stdout.write(
                f"There is no study yet. `{made}` makes one; docs/study-guide.md has a file to begin with."
            )

    def _print(self, studies: Sequence[Study]) -> None:
        """Print the table, what is to be said of each study, and the workers."""
        console = self.console()
        counts_of, rules_of = progress_of(studies), rule_counts_of(studies)
        trials_of, warnings_of = trial_sentences_of(studies), image_warnings_of(studies)
        imported = {study.pk: imported_images(study) for study in studies}
        print_table(console, _table([(study, counts_of[study.pk]) for study in studies], imported))
        for study in studies:
            pk = study.pk
            lines = _lines(study, counts_of[pk], rules_of[pk], imported[pk], trials_of[pk], warnings_of[pk])
            for line, style in lines:
                console.print(f"{study.slug}: {line}", style=style, soft_wrap=True)
        for worker in workers():
            console.print(_worker_line(worker), soft_wrap=True)
        for refusal in refusals():
            console.print(refusal, style="red", soft_wrap=True)
        for sentence, slugs in _missing_workers(studies).items():
            console.print(f"{', '.join(slugs)}: {sentence}", style="yellow", soft_wrap=True)


def _documents(studies: Sequence[Study]) -> list[dict[str, Any]]:
    """Return the JSON document of each study."""
    counts_of, rules_of, warnings_of = progress_of(studies), rule_counts_of(studies), image_warnings_of(studies)
    queues = served()
    seen = {"workers": [worker.as_document() for worker in workers()], "refusals": refusals()}
    return [
        _document(study, counts_of[study.pk], rules_of[study.pk], warnings_of[study.pk])
        | {
            "missing_worker": missing_worker(study, queues),
            "fetching": files_in_words(study),
            "endpoints": endpoint_sentences(study),
        }
        | asdict(pace(study, counts_of[study.pk]))
        | seen
        for study in studies
    ]


def _lines(
    study: Study,
    counts: StudyProgress,
    rules: Sequence[RuleCount],
    imported: Iterable[Imported],
    trials: Iterable[str],
    warnings: Iterable[str],
) -> Iterator[tuple[str, str]]:
    """Yield what is to be said of a study below the table, each line with its style."""
    fetching = files_in_words(study)
    yield from ((line, "") for line in [str(pace(study, counts))] if line)
    yield from ((f"imported for {images}", "") for images in imported)
    yield from ((f"excluded, {count.rule.words}: {count.excluded}", "") for count in rules)
    yield from ((pause, "yellow") for pause in pauses(study))
    yield from ((sentence, "") for sentence in (*trials, *endpoint_sentences(study)))
    yield from ((warning, "yellow") for warning in (*warnings, *([fetching] if fetching else [])))
    yield from ((fault, "red") for fault in (*map(str, alarming(study, rules)), *counts.failures))


def _worker_line(worker: WorkerView) -> str:
    done = f"last job ended {worker.last_job_at:%Y-%m-%d %H:%M} UTC" if worker.last_job_at else ""
    idle = f"idle {worker.idle_percent} of the last ten minutes" if worker.idle_percent else ""
    memory = f"memory {worker.memory}" if worker.memory else ""
    facts = (worker.card, worker.model, memory, worker.job or "no job", done, idle)
    return f"worker {worker.name}: {', '.join(fact for fact in facts if fact)}"


def _missing_workers(studies: Iterable[Study]) -> dict[str, list[str]]:
    """Return the slugs of the studies that lack a worker, by the sentence that says so."""
    queues = served()
    by_sentence: dict[str, list[str]] = {}
    for study in studies:
        if sentence := missing_worker(study, queues):
            by_sentence.setdefault(sentence, []).append(study.slug)
    return by_sentence


def _document(study: Study, counts: StudyProgress, rules: Iterable[RuleCount], warnings: list[str]) -> dict[str, Any]:
    exclusions = [
        {"rule": count.rule, "annotator_count": count.annotators, "vote_count": count.votes} for count in rules
    ]
    return {
        "slug": study.slug,
        **asdict(counts),
        "exclusions": exclusions,
        "image_warnings": warnings,
        "imported": [asdict(images) for images in imported_images(study)],
    }


def _table(rows: list[tuple[Study, StudyProgress]], imported: dict[int, tuple[Imported, ...]]) -> Table:
    names = ("study", "state", "images", "sets scored", "jobs", "votes", "annotators")
    # A slug is copied into other commands, so it is never folded; on a narrow terminal only the jobs are.
    columns = (Column(name, overflow="fold", no_wrap=name != "jobs") for name in names)
    table = Table(*columns, box=SIMPLE, padding=(0, 1, 0, 0), show_edge=False)
    for study, counts in rows:
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
    return f"{sum(images.image_count for images in imported)} imported" if imported else "–"
