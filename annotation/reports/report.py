"""Compute a report from plain arrays, through scoring.statistics."""

from annotation.reports.data.study_data import SealedData, UnsealedData
from annotation.reports.findings import quality, results, study_facts
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.study_facts import Counts, StudyFacts
from annotation.reports.progress import Progress, silent
from annotation.reports.sections import claim

SCHEMA_VERSION = 2
SEALED_CLAIM = "Sealed until the study closes: no agreement is computed before."


def build_report(data: SealedData, *, progress: Progress = silent) -> AgreementReport:
    """Return the report of a study; of sealed data it holds counts, sides and quality, and no result.

    progress: called before each finding, and for every portion of the longest ones.
    """
    study, counts = study_facts.study_facts(data), study_facts.counts(data)
    found = results.compute(data, progress=progress) if isinstance(data, UnsealedData) else None
    return AgreementReport(
        schema_version=SCHEMA_VERSION,
        claim=_claim(study, counts, found) if found else SEALED_CLAIM,
        notices=study_facts.notices(data),
        study=study,
        manifest=data.manifest,
        manifest_versions=data.manifest_versions,
        counts=counts,
        quality=quality.compute(data),
        exclusions=study_facts.exclusions(data),
        withdrawals=data.tombstones,
        events=data.events,
        results=found,
    )


def _claim(study: StudyFacts, counts: Counts, found: Results) -> str:
    doubts = claim.reservations(study, reliability=found.reliability, bias=found.bias, noise=found.image_noise)
    return claim.sentence(study, counts, agreement=found.agreement, people=found.people, doubts=doubts)
