"""Checkpoints on disk: what may be loaded, said in one sentence where it may not."""

import hashlib
import os
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from generation.weights import file_hashes
from generation.weights.checkpoints import LocalListing, local_path, shown
from generation.weights.file_hashes import sha256_of, sha256_of_file
from generation.weights.lora_files import choose_lora, read_token_map
from jobs.refusals import Refused

COMMIT = "c237dc49a33fc61debc9276459120b7eac67e7ef"


def test_a_folder_that_exists_is_taken(tmp_path: Path) -> None:
    assert local_path(str(tmp_path), revision="", owner="m") == tmp_path


def test_a_hub_id_with_a_commit_is_fetched() -> None:
    assert local_path("stabilityai/sdxl", revision=COMMIT, owner="m") is None


@pytest.mark.parametrize("name", ["/no/such/folder", "./models/sdxl", "../sdxl", "~/no-such-folder", "sdxl"])
def test_a_folder_that_is_not_there(name: str) -> None:
    with pytest.raises(Refused, match=f"m: there is no {name} on this machine"):
        local_path(name, revision=COMMIT, owner="m")


@pytest.mark.parametrize("revision", ["", "main", COMMIT[:7]])
def test_a_hub_id_wants_a_pinned_revision(revision: str) -> None:
    with pytest.raises(Refused, match=r"^m: stabilityai/sdxl is not a folder .* needs a pinned revision"):
        local_path("stabilityai/sdxl", revision=revision, owner="m")


def test_names_show_no_folder_of_this_machine(tmp_path: Path) -> None:
    assert shown(str(tmp_path / "sdxl")) == "sdxl"
    assert shown("stabilityai/sdxl") == "stabilityai/sdxl"


def lora(folder: Path, file: str = "") -> str:
    return choose_lora(LocalListing(folder), file=file, owner="m").weights


def test_a_lora_is_the_one_file_of_a_folder_or_the_usual_or_the_named_one(tmp_path: Path) -> None:
    (tmp_path / "monet.safetensors").touch()
    assert lora(tmp_path) == "monet.safetensors"
    (tmp_path / "other.safetensors").touch()
    with pytest.raises(
        Refused, match=r"holds 2 safetensors files; name one as lora_file \(monet.safetensors, other.safetensors\)"
    ):
        lora(tmp_path)
    assert lora(tmp_path, "other.safetensors") == "other.safetensors"
    with pytest.raises(Refused, match=r"has no file third.safetensors; its files of weights: monet.safetensors, other"):
        lora(tmp_path, "third.safetensors")
    (tmp_path / "pytorch_lora_weights.safetensors").touch()
    assert lora(tmp_path) == "pytorch_lora_weights.safetensors"


def test_the_embeddings_that_belong_to_a_lora(tmp_path: Path) -> None:
    def chosen(file: str = "") -> tuple[str, ...]:
        return choose_lora(LocalListing(tmp_path), file=file, owner="m").all

    for name in ("lora.safetensors", "embeddings.pti", "special_params.json"):
        (tmp_path / name).touch()
    assert chosen() == ("lora.safetensors", "embeddings.pti", "special_params.json")
    for name in ("toy.safetensors", "toy_emb.safetensors"):
        (tmp_path / name).touch()
    assert chosen("toy.safetensors") == ("toy.safetensors", "toy_emb.safetensors", "special_params.json")
    (tmp_path / "embeddings.pti").unlink()
    assert chosen() == ("lora.safetensors", "toy_emb.safetensors", "special_params.json")
    (tmp_path / "other_emb.safetensors").touch()
    with pytest.raises(Refused, match=r"holds 2 files of embeddings \(other_emb.safetensors, toy_emb.safetensors\)"):
        chosen()


def test_a_pickled_lora_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no safetensors file"):
        lora(tmp_path)
    (tmp_path / "pytorch_lora_weights.bin").touch()
    with pytest.raises(Refused, match=r"pytorch_lora_weights.bin is refused"):
        lora(tmp_path)
    with pytest.raises(Refused, match=r"the LoRA .*weights.bin is refused"):
        lora(tmp_path, "pytorch_lora_weights.bin")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"TOK": 1}', '{"TOK": ""}'])
def test_a_token_map_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "special_params.json").write_text(text)
    with pytest.raises(Refused, match=r"special_params.json (is not JSON|does not say which tokens)"):
        read_token_map(LocalListing(tmp_path), "special_params.json", owner="m")


def test_the_hash_follows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    first = sha256_of([tmp_path / "a", tmp_path / "b"], root=tmp_path)
    assert sha256_of([tmp_path / "b", tmp_path / "a"], root=tmp_path) == first
    (tmp_path / "b").write_bytes(b"changed")
    assert sha256_of([tmp_path / "a", tmp_path / "b"], root=tmp_path) != first


def test_a_large_file_is_hashed_once_and_again_if_it_changes(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VAR_DIR = tmp_path / "var"
    monkeypatch.setattr(file_hashes, "LARGE", 4)
    file = tmp_path / "weights"
    file.write_bytes(b"12345")
    first = sha256_of_file(file)
    assert first == hashlib.sha256(b"12345").hexdigest()
    read: list[Path] = []

    def another(path: Path) -> str:
        read.append(path)
        return "another"

    monkeypatch.setattr(file_hashes, "_computed", another)
    file_hashes._sha256.cache_clear()  # as in another process
    assert (sha256_of_file(file), read) == (first, [])
    file.write_bytes(b"54321")
    os.utime(file, ns=(1, 1))
    assert (sha256_of_file(file), read) == ("another", [file])
    file_hashes._sha256.cache_clear()


def test_a_blob_of_the_hubs_cache_is_named_by_its_hash(tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    blob.write_bytes(b"not read")
    (tmp_path / "link.safetensors").symlink_to(blob)
    assert sha256_of_file(tmp_path / "link.safetensors") == "ab" * 32
