"""Naming an encoder: pure."""

from dataclasses import asdict

import pytest
from pydantic import TypeAdapter

from scoring.encoder_spec import CLIP_VIT_B32_REVISION, EncoderSpec, document_of, source_of


def test_the_default_is_the_papers_encoder_at_a_pinned_commit() -> None:
    assert EncoderSpec().identity == f"clip:openai/clip-vit-base-patch32@{CLIP_VIT_B32_REVISION}"
    assert EncoderSpec() == EncoderSpec(checkpoint="openai/clip-vit-base-patch32", revision=CLIP_VIT_B32_REVISION)


def test_another_checkpoint_does_not_inherit_the_commit() -> None:
    assert EncoderSpec(checkpoint="openai/clip-vit-large-patch14").revision == ""


@pytest.mark.parametrize("path", ["/home/ann/models/tiny", "/mnt/tiny/", "./tiny", "../models/tiny", "~/tiny"])
def test_a_folder_is_known_by_its_name_not_by_where_it_lies(path: str) -> None:
    assert EncoderSpec(checkpoint=path).identity == "clip:tiny"


def test_kinds_are_kept_apart() -> None:
    assert EncoderSpec(kind="siglip", checkpoint="/a/tiny").metric == "scs/siglip:tiny"
    assert EncoderSpec(kind="dinov2", checkpoint="/a/tiny").metric == "scs/dinov2:tiny"


def test_a_document_brings_the_spec_back() -> None:
    spec = EncoderSpec(kind="siglip", checkpoint="google/siglip-base-patch16-224", revision="a" * 40)
    assert EncoderSpec(**asdict(spec)) == spec


def test_the_usual_preparation_is_not_stored_so_that_earlier_documents_stay_equal() -> None:
    usual, other = EncoderSpec(checkpoint="/a/tiny"), EncoderSpec(checkpoint="/a/tiny", preparation="tensor")
    assert document_of(usual) == {"kind": "clip", "checkpoint": "/a/tiny", "revision": ""}
    assert [source_of(document_of(one)) for one in (usual, other)] == [usual, other]
    assert other.metric == "scs/clip+tensor:tiny"


def test_a_study_file_that_names_the_default_checkpoint_only_gets_its_commit_too() -> None:
    spec = TypeAdapter(EncoderSpec).validate_python({"checkpoint": "openai/clip-vit-base-patch32"})
    assert spec == EncoderSpec()
