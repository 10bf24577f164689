"""The API for researchers: tokens and scopes, roles, studies by it, problem documents, requests sent twice."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import URLPattern, reverse
from django.utils import timezone

from annotation.models import Annotator, ApiToken, AuditEntry, RepeatableAnswer, Study
from annotation.studies.sharing import Role
from annotation.studies.study_file.writing import write_study_file
from annotation.studies.tokens import Scope, create_token
from annotation.voting.annotators import invite
from annotation.web.access.who_may import OPERATIONS, Who, scope
from annotation.web.urls import api
from generation.models import DiffusionModel
from tests.annotation.reports.voted_studies import crossed
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.factories import give_vote, make_manifest, make_researcher, make_study, member

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "delete")
FILE = """\
name = "From a script"
source = "generated"
[models.a]
name = "Alpha"
[models.b]
name = "Beta"
[prompts]
list = ["a lighthouse"]
[images]
per_set = 2
seeds = 7
"""


class Script:
    """A program with a token."""

    def __init__(self, account: User, *scopes: str) -> None:
        self.token, self.secret = create_token(account=account, name="t", scopes=scopes or Scope.values, days=1)
        self.client = Client(headers={"authorization": f"Bearer {self.secret}"})

    def call(self, method: str, address: str, body: Any = None, **headers: str) -> Any:
        call = getattr(self.client, method)
        url = f"/api/v1/{address}"
        return (
            call(url, headers=headers)
            if method == "get"
            else call(url, body or {}, "application/json", headers=headers)
        )

    def status(self, method: str, address: str) -> int:
        """Return the status of an answer, and read a file to its end."""
        answer = self.call(method, address)
        if answer.streaming:
            b"".join(answer.streaming_content)
        return int(answer.status_code)

    def ask(self, method: str, address: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        answer = self.call(method, address, body, **headers)
        return answer.status_code, answer.json() if answer.content else None


@pytest.fixture
def script() -> Script:
    for name in ("Alpha", "Beta"):
        DiffusionModel.objects.create(name=name, checkpoint=f"/models/{name.lower()}")
    return Script(make_researcher())


def test_a_study_from_file_to_report_by_a_script(script: Script) -> None:
    assert [one["name"] for one in script.ask("get", "models")[1]["items"]] == ["Alpha", "Beta"]
    assert script.ask("post", "study-check", {"file": FILE})[1]["slug"] == "from-a-script"
    assert not Study.objects.exists()
    status, made = script.ask("post", "studies", {"file": FILE})
    assert (status, made["state"], made["role"], made["actions"]) == (201, "draft", "owner", ["launch"])
    assert Study.objects.get().diffusion_models[0].checkpoint == "/models/alpha"
    assert script.ask("post", "studies/from-a-script/actions/launch")[1]["state"] == "generating"
    refused = script.ask("post", "studies/from-a-script/actions/open")
    assert (refused[0], refused[1]["detail"][:26]) == (409, "From a script cannot open:")
    assert script.ask("get", "studies")[1]["items"][0]["slug"] == "from-a-script"
    acts = script.ask("get", "studies/from-a-script/history?limit=1")[1]
    assert (acts["count"], acts["items"][0]["verb"]) == (2, "launched")
    assert acts["next"].endswith("?limit=1&offset=1")


def test_votes_and_invitations_by_a_script(script: Script) -> None:
    study = make_study()
    status, refused = script.ask("post", "studies/study/invitations", {"labels": ["Ada\0"]})
    assert (status, "labels: The character NUL" in refused["detail"]) == (422, True), "PostgreSQL cannot hold it"
    status, made = script.ask("post", "studies/study/invitations", {"labels": ["Ada", "Grace"]})
    assert (status, [one["label"] for one in made["items"]]) == (201, ["Ada", "Grace"])
    assert Client().get(made["items"][0]["link"].removeprefix("http://testserver")).status_code == 200
    assert script.ask("get", "studies/study/invitations?limit=1")[1]["count"] == 2
    assert b"".join(script.call("get", "studies/study/votes").streaming_content).startswith(b"vote_id,")
    assert script.ask("get", "studies/study")[1]["progress"]["annotator_count"] == 2
    verbs = [one["verb"] for one in script.ask("get", "studies/study/history")[1]["items"]]
    assert {"invited", "links downloaded", "votes downloaded"} <= set(verbs)
    Study.objects.filter(pk=study.pk).update(state="closed", closed_at=timezone.now())
    assert "nobody can be invited" in script.ask("post", "studies/study/invitations", {"count": 1})[1]["detail"]


def test_the_report_is_made_and_then_given(script: Script, report_worker: None) -> None:
    study = make_voted_study(crossed([[4, 1], [1, 4]]))
    address = f"studies/{study.slug}/report"
    assert script.status("get", address) in {200, 202}
    answer = script.call("get", address)
    assert answer.status_code == 200
    assert b'"schema_version"' in b"".join(answer.streaming_content)
    assert script.ask("get", f"studies/{study.slug}/report?format=docx")[1]["errors"][0]["field"] == "format"


def test_faults_of_a_study_file_are_listed_with_their_lines(script: Script) -> None:
    wrong = FILE.replace("per_set = 2", "per_set = 0").replace('"a lighthouse"', "")
    status, problem = script.ask("post", "study-check", {"file": wrong})
    assert (status, problem["status"]) == (422, 422)
    assert {(one["field"], one["line"]) for one in problem["errors"]} >= {("images.per_set", 10), ("prompts.list", 8)}
    kind = script.call("post", "study-check", {"file": wrong})["content-type"]
    assert kind == "application/problem+json"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ('name = "Alpha"\ncheckpoint = "/etc"', "models.a.checkpoint"),
        ('name = "Other"\ncheckpoint = "/models/alpha"', "models.a.name"),
        ('name = "Other"\nendpoint = "painter"', "models.a.name"),
        ('name = "Alpha"\ncheckpoint = "/models/alpha"\nlora = "/root/secrets"\nlora_scale = 1.0', "models.a.lora"),
    ],
)
def test_a_file_of_a_script_names_models_of_the_installation(script: Script, change: str, field: str) -> None:
    status, problem = script.ask("post", "studies", {"file": FILE.replace('name = "Alpha"', change)})
    assert (status, problem["errors"][0]["field"]) == (422, field)
    assert not Study.objects.exists()
    encoder = FILE + '[encoder]\ncheckpoint = "/root/encoder"\n'
    assert script.ask("post", "studies", {"file": encoder})[1]["errors"][0]["field"] == "encoder.checkpoint"
    admin = Script(User.objects.create_superuser("admin"))
    status, _made = admin.ask("post", "studies", {"file": encoder})
    assert status == 201, "an admin's file may"


def test_a_request_that_comes_again_creates_one(script: Script) -> None:
    make_study()
    key = {"idempotency-key": "a-1"}
    first, again = (script.ask("post", "studies/study/invitations", {"count": 2}, **key) for _ in range(2))
    assert first == again
    assert Annotator.objects.count() == 2
    other = script.ask("post", "studies/study/invitations", {"count": 3}, **key)
    assert (other[0], "another request had this key" in other[1]["detail"]) == (422, True)
    RepeatableAnswer.objects.update(status=0)
    assert script.ask("post", "studies/study/invitations", {"count": 2}, **key)[0] == 409
    RepeatableAnswer.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert script.ask("post", "studies/study/invitations", {"count": 2}, **key)[0] == 201
    refused = {"idempotency-key": "a-2"}
    assert script.ask("post", "studies/study/invitations", {"count": 0}, **refused)[0] == 422
    assert script.ask("post", "studies/study/invitations", {"count": 1}, **refused)[0] == 201


def over(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())


def revoked(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk).update(revoked_at=timezone.now())


def of_no_researcher(token: ApiToken) -> None:
    User.objects.filter(pk=token.account_id).update(is_staff=False)


@pytest.mark.parametrize("ended", [over, revoked, of_no_researcher])
def test_a_token_that_is_not_in_force_opens_nothing(script: Script, ended: Callable[[ApiToken], None]) -> None:
    assert script.ask("get", "studies")[0] == 200
    assert ApiToken.objects.get().last_used_at is not None
    ended(script.token)
    status, problem = script.ask("get", "studies")
    assert (status, problem["title"]) == (401, "Unauthorized")
    assert script.call("get", "studies")["WWW-Authenticate"] == "Bearer"


def test_tokens_are_stored_as_hashes_and_guesses_are_limited(script: Script) -> None:
    row = ApiToken.objects.values().get()
    assert script.secret not in str(row)
    wrong = Client(headers={"authorization": f"Bearer {script.secret[:-1]}"})
    answers = [wrong.get("/api/v1/studies").status_code for _ in range(61)]
    assert (answers[0], answers[-1]) == (401, 429)
    assert script.ask("get", "studies")[0] == 200, "a token in force is not counted"


def operations() -> list[tuple[str, str, str]]:
    """Return each operation for researchers: its name in the table, a method, and its address for the study `study`."""
    values = {"slug": "study", "action": "pause", "link_id": 1, "upload_id": 1}
    found = []
    for pattern in api.urls[0]:
        assert isinstance(pattern, URLPattern)
        name = f"api:{pattern.name}"
        access = OPERATIONS[name]
        if Who.ANYONE in access:
            continue
        url = reverse(name, kwargs={key: values[key] for key in pattern.pattern.converters})
        found += [(name, method, url) for method in METHODS if getattr(access, method) is not None]
    return sorted(set(found))


KINDS = (Who.RESEARCHER, Who.MAKER, Who.VIEWER, Who.EDITOR, Who.OWNER, Who.ADMIN)


def test_each_operation_is_for_those_in_the_table(script: Script) -> None:
    invite(study=make_study(), label="Ada")
    study = Study.objects.get()
    accounts: dict[Who, User] = {Who[role.name]: member(study, role) for role in Role}
    accounts |= {Who.RESEARCHER: member(study, ""), Who.ADMIN: User.objects.create_superuser("admin")}
    scripts = {who: Script(account) for who, account in accounts.items()}
    narrow = {name: Script(accounts[Who.OWNER], name) for name in Scope.values}
    listed = operations()
    assert len(listed) > 18
    for name, method, url in listed:
        needed, address = getattr(OPERATIONS[name], method), url.removeprefix("/api/v1/")
        assert getattr(Client(), method)(url).status_code == 401, (name, method)
        for who, caller in scripts.items():
            status = caller.status(method, address)
            is_hidden = needed in (Who.VIEWER, Who.EDITOR, Who.OWNER) and who == Who.RESEARCHER
            is_refused = KINDS.index(who) < KINDS.index(needed) or (needed == Who.MAKER and who != Who.ADMIN)
            if is_refused:
                assert status == (404 if is_hidden else 403), (name, method, who)
            else:
                assert status not in {401, 403, 500}, (name, method, who)
        for given, caller in narrow.items():
            is_enough = scope(name, method.upper()) == given and needed not in (Who.MAKER, Who.ADMIN)
            assert (caller.status(method, address) == 403) != is_enough, (name, method, given)
        Study.objects.filter(pk=study.pk).update(state="open", closed_at=None)


def test_the_cookie_of_a_session_opens_no_operation(client: Client) -> None:
    client.force_login(User.objects.create_superuser("admin"))
    assert client.get("/api/v1/studies").status_code == 401
    assert client.post("/api/v1/studies", {"file": FILE}, "application/json").status_code == 401


def test_who_may_not_make_studies_makes_none_by_a_script(script: Script) -> None:
    colleague = User.objects.create_user("colleague", is_staff=True)
    assert Script(colleague).ask("post", "studies", {"file": FILE})[0] == 403
    colleague.user_permissions.add(Permission.objects.get(codename="add_study"))
    assert Script(colleague).ask("post", "studies", {"file": FILE})[0] == 201


def test_the_file_of_a_study_comes_back_as_it_went(script: Script) -> None:
    study = make_study(source="generated", state="draft")
    text = script.call("get", "studies/study/file").content.decode()
    assert text == write_study_file(make_manifest(source="generated"))
    assert script.ask("delete", "studies/study") == (204, None)
    assert not Study.objects.filter(pk=study.pk).exists()


def test_a_study_is_amended_by_its_file(script: Script) -> None:
    study = make_study(comparisons=3, annotation={"overlap": 2})
    text = script.call("get", "studies/study/file").content.decode()
    more = text.replace("overlap = 2", "overlap = 5")
    status, refused = script.ask("post", "studies/study/file", {"file": more})
    assert (status, refused["detail"]) == (409, "An amendment needs its reason: the report prints it.")
    status, changed = script.ask("post", "studies/study/file", {"file": more, "reason": "more votes"})
    assert (status, changed["progress"]["slot_total"]) == (200, 15)
    assert study.manifest_versions.latest("number").reason == "more votes"
    status, refused = script.ask("post", "studies/study/file", {"file": "overlap = [", "reason": "x"})
    assert (status, refused["errors"][0]["line"]) == (422, 1)
    kept = script.ask("post", "studies/study/file", {"file": more.replace("prompt 1", "prompt 9"), "reason": "x"})
    assert kept[0] == 409


def test_annotators_and_what_they_are_owed(script: Script) -> None:
    study = make_study(comparisons=3, platform={"id_parameter": "PROLIFIC_PID", "complete_code": "C0DE"})
    ada, grace = invite(study=study, label="Ada"), invite(study=study, label="Grace")
    give_vote(ada)
    Annotator.objects.filter(pk=ada.pk).update(state="finished", external_id="p1", finished_at=timezone.now())
    status, listed = script.ask("get", "studies/study/people")
    assert (status, listed["count"]) == (200, 2)
    first, second = listed["items"]
    assert (first["name"], first["situation"], first["votes"], first["quota"]) == ("Ada", "done", 1, 3)
    assert (second["name"], second["situation"], second["last_seen_at"]) == ("Grace", "invited", None)
    shown = str(listed)
    assert not [one for one in ("p1", ada.token, grace.token, "C0DE") if one in shown]
    status, owed = script.ask("get", "studies/study/payment?rate=12")
    assert (status, [(one["name"], one["votes"], one["code"]) for one in owed["items"]]) == (200, [("p1", 1, "C0DE")])
    assert AuditEntry.objects.filter(verb="payment downloaded", study_id=study.pk).count() == 1
    for rate in ("-1", "nan", "inf", "x", ""):
        assert script.ask("get", f"studies/study/payment?rate={rate}")[0] == 422, rate
