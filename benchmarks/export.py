"""Time and memory of the votes' export, compared with the obvious way of writing it.

    python -m benchmarks.export [--database sqlite] [--votes 100000] [--comparisons 10000] [--formats csv,parquet]

The votes are synthetic, on comparisons with two sets of twenty images, in a database of the benchmark's own. Each
export runs in a process of its own, which has exported a study of a few votes before: what its libraries take when they
are used for the first time is excluded. Growth is the peak of resident memory above the memory before. The rival, named
`instances`, loads the votes and all related rows as model instances and writes a CSV with a DictWriter, without the
orders of the images.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import django

from benchmarks.load.deployment import deployment

SLUG = "export"
FEW = "few"


def main() -> None:
    """Store the votes, then measure each format and the rival."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--votes", type=int, default=100_000)
    parser.add_argument("--comparisons", type=int, default=10_000)
    parser.add_argument("--formats", default="csv,jsonl,parquet,instances")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    with deployment(database=options.database, processes=1) as installation:
        os.environ.update(installation.environment)
        django.setup()
        from benchmarks.load.stored_studies import store_votes  # needs the settings

        store_votes(slug=FEW, comparisons=10, count=30)
        store_votes(slug=SLUG, comparisons=options.comparisons, count=options.votes)
        print(f"{options.votes} votes on {options.comparisons} comparisons, {options.database}", flush=True)
        for name in options.formats.split(","):
            subprocess.run([sys.executable, "-m", "benchmarks.export", "--measure", name], check=True)


def measure(name: str) -> None:
    """Measure one export in this process: its time, the growth of memory, the size of its file."""
    django.setup()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "votes"
        write_few, write = _writer(name, FEW), _writer(name, SLUG)
        _, first_growth = _growth(partial(write_few, path))
        own, began = time.process_time(), time.perf_counter()
        count, growth = _growth(partial(write, path))
        seconds, own = time.perf_counter() - began, time.process_time() - own
        size = path.stat().st_size / 2**20
    times = f"{seconds:7.2f} s ({own:.2f} s of them here)"
    growths = f"{growth:6.1f} MB of growth (before it {first_growth:.1f} MB for a few votes)"
    print(f"  {name:10} {times}  {growths}  {count} votes in {size:.0f} MB", flush=True)


def _growth(write: Callable[[], int]) -> tuple[int, float]:
    """Return the result of `write`, and the peak of resident memory above the memory before, in MB."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = _resident("VmRSS")
    return write(), _resident("VmHWM") - before


def _writer(name: str, slug: str) -> Callable[[Path], int]:
    from annotation.models import Study
    from annotation.reports.exports.votes import write_votes
    from annotation.reports.exports.writers import FORMATS
    from annotation.studies.current import current_manifest

    study = Study.objects.get(slug=slug)
    manifest = current_manifest(study)
    if name in FORMATS:
        return lambda path: write_votes(study, path, manifest=manifest, export_format=name)
    return lambda path: by_instances(study.pk, path)


def by_instances(study_id: int, path: Path) -> int:
    """Export in the obvious way: every vote as an instance, every row as a dictionary."""
    from annotation.models import Vote

    related = ("assignment__annotator", "assignment__comparison__prompt")
    votes = list(Vote.objects.filter(assignment__comparison__study=study_id).select_related(*related))
    names = ["vote_id", "annotator", "position", "prompt", "kind", "choice", "left", "received_at", "response_ms"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for vote in sorted(votes, key=lambda vote: (vote.assignment.comparison.position, vote.assignment.annotator_id)):
            assignment = vote.assignment
            values = (
                vote.pk, assignment.annotator_id, assignment.comparison.position, assignment.comparison.prompt.text,
                assignment.kind, vote.choice, assignment.left_model, vote.received_at, vote.response_ms,
            )  # fmt: skip
            writer.writerow(dict(zip(names, values, strict=True)))
    return len(votes)


def _resident(field: str) -> float:
    """Return VmRSS (now) or VmHWM (peak) of this process, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


if __name__ == "__main__":
    main()
