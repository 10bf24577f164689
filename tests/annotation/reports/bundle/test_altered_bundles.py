"""A bundle altered by an attacker, with new hashes, gives a report or one sentence, never another exception."""

import hashlib
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from annotation.models import Study
from annotation.reports.bundle.archive import INDEX, canonical_json
from annotation.reports.bundle.replay import replay, replayed_report, write_bundle
from annotation.studies.current import current_manifest
from jobs.refusals import Refused
from tests.annotation.reports.voted_studies import Plan, make_study

pytestmark = pytest.mark.django_db

VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**30,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "=1",
    "2026-01-01",
    [],
    {},
    [1],
    {"$table": "../x"},
)


@pytest.fixture
def members(tmp_path: Path) -> dict[str, bytes]:
    """The members of a small study's bundle; one comparison has no score."""
    study = make_study(
        Plan(
            votes=[["A", "B"], ["B", "tie"], ["A", "A"]],
            scores=[(80.0, 70.5), (60.0, None), (1.0, 2.0)],
            prompts=["=SUM(1)", "'=1", "-2"],
            manifest={"analysis": {"resamples": 100}},
        )
    )
    path = tmp_path / "whole.zip"
    write_bundle(study, path)
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def packed(members: dict[str, bytes], path: Path, **about: Any) -> Path:
    """Write the members as a bundle whose hashes hold."""
    index = json.loads(members[INDEX]) | about
    index["members"] = {
        name: {"sha256": hashlib.sha256(raw).hexdigest(), "byte_count": len(raw)}
        for name, raw in members.items()
        if name != INDEX
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, raw in (members | {INDEX: canonical_json(index)}).items():
            file.writestr(name, raw)
    return path


def outcome(path: Path) -> str:
    """Return an empty text for a report, else the sentence of the refusal."""
    sentence = ""
    try:
        replayed_report(replay(path), path)
    except Refused as refusal:
        sentence = str(refusal)
    assert "\n" not in sentence
    return sentence


def test_formulas_are_marked_in_the_bundle_s_tables_and_come_back(members: dict[str, bytes], tmp_path: Path) -> None:
    assert b"'=SUM(1)" in members["comparisons.csv"]
    assert b"''=1" in members["comparisons.csv"]
    assert replay(packed(members, tmp_path / "same.zip")).data.comparisons.prompt == ("=SUM(1)", "'=1", "-2")


def test_a_bundle_of_an_earlier_version_has_them_as_they_were(members: dict[str, bytes], tmp_path: Path) -> None:
    raw = members["comparisons.csv"].replace(b"''=1", b"'=1").replace(b"'=SUM", b"=SUM").replace(b"'-2", b"-2")
    plain = members["study.json"].replace(b"text, formulas marked", b"text")
    path = packed(members | {"comparisons.csv": raw, "study.json": plain}, tmp_path / "old.zip")
    assert replay(path).data.comparisons.prompt == ("=SUM(1)", "'=1", "-2")


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += [(value, key), *_places(item)]
    return found


def test_a_value_of_the_document_changed_or_missing(members: dict[str, bytes], tmp_path: Path) -> None:
    chance = random.Random(7)
    outcomes = set()
    for _ in range(60):
        document = json.loads(members["study.json"])
        holder, key = chance.choice(_places(document))
        if isinstance(holder, dict) and chance.random() < 0.3:
            del holder[key]
        else:
            holder[key] = chance.choice(VALUES)
        raw = json.dumps(document).encode()
        outcomes.add(outcome(packed(members | {"study.json": raw}, tmp_path / "altered.zip")))
    assert len(outcomes) > 10  # reports among them, and sentences of many kinds
    assert "" in outcomes


@pytest.mark.parametrize("table", ["comparisons.csv", "votes.csv"])
def test_a_cell_changed(members: dict[str, bytes], tmp_path: Path, table: str) -> None:
    chance = random.Random(11)
    outcomes = set()
    for _ in range(30):
        lines = members[table].decode().splitlines()
        line = chance.randrange(len(lines))
        cells = lines[line].split(",")
        cells[chance.randrange(len(cells))] = chance.choice(["inf", "-1", "99", "x", "", "nan", "1e400", '"', "true"])
        lines[line] = ",".join(cells)
        outcomes.add(outcome(packed(members | {table: "\n".join(lines).encode()}, tmp_path / "altered.zip")))
    assert len(outcomes) > 5
    assert "" in outcomes


def test_bytes_changed_or_cut_off(members: dict[str, bytes], tmp_path: Path) -> None:
    raw = packed(members, tmp_path / "whole.zip").read_bytes()
    chance, path = random.Random(3), tmp_path / "altered.zip"
    outcomes = set()
    for _ in range(150):
        changed = bytearray(raw)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(raw))] = chance.randrange(256)
        path.write_bytes(changed[: chance.choice([len(raw), chance.randrange(len(raw))])])
        outcomes.add(outcome(path))
    assert len(outcomes - {""}) > 5


@pytest.mark.parametrize("value", ["inf", "-inf"])
def test_a_score_that_is_infinite(members: dict[str, bytes], tmp_path: Path, value: str) -> None:
    raw = members["comparisons.csv"].replace(b"80,", f"{value},".encode()).replace(b"80.0,", f"{value},".encode())
    assert raw != members["comparisons.csv"]
    sentence = outcome(packed(members | {"comparisons.csv": raw}, tmp_path / "altered.zip"))
    assert "no study can have such values: a score" in sentence


def test_a_bomb_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file, file.open("zeros", "w") as member:
        for _ in range(270):
            member.write(bytes(2**20))
    assert "unpacks to more than 200 times its size" in outcome(path)


@pytest.mark.parametrize(
    "about", [{"manifest_in_force": "x"}, {"manifest_in_force": [1]}, {"version": {}}, {"kind": 1}]
)
def test_an_index_that_is_wrong(members: dict[str, bytes], tmp_path: Path, about: dict[str, Any]) -> None:
    assert outcome(packed(members, tmp_path / "altered.zip", **about))


@pytest.mark.parametrize("listed", [None, 7, [], ["study.json"], {"study.json": 7}, {"study.json": {}}])
def test_an_index_without_hashes(members: dict[str, bytes], tmp_path: Path, listed: Any) -> None:
    path = tmp_path / "altered.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, raw in (members | {INDEX: canonical_json({"members": listed})}).items():
            file.writestr(name, raw)
    assert outcome(path).endswith("is not a replay bundle: its bundle.json does not name the hash of each member.")


def test_a_stranger_s_names_of_members_are_shown_short_and_plain(members: dict[str, bytes], tmp_path: Path) -> None:
    path = packed(members, tmp_path / "altered.zip")
    with zipfile.ZipFile(path, "a") as file:
        for name in ("x" * 60_000, "\u202ex", *map(str, range(9))):
            file.writestr(name, b"")
    sentence = outcome(path)
    assert "0: not in the index; 1: not in the index;" in sentence
    assert "; and 6 more (" in sentence
    with zipfile.ZipFile(packed(members, path), "a") as file:
        for name in ("x" * 60_000, "\u202ex"):
            file.writestr(name, b"")
    sentence = outcome(path)
    assert f"{'x' * 60}: not in the index; \\u202ex: not in the index" in sentence


@pytest.mark.parametrize("name", ["study.json", "manifests/1.json", "software.json"])
def test_a_key_that_is_there_twice(members: dict[str, bytes], tmp_path: Path, name: str) -> None:
    key, *_ = json.loads(members[name])
    raw = b"{" + json.dumps(key).encode() + b":0," + members[name][1:]
    assert f"an object names the key '{key}' more than once" in outcome(
        packed(members | {name: raw}, tmp_path / "a.zip")
    )


def test_a_member_that_would_lead_elsewhere_is_not_unpacked(members: dict[str, bytes], tmp_path: Path) -> None:
    path = packed(members | {"../../evil": b"x", "/etc/evil": b"x"}, tmp_path / "altered.zip")
    assert outcome(path) == ""
    assert not (tmp_path.parent / "evil").exists()
    assert current_manifest(Study.objects.get())
