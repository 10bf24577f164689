"""The study file: writing it back, and what a document leaves out."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.studies.documents import document, sha256
from annotation.studies.manifest import Manifest
from annotation.studies.pairs import PairsPlan
from annotation.studies.study_file.fault_sentences import file_keys
from annotation.studies.study_file.reading import parse
from annotation.studies.study_file.writing import write_study_file
from tests.factories import make_manifest

NOT_OF_TWO = ("annotation.floor", *(f"pairs.{name}" for name in PairsPlan.model_fields))  # see test_pairs
TABLES = ("models.a.options", "models.b.options", "analysis.leaks_from", "metrics")  # keys that are tables of their own


TAKEN = ("alpha", "left", "right", "tie")
words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20).filter(str.strip)
pages = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=40)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    texts = draw(st.lists(words, min_size=1, max_size=4, unique_by=lambda text: text.strip()))
    annotation = {"overlap": draw(st.integers(1, 9)), "opens_at": draw(st.none() | moments)}
    changes: dict[str, Any] = {
        "notice": draw(pages),
        "sealed": draw(st.booleans()),
        "prompts": [{"text": text, "cluster": draw(st.sampled_from(["", "c"]))} for text in texts],
        "seeds": draw(st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=4, unique=True)),
        "texts": {"instructions": draw(pages), "question": draw(words)},
        "annotation": annotation | {"lease_minutes": draw(st.floats(0.1, 60))},
        "sampling": {"guidance_scale": draw(st.integers(0, 9) | st.floats(0, 20)), "negative_prompt": draw(pages)},
    }
    lora: dict[str, Any] = {"name": draw(words.filter(lambda name: name.strip().lower() not in TAKEN))}
    lora |= {"checkpoint": "/c", "lora": "/l", "lora_scale": draw(st.floats(-2, 2))}
    lora |= {"variant": draw(st.sampled_from(["", "fp16"])), "lora_file": draw(st.sampled_from(["", "a.safetensors"]))}
    try:
        return make_manifest(source="generated", model_b=lora, **changes)
    except ValueError:  # two texts that are equal after normalisation
        from hypothesis import reject

        reject()


@settings(max_examples=60, deadline=None)
@given(manifests())
def test_a_study_written_back_is_the_same_study(manifest: Manifest) -> None:
    again = parse(write_study_file(manifest), None)
    assert again == manifest
    assert sha256(again) == sha256(manifest)
    assert Manifest.model_validate(document(manifest)) == manifest


OTHER_DATE = "privacy.erase_days_after_closing"  # stands in place of erase_at


def test_every_key_of_the_file_is_written_back() -> None:
    manifest = make_manifest(
        source="generated",
        model_b={
            "name": "B",
            "checkpoint": "/b",
            "lora": "/l",
            "lora_scale": 1,
            "options": {"timestep_spacing": "trailing"},
        },
        annotation={
            "most_annotators": 3,
            "opens_at": "2026-12-01T00:00:00Z",
            "closes_at": "2026-12-02T00:00:00Z",
            "withdrawal_until": "2026-12-24T00:00:00Z",
        },
        privacy={"erase_at": "2027-12-24T00:00:00Z"},
        prompts=[{"text": "a", "cluster": "b"}],
        analysis={
            "equivalence_margin": 0.05,
            "assumed_difference": 0.1,
            "person_margin": 0.05,
            "leaks_from": {"my metric": {"annotators": ["anna"], "prompts": True}},
        },
    )
    text = write_study_file(manifest)
    for key in file_keys():
        if key not in (*NOT_OF_TWO, "prompts.file", "models.a.lora_scale", OTHER_DATE, *TABLES):
            assert f"{key.rpartition('.')[2]} = " in text
    assert "[models.b.options]\ntimestep_spacing = " in text
    assert '[analysis.leaks_from."my metric"]\nannotators = [\n    "anna",\n]\nprompts = true' in text
    assert "[models.a.options]" not in text
    assert "erase_days_after_closing = 9\n" in write_study_file(make_manifest(privacy={OTHER_DATE[8:]: 9}))


def test_a_key_that_came_later_changes_no_hash_until_it_is_used() -> None:
    """Version 0.1 gave this study file this hash, and people have quoted such hashes in preregistrations."""
    plain = make_manifest(source="generated")
    assert sha256(plain) == "6f81700804e7d6d7d0b35284884f1ad0fa890476c3547b901162df6361906518"
    options = {"name": "Beta", "checkpoint": "/models/beta", "options": {"shift": 3.0}}
    assert sha256(make_manifest(source="generated", model_b=options)) != sha256(plain)
    used = make_manifest(source="generated", platform={"study_full_code": "C5"})
    assert sha256(used) != sha256(plain)
    assert Manifest.model_validate(document(used)) == used


INAPPLICABLE = {
    "generated": set(),
    "images": {"sampling", "seeds"},
    "external": {"sampling", "seeds", "encoder", "frame", "quality", "platform"},
}


@pytest.mark.parametrize(("source", "absent"), INAPPLICABLE.items())
def test_what_does_not_apply_is_in_no_document_and_no_file(source: str, absent: set[str]) -> None:
    manifest = make_manifest(source=source)
    plan, text = document(manifest), write_study_file(manifest)
    assert set(Manifest.model_fields) - {"models", "pairs"} - set(plan) == absent | {"metrics", "privacy"}
    assert (plan["model_a"] == {"name": "Alpha"}) == (source != "generated")
    assert [word for word in ("[sampling]", "768", "euler", "dtype", "[images]", "[encoder]") if word in text] == (
        ["[sampling]", "768", "euler", "dtype", "[images]", "[encoder]"]
        if source == "generated"
        else ["[encoder]"]
        if source == "images"
        else []
    )
    assert Manifest.model_validate(plan) == manifest
    assert parse(text, None) == manifest
    assert sha256(parse(text, None)) == sha256(manifest)


def test_sampling_parameters_in_an_older_manifest_or_file_of_imported_images_are_passed_over() -> None:
    manifest = make_manifest()
    older = manifest.model_dump(mode="json")
    older["sampling"]["width"] = 512
    assert Manifest.model_validate(older) == manifest
    assert parse(write_study_file(manifest) + "\n[sampling]\nwidth = 512\n", None) == manifest


def test_what_an_external_study_says_of_itself_is_kept() -> None:
    manifest = make_manifest(source="external", encoder={"kind": "dinov2", "checkpoint": "/d"})
    assert document(manifest)["encoder"]["checkpoint"] == "/d"
    assert Manifest.model_validate(document(manifest)) == manifest
