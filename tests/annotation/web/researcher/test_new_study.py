"""The page on which a study is made: form and file in step, faults, costs, and what a file may name."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.planning.costs import SECONDS_PER_VOTE, costs_of
from annotation.studies.study_file.drafting import FIELDS, STARTS, values_in, with_values
from annotation.voting.annotators import invite, read_instructions
from generation.models import DiffusionModel
from tests.factories import give_vote, make_manifest, make_study

pytestmark = pytest.mark.django_db
FORM = {
    "name": "Made here",
    "model_a": "Alpha",
    "model_b": "Beta",
    "prompts": "a lighthouse\n\ntwo cats",
    "overlap": "3",
}


@pytest.fixture
def models() -> None:
    for name in ("Alpha", "Beta"):
        DiffusionModel.objects.create(name=name, checkpoint=f"/models/{name.lower()}")


def filled(text: str = STARTS["checkpoints"].text, **values: str) -> str:
    return with_values(text, FORM | values)


@pytest.mark.parametrize("start", STARTS)
def test_each_start_becomes_a_study_by_its_form(researcher: Client, models: None, start: str) -> None:
    assert researcher.get(f"/studies/new/?start={start}").status_code == 200
    own = {name: value for name, value in FORM.items() if start != "external" or name != "overlap"}
    text = with_values(STARTS[start].text, own)
    DiffusionModel.objects.create(name="Gamma", checkpoint="/models/gamma")
    sent = {"file": text.replace('name = ""', 'name = "Gamma"'), "create": "1"}
    done = researcher.post("/studies/new/", sent, follow=True)
    assert "Made here is made" in done.content.decode()
    assert done.redirect_chain[-1][0].endswith("/uploads/") == (start in ("images", "external")), "the next step"
    study = Study.objects.get()
    assert [prompt.text for prompt in current_manifest(study).prompts] == ["a lighthouse", "two cats"]
    assert study.created_by is not None


def test_form_and_file_say_the_same(researcher: Client, models: None) -> None:
    sent = {"file": STARTS["checkpoints"].text, "from_form": "1", **FORM, "per_set": "4", "seeds": "7", "width": ""}
    answer = researcher.post("/studies/new/check", sent).json()
    assert answer["faults"] == []
    assert 'list = [\n    "a lighthouse",\n    "two cats",\n]' in answer["file"]
    assert "width" not in answer["file"]
    assert answer["values"] == values_in(answer["file"])
    again = researcher.post("/studies/new/check", {"file": answer["file"].replace("Made here", "Renamed")}).json()
    assert again["values"]["name"] == "Renamed"
    assert {row["label"]: row["value"] for row in again["costs"]} == {
        "Images": "16",
        "Votes": "6",
        "Pay": "0.30 €",
        "Interval of an agreement of 80\N{NO-BREAK SPACE}%": "34 to 100 %",
    }


@pytest.mark.parametrize(
    ("pay", "total", "note"),
    [
        ("12 €", "0.30 €", "at 12 € an hour, without fees and reading"),
        ("$ 16.00", "$ 0.40", "at $ 16 an hour, without fees and reading"),
        ("12,50CHF", "0.31 CHF", "at 12.5 CHF an hour, without fees and reading"),
        ("12", "0.30", "at 12 an hour, without fees and reading"),
        ("", "–", "unknown: write the pay per hour as 12 €"),
        ("nan", "–", "unknown: write the pay per hour as 12 €"),
        ("9" * 9, "250.00", "at 10000 an hour, without fees and reading"),
    ],
)
def test_the_pay_keeps_its_currency(researcher: Client, models: None, pay: str, total: str, note: str) -> None:
    costs = researcher.post("/studies/new/check", {"file": filled(), "pay": pay}).json()["costs"]
    assert [(row["value"], row["note"]) for row in costs if row["label"] == "Pay"] == [(total, note)]


def test_an_empty_template_is_not_complete_and_blames_nobody(researcher: Client) -> None:
    page = researcher.get("/studies/new/").content.decode()
    assert "Not complete yet" in page
    assert 'class="faulty"' not in page
    assert "is empty; give" not in page


def test_a_fault_stands_beside_its_field_and_its_line(researcher: Client, models: None) -> None:
    text = filled(overlap="many", per_set="0")
    answer = researcher.post("/studies/new/check", {"file": text}).json()
    line = text.splitlines().index("per_set = 0") + 1
    assert line in {fault["line"] for fault in answer["faults"]}
    assert set(answer["fields"]) == {"overlap", "per_set"}
    assert answer["costs"] == []
    page = researcher.post("/studies/new/", {"file": text, "create": "1"})
    assert page.status_code == 400
    assert f'<span class="faulty">{line}</span>' in page.content.decode()
    assert not Study.objects.exists()


@pytest.mark.parametrize("text", ["= 1", "[models\n", "a = " + "[" * 5000, 'models = 3\nprompts = "x"', "\ud800", ""])
def test_what_is_no_study_file_is_a_fault_and_not_an_error(researcher: Client, text: str) -> None:
    sent = {"file": text.encode("utf-8", "replace").decode(), **FORM}
    for more in ({}, {"from_form": "1"}, {"create": "1"}):
        assert researcher.post("/studies/new/", sent | more).status_code in {200, 400}
        assert researcher.post("/studies/new/check", sent | more).json()["faults"]


def test_an_uploaded_file_is_read_and_not_yet_created(researcher: Client, models: None) -> None:
    upload = SimpleUploadedFile("study.toml", filled().encode())
    page = researcher.post("/studies/new/", {"file": "", "upload": upload})
    assert page.status_code == 200
    assert "Made here" in page.content.decode()
    assert not Study.objects.exists()


def test_a_file_of_a_page_names_models_of_the_installation(researcher: Client, models: None) -> None:
    text = filled(model_a="/etc/passwd")
    page = researcher.post("/studies/new/", {"file": text, "create": "1"}).content.decode()
    assert "is not a model of this installation; it has Alpha, Beta." in page
    path = filled().replace('name = "Alpha"', 'name = "Alpha"\ncheckpoint = "/root/model"')
    assert (
        "differs from the model Alpha"
        in researcher.post("/studies/new/", {"file": path, "create": "1"}).content.decode()
    )
    assert not Study.objects.exists()


def test_a_study_takes_no_address_of_another_page(researcher: Client, models: None) -> None:
    page = researcher.post("/studies/new/", {"file": filled(name="New"), "create": "1"})
    assert (page.status_code, "is the address of another page" in page.content.decode()) == (409, True)
    page = researcher.post("/studies/new/", {"file": filled(name="Plan"), "create": "1"})
    assert (page.status_code, "is the address of a page" in page.content.decode()) == (400, True)


def test_each_model_of_several_has_a_field(researcher: Client, models: None) -> None:
    page = researcher.get("/studies/new/?start=several").content.decode()
    assert [f'id="field-model_{key}"' in page for key in "abcd"] == [True, True, True, False]
    assert 'id="field-model_c"' not in researcher.get("/studies/new/").content.decode()
    several = STARTS["several"].text
    sent = {"file": several, "from_form": "1", **FORM, "model_c": "Beta"}
    answer = researcher.post("/studies/new/check", sent).json()
    assert answer["values"]["model_c"] == "Beta"
    assert answer["needs"]["model_c"].startswith("Runs on a worker")
    kept = with_values(several, {"model_c": "Gamma"})
    answer = researcher.post("/studies/new/check", {"file": kept, "from_form": "1", **FORM}).json()
    assert answer["values"]["model_c"] == "Gamma", "a field that the page had not changes nothing"
    assert "models.c" not in with_values(STARTS["checkpoints"].text, {"model_c": ""})


def test_the_page_says_what_the_models_need_and_how_many_prompts_there_are(researcher: Client, models: None) -> None:
    DiffusionModel.objects.filter(name="Beta").update(checkpoint="", endpoint="painter")
    answer = researcher.post("/studies/new/check", {"file": filled()}).json()
    assert answer["needs"]["model_a"].startswith("Runs on a worker, in ")
    assert answer["needs"]["model_b"] == "Its images come from the endpoint painter."
    assert answer["prompt_count"] == 2
    unnamed = researcher.post("/studies/new/check", {"file": filled(model_a="")}).json()
    assert (unnamed["needs"]["model_a"], unnamed["fields"]["model_a"]) == ("", "It is missing.")


def test_an_earlier_study_is_a_start_for_its_editors_only(researcher: Client, models: None) -> None:
    make_study(slug="first", state="draft")
    page = researcher.get("/studies/new/?from=first").content.decode()
    assert 'value="First (copy)"' in page
    assert "slug = " not in page
    other = Client()
    other.force_login(User.objects.create_superuser("admin"))
    User.objects.filter(username="researcher").get().study_shares.update(role="viewer")
    assert researcher.get("/studies/new/?from=first").status_code == 404
    assert other.get("/studies/new/?from=first").status_code == 200


def test_what_the_form_does_not_change_stays_in_the_file(researcher: Client, models: None) -> None:
    """An earlier study has its seeds as a list, and its prompts may have clusters."""
    clustered = "[prompts]\nlist = [{text = 'a cat', cluster = 'pets'}, {text = 'a hut', cluster = 'houses'}]"
    text = filled(seeds="5, 9, 4294967295", per_set="").replace("[prompts]", "[old]") + clustered
    text = text.replace('[old]\nlist = [\n    "a lighthouse",\n    "two cats",\n]\n', "")
    shown = researcher.post("/studies/new/check", {"file": text}).json()["values"]
    assert (shown["seeds"], shown["prompts"]) == ("5, 9, 4294967295", "a cat\na hut")
    sent = {"file": text, "from_form": "1", **shown, "name": "Renamed", "prompts": "a hut\r\na dog\r\n"}
    answer = researcher.post("/studies/new/check", sent).json()
    assert answer["faults"] == []
    study = researcher.post("/studies/new/", {"file": answer["file"], "create": "1"})
    assert study.status_code == 302
    manifest = current_manifest(Study.objects.get())
    assert manifest.seeds == (5, 9, 4294967295)
    assert [(prompt.text, prompt.cluster) for prompt in manifest.prompts] == [("a hut", "houses"), ("a dog", "")]


def test_costs_are_measured_where_they_can_be() -> None:
    manifest = make_manifest(
        source="generated", comparisons=10, annotation={"overlap": 5, "comparisons_per_annotator": 4}
    )
    found = costs_of(manifest)
    assert (found.image_count, found.vote_count, found.annotator_count) == (60, 50, 13)
    assert (found.seconds_per_vote, found.is_measured, found.seconds_per_image) == (SECONDS_PER_VOTE, False, None)
    assert found.pay(12) == pytest.approx(50 * 15 / 3600 * 12)
    low, high = found.interval
    assert low is not None
    assert high is not None
    assert low < 0.8 < high
    ada = invite(study=make_study(), label="Ada")
    read_instructions(annotator=ada, now=timezone.now())
    vote = give_vote(ada)
    type(vote).objects.filter(pk=vote.pk).update(response_ms=8000)
    assert (costs_of(manifest).seconds_per_vote, costs_of(manifest).is_measured) == (8.0, True)
    assert costs_of(make_manifest(source="external", slug="x")).vote_count == 0


def test_every_field_of_the_form_is_in_a_start() -> None:
    written: dict[str, Any] = values_in(STARTS["checkpoints"].text)
    assert set(written) == set(FIELDS)


def test_a_file_of_a_page_names_no_folder_as_the_encoder_of_a_metric(researcher: Client, models: None) -> None:
    """Else a study from a page could have a worker read any folder of the server."""
    metric = (
        '\n[[metrics]]\nname = "vendi"\nneeds = "embeddings"\nencoder = {kind = "dinov2", checkpoint = "/srv/dino"}'
    )
    answer = researcher.post("/studies/new/check", {"file": filled() + metric}).json()
    (fault,) = answer["faults"]
    assert "no study of this installation has used" in str(fault)
    assert fault["line"] == len((filled() + metric).splitlines())
    used = [{"name": "vendi", "needs": "embeddings", "encoder": {"kind": "dinov2", "checkpoint": "/srv/dino"}}]
    make_study(metrics=used)
    assert researcher.post("/studies/new/check", {"file": filled() + metric}).json()["faults"] == []
    on_tensors = metric.replace('"}', '", preparation = "tensor"}')
    assert researcher.post("/studies/new/check", {"file": filled() + on_tensors}).json()["faults"] == []


def test_a_file_of_a_page_names_no_folder_as_a_comparer_but_an_encoder_that_the_admin_lists(
    researcher: Client, models: None
) -> None:
    comparer = '\n[[metrics]]\nname = "worst_pair"\nneeds = "similarities"\ncomparer = {checkpoint = "/srv/lpips"}'
    (fault,) = researcher.post("/studies/new/check", {"file": filled() + comparer}).json()["faults"]
    assert "comparer that no study of this installation has used" in str(fault)
    own = '\n[[metrics]]\nname = "vendi"\nneeds = "embeddings"\nencoder = {kind = "own", checkpoint = "mine"}'
    assert researcher.post("/studies/new/check", {"file": filled() + own}).json()["faults"] == []


def test_the_page_lists_the_encoders_and_metrics_that_its_file_may_name(
    researcher: Client, models: None, tmp_path: Path, settings: Any
) -> None:
    (tmp_path / "list.toml").write_text('spread = "x.py:spread"\n[encoders]\ncolours = "x.py:colours"\n')
    settings.OWN_METRICS_FILE = str(tmp_path / "list.toml")
    make_study(metrics=[{"name": "scs", "needs": "embeddings", "encoder": {"kind": "dinov2", "checkpoint": "/srv/d"}}])
    listed = [unescape(one) for one in re.findall("<li><code>(.*?)</code>", researcher.get("/studies/new/").text)]
    assert {'name = "vendi"', 'name = "own:spread"', 'encoder = {kind = "own", checkpoint = "colours"}'} <= set(listed)
    encoders = [one for one in listed if one.startswith("encoder")]
    assert 'encoder = {kind = "dinov2", checkpoint = "/srv/d"}' in encoders
    for one in encoders:
        metric = f'\n[[metrics]]\nname = "vendi"\nneeds = "embeddings"\n{one}'
        assert researcher.post("/studies/new/check", {"file": filled() + metric}).json()["faults"] == []
    (tmp_path / "list.toml").write_text("nonsense")
    assert "own:spread" not in researcher.get("/studies/new/").text


def test_an_admin_adds_an_encoder_by_a_file_that_names_its_folder(
    admin_client: Client, researcher: Client, models: None
) -> None:
    said = unescape(admin_client.get("/installation/models/").content.decode())
    (line,) = re.findall(r'encoder = {kind = "dinov2"[^}]+}', said)
    text = f'{filled()}\n[[metrics]]\nname = "vendi"\nneeds = "embeddings"\n{line}\n'
    assert "no study of this installation has used" in str(faults(researcher, text))
    assert admin_client.post("/studies/new/", {"file": text, "create": "1"}).status_code == 302
    assert faults(researcher, text) == []
    assert line in unescape(researcher.get("/studies/new/").content.decode())


def faults(client: Client, text: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = client.post("/studies/new/check", {"file": text}).json()["faults"]
    return found
