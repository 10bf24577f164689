"""The demo, as `make demo` runs it: from nothing to a claim line that a recount confirms, and nothing left running."""

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings

from tests.services.servers import fresh_broker, fresh_database
from tests.settings import ON_SERVICES

DEMO = [sys.executable, "manage.py", "demo", "--port", "0"]


@dataclass(frozen=True)
class Demo:
    """A demo that ran to its report."""

    environment: dict[str, str]
    var: Path
    output: str
    images: str


# The way over PostgreSQL and Redis is walked in every run by tests/services/test_compose.py.
SMALL = pytest.param("2", marks=pytest.mark.slow if ON_SERVICES else ())


@pytest.fixture(scope="module", params=[SMALL, pytest.param("20", marks=pytest.mark.slow)])
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    var = tmp_path_factory.mktemp("demo") / "var"
    environment = environment_of(var)
    with ExitStack() as stack:
        if ON_SERVICES:
            environment["DATABASE_URL"] = stack.enter_context(fresh_database())
            environment["CELERY_BROKER_URL"] = stack.enter_context(fresh_broker())
        shown = subprocess.run(
            [*DEMO, "--images", request.param, "--no-serve"],
            cwd=settings.BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert shown.returncode == 0, shown.stdout + shown.stderr
        yield Demo(environment, var, shown.stdout, request.param)


def environment_of(var: Path) -> dict[str, str]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "SEMBLANCE_VAR": str(var)}
    del environment["CELERY_BROKER_URL"]  # the tests' own, which leads nowhere
    return environment


def processes_of(var: Path) -> list[str]:
    """The command lines of the processes that work in this var folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"SEMBLANCE_VAR={var}\0" in (process / "environ").read_text():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # ended, or somebody else's
            continue
    return found


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[None]:
    """Ask the process to end after the block, whatever happened in it."""
    try:
        yield
    finally:
        process.terminate()


def majority(votes: Counter[str]) -> str:
    (first, count), *others = votes.most_common()
    return "tie" if others and others[0][1] == count else first


@pytest.mark.both_databases
def test_the_claim_line_is_what_a_recount_gives(demo: Demo) -> None:
    report = json.loads((demo.var / "demo" / "report.json").read_text())
    votes: dict[int, Counter[str]] = {}
    with (demo.var / "demo" / "votes.csv").open() as file:
        for row in csv.DictReader(file):
            assert row["simulated"] == "true"
            if row["kind"] == "main" and row["state"] == "standing" and not row["exclusion_reason"]:
                votes.setdefault(int(row["position"]), Counter())[row["chosen_model"]] += 1
    model_a, model_b = "Mini SDXL", "Mini PixArt"
    scores = {row["position"]: (row["score_a"], row["score_b"]) for row in report["results"]["comparisons"]}

    assert scores.keys() == votes.keys()
    agreeing = [
        position
        for position, (score_a, score_b) in scores.items()
        if majority(votes[position]) == (model_a if score_a > score_b else model_b)
    ]

    claimed = re.search(r"on (\d+) of (\d+) comparisons\. ([\d.]+) %", demo.output)
    assert claimed is not None
    assert claimed.groups() == (str(len(agreeing)), "12", f"{100 * len(agreeing) / len(scores):.1f}")
    assert {sum(counts.values()) for counts in votes.values()} == {5}


@pytest.mark.both_databases
def test_it_says_that_models_and_votes_are_not_real(demo: Demo) -> None:
    assert "The models of this study are miniatures" in demo.output
    assert "Simulated votes: 60 of 60" in demo.output
    for name in ("report.html", "report.json", "report.csv", "report.tex", "report.txt"):
        assert "imulated" in (demo.var / "demo" / name).read_text()


@pytest.mark.both_databases
def test_nothing_is_left_running(demo: Demo) -> None:
    assert processes_of(demo.var) == []


def test_its_worker_left_signs_of_life(demo: Demo) -> None:
    with closing(sqlite3.connect(demo.var / "semblance.sqlite3")) as database:
        queues = {queue for (queue,) in database.execute("SELECT queue FROM generation_workersign")}
    assert queues == {"gpu", "control"}


def test_a_second_time_it_reuses_the_study_and_stays_up_until_ctrl_c(demo: Demo) -> None:
    command, environment = [*DEMO, "--images", demo.images, "--serve"], {**demo.environment, "PYTHONUNBUFFERED": "1"}
    with (
        subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, stdout=subprocess.PIPE, text=True) as again,
        ending(again),
    ):
        assert again.stdout is not None
        output = ""
        for line in again.stdout:
            output += line
            if line.startswith("Ctrl-C"):
                break
        vote_here = re.search(r"Vote here: +(\S+)", output)
        assert vote_here is not None, output
        with urllib.request.urlopen(vote_here[1]) as page:
            assert page.status == 200
        assert "demo, which already exists and is closed" in output
        assert re.search(r"user demo-admin, password \S{16}", output)

        again.send_signal(signal.SIGINT)
        assert again.wait() == 0
        assert processes_of(demo.var) == []


@pytest.mark.slow
def test_three_models_are_ranked_and_a_study_of_them_stays_open(tmp_path: Path) -> None:
    """From nothing: 72 images, 36 comparisons of three pairs, 180 votes, the ranking; then a page to vote on."""
    var, command = tmp_path / "var", [*DEMO, "--models", "3", "--images", "2", "--serve"]
    environment = environment_of(var) | {"PYTHONUNBUFFERED": "1"}
    with (
        subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, stdout=subprocess.PIPE, text=True) as shown,
        ending(shown),
    ):
        assert shown.stdout is not None
        output = ""
        for line in shown.stdout:
            output += line
            if line.startswith("Ctrl-C"):
                break
        assert "Simulated votes: 180 of 180" in output
        assert "Study: demo-three-open from docs/studies/demo-three.toml: 12 prompts, 3 models" in output
        vote_here = re.search(r"Vote here: +(\S+)", output)
        assert vote_here is not None, output
        with urllib.request.urlopen(vote_here[1]) as page:
            assert page.status == 200
        shown.send_signal(signal.SIGINT)
        assert shown.wait() == 0
    report = json.loads((var / "demo" / "report.json").read_text())
    with (var / "demo" / "votes.csv").open() as file:
        votes = [row for row in csv.DictReader(file) if row["kind"] == "main" and row["state"] == "standing"]
    ranking = report["results"]["ranking"]
    names = {"sdxl": "Mini SDXL", "pixart": "Mini PixArt", "lora": "Mini SDXL with LoRA"}
    assert {model["name"] for model in ranking["models"]} == set(names.values())
    assert len(ranking["pairs"]) == 3
    positions = {row["position"]: {row["model_a"], row["model_b"]} for row in report["results"]["comparisons"]}
    for pair in ranking["pairs"]:
        own = [row for row in votes if positions[int(row["position"])] == {names[pair["a"]], names[pair["b"]]}]
        chosen = Counter(row["chosen_model"] for row in own)
        assert (pair["wins_a"], pair["wins_b"]) == (chosen[names[pair["a"]]], chosen[names[pair["b"]]])
        assert len(own) == 60
    with closing(sqlite3.connect(var / "semblance.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM generation_generatedimage").fetchone() == (72,)
