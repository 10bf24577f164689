"""The Python client: against the OpenAPI document, and against a live server with the example of docs/api.md."""

import io
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from html import unescape
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import semblance_client
from django.conf import settings
from PIL import Image
from pytest_django.live_server_helper import LiveServer
from semblance_client import NotInTime, Problem, Report, Semblance
from semblance_client.connection import Connection
from semblance_client.operations import OPERATIONS
from semblance_client.tables import rows_of
from semblance_client.waiting import wait_for

from annotation.models import RepeatableAnswer, Study
from annotation.studies.imports.imported_images import imported_images
from annotation.studies.tokens import Scope, create_token
from annotation.web.urls import api
from tests.factories import make_study, member

pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLE = Path(settings.BASE_DIR) / "docs" / "api.md"
PACKAGE = Path(semblance_client.__file__).parent
FILE = """\
name = "From a script"
source = "images"
[models.a]
name = "Alpha"
[models.b]
name = "Beta"
[prompts]
list = ["a lighthouse", "a harbour"]
[annotation]
overlap = 3
comparisons_per_annotator = 2
[analysis]
resamples = 200
"""


def operations_of_the_server() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Return method, path and description of each operation for researchers, by its id."""
    found = {}
    for path, methods in api.get_openapi_schema()["paths"].items():
        for method, operation in methods.items():
            if "/annotators/" not in path:
                found[operation["operationId"]] = (method.upper(), path.removeprefix("/api/v1"), operation)
    return found


def test_the_client_knows_every_operation_as_the_document_has_it() -> None:
    server, schemas = operations_of_the_server(), api.get_openapi_schema()["components"]["schemas"]
    assert OPERATIONS.keys() == server.keys()
    for name, own in OPERATIONS.items():
        method, path, operation = server[name]
        assert (own.method, own.path) == (method, path), name
        parameters = operation.get("parameters", [])
        assert set(own.query) == {one["name"] for one in parameters if one["in"] == "query"}, name
        content = operation.get("requestBody", {}).get("content", {})
        reference = content.get("application/json", {}).get("schema", {}).get("$ref", "/")
        fields = schemas.get(reference.rpartition("/")[2], {}).get("properties", {})
        assert set(own.body) == set(fields), name


def test_a_call_names_what_the_operation_has() -> None:
    connection = Connection("http://localhost", "sem_x")
    with pytest.raises(TypeError, match="list_studies has no colour"):
        connection.call("list_studies", query={"colour": "red"})
    with pytest.raises(TypeError, match="check_study has no text"):
        connection.call("check_study", body={"text": ""})


def write_images(path: Path) -> None:
    """Write a zip file of two images of each model and prompt."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, (model, prompt, seed) in enumerate(
            product(("Alpha", "Beta"), ("a lighthouse", "a harbour"), (1, 2))
        ):
            buffer = io.BytesIO()
            Image.new("RGB", (16, 16), (number * 30, 90, 200)).save(buffer, "PNG")
            archive.writestr(f"{model}/{prompt}/{seed}.png", buffer.getvalue())


def example() -> str:
    """Return the example of the documentation."""
    (found,) = re.findall(r"```python\n(.*?)```", EXAMPLE.read_text(), re.DOTALL)
    return str(found)


def test_the_example_of_the_documentation(
    live_server: LiveServer,
    token: str,
    meanwhile: list[Callable[[], None]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = example()
    assert len([line for line in code.splitlines() if line and not line.startswith(("import", "from"))]) <= 15
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(FILE)
    write_images(tmp_path / "images.zip")
    code = code.replace("https://semblance.example", str(live_server.url)).replace("sem_…", token)
    names: dict[str, Any] = {}
    exec(compile(code, str(EXAMPLE), "exec"), names)  # the documentation's own text
    assert names["study"].state == "closed"
    assert names["report"].claim in capsys.readouterr().out
    assert len(names["votes"]) == 6
    assert set(names["votes"]["choice"]) <= {"left", "right", "Alpha", "Beta", "tie"}
    assert names["report"].claim[:60] in unescape(Path("report.html").read_text())
    agreement = names["report"].estimates_frame().set_index("key").loc["agreement.headline"]
    assert agreement["value"] == names["report"].document["results"]["agreement"]["headline"]["value"]
    assert imported_images(Study.objects.get()) == ()


def test_an_upload_of_a_folder_goes_on_where_it_stopped(
    site: Semblance, meanwhile: list[Callable[[], None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "images.zip")
    folder = tmp_path / "images"
    with zipfile.ZipFile(tmp_path / "images.zip") as archive:
        archive.extractall(folder)
    (folder / ".DS_Store").write_bytes(b"x")
    study = site.create_study(FILE)
    sent: list[Any] = []
    real = Connection.call

    def call(self: Connection, name: str, **options: Any) -> Any:
        if name == "send_piece":
            sent.append(options["query"]["file"])
            if sent == [0, 1, 2]:
                raise Problem("The network is gone.")
        return real(self, name, **options)

    monkeypatch.setattr(Connection, "call", call)
    with pytest.raises(Problem, match="network is gone"):
        study.upload_images(folder)
    (waiting,) = study.uploads()
    assert (waiting["state"], waiting["missing"]) == ("receiving", {"file": 2, "piece": 0})
    assert study.upload_images(folder)["summary"] == "4 sets with 8 images imported."
    assert sent == [0, 1, 2, *range(2, 8)]
    assert study.upload_images(folder)["summary"] == "0 sets with 0 images imported, 4 unchanged."
    study.delete_upload(waiting["id"])
    assert len(list(study.uploads())) == 1


def test_a_file_that_is_refused_raises_its_sentence(
    site: Semblance, meanwhile: list[Callable[[], None]], tmp_path: Path
) -> None:
    make_study(source="external", comparisons=2, has_scores=False)
    study = site.study("study")
    scores, votes = tmp_path / "scores.csv", tmp_path / "votes.csv"
    scores.write_text("prompt,score_a,score_b\nprompt 1,1,2\n")
    votes.write_text("annotator,prompt,choice\nAda,prompt 9,Alpha\n")
    done = study.upload_scores(scores, metric="mine", higher_is_more_consistent=True)
    assert done["summary"].startswith("mine: 1 comparison scored")
    with pytest.raises(Problem, match=r'line 2: "prompt 9" is not a prompt of this study'):
        study.upload_votes(votes)
    (failed,) = (one for one in study.uploads() if one["state"] == "failed")
    assert failed["may_be_retried"]
    with pytest.raises(Problem, match=r'line 2: "prompt 9" is not a prompt of this study'):
        study.retry_import(failed["id"])


def test_a_refusal_is_the_servers_sentence_with_each_fault(site: Semblance) -> None:
    wrong = FILE.replace("overlap = 3", "overlap = 0")
    with pytest.raises(Problem) as refused:
        site.check_study(wrong)
    assert refused.value.status == 422
    assert {(one["field"], one["line"]) for one in refused.value.errors} >= {
        ("annotation.overlap", FILE[: FILE.index("overlap")].count("\n") + 1)
    }
    with pytest.raises(Problem, match="There is no such study"):
        site.study("nothing-here")
    assert not Study.objects.exists()


def test_other_answers_have_a_sentence_too(live_server: LiveServer, token: str) -> None:
    with pytest.raises(Problem, match="Send a token in force"):
        Semblance(str(live_server.url), "sem_wrong").models()
    with pytest.raises(Problem, match="is the address of Semblance"):
        Semblance(f"{live_server.url}/somewhere", token).models()
    with pytest.raises(ValueError, match="begins with https"):
        Semblance("file:///etc/passwd", token)


def test_a_server_that_does_not_answer_is_asked_again(meanwhile: list[Callable[[], None]]) -> None:
    pauses: list[int] = []
    meanwhile[:] = [lambda: pauses.append(1)]
    with pytest.raises(Problem, match="does not answer"):
        Semblance("http://127.0.0.1:9", "sem_x").models()
    assert len(pauses) == 2


def test_what_creates_is_sent_with_a_key_and_a_repetition_creates_nothing(site: Semblance) -> None:
    make_study()
    study = site.study("study")
    member(Study.objects.get(), "viewer")
    assert len(study.invite(count=2)) == len(study.invite(["Ada", "Grace"])) == 2
    assert RepeatableAnswer.objects.count() == 2
    assert [one["label"] for one in study.invitations()] == ["1", "2", "Ada", "Grace"]
    assert "/join/" in study.open_link


def test_pages_of_a_list_are_asked_for_one_after_the_other(site: Semblance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semblance_client.studies.PAGE", 2)
    for number in range(5):
        make_study(slug=f"study-{number}", comparisons=1)
    assert [one["slug"][-1] for one in site.studies()] == list("43210")
    assert [one["slug"] for one in site.studies(state="draft")] == []


def test_the_rest_of_what_a_study_can_do(site: Semblance) -> None:
    study_row = make_study(state="draft", source="generated")
    member(study_row, "")
    study = site.study("study")
    assert "source" in study.file()
    assert study.archive().document["archived_at"]
    assert not study.archive(is_archived=False).document["archived_at"]
    assert study.share("colleague", "viewer")[-1] == {"account": "colleague", "role": "viewer"}
    assert len(study.shares()) == 2
    link = study.create_report_link()
    assert study.report_links() == [link]
    study.revoke_report_link(link["id"])
    assert study.report_links() == []
    assert next(iter(study.history()))["verb"] == "report link revoked"
    renamed = study.file().replace('name = "Study"', 'name = "Another name"')
    assert study.amend(renamed).name == "Another name"
    assert list(study.annotators()) == study.payment(12) == []
    assert study.launch().actions == []
    assert "<th>State</th><td>generating</td>" in study._repr_html_()
    study.delete()
    assert not Study.objects.exists()


def test_sealed_votes_and_reports(site: Semblance) -> None:
    make_study(analysis={"resamples": 100})
    study = site.study("study")
    assert study.pause().state == "paused"
    assert study.open().state == "open"
    assert study.votes() == []
    (metric,) = study.metrics()
    assert metric["is_own"]
    assert metric["name"].startswith("scs/")
    report = study.report()
    assert report.is_sealed
    assert report.estimates() == []
    assert "sealed" in report._repr_html_()
    with pytest.raises(Problem, match="is sealed"):
        study.report_file("parquet")


def test_a_token_with_a_scope_reads_only(live_server: LiveServer, token: str) -> None:
    owner = member(make_study(), "owner")
    _row, secret = create_token(account=owner, name="reader", scopes=[Scope.READ], days=1)
    study = Semblance(str(live_server.url), secret).study("study")
    with pytest.raises(Problem, match="has not the scope write"):
        study.pause()


def test_what_does_not_happen_in_time_says_so(meanwhile: list[Callable[[], None]]) -> None:
    meanwhile.clear()
    with pytest.raises(NotInTime, match="The end: not yet, after 0 seconds"):
        wait_for(lambda: None, seconds=0, what="The end")


def test_a_report_in_a_notebook_escapes_what_people_wrote() -> None:
    headline = {"value": 0.25, "low": 0.09, "high": 0.53, "n": 12, "method": "Wilson"}
    document = {
        "claim": "<b>",
        "study": {"name": "<i>"},
        "notices": ["<u>"],
        "results": {"agreement": {"headline": headline}},
    }
    shown = Report(document)._repr_html_()
    assert "25.0 %" in shown
    assert [tag for tag in ("<i>", "<u>", "<blockquote><b>") if tag in shown] == []
    assert Report(document).estimates()[0]["key"] == "agreement.headline"


def test_the_client_needs_neither_django_nor_anything_installed() -> None:
    code = "import sys, semblance_client; print('django' in sys.modules, 'pandas' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["False", "False"]
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == []
    assert (PACKAGE / "py.typed").exists()


def test_rows_of_a_csv_file() -> None:
    assert rows_of('a,b\r\n1,"x\ny"\r\n'.encode("utf-8-sig")) == [{"a": "1", "b": "x\ny"}]
    assert json.dumps(rows_of(b"a\n")) == "[]"
