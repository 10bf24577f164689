"""Measure Semblance with hundreds of studies: every page and command, and votes while other work runs.

    python -m benchmarks.scale                           SQLite, 505 studies, a million votes; some minutes to fill
    python -m benchmarks.scale --database postgresql     the same on a PostgreSQL of its own
    python -m benchmarks.scale --quick                   a tenth of it
    python -m benchmarks.scale --pages                   pages and commands only
    python -m benchmarks.scale --watchers                votes only: alone, and while ten people watch the overview

Pages and commands run in this process: their queries, the time of the first call, and the median of later calls. Then
the server runs as in production and a crowd votes: alone, while ten people of the staff read page after page, and
while something large is written. Goals: no page over 300 ms, votes fall by less than 10 %, and no vote waits for a
transaction of over 0.2 s.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import django

from benchmarks.load.deployment import Deployment, deployment

if TYPE_CHECKING:
    from benchmarks.load.crowd import Tally
    from benchmarks.scale.laboratory import Laboratory, Size

PEOPLE = 10
IMPORTED_PEOPLE = 20
Work = Callable[[], object]


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--quick", action="store_true", help="A smaller laboratory and shorter runs.")
    parser.add_argument("--pages", action="store_true", help="Measure pages and commands only, and no votes.")
    parser.add_argument("--watchers", action="store_true", help="Measure votes beside people who watch, in turns.")
    parser.add_argument("--processes", type=int, default=2, help="Web processes; 2 as shipped.")
    parser.add_argument("--annotators", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--times", type=int, default=7, help="Looks at each page.")
    return parser.parse_args()


def main() -> None:
    """Fill the database, measure the pages, then the votes."""
    options = parse()
    with deployment(database=options.database, processes=options.processes) as installation:
        os.environ.update(installation.environment)
        django.setup()
        from benchmarks.scale import laboratory, pages

        size = laboratory.QUICK if options.quick else laboratory.FULL
        if options.watchers:
            installation.start()
            try:
                vote_beside_watchers(installation, size, options)
            finally:
                installation.end()
            return
        began_at = time.monotonic()
        lab = laboratory.fill(size)
        print(f"{options.database}, {os.cpu_count()} cores: filled in {time.monotonic() - began_at:.0f} s", flush=True)
        for measured in pages.look_at_everything(lab, times=2 if options.quick else options.times):
            print(measured, flush=True)
        if options.pages:
            return
        installation.start()
        try:
            vote_beside_everything(installation, lab, size, options)
        finally:
            installation.end()


def vote_beside_everything(
    installation: Deployment, lab: "Laboratory", size: "Size", options: argparse.Namespace
) -> None:
    """Measure votes alone, with readers and with writers; alone several times, since a machine's speed varies."""
    from benchmarks.scale.pages import addresses

    seconds = 8.0 if options.quick else options.seconds
    crowd = partial(_vote, installation, size, annotators=options.annotators, seconds=seconds)
    pages = list(addresses(lab).values())
    alone = [_say("alone", crowd())]
    looked_at: list[float] = []
    beside = [_say(f"{PEOPLE} people look", crowd(pages=pages, looked_at=looked_at))]
    print(f"    their {len(looked_at)} pages: median {1000 * median(looked_at):.0f} ms", flush=True)
    alone.append(_say("alone", crowd()))
    beside.append(_say(f"{PEOPLE} people look", crowd(pages=pages, looked_at=looked_at)))
    alone.append(_say("alone", crowd()))
    print(f"  with {PEOPLE} people looking, votes a second change by {sum(beside) / 2 / (sum(alone) / 3) - 1:+.0%}")
    for name, work in _works(installation, lab, size).items():
        _say(name, crowd(work=work))


def vote_beside_watchers(installation: Deployment, size: "Size", options: argparse.Namespace) -> None:
    """Measure votes alone and while ten people watch the study's overview, five times each, in turns."""
    from django.contrib.auth.models import User

    User.objects.get_or_create(username="researcher", is_staff=True, is_superuser=True)
    rates: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(10):
        # Each second pair the other way round, so that a machine that slows down counts against both.
        is_watched = turn % 4 in (1, 2)
        polls: list[float] = []
        seen = _vote(
            installation,
            size,
            annotators=options.annotators,
            seconds=options.seconds,
            looked_at=polls,
            is_watched=is_watched,
        )
        rates[is_watched].append(_say(f"{PEOPLE} people watch, {len(polls)} polls" if is_watched else "alone", seen))
    change = median(rates[True]) / median(rates[False]) - 1
    print(f"  with {PEOPLE} people watching, votes a second change by {change:+.1%} (medians of five)")


def _works(installation: Deployment, lab: "Laboratory", size: "Size") -> dict[str, Work]:
    """Return large write operations, each in its own process or in this one."""
    from django.utils import timezone

    from annotation.models import Annotator
    from annotation.studies.current import current_manifest
    from annotation.studies.documents import document
    from annotation.studies.lifecycle.amendments import amend
    from annotation.studies.lifecycle.transitions import advance, close
    from annotation.studies.manifest import Manifest
    from annotation.voting.withdrawal import withdraw

    study_file, votes_file = _external_files(Path(installation.environment["SEMBLANCE_VAR"]), size)
    plan = document(current_manifest(lab.open))
    plan["annotation"]["overlap"] += 1
    raised = Manifest.model_validate(plan)

    def closing() -> None:
        close(study=lab.judged)
        advance(lab.judged)

    def withdrawing() -> None:
        withdraw(annotator=Annotator.objects.filter(study=lab.voted).latest("pk"), until=None, now=timezone.now())

    return {
        f"an external study of {size.comparisons} prompts is made": partial(
            installation.manage, "create_study", str(study_file)
        ),
        f"{IMPORTED_PEOPLE * size.comparisons} votes are imported into it": partial(
            installation.manage, "import_votes", "external", str(votes_file)
        ),
        "this study is deleted with its votes": partial(installation.manage, "delete_study", "external", "--yes"),
        f"an annotator with {size.comparisons} votes withdraws": withdrawing,
        f"the overlap of {size.comparisons} comparisons is raised": partial(
            amend, study=lab.open, manifest=raised, reason="A benchmark."
        ),
        f"a study of {size.votes // 10} votes is closed": closing,
    }


def _external_files(folder: Path, size: "Size") -> tuple[Path, Path]:
    """Write the study file of an external study and a file of votes for it; return their paths."""
    study_file, votes_file = folder / "external.toml", folder / "votes.csv"
    prompts = "\n".join(f'  "an external prompt {number}",' for number in range(size.comparisons))
    study_file.write_text(
        'name = "External"\nsource = "external"\n[models.a]\nname = "Elsewhere A"\n[models.b]\nname = "Elsewhere B"\n'
        f"[prompts]\nlist = [\n{prompts}\n]\n"
    )
    choices = ("Elsewhere A", "Elsewhere B")
    rows = (
        f"person {person},an external prompt {number},{choices[(person + number) % len(choices)]}\n"
        for person in range(IMPORTED_PEOPLE)
        for number in range(size.comparisons)
    )
    votes_file.write_text("".join(("annotator,prompt,choice\n", *rows)))
    return study_file, votes_file


def _vote(
    installation: Deployment,
    size: "Size",
    *,
    annotators: int,
    seconds: float,
    pages: list[str] | None = None,
    looked_at: list[float] | None = None,
    work: Work | None = None,
    is_watched: bool = False,
) -> "tuple[Tally, float]":
    """Return the crowd's results, and the seconds that the work took; people read `pages` from the beginning.

    is_watched: they ask for what changed in the study's overview every five seconds, as its page does.
    """
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.urls import reverse

    from benchmarks.load import crowd, stored_studies
    from benchmarks.scale import people

    study = stored_studies.open_study(slug=f"crowd-{time.monotonic_ns()}", comparisons=size.comparisons, overlap=5)
    tokens = stored_studies.annotators(study, annotators)
    pages = [reverse("study-live", args=[study.slug])] if is_watched else pages
    client = Client()
    client.force_login(User.objects.get(username="researcher"))
    cookie = client.cookies["sessionid"].value
    connection.close()

    async def everything() -> "tuple[Tally, float]":
        warm_up = 3.0
        voting = crowd.vote(tokens, installation.port, warm_up=warm_up, seconds=seconds)
        until = time.monotonic() + warm_up + seconds
        if pages and looked_at is not None:
            looking = people.look(cookie, pages, installation.port, people=PEOPLE, until=until)
            tally, found = await asyncio.gather(voting, looking)
            looked_at.extend(found)
            return tally, 0.0
        if work:
            return await asyncio.gather(voting, asyncio.to_thread(_timed, work, warm_up + 1))
        return await voting, 0.0

    return asyncio.run(everything())


def _timed(work: Work, after: float) -> float:
    """Do the work after a delay, in a thread that closes its connection, and return the seconds it took."""
    from django.db import connection

    time.sleep(after)
    began_at = time.monotonic()
    try:
        work()
    finally:
        connection.close()
    return time.monotonic() - began_at


def _say(name: str, seen: "tuple[Tally, float]") -> float:
    """Print one line and return the votes a second."""
    tally, took = seen
    cycles = sorted(tally.cycles)
    rate = len(cycles) / (tally.window[1] - tally.window[0])
    waits = " / ".join(f"{1000 * cycles[int(share * (len(cycles) - 1))]:.0f}" for share in (0.5, 0.95, 1))
    errors = ", ".join(f"{count} times {error}" for error, count in tally.errors.items())
    print(
        f"  {name:52} {rate:5.0f} votes/s, cycle p50 / p95 / longest {waits} ms"
        + (f"; it took {took:.1f} s" if took else "")
        + (f"; ERRORS: {errors}" if errors else ""),
        flush=True,
    )
    return rate


if __name__ == "__main__":
    main()
