"""An answer that an annotator gave around the comparisons."""

from typing import ClassVar

from django.db import models

from annotation.models.annotator import Annotator


class Answer(models.Model):
    """What one annotator answered: to a question of the study, to the comprehension check, or as a free comment.

    `name` is the question's name in the study file, the number of a check question from 1, or empty for the
    comment. `occurrence` counts the tries of the check from 0. Withdrawal deletes answers.
    """

    class Page(models.TextChoices):
        QUESTIONS = "questions"
        CHECK = "check"
        COMMENT = "comment"

    annotator = models.ForeignKey(Annotator, on_delete=models.CASCADE, related_name="answers")
    page = models.CharField(max_length=9, choices=Page)
    name = models.CharField(max_length=50, blank=True)
    occurrence = models.PositiveSmallIntegerField(default=0)
    value = models.TextField(blank=True)
    answered_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["annotator", "page", "name", "occurrence"], name="one_answer_per_question"),
        ]

    def __str__(self) -> str:
        return f"{self.annotator}: {self.page} {self.name}".rstrip()
