"""How the study was run, its design and its amendments. Pure."""

from datetime import datetime

from annotation.reports.findings.people.reliability import EarlyStopping
from annotation.reports.findings.study.study_facts import Facts, StudyFacts
from annotation.reports.printing.blocks import Row, Section, Table
from annotation.reports.printing.doubts import leaks_table
from annotation.reports.printing.numbers import count, directed_metric, minute
from annotation.reports.printing.phrases import FIXED_ORDER
from annotation.studies.manifest import Manifest
from annotation.voting.rules import GIVEN_OUT_FIRST
from jobs.wording import counted

IMPORTED = "imported"


def section(stopping: EarlyStopping | None, facts: Facts) -> Section:
    """The question, the models, the counts from plan to analysis, and the events. stopping: None while sealed."""
    study, counts = facts.study, facts.counts
    rows = [
        Row("Question", study.question),
        *_models(study),
        Row("Metric", directed_metric(study.metric, is_lower=study.is_lower_more_consistent)),
        Row("Comparisons planned", count(counts.planned_comparisons)),
        Row("Comparisons with every image", count(counts.generated_comparisons)),
        Row("Comparisons with both scores", count(counts.scored_comparisons)),
        Row("Comparisons with votes", count(counts.voted_comparisons)),
        Row("Comparisons analysed", count(counts.analysed_comparisons), remark=_why_fewer(facts)),
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
    rows += _saved(stopping, facts) if stopping else ()
    if study.other_metrics:
        rows.insert(4, Row("Other metrics", _other_metrics(study)))
    has_images = counts.planned_images is not None
    shown = tuple(row for row in rows if has_images or row.value != count(None))
    return Section("study-facts", "How the study was run", rows=shown, tables=_events(facts))


def _other_metrics(study: StudyFacts) -> str:
    return ", ".join(directed_metric(name, is_lower=name in study.lower_metrics) for name in study.other_metrics)


def _models(study: StudyFacts) -> tuple[Row, ...]:
    if study.are_several:
        return (Row("Models", ", ".join(study.models)),)
    return Row("Model A", study.model_a), Row("Model B", study.model_b)


def _why_fewer(facts: Facts) -> str:
    counts = facts.counts
    fallen = counts.planned_comparisons - counts.analysed_comparisons
    return f"{fallen} of those planned: no counted vote, or a score is missing" if fallen else ""


def _simulated(number: int) -> str:
    return f"{number} simulated: made by a program, not by a person" if number else ""


def _saved(stopping: EarlyStopping, facts: Facts) -> tuple[Row, ...]:
    """The votes that were not needed; no row if the study did not stop early."""
    if stopping.first_votes is None:
        return ()
    remark = (
        f"of {facts.counts.planned_comparisons * facts.study.overlap} at the full overlap; "
        f"{counted(stopping.closed_comparisons, 'comparison')} closed once no vote to come could change their winner"
    )
    return (Row("Votes saved by early stopping", count(stopping.saved_votes), remark=remark),)


def _events(facts: Facts) -> tuple[Table, ...]:
    if not facts.events:
        return ()
    rows = tuple(
        (minute(event.happened_at), event.verb.replace("_", " "), _detail(event.detail)) for event in facts.events
    )
    return (Table("What was done to the study", ("When (UTC)", "What", "Detail"), rows, is_long=True),)


def _detail(detail: dict[str, object]) -> str:
    """The pairs in words, without empty texts."""
    return ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in detail.items() if value != "")


def design_section(facts: Facts) -> Section:
    """The design and every amendment, by hash and date."""
    table = Table(
        "Versions of the study file: number 1 is the design, each later one an amendment",
        ("Version", "Date (UTC)", "SHA-256", "Reason"),
        tuple((str(row.number), minute(row.created_at), row.sha256, row.reason) for row in facts.manifest_versions),
        (0,),
        is_long=True,
    )
    study = facts.study
    opened = f"Opened {minute(study.opened_at)} UTC. " if study.opened_at else "Never opened for votes. "
    closed = f"Closed {minute(study.closed_at)} UTC." if study.closed_at else "Not closed."
    paragraphs = (opened + closed, preregistration(facts))
    tables = (*leaks_table(study), table)
    return Section("design", "Design and amendments", paragraphs, _design_rows(facts.manifest), tables, is_part=True)


def _design_rows(manifest: Manifest) -> tuple[Row, ...]:
    """The main decisions of the manifest in words; the JSON document holds all of them."""
    rows = [Row("Prompts", count(len(manifest.prompts)))]
    if manifest.source != "external":  # its votes were cast elsewhere, by rules that are not known here
        rows += _collecting_rows(manifest)
    rows += [
        Row("Primary endpoint", manifest.analysis.primary_endpoint),
        Row("Confirmatory test", _confirmatory_test(manifest)),
    ]
    if manifest.source == "generated":
        sampling = _detail(manifest.sampling.as_document())
        rows += [Row("Images a set", count(len(manifest.seeds))), Row("Sampling", sampling)]
        names = ("A", "B") if len(manifest.models) == 2 else (plan.name for plan in manifest.models.values())
        templates = zip(names, manifest.models.values(), strict=True)
        rows += [Row(f"Prompt template, {name}", plan.prompt_template) for name, plan in templates]
    return tuple(rows)


def _confirmatory_test(manifest: Manifest) -> str:
    """The one confirmatory test in words; of a study that stops when its claim is decided, the evidence."""
    named, stops_by = manifest.analysis.constant_choice, manifest.annotation.stop_when_decided
    if len(manifest.models) > 2:
        return f"the primary endpoint against {FIXED_ORDER}, by the winners of the votes"
    names = dict(zip("AB", (plan.name for plan in manifest.models.values()), strict=True))
    if stops_by == "models":
        return "the evidence that annotators prefer one of the two models, after each cluster"
    if stops_by == "metric":
        rival = names.get(named, "each of the two models")
        return f"the evidence for the primary endpoint against always naming {rival}, after each cluster"
    return f"the primary endpoint against always naming {names.get(named, 'the model that the votes prefer')}"


def _collecting_rows(manifest: Manifest) -> list[Row]:
    """How votes were collected."""
    plan, rules = manifest.annotation, manifest.voting_rules()
    return [
        Row("Votes wanted for each comparison", count(plan.overlap)),
        Row("Comparisons close once their winner is certain", "yes" if plan.early_stopping else "no"),
        Row("Given out first", GIVEN_OUT_FIRST[rules.allocation]),
        Row("Comparisons for each annotator, at most", count(rules.comparisons_per_annotator)),
        Row("Ties may be voted", "yes" if plan.ties else "no"),
        Row("Prompt shown to annotators", "yes" if plan.show_prompt else "no"),
        Row("Sealed until closed", "yes" if manifest.sealed else "no"),
    ]


# --- preregistration ----------------------------------------------------------------------------
def preregistration(facts: Facts) -> str:
    """The design's hash and date, whether it was fixed before the first vote, and the number of amendments.

    Imported votes were cast elsewhere, so nothing is claimed about their order.
    """
    design, *amendments = facts.manifest_versions
    return " ".join((_order(facts, design.created_at, design.sha256), _amended(facts, len(amendments))))


def _order(facts: Facts, fixed_at: datetime, sha256: str) -> str:
    design, first = f"The design (SHA-256 {sha256}) was fixed at {_time(fixed_at)}", facts.study.first_vote_at
    if first is None:
        return f"{design}; there is no vote yet."
    if any(row.kind == IMPORTED and row.votes + row.excluded_votes for row in facts.quality.annotators):
        return f"{design}; votes were imported, the first at {_time(first)}: when they were cast is not known here."
    order = "before" if fixed_at < first else "after"
    return f"{design}, {order} the first vote was received at {_time(first)}."


def _amended(facts: Facts, amendments: int) -> str:
    if not amendments:
        return "It was not amended."
    first = facts.study.first_vote_at
    late = sum(row.created_at > first for row in facts.manifest_versions[1:]) if first else 0
    return f"Amended {amendments} {'time' if amendments == 1 else 'times'}, {late} of them after the first vote."


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
