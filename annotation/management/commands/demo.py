"""demo: the whole path on this machine, from a study file to a report."""

import os
import secrets
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser, BooleanOptionalAction
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.urls import reverse

from annotation.management.base import StudyCommand, whole_number
from annotation.management.processes import ChildProcess, ProcessPlan, running, supervise, told_to_stop, worker_plans
from annotation.models import Study
from annotation.reports.report_jobs.downloads import DOWNLOADS, FORMATS, report_text
from annotation.reports.report_jobs.report_cache import cached_report
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.transitions import advance, close, open_study
from annotation.studies.manifest import Manifest
from annotation.studies.study_file.reading import read_study_file
from jobs.whole_files import whole_file
from jobs.wording import counted

STUDIES = {2: "demo", 3: "demo-three", 5: "demo-five"}  # the shipped files, by the number of models
OPEN_STUDIES = {2: "demo-lora"}  # the file of the study to vote in, if it is another one
ANNOTATOR_COUNTS = {2: 5, 3: 8, 5: 8}  # intervals of a ranking need six annotators
NOISE = 0.5
SEED = 1
ADMIN = "demo-admin"
MOST_PORT = 65_535
MOST_SECONDS_TO_START = 600  # on a busy machine; a server that ends is started again


class Command(StudyCommand):
    """Runs a study of very small models with simulated votes and a report; then serves a study to vote in."""

    help = (
        "Show the whole path with very small models and simulated votes. Running it again reuses the existing studies."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add whether to keep serving, on which port, and how many images."""
        parser.add_argument("--serve", action=BooleanOptionalAction, default=True, help="stay up after the report")
        parser.add_argument(
            "--port", type=int, default=8000, help="the port of the web server; if it is taken, another one"
        )
        parser.add_argument("--models", type=int, choices=tuple(STUDIES), default=2, help="models that are compared")
        parser.add_argument(
            "--images", type=whole_number(2, 20), metavar="N", help="images in a set, 2 to 20: fewer are quicker"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the steps in order. Every child process ends with this one."""
        if not 0 <= options["port"] <= MOST_PORT:
            raise CommandError(f"--port: a port is a number from 0 to {MOST_PORT}, not {options['port']}.")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        os.environ.setdefault("OMP_NUM_THREADS", "2")  # with such small models more threads would wait for each other
        self.folder: Path = settings.VAR_DIR / "demo"
        self.images_per_set: int | None = options["images"]
        self.closed_file: str = STUDIES[options["models"]]
        self.annotator_count: int = ANNOTATOR_COUNTS[options["models"]]
        self.open_file: str = OPEN_STUDIES.get(options["models"], self.closed_file)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._prepare()
            port = _free_port(options["port"])
            plans = (_web_plan(port), *worker_plans(("gpu", "control")))
            with running(*plans, patience_seconds=30, say=self._say) as children:
                self._await_web(port)
                self._run_closed_study()
                if options["serve"]:
                    self._serve_open_study(port, children)
        except KeyboardInterrupt:
            self._say("Stopped. `make demo` continues from here.")
            raise SystemExit(130) from None

    def _prepare(self) -> None:
        self._say(
            "This is a demonstration. Its models are miniatures, trained on drawn pictures, and its votes are "
            "simulated: the numbers say nothing about any full-size model, metric or person."
        )
        self._step("Database", f"{connection.vendor}, {connection.settings_dict['NAME']}")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("collectstatic", verbosity=0, interactive=False)

    def _run_closed_study(self) -> None:
        study = self._study(self.closed_file)
        if study.state != Study.State.CLOSED:
            self._make_images(study)
            if study.state == Study.State.READY:
                open_study(study=study)
            self._simulate(study)
            close(study=study)
            advance(study)  # judges the annotators, if no worker has done it yet
        self._report(study)

    def _study(self, name: str, *, is_second: bool = False) -> Study:
        """Return the study of a shipped file, created if it does not exist. is_second: another one of these images."""
        file = Path("docs", "studies", f"{name}.toml")
        manifest = read_study_file(settings.BASE_DIR / file)
        manifest = manifest.model_copy(update={"seeds": manifest.seeds[: self.images_per_set]})
        if is_second:
            manifest = manifest.model_copy(update={"slug": f"{name}-open", "name": f"{manifest.name}, to vote in"})
        study = Study.objects.filter(slug=manifest.slug).first()
        if study is not None:
            self._step("Study", f"{study.slug}, which already exists and is {study.state}")
            return study
        study = create_study(manifest=manifest)
        self._step("Study", f"{study.slug} from {file}: {_size(manifest)}")
        return study

    def _make_images(self, study: Study) -> None:
        self._step("Images and scores", "made by the worker")
        call_command("run_study", study.slug, stdout=self.stdout)
        study.refresh_from_db()

    def _simulate(self, study: Study) -> None:
        self._step("Votes", f"{self.annotator_count} simulated annotators, who look at pixels and never at scores")
        arguments = {"annotators": self.annotator_count, "noise": NOISE, "seed": SEED}
        call_command("simulate_votes", study.slug, **arguments, stdout=self.stdout)

    def _report(self, study: Study) -> None:
        report = cached_report(study).report
        for report_format in FORMATS:
            with whole_file(self.folder / f"report.{DOWNLOADS[report_format].suffix}") as path:
                path.write_text(report_text(report, report_format, study), encoding="utf-8")
        call_command("export_votes", study.slug, out=self.folder / "votes.csv", stdout=self.stdout)
        self._step("Report", f"{_short(self.folder)}/report.* ({', '.join(FORMATS)})")
        for line in (*report.notices, report.claim):
            self.stdout.write(line)

    def _serve_open_study(self, port: int, children: list[ChildProcess]) -> None:
        study = self._study(self.open_file, is_second=self.open_file == self.closed_file)
        if study.state not in (Study.State.OPEN, Study.State.PAUSED, Study.State.CLOSING, Study.State.CLOSED):
            self._make_images(study)
        if study.state == Study.State.READY:
            open_study(study=study)
        password = _new_admin_password()
        address = f"http://127.0.0.1:{port}"
        self.stdout.write(
            f"\nVote here:   {address}{reverse('join', args=[study.open_link_token])}\n"
            f"Studies:     {address}{reverse('studies')}\n"
            f"Admin:       {address}{reverse('admin:index')}   user {ADMIN}, password {password}\n"
            "Ctrl-C ends everything."
        )
        self.stdout.flush()
        with told_to_stop() as stop:
            supervise(children, stop=stop, say=self._say)
        self._say("Ending the web server and the worker.")

    def _await_web(self, port: int) -> None:
        deadline = time.monotonic() + MOST_SECONDS_TO_START
        while not _is_healthy(port):
            if time.monotonic() > deadline:
                raise CommandError(
                    f"The web server did not answer on port {port} within {MOST_SECONDS_TO_START} s; its log is above."
                )
            time.sleep(0.2)
        self._step("Web server and worker", f"running, http://127.0.0.1:{port}/")

    def _step(self, title: str, detail: str) -> None:
        self._say(f"{self.style.MIGRATE_HEADING(title)}: {detail}")

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def _size(manifest: Manifest) -> str:
    models = "two models" if manifest.has_two_models else counted(len(manifest.models), "model")
    return f"{counted(len(manifest.prompts), 'prompt')}, {models}"


def _web_plan(port: int) -> ProcessPlan:
    arguments = ("-m", "gunicorn", "--config", "python:config.gunicorn", "--bind", f"127.0.0.1:{port}", "config.wsgi")
    return ProcessPlan("web", (*arguments, "--log-level", "warning"))


def _free_port(wanted: int) -> int:
    """Return `wanted`, or another port if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _new_admin_password() -> str:
    """Set and return a new password of the demo's admin account; it is stored only as a hash."""
    password = secrets.token_urlsafe(12)
    admin, _ = get_user_model().objects.get_or_create(username=ADMIN, defaults={"is_staff": True, "is_superuser": True})
    admin.set_password(password)
    admin.save()
    return password


def _short(path: Path) -> Path:
    """Return the path relative to the current folder if it lies in it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
