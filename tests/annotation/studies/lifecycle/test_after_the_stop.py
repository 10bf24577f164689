"""What happens to a decided study after its voting has ended: the report says what changed and keeps the verdict."""

import uuid
from pathlib import Path

import pytest
from django.utils import timezone

from annotation.models import Annotator, Assignment, Import, Study
from annotation.reports.findings.study.sequential import Sequential
from annotation.studies.current import current_manifest
from annotation.studies.imports.taking_back import take_back
from annotation.studies.lifecycle.periodic import maintain
from annotation.voting.assignment import next_assignment
from annotation.voting.casting import Ballot
from annotation.voting.imports.vote_import import import_votes
from annotation.voting.withdrawal import withdraw
from tests.annotation.reports.voted_studies import report_of
from tests.annotation.studies.lifecycle.test_deciding import DECIDED_AFTER, a_study
from tests.annotation.voting.open_studies import cast_vote

pytestmark = [pytest.mark.django_db]


def voted(study: Study, name: str, *, count: int) -> Annotator:
    """An annotator who answers the first comparisons, each for A."""
    annotator, rules = Annotator.objects.create(study=study, label=name), current_manifest(study).voting_rules()
    for _ in range(count):
        now = timezone.now()
        given = next_assignment(annotator=annotator, rules=rules, now=now).assignment
        assert given is not None
        side = "left" if given.left_model == Assignment.Side.A else "right"
        cast_vote(ballot=Ballot(uuid.uuid4(), side), assignment=given, rules=rules, now=now)
    return annotator


def evidence(study: Study) -> tuple[Sequential, str]:
    report = report_of(study)
    assert report.results is not None
    assert report.results.sequential is not None
    return report.results.sequential, report.claim


def test_withdrawal_and_taking_back_after_the_stop(tmp_path: Path) -> None:
    study = a_study(claim="models")
    people = [voted(study, name, count=DECIDED_AFTER) for name in ("Ada", "Ben")]
    prompts = study.comparisons.order_by("turn").values_list("prompt__text", flat=True)[:DECIDED_AFTER]
    file = tmp_path / "votes.csv"
    file.write_text("annotator,prompt,choice\n" + "".join(f"Cleo,{text},Alpha\n" for text in prompts))
    import_votes(study=study, path=file, rules=current_manifest(study).voting_rules(), now=timezone.now())
    maintain(timezone.now())
    study.refresh_from_db()
    assert study.state == Study.State.CLOSED
    saved, found = 3 * (12 - DECIDED_AFTER), evidence(study)[0]
    assert (found.ended_after, found.ended_with, found.saved_votes) == (DECIDED_AFTER, "shown", saved)
    withdraw(annotator=people[0], until=None, now=timezone.now())
    take_back(source=Import.objects.get(study=study))
    found, claim = evidence(study)
    assert (found.ended_with, found.decision.verdict, found.saved_votes) == ("shown", "shown", saved)
    assert "the votes and scores that count now" not in claim
    withdraw(annotator=people[1], until=None, now=timezone.now())
    found, claim = evidence(study)
    assert (found.ended_with, found.decision.verdict, found.saved_votes) == ("shown", "undecided", saved)
    assert "prefer Alpha to Beta; the votes and scores that count now do not show it" in claim
