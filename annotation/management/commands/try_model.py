"""try_model FILE|STUDY: make one image by each model of a study, and print what that cost."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.management.base import StudyCommand
from annotation.studies.current import current_manifest
from annotation.studies.manifest import Manifest
from annotation.studies.study_file.reading import read_study_file
from generation.endpoints.trial_image import try_endpoint
from generation.models import DiffusionModel
from generation.plans.orders import Order
from generation.sampling.trials import speed_advice
from jobs.refusals import Refused


class Command(StudyCommand):
    """Runs on this machine, in this process, and stores no image; a launched study is tried by its worker."""

    help = (
        "Load each model of a study on this machine, make one image, and print time, memory, size and an estimate. An "
        "endpoint is asked for one image, which may cost money: ENDPOINTS_FILE must be set."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study."""
        parser.add_argument("study", help="A study file (*.toml), or the slug of a study.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Try each model; report every model before failing."""
        name = options["study"]
        manifest = read_study_file(Path(name)) if name.endswith(".toml") else current_manifest(self.study(name))
        if manifest.source != "generated":
            raise Refused(f'{manifest.slug} generates no images: its source is "{manifest.source}".')
        faults = [fault for plan in manifest.models.values() if (fault := self._try(manifest, plan))]
        if faults:
            raise CommandError("\n".join(faults))

    def _try(self, manifest: Manifest, plan: Any) -> str:
        """Try one model and print what it cost; return why it cannot be used, or an empty text."""
        model = DiffusionModel(**plan.model_dump())
        order = Order(model, model.render_prompt(manifest.prompts[0].text), manifest.sampling)
        image_count = len(manifest.prompts) * len(manifest.seeds)
        try:
            if model.endpoint:
                self.stdout.write(try_endpoint(order, image_count=image_count))
            else:
                self._try_checkpoint(order, image_count)
        except Refused as refusal:
            return str(refusal)
        return ""

    def _try_checkpoint(self, order: Order, image_count: int) -> None:
        from generation.sampling.trial_image import try_model  # which loads torch

        outcome = try_model(order)
        self.stdout.write(outcome.in_words(order.diffusion_model.name, image_count))
        for warning in (*outcome.warnings, *speed_advice(order.diffusion_model, outcome, image_count)):
            self.warn(warning)
