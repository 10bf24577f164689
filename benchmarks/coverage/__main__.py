"""How often the report's intervals hold the truth: simulated studies of several designs, through the report's own code.

    python -m benchmarks.coverage                  1,000 studies of each design; about ten minutes on two idle cores
    python -m benchmarks.coverage --quick          200 studies of each; under two minutes
    python -m benchmarks.coverage --crossed        the crossed model instead: votes that follow it
    python -m benchmarks.coverage --write          and put the table into docs/report.md

Each estimate is scored against its own estimand: the value for annotators like these on new prompts, from a million
votes, or, if its interval speaks of these annotators only, the value for them on new prompts. Seeds are fixed, so the
same command gives the same table. An interval of 95 % holds if its coverage lies in .93 to .97, give or take two
standard errors of the simulation; a wider one is safe and says that it could be narrower.
"""

import argparse
import multiprocessing
import os
import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.coverage import crossed
from benchmarks.coverage.crossed import CrossedDesign
from benchmarks.coverage.designs import DESIGNS, Design
from benchmarks.coverage.scores import LEAST_INTERVALS, SEED, THESE, Score, Scores
from benchmarks.coverage.simulation import BATCH, gather, set_up, simulate

REPORT_GUIDE = Path(__file__).parents[2] / "docs" / "report.md"


def main() -> None:
    """Simulate every design, and print a table of coverages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 studies of each design instead of 1,000.")
    parser.add_argument("--studies", type=int, help="So many studies of each design.")
    parser.add_argument("--crossed", action="store_true", help="The crossed model, by designs of its own.")
    parser.add_argument("--only", help="Only designs whose name holds this text.")
    parser.add_argument("--write", action="store_true", help="Put the table into docs/report.md.")
    options = parser.parse_args()
    studies = options.studies or (200 if options.quick else 1000)
    subject = "crossed coverage" if options.crossed else "coverage"
    every = crossed.DESIGNS if options.crossed else DESIGNS
    designs = [design for design in every if not options.only or options.only in design.name]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=set_up) as processes:
        found = [(design.name, _simulated(design, studies, processes)) for design in designs]
    text = table(found, studies)
    print(text)
    if options.write:
        write(text, subject)
    if any(score.verdict == "narrow" for _, scores in found for score in scores.values()):
        sys.exit("Some intervals are narrower than they say.")


def _simulated(design: Design | CrossedDesign, studies: int, processes: Executor) -> Scores:
    if isinstance(design, Design):
        return simulate(design, studies, processes)
    work = partial(crossed.batch, design, crossed.truths(design), BATCH)
    return gather(design.name, work, studies, processes)


def table(found: list[tuple[str, Scores]], studies: int) -> str:
    """Return the coverages as a Markdown table: a row for each estimate, a column for each design."""
    names = list(dict.fromkeys(name for _, scores in found for name in scores))
    head = ["estimate", "annotators", *(name for name, _ in found)]
    lines = [f"{studies:,} simulated studies of each design, seed {SEED}.", ""]
    lines += [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    for name in names:
        populations = [scores[name].population for _, scores in found if name in scores]
        cells = [_cell(scores[name], studies) if name in scores else "" for _, scores in found]
        whose = next(filter(None, populations), THESE).removesuffix(" annotators").removeprefix("annotators ")
        lines.append(f"| `{name}` | {whose} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(score: Score, studies: int) -> str:
    """A coverage, marked if it does not hold, and the share of studies without an interval."""
    if score.studies < LEAST_INTERVALS:
        return "none" if not score.studies else f"(none in {100 - 100 * score.studies / studies:.0f} %)"
    mark = {"holds": "", "narrow": " **narrow**", "wide": f" wide ×{score.excess:.1f}"}[score.verdict]
    missing = sum(score.missing.values())
    absent = f" (none in {100 * missing / studies:.0f} %)" if missing else ""
    return f"{score.coverage:.3f}".removeprefix("0") + mark + absent


def write(text: str, subject: str) -> None:
    """Replace the table in docs/report.md. subject: what the comments around it name."""
    begin, end = f"<!-- {subject}: begin -->", f"<!-- {subject}: end -->"
    guide = REPORT_GUIDE.read_text(encoding="utf-8")
    before, _, rest = guide.partition(begin)
    _, _, after = rest.partition(end)
    REPORT_GUIDE.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
