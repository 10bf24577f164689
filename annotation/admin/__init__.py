"""Studies, annotators, imports, accounts and the audit in Django's admin.

No page shows scores, the model behind a vote or the agreement: scores, votes and assignments have no pages.
"""

from django.conf import settings

from annotation.admin.accounts import AccountAdmin, AuditEntryAdmin, SecondFactorAdmin
from annotation.admin.annotators import AnnotatorAdmin
from annotation.admin.studies import StudyAdmin
from annotation.admin.taking_back import ImportAdmin

if settings.SINGLE_SIGN_ON.issuer:
    from annotation.admin import single_sign_on  # noqa: F401 - its tables exist only then

__all__ = ["AccountAdmin", "AnnotatorAdmin", "AuditEntryAdmin", "ImportAdmin", "SecondFactorAdmin", "StudyAdmin"]
