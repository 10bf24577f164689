"""A worker for the crash tests, run as a process of its own on a database and media folder of its own.

python -m tests.generation.doomed_worker plan CHECKPOINT     make the database, plan a set
python -m tests.generation.doomed_worker run [MOMENT]        reap, run its job; die by SIGKILL at the moment, if any
"""

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django

SEEDS = list(range(1, 13))


def plan(checkpoint: str) -> None:
    from django.core.management import call_command

    from generation.image_sets import plan_image_set
    from generation.models import DiffusionModel
    from generation.parameters import SamplingParameters

    call_command("migrate", verbosity=0)
    plan_image_set(
        diffusion_model=DiffusionModel.objects.create(name="sdxl", checkpoint=checkpoint),
        prompt="a red cube",
        parameters=SamplingParameters(width=64, height=64, num_inference_steps=2),
        seeds=SEEDS,
    )


def run(moment: str = "") -> None:
    from django.utils import timezone

    from generation import image_sets
    from generation.jobs import reap
    from generation.models import GenerationJob
    from generation.tasks import run_generation_job

    if moment:
        image_sets.put_in_place = dying(image_sets.put_in_place, moment)
    reap(GenerationJob, timezone.now() + timedelta(hours=1))
    run_generation_job(GenerationJob.objects.get().pk)


def dying(put_in_place: Callable[..., None], moment: str) -> Callable[..., None]:
    """Renames as ever, and dies at the fifth image, in the second batch: before or after its renaming."""
    calls: list[None] = []

    def stepping(*arguments: Any) -> None:
        calls.append(None)
        if len(calls) == 5 and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        put_in_place(*arguments)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    return stepping


if __name__ == "__main__":
    django.setup()
    {"plan": plan, "run": run}[sys.argv[1]](*sys.argv[2:])
