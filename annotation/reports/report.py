"""Plain arrays -> the report: frozen values, computed through scoring.statistics."""

from annotation.reports import claim, conduct
from annotation.reports.agreement_report import SCHEMA_VERSION, AgreementReport
from annotation.reports.progress import Progress, silent
from annotation.reports.results import results
from annotation.reports.study_data import StudyData
from annotation.studies.manifest import document

SEALED_CLAIM = "Sealed until the study closes: no agreement is computed before."


def build_report(data: StudyData, *, progress: Progress = silent) -> AgreementReport:
    """The report of a study. While the study is sealed it holds counts, sides and quality, and no result.

    progress: told of each part before it is computed, and of every portion of the longest ones.
    """
    study, counts = conduct.study_facts(data), conduct.counts(data)
    found = None if data.is_sealed else results(data, progress=progress)
    return AgreementReport(
        schema_version=SCHEMA_VERSION,
        claim=claim.sentence(study=study, counts=counts, results=found) if found else SEALED_CLAIM,
        notices=conduct.notices(data),
        study=study,
        manifest=document(data.manifest),
        manifest_versions=conduct.manifest_facts(data),
        counts=counts,
        quality=conduct.quality(data),
        exclusions=conduct.exclusions(data),
        withdrawals=data.tombstones,
        events=conduct.event_facts(data),
        results=found,
    )
