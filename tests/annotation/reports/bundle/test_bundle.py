"""The replay bundle gives the same numbers without a database, and each change to it is detected."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation.models import ManifestVersion, Study, StudyEvent
from annotation.reports.bundle import archive
from annotation.reports.bundle.archive import INDEX
from annotation.reports.bundle.replay import replay, write_bundle
from annotation.reports.formats.document import to_json
from annotation.reports.formats.html import to_html
from annotation.reports.report import build_report
from annotation.studies.current import current_manifest
from annotation.studies.documents import document, sha256
from annotation.voting.withdrawal import withdraw
from jobs.refusals import Refused
from scoring.metric_spec import SCS, MetricSpec
from scoring.models import Encoder, ImageEmbedding, SetScore
from scoring.scores import score_set
from tests.annotation.reports.voted_studies import Plan, crossed, gathered, make_study, report_of
from tests.factories import make_study as make_image_study

pytestmark = pytest.mark.django_db


def weather() -> Study:
    """A study with ties, an exclusion, an amendment, an event, missing scores, a second metric and an odd prompt."""
    study = make_study(
        Plan(
            votes=[["A", "A", "B"], ["B", "A", "tie"], ["B", "B", "B"], []],
            scores=[(80.123456789012345, 70.0), (60.0, 65.0), (60.0, None), (1.0, 2.0)],
            prompts=['=SUM("a"), b', "  Schnee ❄, nan", "nan", "true"],
            clusters=["x", "x", "y", "z"],
            manifest={"notice": "A <notice>."},
        )
    )
    vote = study.annotators.earliest("pk").assignments.earliest("pk").votes.get()
    vote.excluded_at, vote.exclusion_reason = study.closed_at, "failed the check"
    vote.save()
    amended = current_manifest(study).model_copy(update={"notice": "Another notice."})
    ManifestVersion.objects.create(
        study=study,
        number=2,
        document=document(amended),
        sha256=sha256(amended),
        reason="said better",
    )
    Study.objects.filter(pk=study.pk).update(manifest_sha256=sha256(amended))
    StudyEvent.objects.create(study=study, verb="open", detail={"from": "ready", "n": [1, 2.5, None]})
    study.comparisons.earliest("pk").image_set_a.scores.create(metric="../lpips", value=0.5, source="imported")
    study.refresh_from_db()
    return study


def bundled(study: Study, folder: Path, **arguments: Any) -> Path:
    path = folder / f"{study.slug}.zip"
    write_bundle(study, path, **arguments)
    return path


def report_json(study: Study) -> str:
    return to_json(report_of(study))


def rewritten(
    path: Path, change: Callable[[str, bytes], bytes | None], *, extra: dict[str, bytes] | None = None
) -> Path:
    """Return the archive with members changed, or left out if `change` returns None."""
    other = path.with_name("other.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            if (contents := change(name, old.read(name))) is not None:
                new.writestr(name, contents)
        for name, contents in (extra or {}).items():
            new.writestr(name, contents)
    return other


def test_a_bundle_gives_the_same_document_without_the_database(tmp_path: Path) -> None:
    study = weather()
    path = bundled(study, tmp_path)
    expected = report_json(study)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        replayed = replay(path)
        text = to_json(build_report(replayed.data))
    assert len(queries) == 0
    assert text == expected


def test_the_data_come_back_field_by_field_with_their_types(tmp_path: Path) -> None:
    study = weather()
    data = gathered(study)
    again = replay(bundled(study, tmp_path)).data
    assert again.comparisons.prompt == data.comparisons.prompt
    assert [type(part) for part in (again.comparisons, again.votes)] == [type(data.comparisons), type(data.votes)]
    for table in ("comparisons", "votes"):
        before, after = getattr(data, table), getattr(again, table)
        for name in (field.name for field in fields(before)):
            old, new = getattr(before, name), getattr(after, name)
            if isinstance(old, np.ndarray):
                assert new.dtype == old.dtype, name
                np.testing.assert_array_equal(new, old, err_msg=name)
            else:
                assert new == old, name


def test_the_same_study_gives_the_same_bytes(tmp_path: Path) -> None:
    study = weather()
    first, second = bundled(study, tmp_path / "."), tmp_path / "again.zip"
    write_bundle(study, second)
    assert first.read_bytes() == second.read_bytes()


def test_nobody_is_named_in_a_bundle(tmp_path: Path) -> None:
    study = weather()
    secrets = [value for row in study.annotators.all() for value in (row.label, row.token, row.resume_code)]
    with zipfile.ZipFile(bundled(study, tmp_path)) as file:
        everything = b"".join(file.read(name) for name in file.namelist()).decode(errors="replace")
        assert all(
            name.startswith(("manifests/", "margins/", "similarities/")) or "/" not in name for name in file.namelist()
        )
    assert not [secret for secret in secrets if secret in everything]


CODES = {"complete_code": "DONE7Q", "failed_checks_code": "FAIL9S", "study_full_code": "FULL8R"}


def with_codes() -> Study:
    """A study of a platform that pays for codes."""
    platform = {"id_parameter": "PID", "redirect_url": "https://platform.test/?cc={code}", **CODES}
    votes, scores = [["A", "A"], ["B", "A"]], [(80.0, 70.0), (60.0, 65.0)]
    return make_study(Plan(votes=votes, scores=scores, manifest={"platform": platform}))


def test_completion_codes_are_not_given_away_and_who_has_them_can_compute_the_hash(tmp_path: Path) -> None:
    study = with_codes()
    path = bundled(study, tmp_path)
    with zipfile.ZipFile(path) as file:
        everything = b"".join(file.read(name) for name in file.namelist()).decode(errors="replace")
        given = json.loads(file.read("manifests/1.json"))
    assert [code for code in CODES.values() if code in everything] == []
    assert {key: given["platform"][key] for key in CODES} == dict.fromkeys(CODES, "left-out")
    assert "withdrawn_code" not in given["platform"], "there was none"
    given["platform"] |= CODES
    assert hashlib.sha256(archive.canonical_json(given)).hexdigest() == study.manifest_sha256
    text = report_json(study)
    assert [code for code in CODES.values() if code in text] == []
    assert to_json(build_report(replay(path).data)) == text
    out, err = StringIO(), StringIO()
    call_command("report", from_bundle=path, format="txt", stdout=out, stderr=err)
    assert "Its manifest lacks the completion codes" in err.getvalue()


def test_a_bundle_of_before_that_holds_the_codes_is_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = with_codes()
    monkeypatch.setattr("annotation.reports.bundle.replay.public", lambda plan: plan)
    path = bundled(study, tmp_path)
    assert index_of(path)["members"]["manifests/1.json"]["sha256"] == study.manifest_sha256
    assert to_json(build_report(replay(path).data)) == report_json(study)


def test_a_manifest_s_bytes_are_what_its_hash_is_of(tmp_path: Path) -> None:
    study = weather()
    with zipfile.ZipFile(bundled(study, tmp_path)) as file:
        index = json.loads(file.read(INDEX))
        assert index["members"]["manifests/2.json"]["sha256"] == study.manifest_sha256
        assert index["manifest_in_force"] == 2
        assert index["members"]["votes.csv"]["row_count"] == 9


def test_a_sealed_study_gives_no_bundle(tmp_path: Path) -> None:
    make_study(crossed([[4, 1], [1, 4]], state="open"))
    out = tmp_path / "sealed.zip"
    with pytest.raises(CommandError, match="sealed until it closes"):
        call_command("report", "weather", format="bundle", out=out)
    assert not out.exists()


# --- changed, damaged, hostile --------------------------------------------------------------------
def test_every_changed_member_is_named(tmp_path: Path) -> None:
    path = bundled(weather(), tmp_path)

    def change(name: str, contents: bytes) -> bytes | None:
        if name == "annotators.csv" or name == "manifests/1.json":
            return None
        return contents.replace(b"0,", b"1,", 1) if name == "votes.csv" else contents

    other = rewritten(path, change, extra={"../../evil.txt": b"boo"})
    with pytest.raises(Refused) as refused:
        replay(other)
    sentence = str(refused.value)
    assert "manifests/1.json: missing" in sentence
    assert "votes.csv: changed" in sentence
    assert "../../evil.txt: not in the index" in sentence
    assert "comparisons.csv" not in sentence


def test_a_manifest_changed_together_with_its_index_is_detected(tmp_path: Path) -> None:
    path = bundled(weather(), tmp_path)
    with zipfile.ZipFile(path) as file:
        forged = file.read("manifests/1.json").replace(b"strict", b"half")

    def change(name: str, contents: bytes) -> bytes:
        if name == INDEX:
            index = json.loads(contents)
            index["members"]["manifests/1.json"]["sha256"] = hashlib.sha256(forged).hexdigest()
            return json.dumps(index).encode()
        return forged if name == "manifests/1.json" else contents

    with pytest.raises(Refused, match="version 1 of the manifest is not the one with hash"):
        replay(rewritten(path, change))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.999])
def test_a_truncated_bundle_is_one_sentence(tmp_path: Path, share: float) -> None:
    path = bundled(weather(), tmp_path)
    contents = path.read_bytes()
    path.write_bytes(contents[: int(len(contents) * share)])
    with pytest.raises(CommandError, match="is damaged or is not a replay bundle") as refused:
        call_command("report", from_bundle=path)
    assert "\n" not in str(refused.value)


def test_a_flipped_bit_anywhere_is_detected(tmp_path: Path) -> None:
    path = bundled(weather(), tmp_path)
    contents = path.read_bytes()
    expected = replay(path)
    refusals = []
    for place in range(0, len(contents), 61):
        path.write_bytes(contents[:place] + bytes([contents[place] ^ 4]) + contents[place + 1 :])
        try:
            replayed = replay(path)
        except Refused as refused:
            refusals.append(str(refused))
        else:  # a bit of a date or an attribute, which nothing reads
            assert replayed.sha256 == expected.sha256
            np.testing.assert_array_equal(replayed.data.votes.comparison, expected.data.votes.comparison)
    assert len(refusals) > 40
    assert not [sentence for sentence in refusals if "\n" in sentence]


@pytest.mark.parametrize("text", [b"", b"no zip", b"PK\x03\x04" + b"\0" * 50])
def test_other_files_are_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "file.zip"
    path.write_bytes(text)
    with pytest.raises(Refused, match="is damaged or is not a replay bundle"):
        replay(path)
    with pytest.raises(Refused, match="There is no file"):
        replay(tmp_path / "nowhere.zip")


def test_another_zip_file_is_no_bundle(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", "a")
    with pytest.raises(Refused, match=r"it has no bundle\.json"):
        replay(path)
    for index in (b"[]", b"{}", b'{"members": 3}', b"[" * 100_000, b'{"members": {}, "kind": "x"}'):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(INDEX, index)
        with pytest.raises(Refused, match="not a replay bundle"):
            replay(path)


def test_an_archive_that_unpacks_to_too_much_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bundled(weather(), tmp_path)
    monkeypatch.setattr(archive, "MAX_BYTES_IN_MEMORY", 100)
    with pytest.raises(Refused, match="larger than 100 bytes"):
        replay(path)
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    with pytest.raises(Refused, match="or 1,000 bytes; it was not read"):
        replay(path)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(Refused, match="more than 2 files"):
        replay(path)


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = bundled(weather(), tmp_path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        other = rewritten(path, lambda _name, contents: contents, extra={"votes.csv": b""})
    with pytest.raises(Refused, match="two members of one name"):
        replay(other)


# --- embeddings -----------------------------------------------------------------------------------
def embedded_study() -> Study:
    """An image study whose scores are computed from stored embeddings."""
    study = make_image_study(state="closed", images_per_set=3, has_scores=False)
    spec = current_manifest(study).encoder
    Encoder.objects.create(identity=spec.identity, fingerprint="f" * 64, provenance={"dtype": "float32"})
    rng = np.random.default_rng(5)
    for comparison in study.comparisons.order_by("-position"):
        for image_set in (comparison.image_set_b, comparison.image_set_a):
            for image in image_set.images.all():
                vector = (rng.normal(size=8) + 1).astype("<f4").tobytes()
                ImageEmbedding.objects.create(image=image, encoder_id=spec.identity, dimension=8, vector=vector)
            score_set(image_set=image_set, spec=MetricSpec(SCS, spec))
    return study


def test_scores_are_computed_again_from_the_embeddings(tmp_path: Path) -> None:
    study = embedded_study()
    path = bundled(study, tmp_path)
    replayed = replay(path)
    (again,) = replayed.rescored.values()
    assert (again.count, again.differing) == (6, 0)
    assert to_json(build_report(replayed.data)) == report_json(study)
    with zipfile.ZipFile(path) as file, file.open("embeddings/1.npy") as vectors:
        assert np.load(vectors).shape == (18, 8)
        head, first, *_ = file.read("embeddings/1.csv").decode().splitlines()
    assert head == "position,model,seed,image_sha256"
    image = study.comparisons.get(position=0).image_set_a.images.earliest("seed")
    assert f",{image.seed},{image.sha256}" in first


def test_a_score_that_does_not_follow_from_the_embeddings_is_counted(tmp_path: Path) -> None:
    study = embedded_study()
    score = SetScore.objects.filter(image_set=study.comparisons.earliest("pk").image_set_a).get()
    SetScore.objects.filter(pk=score.pk).update(value=score.value + 0.25)
    (again,) = replay(bundled(study, tmp_path)).rescored.values()
    assert (again.count, again.differing) == (6, 1)
    assert again.largest_difference == pytest.approx(0.25)


# --- command --------------------------------------------------------------------------------------
def test_the_command_writes_a_bundle_and_reports_from_it(tmp_path: Path) -> None:
    study, path = weather(), tmp_path / "weather.zip"
    said = StringIO()
    call_command("report", study.slug, format="bundle", out=path, stdout=said)
    index_sha256 = said.getvalue().split()[-1]
    out, err = StringIO(), StringIO()
    call_command("report", from_bundle=path, format="json", stdout=out, stderr=err)
    assert out.getvalue() == report_json(study)
    assert "holds" in err.getvalue()
    assert index_sha256 in err.getvalue()


def index_of(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as file:
        index: dict[str, Any] = json.loads(file.read(INDEX))
        return index


def test_after_a_withdrawal_a_new_bundle_names_its_predecessor_and_the_tombstone(tmp_path: Path) -> None:
    study, path = weather(), tmp_path / "weather.zip"
    first = write_bundle(study, path)
    assert index_of(path)["replaces"] is None
    annotator, now = study.annotators.order_by("pk")[1], timezone.now()
    withdraw(annotator=annotator, until=None, now=now)
    second = write_bundle(study, path)
    index = index_of(path)
    assert index["replaces"] == second.replaces == first.sha256
    annotator.refresh_from_db()
    (stone,) = index["tombstones"]
    assert stone == {"id": f"{annotator.seed:016x}", "votes": 3, "withdrawn_at": now.isoformat()}
    assert write_bundle(study, path) == second
    report = build_report(replay(path).data)
    assert report.withdrawals[0].votes == report.counts.withdrawn_votes == 3
    assert stone["id"] in to_html(report)
    out, err = StringIO(), StringIO()
    call_command("report", from_bundle=path, format="txt", stdout=out, stderr=err)
    assert f"It replaces the bundle with the index {first.sha256}" in err.getvalue()
    assert "Withdrawals before it was made: 1, with 3 votes" in err.getvalue()


def test_bundles_by_other_metrics_and_studies_are_no_predecessors(tmp_path: Path) -> None:
    study = weather()
    write_bundle(study, tmp_path / "first.zip")
    assert write_bundle(study, tmp_path / "lpips.zip", metric="../lpips").replaces == ""
    other = make_study(Plan([["A"]], [(1, 2)], slug="other"))
    assert write_bundle(other, tmp_path / "other.zip").replaces == ""


def test_a_bundle_made_elsewhere_is_named_as_predecessor_if_given(tmp_path: Path) -> None:
    study = weather()
    first = write_bundle(study, tmp_path / "first.zip")
    study.replay_bundles.all().delete()
    assert write_bundle(study, tmp_path / "second.zip", replaces=tmp_path / "first.zip").replaces == first.sha256
    other = make_study(Plan([["A"]], [(1, 2)], slug="other"))
    with pytest.raises(Refused, match="not a bundle of other"):
        write_bundle(other, tmp_path / "third.zip", replaces=tmp_path / "first.zip")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "Name either"),
        ({"study": "weather", "from_bundle": Path("a.zip")}, "Name either"),
        ({"from_bundle": Path("a.zip"), "format": "bundle", "out": Path("b.zip")}, "copy the file"),
        ({"study": "weather", "format": "bundle"}, "needs --out"),
        ({"study": "weather", "replaces": Path("a.zip")}, "needs --format bundle"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments: dict[str, Any], sentence: str) -> None:
    study = arguments.pop("study", None)
    with pytest.raises(CommandError, match=sentence):
        call_command("report", *([study] if study else []), **arguments)


def test_another_metric_than_the_bundle_s_is_refused(tmp_path: Path) -> None:
    path = bundled(weather(), tmp_path)
    with pytest.raises(CommandError, match="was made for the metric"):
        call_command("report", from_bundle=path, metric="../lpips")
