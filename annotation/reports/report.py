"""Plain arrays -> the report: frozen values, computed through scoring.statistics."""

from annotation.reports.agreement_report import SCHEMA_VERSION, AgreementReport
from annotation.reports.data.study_data import StudyData
from annotation.reports.findings import study_facts
from annotation.reports.findings.results import results
from annotation.reports.progress import Progress, silent
from annotation.reports.sections import claim
from annotation.studies.manifest import document, public

SEALED_CLAIM = "Sealed until the study closes: no agreement is computed before."


def build_report(data: StudyData, *, progress: Progress = silent) -> AgreementReport:
    """The report of a study. While the study is sealed it holds counts, sides and quality, and no result.

    progress: told of each part before it is computed, and of every portion of the longest ones.
    """
    study, counts = study_facts.study_facts(data), study_facts.counts(data)
    found = None if data.is_sealed else results(data, progress=progress)
    return AgreementReport(
        schema_version=SCHEMA_VERSION,
        claim=claim.sentence(study=study, counts=counts, results=found) if found else SEALED_CLAIM,
        notices=study_facts.notices(data),
        study=study,
        manifest=public(document(data.manifest)),
        manifest_versions=study_facts.manifest_facts(data),
        counts=counts,
        quality=study_facts.quality(data),
        exclusions=study_facts.exclusions(data),
        withdrawals=data.tombstones,
        events=study_facts.event_facts(data),
        results=found,
    )
