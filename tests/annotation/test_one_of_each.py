"""A study with one of everything: every page, file and command says one of it, in sentences without holes."""

import html
import re
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from annotation.models import Annotator, Study, StudyEvent
from annotation.reports.plan import to_text
from annotation.reports.report_jobs.downloads import FORMATS, render
from annotation.studies.current import current_manifest
from annotation.studies.planning.question import Design, ask
from annotation.studies.planning.sample_size import plan_study
from annotation.studies.warnings.manifest_warnings import manifest_warnings
from annotation.voting.annotators import invite
from tests.annotation.reports.voted_studies import Plan, embed, report_of
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.factories import give_vote, make_manifest, make_researcher, make_study

pytestmark = pytest.mark.django_db
THINGS = (
    "comparisons|sets|images|votes|annotators|prompts|jobs|seeds|members|rows|studies|faults|people|checks|metrics|"
    "files|times|days|winners|resamples|models|links"
)
# Before the number no digit and no point: "11 votes" and "0.1 points" are right.
PLURAL = re.compile(rf"(?<![\d.,])1 (?:(?:simulated|new|imported|of those|standing) )?(?:{THINGS})\b")
HOLES = re.compile(
    r"(?<!and )metric always name one|people always names one| ,|: ,|, \.|: \.(?!\d)|\( | \)(?!\s*\^)|\bNone\b"
)


def faults_in(text: str) -> list[str]:
    """What is wrong in a text, with its surroundings."""
    plain = html.unescape(re.sub(r"<(?:svg|style|script).*?</(?:svg|style|script)>|<[^>]+>", "", text, flags=re.DOTALL))
    found = [*PLURAL.finditer(plain), *HOLES.finditer(plain)]
    return [" ".join(plain[max(0, one.start() - 40) : one.end() + 30].split()) for one in found]


@pytest.mark.parametrize(
    ("votes", "kind"), [([["A"]], "personal"), ([["A", "A"]], "simulated"), ([["tie"]], "imported")]
)
def test_reports_of_one_of_each(votes: list[list[str]], kind: str) -> None:
    study = make_voted_study(Plan(votes, [(2.0, 1.0)], kind=kind))
    StudyEvent.objects.create(study=study, verb="noted", detail={"reason": "", "jobs": 1})
    report = report_of(study)
    for name in ("html", "txt", "latex"):
        assert faults_in(render(report, name)) == [], name
    assert set(FORMATS) >= {"html", "txt", "latex"}


def test_a_report_on_the_images_of_one_comparison() -> None:
    study = make_voted_study(Plan([["A", "B"], ["A", "A"]], [(2.0, 1.0), (None, None)]))
    embed(study.comparisons.get(position=0), spread_a=0.1, spread_b=0.5)
    assert faults_in(render(report_of(study), "txt")) == []


@pytest.mark.parametrize("state", ["draft", "open", "closed"])
def test_pages_and_commands_of_one_of_each(client: Client, state: str) -> None:
    long = "a-slug-that-is-typed-again-and-so-stays-in-one-piece-however-many-columns-there-are"
    study = make_study(slug=long, comparisons=1, state=state, annotation={"overlap": 1, "comparisons_per_annotator": 1})
    if state != "draft":
        give_vote(invite(study=study, label="Ada"))
    client.force_login(make_researcher())
    of_any_state = ("", "images/", "annotators/", "invitations/", "settings/")
    for page in (*of_any_state, *(["comparisons/", "comparisons/1/", "reported/"] if state == "closed" else [])):
        answer = client.get(f"/studies/{study.slug}/{page}")
        assert answer.status_code == 200, page
        assert faults_in(answer.content.decode()) == [], page
    said = StringIO()
    call_command("study_status", stdout=said)
    assert long in said.getvalue()
    assert faults_in(said.getvalue()) == []


def test_what_is_doubtful_and_planned_of_one_of_each() -> None:
    plan = {"overlap": 2, "most_annotators": 1, "comparisons_per_annotator": 1}
    said = manifest_warnings(make_manifest(comparisons=1, annotation=plan))
    said += manifest_warnings(make_manifest(comparisons=2, annotation={**plan, "overlap": 1}))
    said += manifest_warnings(make_manifest(comparisons=1, annotation={"comparisons_per_annotator": 60}))
    assert len(said) == 3
    question = ask(Design(prompts=2, overlap=1, comparisons_per_annotator=2, annotators=1), simulations=20)
    sentences = [warning.sentence for warning in said]
    assert faults_in("\n".join([*sentences, to_text(plan_study(question))])) == []


def test_annotators_pages_of_one_of_each_in_both_languages(client: Client) -> None:
    for language in ("en", "de"):
        study = make_study(slug=f"one-{language}", comparisons=1, texts={"language": language})
        annotator = invite(study=study, label="Ada")
        seen = client.get(f"/a/{annotator.token}/").content.decode()
        give_vote(annotator)
        Annotator.objects.filter(pk=annotator.pk).update(instructions_read_at=timezone.now())
        seen += client.get(f"/a/{annotator.token}/withdraw/").content.decode()
        seen += client.get(f"/a/{annotator.token}/stop/").content.decode()
        assert faults_in(seen) == []
        assert not re.search(r"(?<![\d.,])1 (?:Vergleiche|Stimmen|Bildreihen|Bilder)\b", seen)
    assert Study.objects.count() == 2
    assert current_manifest(Study.objects.earliest("pk")).texts.language == "en"
