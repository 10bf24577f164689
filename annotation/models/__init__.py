"""What annotation keeps. Fields, constraints and querysets; the verbs are in studies/ and voting/."""

from annotation.models.annotator import Annotator
from annotation.models.answer import Answer
from annotation.models.assignment import Assignment
from annotation.models.cache_entry import CacheEntry
from annotation.models.comparison import Comparison
from annotation.models.image_report import ImageReport
from annotation.models.imports import Import, ImportedAssignment
from annotation.models.replay_bundle import ReplayBundle
from annotation.models.report_job import ReportFileJob, ReportJob
from annotation.models.study import ManifestVersion, Study, StudyEvent
from annotation.models.vote import Vote

__all__ = [
    "Annotator",
    "Answer",
    "Assignment",
    "CacheEntry",
    "Comparison",
    "ImageReport",
    "Import",
    "ImportedAssignment",
    "ManifestVersion",
    "ReplayBundle",
    "ReportFileJob",
    "ReportJob",
    "Study",
    "StudyEvent",
    "Vote",
]
