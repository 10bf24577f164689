"""The files of each earlier version still open. They are synthetic: `python -m tests.fixtures` makes them."""

import gzip
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotation.models import Study
from annotation.reports.bundle.replay import replay, replayed_report
from annotation.reports.formats.document import from_json, to_json
from annotation.studies.study_file.reading import read_study_file
from tests.fixtures.__main__ import FOLDER, SLUG
from tests.test_command_line import manage

VERSIONS = sorted(folder for folder in FOLDER.iterdir() if (folder / "report.json").exists())
assert VERSIONS, "python -m tests.fixtures makes them"

# docs/decisions/2026-11-29-annotators-are-a-sample.md; the power took the observed agreement as true.
REMOVED = (".results.sensitivity.two_way.", ".results.power.")
# The score interval took the place of the bootstrap, and few minority winners leave kappa without an interval
# (docs/decisions/2026-11-29-coverage.md).
OTHER_INTERVALS = re.compile(
    r"\.results\.((leave_one_out\.by_\w+|with_excluded_votes)\.(people|metric|difference)|chance_corrected\.\w+)\.(low|high)"
)

pytestmark = pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)


def numbers(document: Any, key: str = "") -> Iterator[tuple[str, float | bool | None]]:
    """Yield the numbers of a report with their keys, also those in its claim; words may be put better."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from numbers(value, f"{key}.{name}")
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from numbers(value, f"{key}.{place}")
    elif key == ".claim":
        # 0.2.0 counted the margins whose true sign may differ, and called that other seeds.
        document = re.sub(r" [^;]* seeds could well [^;]*;", "", document)
        for place, number in enumerate(re.findall(r"\d+(?:\.\d+)?", document)):
            yield f"{key}.{place}", float(number)
    elif not isinstance(document, str):
        yield key, document


def assert_same_numbers(text: str, folder: Path) -> None:
    """Check that a report holds each number of the earlier one; a later version may add others."""
    earlier = json.loads((folder / "report.json").read_text())
    del earlier["schema_version"]
    expected = {
        key: number
        for key, number in numbers(earlier)
        if not key.startswith(REMOVED) and not OTHER_INTERVALS.fullmatch(key)
    }
    found = dict(numbers(json.loads(text)))
    assert len(expected) > 500  # else nothing was compared
    claimed, said = (
        [found.pop(key) for key in list(found) if key.startswith(".claim.")] for found in (expected, found)
    )
    assert not [key for key, number in expected.items() if not is_same(found.get(key, "missing"), number)]
    assert not Counter(claimed) - Counter(said)  # in any order, others may stand between them


def is_same(found: Any, expected: Any) -> bool:
    """Compare floats to 1e-12 and all else exactly."""
    if isinstance(found, float) and isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-12, abs_tol=1e-12)
    return bool(found == expected)


def test_its_bundle_replays(folder: Path) -> None:
    path = folder / "bundle.zip"
    found = replay(path)
    (rescored,) = found.rescored.values()
    assert rescored.differing == 0 < rescored.count
    assert_same_numbers(to_json(replayed_report(found, path)), folder)


def test_its_database_migrates_and_gives_its_report(folder: Path, tmp_path: Path) -> None:
    database = tmp_path / "var" / "semblance.sqlite3"
    database.parent.mkdir()
    database.write_bytes(gzip.decompress((folder / "database.sqlite3.gz").read_bytes()))
    assert manage(database.parent, "migrate").returncode == 0
    assert_same_numbers(manage(database.parent, "report", SLUG, "--format", "json").stdout, folder)


def test_its_study_file_opens(folder: Path) -> None:
    manifest = read_study_file(folder / "study.toml")
    assert (manifest.slug, manifest.source, len(manifest.prompts)) == ("demo", Study.Source.GENERATED, 12)


def test_its_report_opens(folder: Path) -> None:
    text = (folder / "report.json").read_text()
    report = from_json(text)
    assert_same_numbers(to_json(report), folder)
    assert report.results is not None
    assert report.results.power == json.loads(text)["results"]["power"]
