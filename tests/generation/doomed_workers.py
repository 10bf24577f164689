"""Workers for the crash tests: processes that die by SIGKILL, on a database and media folder of their own.

python -m tests.generation.doomed_workers CHECKPOINT MOMENT... makes the database, plans a set, and for each moment
lets one worker reap and run the job: `before` and `after` kill it at the second image of its second batch, before or
after the file is renamed, `never` lets it end. After each it prints a line of JSON: how the worker ended, and what it
left.
"""

import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import django

SEEDS = list(range(1, 13))
DEADLY = 18  # a batch of four renames sixteen files: its images, then their renditions


def plan(checkpoint: str) -> None:
    from django.core.management import call_command

    from generation.models import DiffusionModel
    from generation.plans.image_sets import plan_image_sets
    from generation.plans.parameters import SamplingParameters

    call_command("migrate", verbosity=0)
    plan_image_sets(
        diffusion_model=DiffusionModel.objects.create(name="sdxl", checkpoint=checkpoint),
        prompts=["a red cube"],
        parameters=SamplingParameters(width=64, height=64, num_inference_steps=2),
        seeds=SEEDS,
    )


def run(moment: str) -> None:
    from generation.models import GenerationJob
    from generation.tasks import run_generation_job
    from jobs.claims import reap

    kind = staged_kind()
    setattr(kind, "put", dying(kind.put, moment))  # noqa: B010 - a method
    GenerationJob.objects.filter(state="running").update(lease_expires_at=datetime(2026, 1, 1, tzinfo=UTC))
    reap(GenerationJob)
    run_generation_job()


def staged_kind() -> Any:
    """Return the class of the files that the storage has written, but not put."""
    from generation.pictures import files, local_folder

    if not files.storage().is_remote:
        return local_folder._Part
    from generation.pictures import object_store

    return object_store._Stored


def dying(put: Callable[..., None], moment: str) -> Callable[..., None]:
    calls: list[None] = []

    def stepping(*arguments: Any) -> None:
        calls.append(None)
        if len(calls) == DEADLY and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        put(*arguments)
        if len(calls) == DEADLY and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    return stepping


def in_a_process_of_its_own(do: Callable[..., None], *arguments: str) -> int:
    """Run it in a forked child and return how it ended. This process has no open database, so the child opens one."""
    child = os.fork()
    if child == 0:
        do(*arguments)
        sys.stdout.flush()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def tell(ended: str) -> None:
    from generation.models import GeneratedImage, GenerationJob
    from generation.pictures import files

    job = GenerationJob.objects.get()
    images = GeneratedImage.objects.order_by("seed").values_list("seed", "path", "sha256")
    stored = sorted(file.path for folder in ("image_sets", "renditions") for file in files.stored(folder))
    left = {"ended": int(ended), "job": [job.state, job.attempt_count], "images": list(images), "files": stored}
    print(json.dumps(left))


if __name__ == "__main__":
    django.setup()
    from generation.sampling import sampling  # noqa: F401 - loads torch once, for all workers

    gc.freeze()  # else each worker's collector would walk through torch, and copy its pages
    in_a_process_of_its_own(plan, sys.argv[1])
    for moment in sys.argv[2:]:
        in_a_process_of_its_own(tell, str(in_a_process_of_its_own(run, moment)))
