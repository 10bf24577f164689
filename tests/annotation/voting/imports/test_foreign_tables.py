"""Tables of other programs give rows or one sentence, never another exception."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.voting.imports.vote_file import VoteFileFault, read_votes
from annotation.voting.imports.vote_line import FileComparison, StudyWords
from generation.tables.formulas import marked, unmarked
from jobs.refusals import Refused

COMPARISONS = {text: [FileComparison(pk, "Alpha", "Beta")] for text, pk in (("prompt 1", 1), ("=1", 2))}
WORDS = StudyWords("study", COMPARISONS, ("Alpha", "Beta"), are_ties_allowed=True)
EXPORT = (
    "vote_id,annotator,simulated,position,prompt,kind,choice,known_choice,replaced_images,left_model,state,received_at,"
    "response_ms\n"
    "6f0f3c7e-2f0e-4a4e-8d39-6a4b7c1d2e3f,P001,false,1,prompt 1,main,left,,0,Alpha,standing,2026-03-01T12:00:00Z,12\n"
    "6f0f3c7e-2f0e-4a4e-8d39-6a4b7c1d2e40,P002,true,2,'=1,ladder,left,left,1,,late,,\n"
)
LINES = (
    '{"annotator": "ann", "prompt": "prompt 1", "choice": "tie", "voted_at": "2026-03-01"}\n'
    '{"annotator": "ben", "prompt": "=1", "choice": "Beta", "vote_id": null}\n'
)
SIGNS = (b'"', b"\0", b"\r", b"\n", b",", b";", b"'", b"[[[")
STRANGE = (*SIGNS, b"\xff", b"\xef\xbb\xbf", b"1e999", b"NaN", b"\xe2\x80\xa8", b"\\ud800")


def _parquet(path: Path) -> bytes:
    table = pa.table({"annotator": ["ann"], "prompt": ["prompt 1"], "choice": ["Alpha"], "voted_at": [None]})
    pq.write_table(table, path)
    return path.read_bytes()


def outcome(path: Path) -> str:
    """The number of votes, or the first line of the refusal."""
    try:
        return str(len(read_votes(path, WORDS).votes))
    except VoteFileFault as fault:
        return str(fault).splitlines()[1]
    except Refused as refusal:
        return str(refusal)


@pytest.mark.parametrize("name", ["v.csv", "v.jsonl", "v.parquet"])
def test_any_change_of_bytes_ends_in_votes_or_in_a_sentence(tmp_path: Path, name: str) -> None:
    path, chance = tmp_path / name, random.Random(5)
    whole = {"v.csv": EXPORT.encode(), "v.jsonl": LINES.encode()}.get(name) or _parquet(path)
    path.write_bytes(whole)
    assert outcome(path) in ("1", "2")
    said = set()
    for _ in range(150):
        changed = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(changed))
            changed[at : at + chance.randint(0, 3)] = chance.choice(STRANGE)
        path.write_bytes(changed)
        said.add(outcome(path))
    assert len(said) > 10


@pytest.mark.parametrize(("name", "text"), [("left_seeds", "=1+1"), ("right_seeds", "1,2"), ("rendition", "@x")])
def test_what_an_export_writes_without_quotes_has_no_other_shape(tmp_path: Path, name: str, text: str) -> None:
    head, line, _ = EXPORT.splitlines()
    path = tmp_path / "v.csv"
    path.write_text(f'{head},{name}\n{line},"{text}"\n')
    assert outcome(path) == f'  line 2: {name} is "{text}", which no export holds'


def test_seeds_and_reasons_of_an_export_come_back_as_they_were(tmp_path: Path) -> None:
    head, line, _ = EXPORT.splitlines()
    path = tmp_path / "v.csv"
    path.write_text(f"{head},left_seeds,right_seeds,rendition,exclusion_reason\n{line},7 * 12,,grid2x,'=odd\n")
    (vote,) = read_votes(path, WORDS).votes
    assert (vote.left_seeds, vote.right_seeds, vote.rendition) == ("7 * 12", "", "grid2x")
    assert vote.exclusion_reason == "=odd"


def test_times_of_parquet_that_python_has_not(tmp_path: Path) -> None:
    path, noon = tmp_path / "v.parquet", datetime(2026, 3, 1, 12, tzinfo=UTC)
    said = {"annotator": ["ann"], "prompt": ["prompt 1"], "choice": ["Alpha"]}
    fine = pa.array([int(noon.timestamp()) * 10**9 + 123_456_789], pa.timestamp("ns", "UTC"))
    far = pa.array([2**62], pa.timestamp("us"))
    pq.write_table(pa.table({**said, "voted_at": fine, "index": far}), path)
    (vote,) = read_votes(path, WORDS).votes
    assert vote.voted_at == noon.replace(microsecond=123_456)
    for zone in ("Mars/Phobos", "+25:99", "Europe/Berlin"):  # stored are moments
        pq.write_table(pa.table({**said, "voted_at": fine.cast(pa.timestamp("ns", zone))}), path)
        assert read_votes(path, WORDS).votes[0].voted_at == vote.voted_at
    pq.write_table(pa.table({**said, "voted_at": far}), path)
    assert "v.parquet is damaged or is not a Parquet file: " in outcome(path)


@pytest.mark.parametrize("is_dictionary", [True, False])
def test_a_kilobyte_of_parquet_that_unpacks_to_gigabytes_is_refused(tmp_path: Path, is_dictionary: bool) -> None:
    path, rows = tmp_path / "v.parquet", 3000
    names = pa.array(["ann" * 50_000] * 100)
    if is_dictionary:
        names = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), names[:1])
    said = {"annotator": names, "prompt": ["prompt 1"] * len(names), "choice": ["Alpha"] * len(names)}
    pq.write_table(pa.table(said), path, compression="zstd", use_dictionary=is_dictionary)
    assert path.stat().st_size < 5_000
    assert outcome(path).endswith(
        "v.parquet holds a row of more than 65,536 bytes, which no table has; it was not read."
    )


@pytest.mark.parametrize(("name", "rows"), [("v.jsonl", LINES), ("v.csv", EXPORT)])
def test_a_line_that_never_ends_is_not_read(tmp_path: Path, name: str, rows: str) -> None:
    path = tmp_path / name
    path.write_text(rows + " " * 2**21)
    line = 1 + rows.count("\n")
    assert outcome(path).endswith(f"line {line} is longer than 1,048,576 letters: write each row on its own line.")


def test_half_a_character_in_json_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text('{"annotator": "a\\ud800", "prompt": "prompt 1", "choice": "Alpha"}')
    assert outcome(path) == "  line 1: it holds half a character, as no text does"
    path.write_text('{"annotator": "a", "prompt": "prompt 1", "choice": "Alpha", "\\ud800": 1}')
    assert outcome(path).endswith("names a column with a NUL or half a character in it, as no text has.")


@pytest.mark.parametrize(("value", "kind"), [('["ann"]', "a list"), ('{"name": "ann"}', "an object")])
def test_what_is_no_cell_is_no_name(tmp_path: Path, value: str, kind: str) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text(f'{{"annotator": {value}, "prompt": "prompt 1", "choice": "Alpha"}}')
    assert outcome(path) == f"  line 1: annotator holds {kind}, and must be a text or a number"


def test_bytes_of_parquet_are_no_name_and_nan_is_an_empty_cell(tmp_path: Path) -> None:
    path, said = tmp_path / "v.parquet", {"prompt": ["prompt 1"], "choice": ["Alpha"]}
    pq.write_table(pa.table({"annotator": [b"ann"], **said}), path)
    assert outcome(path) == "  line 1: annotator holds bytes, and must be a text or a number"
    pq.write_table(pa.table({"annotator": [["ann"]], **said}), path)
    assert outcome(path).endswith(
        "v.parquet: the column annotator holds lists or objects, and must hold texts or numbers."
    )
    pq.write_table(pa.table({"annotator": [float("nan")], **said}), path)
    assert outcome(path) == "  line 1: the annotator's name is blank"


def test_a_text_marked_and_unmarked_is_itself() -> None:
    for text in ("=1", "'=1", "''=1", "'", "'a", "-2", "@x", "＋1", "\n=", "plain", ""):
        assert unmarked(marked(text)) == text
        assert not marked(text).startswith(("=", "+", "-", "@", "＋", "\n"))
