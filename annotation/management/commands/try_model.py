"""try_model FILE|STUDY: load each model of a study, make one image of each, and print what that cost."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.management.base import StudyCommand
from annotation.studies.current import current_manifest
from annotation.studies.manifest import Manifest
from annotation.studies.study_file.reading import read_study_file
from generation.models import DiffusionModel
from generation.orders import Order
from jobs.refusals import Refused


class Command(StudyCommand):
    """Runs on this machine, in this process, and stores nothing; a launched study is tried by its worker."""

    help = "Load each model of a study on this machine, make one image, and print time, memory, size and an estimate."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study."""
        parser.add_argument("study", help="A study file (*.toml), or the slug of a study.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Try both models; report every model before failing."""
        name = options["study"]
        manifest = read_study_file(Path(name)) if name.endswith(".toml") else current_manifest(self.study(name))
        if manifest.source != "generated":
            raise Refused(f'{manifest.slug} generates no images: its source is "{manifest.source}".')
        faults = [fault for plan in (manifest.model_a, manifest.model_b) if (fault := self._try(manifest, plan))]
        if faults:
            raise CommandError("\n".join(faults))

    def _try(self, manifest: Manifest, plan: Any) -> str:
        """Try one model and print what it cost; return why it cannot be used, or an empty text."""
        from generation.trying import try_model  # which loads torch

        model = DiffusionModel(**plan.model_dump())
        order = Order(model, model.render_prompt(manifest.prompts[0].text), manifest.sampling)
        try:
            outcome = try_model(order)
        except Refused as refusal:
            return str(refusal)
        image_count = len(manifest.prompts) * len(manifest.seeds)
        self.stdout.write(outcome.in_words(model.name, image_count))
        for warning in outcome.warnings:
            self.warn(warning)
        return ""
