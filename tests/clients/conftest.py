"""A live server, a client with a token, and what happens on the server while the client waits."""

import uuid
from collections.abc import Callable

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer
from semblance_client import Semblance, waiting

from annotation import tasks
from annotation.models import Annotator, Study
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.transitions import advance
from annotation.studies.tokens import Scope, create_token
from annotation.voting.assignment import next_assignment
from annotation.voting.casting import Ballot, vote_and_next
from scoring.models import ScoringJob
from tests.factories import make_researcher, score_all
from tests.report_worker import report_worker

__all__ = ["report_worker"]
MOST_PAUSES = 20


@pytest.fixture
def token(transactional_db: None) -> str:
    """A token of a researcher, with every scope."""
    return create_token(account=make_researcher(), name="script", scopes=Scope.values, days=1)[1]


@pytest.fixture
def site(live_server: LiveServer, token: str) -> Semblance:
    return Semblance(str(live_server.url), token)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What happens in each pause of the client, in place of the pause."""
    happening: list[Callable[[], None]] = [work, everybody_votes]
    pauses = iter(range(MOST_PAUSES))

    def pause(_seconds: float) -> None:
        assert next(pauses, None) is not None, f"it still waits: {list(Study.objects.values())}"
        for happens in happening:
            happens()

    monkeypatch.setattr(waiting, "sleep", pause)
    return happening


def work() -> None:
    """Do what the worker does for uploads and studies; scores come from the factory, not from an encoder."""
    tasks.import_upload()
    for study in Study.objects.exclude(state__in=("draft", "open", "paused", "closed")):
        if study.comparisons.exists():
            score_all(study)
            ScoringJob.objects.all().delete()
        advance(study)


def everybody_votes() -> None:
    """Let every invited person of an open study answer each comparison they get: the left side."""
    for annotator in Annotator.objects.filter(study__state="open"):
        rules = current_manifest(annotator.study).voting_rules()
        while held := next_assignment(annotator=annotator, rules=rules, now=timezone.now()).assignment:
            ballot = Ballot(vote_id=uuid.uuid4(), choice="left", rendition="grid")
            vote_and_next(ballot=ballot, assignment=held, rules=rules, now=timezone.now())
