"""An annotator, and what they answered around the comparisons."""

import secrets
from typing import ClassVar

from django.db import models
from django.db.models import F, Func, OuterRef, Q, QuerySet, Subquery
from django.utils.crypto import salted_hmac

from annotation.models.study import new_link_token

# Crockford's alphabet without vowels: no code spells a word, none is misread.
RESUME_CODE_ALPHABET = "23456789BCDFGHJKMNPQRSTVWXZ"


def new_resume_code() -> str:
    """Ten characters that a person can copy by hand: 47 bits."""
    return "".join(secrets.choice(RESUME_CODE_ALPHABET) for _ in range(10))


def new_seed() -> int:
    """A random seed that fits a signed 64-bit column."""
    return secrets.randbelow(2**63)


MARKED = "withdrawn:"  # no platform's id has a colon


def withdrawal_marker(*, study_id: int, external_id: str) -> str:
    """The text that replaces a platform's id after a withdrawal. It recognises the same person and names nobody.

    An id that it replaced already stays.
    """
    if external_id.startswith(MARKED):
        return external_id
    return MARKED + salted_hmac(f"semblance withdrawal {study_id}", external_id, algorithm="sha256").hexdigest()


def pseudonym(number: int) -> str:
    """Return the name of the study's annotator with this number (from 1, in order of arrival) in every file.

    >>> pseudonym(7)
    'P007'
    """
    return f"P{number:03d}"


class Annotator(models.Model):
    """A person or program that votes in one study, known by the token in their link. The label is only a name."""

    class Kind(models.TextChoices):
        PERSONAL = "personal"  # invited by a personal link
        OPEN = "open"  # came through the study's open link
        IMPORTED = "imported"  # votes were read from a file
        SIMULATED = "simulated"  # no person: votes made by simulate_votes

    class State(models.TextChoices):
        ACTIVE = "active"
        FINISHED = "finished"
        SCREENED_OUT = "screened_out"
        WITHDRAWN = "withdrawn"

    class Screening(models.TextChoices):
        COMPREHENSION = "comprehension"  # the questions about the instructions, answered wrongly twice
        ATTENTION = "attention"  # the checks among the comparisons

    study = models.ForeignKey("annotation.Study", on_delete=models.CASCADE, related_name="annotators")
    kind = models.CharField(max_length=10, choices=Kind)
    state = models.CharField(max_length=12, choices=State, default=State.ACTIVE)
    label = models.CharField(max_length=200, blank=True)
    token = models.CharField(max_length=40, unique=True, default=new_link_token)
    resume_code = models.CharField(max_length=10, unique=True, default=new_resume_code)
    external_id = models.CharField(max_length=200, blank=True, help_text="The annotator's id on a crowd platform.")
    platform_parameters = models.JSONField(
        default=dict, blank=True, help_text="Further parameters of the platform's link, as of the first visit."
    )
    seed = models.PositiveBigIntegerField(default=new_seed, help_text="The seed from which sides and orders are drawn.")
    welcomed_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the annotator left the welcome page, with their consent if the study asks for it.",
    )
    consent_sha256 = models.CharField(
        max_length=64,
        blank=True,
        help_text="The hash of the consent text that the annotator agreed to; empty if none was asked for.",
    )
    instructions_read_at = models.DateTimeField(null=True, blank=True)
    check_try_count = models.PositiveSmallIntegerField(default=0, help_text="Failed tries at the comprehension check.")
    check_passed_at = models.DateTimeField(null=True, blank=True)
    break_count = models.PositiveIntegerField(default=0, help_text="How many breaks are over.")
    waiting_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when no comparison has been free for the annotator although some lack votes.",
    )
    screened_out_for = models.CharField(max_length=13, choices=Screening, blank=True)
    broken_rules = models.CharField(
        max_length=200,
        blank=True,
        help_text="Quality rules of the study that the annotator broke. Shown to the annotator at the end only.",
    )
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_vote_count = models.PositiveIntegerField(default=0, help_text="How many votes the withdrawal deleted.")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["study", "external_id"], condition=~Q(external_id=""), name="one_annotator_per_external_id"
            ),
            models.UniqueConstraint(
                fields=["study", "label"],
                condition=Q(kind="imported") & ~Q(label=""),  # erased: the votes stay under pseudonyms
                name="one_imported_annotator_per_label",
            ),
            models.CheckConstraint(
                name="annotator_withdrawn_has_a_time_and_nothing_else",
                condition=Q(withdrawn_at__isnull=True, withdrawn_vote_count=0)
                | Q(state="withdrawn", label="", consent_sha256="", broken_rules="", instructions_read_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.label or (pseudonym(self.number) if self.pk else "new annotator")

    @property
    def number(self) -> int:
        """The annotator's place in the order of arrival, from 1. A query, unless `numbered` has read it."""
        arrival: int | None = getattr(self, "arrival", None)
        return arrival or Annotator.objects.filter(study=self.study_id, pk__lte=self.pk).count()

    @property
    def is_simulated(self) -> bool:
        """Whether a program made the votes."""
        return self.kind == self.Kind.SIMULATED

    @property
    def has_come(self) -> bool:
        """Whether the person took part, if only as far as the welcome page. An invited one has not come yet."""
        marks = (self.welcomed_at, self.instructions_read_at, self.withdrawn_at)
        return self.kind == self.Kind.OPEN or any(marks)

    def situation(self, *, is_over: bool, has_voted: bool) -> str:
        """The state in words. Once the voting is over, nobody is active; before they come, annotators are invited."""
        if self.state != self.State.ACTIVE:
            return self.get_state_display()
        if self.kind == self.Kind.IMPORTED:
            return "Votes imported"
        if self.kind == self.Kind.PERSONAL and not (has_voted or self.welcomed_at or self.instructions_read_at):
            return "Never came" if is_over else "Invited"
        return "Not finished" if is_over else "Active"


PEOPLE = (Annotator.Kind.PERSONAL, Annotator.Kind.OPEN)
BY_FILE = (Annotator.Kind.IMPORTED, Annotator.Kind.SIMULATED)  # the kinds that a file of votes may name


def numbered(annotators: QuerySet[Annotator]) -> QuerySet[Annotator]:
    """Return the annotators with their numbers read at once, for lists that name many."""
    earlier = Annotator.objects.filter(study=OuterRef("study"), pk__lte=OuterRef("pk")).order_by()
    return annotators.annotate(arrival=Subquery(earlier.values(count=Func(F("pk"), function="COUNT"))))


class Answer(models.Model):
    """An annotator's answer to a question of the study, to the comprehension check, or a comment.

    name: the question's name in the study file, the number of a check question from 1, or empty for the comment.
    occurrence: the try of the check, from 0. Withdrawal deletes answers.
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
