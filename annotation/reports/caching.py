"""Reports kept by the hash of what went into them, so that a page and its figures compute one report."""

import hashlib
import pickle
from dataclasses import dataclass, field
from functools import lru_cache

from annotation.reports.agreement_report import AgreementReport
from annotation.reports.report import build_report
from annotation.reports.study_data import StudyData

_MOST_REPORTS = 8  # held by one process; a study of a million votes takes about 20 MB


@dataclass(frozen=True, slots=True)
class _Hashed:
    """Data that is equal where its hash is."""

    digest: bytes
    data: StudyData = field(compare=False)


def cached_report(data: StudyData) -> AgreementReport:
    """`build_report(data)`, computed once per process for equal data. Whatever changes in the data changes the hash."""
    return _report(_Hashed(hashlib.sha256(pickle.dumps(data, protocol=5)).digest(), data))


@lru_cache(maxsize=_MOST_REPORTS)
def _report(hashed: _Hashed) -> AgreementReport:
    return build_report(hashed.data)
