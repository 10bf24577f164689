"""Compute a report from plain arrays, through scoring.statistics."""

from annotation.reports.data.study_data import SealedData, UnsealedData
from annotation.reports.findings.results import AgreementReport, compute_results
from annotation.reports.findings.study import quality, study_facts
from annotation.reports.progress import Progress, silent
from annotation.reports.sections import verdict

SCHEMA_VERSION = 4


def build_report(data: SealedData, *, progress: Progress = silent) -> AgreementReport:
    """Return the report of a study; of sealed data it holds counts, sides and quality, and no result.

    progress: called before each finding, and for every portion of the longest ones.
    """
    study, counts = study_facts.study_facts(data), study_facts.counts(data)
    results = compute_results(data, progress=progress) if isinstance(data, UnsealedData) else None
    lines = verdict.lines(study, counts, data.manifest, results)
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
        claim=verdict.claim(lines, study),
        verdict=lines,
    )
