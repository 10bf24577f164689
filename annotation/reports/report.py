"""Compute a report from plain arrays, through scoring.statistics."""

from annotation.reports.data.study_data import SealedData, UnsealedData
from annotation.reports.findings.results import AgreementReport, Results, compute_results
from annotation.reports.findings.study import quality, study_facts
from annotation.reports.findings.study.sequential import is_about_another_metric
from annotation.reports.findings.study.study_facts import Counts, StudyFacts
from annotation.reports.progress import Progress, silent
from annotation.reports.sections import claim

SCHEMA_VERSION = 3
SEALED_CLAIM = "Sealed until the study closes: no agreement is computed before then."


def build_report(data: SealedData, *, progress: Progress = silent) -> AgreementReport:
    """Return the report of a study; of sealed data it holds counts, sides and quality, and no result.

    progress: called before each finding, and for every portion of the longest ones.
    """
    study, counts = study_facts.study_facts(data), study_facts.counts(data)
    results = compute_results(data, progress=progress) if isinstance(data, UnsealedData) else None
    stopped_by = data.manifest.encoder.metric if is_about_another_metric(data) else ""
    return AgreementReport(
        schema_version=SCHEMA_VERSION,
        study=study,
        counts=counts,
        notices=study_facts.notices(data),
        exclusions=study_facts.exclusions(data),
        manifest=data.manifest,
        manifest_versions=data.manifest_versions,
        withdrawals=data.tombstones,
        events=data.events,
        quality=quality.compute(data),
        results=results,
        claim=_claim(study, counts, results, stopped_by=stopped_by) if results else SEALED_CLAIM,
    )


def _claim(study: StudyFacts, counts: Counts, results: Results, *, stopped_by: str) -> str:
    """stopped_by: the metric whose evidence ends the voting, if the report is about another one, else empty."""
    found = claim.reservations(study, reliability=results.reliability, bias=results.bias, noise=results.image_noise)
    doubts = (*claim.stopped_by_another(stopped_by), *found)
    return claim.sentence(study, counts, results, doubts=doubts)
