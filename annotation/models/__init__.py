"""The tables of annotation: fields and constraints. The functions that change them are in studies/ and voting/."""

from annotation.models.accounts import ApiToken, AuditEntry, RepeatableAnswer, ReportLink, StudyShare
from annotation.models.annotator import Annotator, Answer
from annotation.models.assignment import Assignment, ImageReport, Vote
from annotation.models.cache_entry import CacheEntry
from annotation.models.comparison import Comparison
from annotation.models.imports import Import, ImportedAssignment, ImportedVote
from annotation.models.invitation_mail import Contact, InvitationMail
from annotation.models.notice import Notice, NoticeReceipt, NoticeSettings
from annotation.models.report_job import ReplayBundle, ReportFileJob, ReportJob, StudyFileJob
from annotation.models.study import ManifestVersion, Study, StudyEvent, StudyModel, VotesByHour
from annotation.models.upload import Upload, UploadJob

__all__ = [
    "Annotator",
    "Answer",
    "ApiToken",
    "Assignment",
    "AuditEntry",
    "CacheEntry",
    "Comparison",
    "Contact",
    "ImageReport",
    "Import",
    "ImportedAssignment",
    "ImportedVote",
    "InvitationMail",
    "ManifestVersion",
    "Notice",
    "NoticeReceipt",
    "NoticeSettings",
    "RepeatableAnswer",
    "ReplayBundle",
    "ReportFileJob",
    "ReportJob",
    "ReportLink",
    "Study",
    "StudyEvent",
    "StudyFileJob",
    "StudyModel",
    "StudyShare",
    "Upload",
    "UploadJob",
    "Vote",
    "VotesByHour",
]
