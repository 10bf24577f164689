"""The report's sections in their order: what was run, what came out, what speaks against it. Pure."""

from typing import Any

from annotation.reports.agreement_report import AgreementReport, AnnotatorFacts
from annotation.reports.sections.blocks import Row, Section, Table, share_row
from annotation.reports.sections.checks import checks_section
from annotation.reports.sections.claim import metric_name
from annotation.reports.sections.early_stopping import saved_rows
from annotation.reports.sections.exclusions import exclusions_section
from annotation.reports.sections.numbers import count, percent
from annotation.reports.sections.preregistration import preregistration
from annotation.reports.sections.result_sections import later_sections, result_sections
from annotation.voting.rules import GIVEN_OUT_FIRST


def sections(report: AgreementReport) -> tuple[Section, ...]:
    """Every section; those with results are missing while the study is sealed."""
    run = (_conduct(report), _design(report))
    votes = (_quality(report), *checks_section(report), exclusions_section(report))
    if report.results is None:
        return *run, *votes
    return *run, *result_sections(report), *votes, *later_sections(report, report.results)


def _conduct(report: AgreementReport) -> Section:
    study, counts = report.study, report.counts
    rows = [
        Row("Question", study.question),
        Row("Model A", study.model_a),
        Row("Model B", study.model_b),
        Row("Metric", metric_name(study.metric)),
        Row("Comparisons planned", count(counts.planned_comparisons)),
        Row("Comparisons with every image", count(counts.generated_comparisons)),
        Row("Comparisons with both scores", count(counts.scored_comparisons)),
        Row("Comparisons with votes", count(counts.voted_comparisons)),
        Row("Comparisons analysed", count(counts.analysed_comparisons), remark=_why_fewer(report)),
        Row("Images planned", count(counts.planned_images)),
        Row("Images made", count(counts.images)),
        Row("Annotators", count(counts.annotators), remark=_simulated(counts.simulated_annotators)),
        Row("Votes counted", count(counts.votes), remark=_simulated(counts.simulated_votes)),
        Row("Votes excluded", count(counts.excluded_votes)),
        Row("Votes late, not counted", count(counts.late_votes)),
        Row("Votes undone by the annotator", count(counts.undone_votes)),
        Row("Annotators who withdrew", count(counts.withdrawn_annotators)),
        Row("Votes deleted by withdrawal", count(counts.withdrawn_votes)),
    ]
    rows += saved_rows(report)
    if study.other_metrics:
        rows.insert(4, Row("Other metrics", ", ".join(map(metric_name, study.other_metrics))))
    has_images = counts.planned_images is not None
    shown = tuple(row for row in rows if has_images or row.value != count(None))
    return Section("conduct", "How the study was run", rows=shown, tables=_events(report))


def _why_fewer(report: AgreementReport) -> str:
    counts = report.counts
    fallen = counts.planned_comparisons - counts.analysed_comparisons
    return f"{fallen} of those planned fell out: no votes, or a score is missing" if fallen else ""


def _simulated(number: int) -> str:
    return f"{number} simulated: made by a program, not by a person" if number else ""


def _events(report: AgreementReport) -> tuple[Table, ...]:
    if not report.events:
        return ()
    rows = tuple(
        (f"{event.happened_at:%Y-%m-%d %H:%M}", event.verb.replace("_", " "), _detail(event.detail))
        for event in report.events
    )
    return (Table("What was done to the study", ("When (UTC)", "What", "Detail"), rows, is_long=True),)


def _detail(detail: dict[str, object]) -> str:
    """The pairs in words, without empty texts."""
    return ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in detail.items() if value != "")


def _quality(report: AgreementReport) -> Section:
    quality = report.quality
    rows = [
        share_row("Votes for the left side", quality.left_share, remark="all votes as if they were independent"),
        share_row("Tie votes", quality.tie_share),
        Row("Votes of a comparison, least", count(quality.least_votes_per_comparison)),
        Row("Votes of a comparison, median", _plain(quality.median_votes_per_comparison)),
        Row("Votes of a comparison, most", count(quality.most_votes_per_comparison)),
        Row("Median response time", _seconds(quality.median_response_seconds), n=quality.timed_votes),
    ]
    people = tuple(
        (
            row.pseudonym,
            row.kind,
            _state(row, report),
            count(row.votes),
            count(row.excluded_votes),
            count(row.tie_votes),
            "–" if row.left_share.value is None else percent(row.left_share.value),
            _seconds(row.median_response_seconds),
        )
        for row in quality.annotators
    )
    head = ("Annotator", "Kind", "State", "Votes", "Excluded", "Ties", "Left", "Median time")
    table = Table("Annotators, under pseudonyms in the order they came", head, people, tuple(range(3, 8)), is_long=True)
    return Section(
        "quality",
        "How the votes were given",
        rows=tuple(rows),
        tables=(table,) if people else (),
        is_part=report.results is not None,
    )


def _state(row: AnnotatorFacts, report: AgreementReport) -> str:
    """How far the annotator came: nobody is active in a closed study, nor behind votes that were imported."""
    if row.state != "active" or report.study.is_interim:
        return row.state.replace("_", " ")
    return "–" if row.kind == "imported" else "not finished"


def _design(report: AgreementReport) -> Section:
    """The design and every amendment, by hash and date."""
    table = Table(
        "Manifest versions: number 1 is the design, each later one an amendment",
        ("Version", "Date (UTC)", "SHA-256", "Reason"),
        tuple(
            (str(row.number), f"{row.created_at:%Y-%m-%d %H:%M}", row.sha256, row.reason)
            for row in report.manifest_versions
        ),
        (0,),
        is_long=True,
    )
    study = report.study
    opened = f"Opened {study.opened_at:%Y-%m-%d %H:%M} UTC. " if study.opened_at else "Never opened for votes. "
    closed = f"Closed {study.closed_at:%Y-%m-%d %H:%M} UTC." if study.closed_at else "Not closed."
    paragraphs = (opened + closed, preregistration(report))
    return Section("design", "Design and amendments", paragraphs, _design_rows(report.manifest), (table,), is_part=True)


def _design_rows(manifest: dict[str, Any]) -> tuple[Row, ...]:
    """What the manifest fixed, in words; the JSON document holds all of it."""
    rows = [Row("Prompts", count(len(manifest["prompts"])))]
    if manifest["source"] != "external":  # there everybody voted elsewhere, by rules that are not known here
        rows += _collecting_rows(manifest)
    rows.append(Row("Primary endpoint", manifest["analysis"]["primary_endpoint"]))
    if manifest["source"] == "generated":
        rows += [Row("Images a set", count(len(manifest["seeds"]))), Row("Sampling", _detail(manifest["sampling"]))]
        rows += [Row(f"Prompt template, {name}", manifest[f"model_{name.lower()}"]["prompt_template"]) for name in "AB"]
    return tuple(rows)


def _collecting_rows(manifest: dict[str, Any]) -> list[Row]:
    """How votes were collected."""
    plan = manifest["annotation"]
    quota = min(plan["comparisons_per_annotator"], len(manifest["prompts"]))
    return [
        Row("Votes wanted for each comparison", count(plan["overlap"])),
        Row("Comparisons close once their winner is certain", "yes" if plan["early_stopping"] else "no"),
        Row("Given out first", GIVEN_OUT_FIRST[plan["allocation"]]),
        Row("Comparisons for each annotator, at most", count(quota)),
        Row("Ties may be voted", "yes" if plan["ties"] else "no"),
        Row("Prompt shown to annotators", "yes" if plan["show_prompt"] else "no"),
        Row("Sealed until closed", "yes" if manifest["sealed"] else "no"),
    ]


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"
