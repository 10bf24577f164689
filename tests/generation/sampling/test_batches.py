"""What did not fit into a memory is remembered by the next process."""

from pathlib import Path

import pytest

from generation.sampling.batches import BatchSizes, planned_batch, planned_batches


def test_what_fitted_is_kept_across_restarts(tmp_path: Path) -> None:
    file = tmp_path / "var" / "batch_sizes.json"
    first, other = BatchSizes(20, file), BatchSizes(20, file)
    first.halve("card: sdxl 1024x1024", 20)
    other.halve("another card: sdxl 1024x1024", 10)
    again = BatchSizes(20, file)
    assert (again.fits("card: sdxl 1024x1024", 11), again.fits("card: sdxl 1024x1024", 10)) == (False, True)
    assert not again.fits("another card: sdxl 1024x1024", 6)
    assert again.fits("card: sdxl 768x768", 20)


@pytest.mark.parametrize("text", ['{"card"', "[]", "5", '{"card": 0}', '{"card": -1}', '{"card": "all"}'])
def test_a_damaged_file_is_found_out_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "sizes.json").write_text(text)
    assert BatchSizes(20, tmp_path / "sizes.json").fits("card", 20)


def test_a_batch_depends_on_the_job_s_seeds_alone() -> None:
    assert planned_batches(range(9), 4) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert [half.seeds for half in planned_batch([1, 2, 3], 0).halves()] == [[1, 2], [3]]
