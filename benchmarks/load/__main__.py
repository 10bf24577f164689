"""Votes under load, over HTTP, with the server as production runs it; then every vote is checked in the database.

    python -m benchmarks.load --database postgresql --annotators 1,8,50,200 --comparisons 10000 --seconds 30
    python -m benchmarks.load --database sqlite --run-out            60 comparisons, 50 annotators, to the end
    python -m benchmarks.load --database postgresql --kill           kill -9 in the middle: web, database, Redis
    python -m benchmarks.load --database sqlite --stored 1000,10000000   the same with so many stored votes
    python -m benchmarks.load --annotators 50 --slow-clients 200     once without and once with so many slow clients

Every simulated annotator is always busy with one request: the vote, whose answer brings the next comparison. The
servers are private to the run and durable (`synchronous=FULL`, `fsync` and `synchronous_commit` on).
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import django

from benchmarks.load.deployment import Deployment, deployment
from tests.services.servers import Server

KILL_ANNOTATORS = 20
RUN_OUT = {"comparisons": 60, "annotators": 50}
RUN_OUT_SECONDS = 120
SYNTHETIC_COMPARISONS = 100_000


def numbers(text: str) -> list[int]:
    """Parse a list such as 1,8,50."""
    return [int(part) for part in text.split(",")]


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--processes", type=int, default=2, help="Web processes; 2 as shipped.")
    parser.add_argument("--annotators", type=numbers, default=[1, 8, 50, 200])
    parser.add_argument("--comparisons", type=numbers, default=[10_000])
    parser.add_argument("--overlap", type=int, default=3)
    parser.add_argument("--warm-up", type=float, default=5)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--stored", type=numbers, default=[0], help="Synthetic votes stored beside the study.")
    parser.add_argument("--slow-clients", type=int, default=0)
    parser.add_argument("--run-out", action="store_true")
    parser.add_argument("--kill", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Run the chosen benchmark; return 1 if a promise was broken."""
    options = parse()
    with deployment(database=options.database, processes=options.processes) as installation:
        os.environ.update(installation.environment)
        django.setup()
        run = run_out if options.run_out else survive if options.kill else measure
        installation.start()
        try:
            print(f"{options.database}, {options.processes} web processes, {os.cpu_count()} cores", flush=True)
            return 0 if all(run(installation, options)) else 1
        finally:
            installation.end()


def measure(installation: Deployment, options: argparse.Namespace) -> Iterator[bool]:
    """Measure votes a second and waiting times for each number of annotators and each size of study."""
    from benchmarks.load import stored_studies  # needs the settings

    stored = 0
    for wanted in options.stored:
        if wanted > stored:
            comparisons = min(wanted - stored, SYNTHETIC_COMPARISONS)
            stored_studies.store_votes(slug=f"stored-{wanted}", comparisons=comparisons, count=wanted - stored)
            stored = wanted
        for comparisons in options.comparisons:
            for count in options.annotators:
                slug = f"load-{stored}-{comparisons}-{count}"
                print(f"{comparisons} comparisons, {stored} votes stored before, {count} annotators", flush=True)
                yield _run(installation, options, slug=slug, comparisons=comparisons, count=count)
                if slow := options.slow_clients:
                    print(f"the same beside {slow} slow clients", flush=True)
                    slug += "-slow"
                    yield _run(installation, options, slug=slug, comparisons=comparisons, count=count, slow=slow)


def run_out(installation: Deployment, options: argparse.Namespace) -> Iterator[bool]:
    """Vote with many annotators on few comparisons until nothing is left for anyone."""
    options.warm_up, options.seconds = 0, RUN_OUT_SECONDS
    print("{comparisons} comparisons, {annotators} annotators, to the end".format(**RUN_OUT), flush=True)
    comparisons, count = RUN_OUT["comparisons"], RUN_OUT["annotators"]
    yield _run(installation, options, slug="run-out", comparisons=comparisons, count=count, is_to_the_end=True)


def survive(installation: Deployment, options: argparse.Namespace) -> Iterator[bool]:
    """Kill each part in turn by kill -9 during the votes."""
    blows: dict[str, Callable[[], None]] = {"one web process": installation.kill_one_process}
    parts = {"the web server": installation, "the database": installation.database, "Redis": installation.broker}
    blows |= {name: partial(kill_and_start, part) for name, part in parts.items() if part}
    for name, blow in blows.items():
        print(f"kill -9 of {name}, {KILL_ANNOTATORS} annotators", flush=True)
        slug = name.lower().replace(" ", "-")
        comparisons = options.comparisons[0]
        yield _run(installation, options, slug=slug, comparisons=comparisons, count=KILL_ANNOTATORS, blow=blow)


def kill_and_start(part: Deployment | Server) -> None:
    """Kill by kill -9, and start again."""
    part.kill()
    part.start()


def _run(
    installation: Deployment,
    options: argparse.Namespace,
    *,
    slug: str,
    comparisons: int,
    count: int,
    blow: Callable[[], None] | None = None,
    is_to_the_end: bool = False,
    slow: int = 0,
) -> bool:
    from django.db import connection

    from benchmarks.load import crowd, slow_clients, stored_studies, verification

    study = stored_studies.open_study(slug=slug, comparisons=comparisons, overlap=options.overlap)
    tokens = stored_studies.annotators(study, count)
    connection.close()
    used = installation.cpu_seconds()
    own, began = time.process_time(), time.monotonic()

    async def work() -> crowd.Tally:
        hanging = asyncio.create_task(slow_clients.hang(installation.port, slow))
        voting = crowd.vote(tokens, installation.port, warm_up=options.warm_up, seconds=options.seconds)
        if blow is None:
            result = await voting
            hanging.cancel()
            return result
        falling = asyncio.to_thread(_after, options.warm_up + options.seconds / 3, blow)
        return (await asyncio.gather(voting, falling))[0]

    tally = asyncio.run(work())
    seconds = time.monotonic() - began
    cores = {name: (now - used[name]) / seconds for name, now in installation.cpu_seconds().items() if not blow}
    cores["crowd"] = (time.process_time() - own) / seconds
    report(tally, cores)
    if blow and connection.vendor == "postgresql":
        connection.close_pool()  # type: ignore[attr-defined]  # our own connections died with the server
    verdict = verification.verify(study, tally)
    print(f"  {verdict}", flush=True)
    is_complete = not is_to_the_end or (len(tally.done) == count and verdict.stored == comparisons * options.overlap)
    return verdict.is_clean and is_complete and (blow is not None or not tally.errors)


def _after(seconds: float, blow: Callable[[], None]) -> None:
    time.sleep(seconds)
    blow()


def report(tally: "crowd.Tally", cores: dict[str, float]) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Print one line about the speed and one about the responses."""
    cycles, seconds = sorted(tally.cycles), tally.window[1] - tally.window[0]
    if len(cycles) > 1:
        cuts = statistics.quantiles(cycles, n=100)
        waits = " / ".join(f"{cuts[percent - 1] * 1000:.0f}" for percent in (50, 95, 99))
        print(
            f"  {len(cycles) / seconds:.0f} votes/s; cycle p50 / p95 / p99 {waits} ms; max {cycles[-1] * 1000:.0f} ms"
        )
    used = ", ".join(f"{name} {share:.2f}" for name, share in cores.items())
    answers = ", ".join(f"{count} {name}" for name, count in sorted(tally.answers.items()))
    print(f"  cores used: {used}; answers: {answers}; {len(tally.done)} done; broken lines: {tally.broken_lines}")
    for error, count in tally.errors.most_common(5):
        print(f"  error, {count} times: {error}")


if __name__ == "__main__":
    sys.exit(main())
