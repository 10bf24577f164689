"""Studies and annotators in Django's admin.

Nothing here shows scores, the model behind a vote or agreement: scores, votes and assignments have no pages.
"""

from annotation.admin.annotators import AnnotatorAdmin
from annotation.admin.second_factors import SecondFactorAdmin
from annotation.admin.studies import StudyAdmin
from annotation.admin.taking_back import ImportAdmin

__all__ = ["AnnotatorAdmin", "ImportAdmin", "SecondFactorAdmin", "StudyAdmin"]
