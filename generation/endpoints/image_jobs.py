"""Make the images of a job by an endpoint: several requests at once, each image recorded as soon as it is there.

The requests run in threads; the database, the rate and the cost are this thread's alone. A crash loses the requests
that are on their way, at most `parallel` of them.
"""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from generation.endpoints import accounts
from generation.endpoints.adapters import Made, ask, check_parameters, parameters_for
from generation.endpoints.definitions import MICROS, Endpoint
from generation.endpoints.outcomes import ImageRequest, Moderated, TemporaryFailure
from generation.machines.workers import note_work
from generation.models import GenerationJob, RefusedSeed
from generation.pictures.files import limits
from generation.plans.parameters import SamplingParameters
from generation.recorded_images.records import record_image
from generation.tables.foreign_values import plain_text
from jobs.leases import Lease
from jobs.refusals import Refused, SetBack
from jobs.version import commit, version, version_of
from jobs.wording import counted

MOST_TRIES = 5  # of one request; each pause is twice the last
FIRST_PAUSE = 1.0  # seconds
LONGEST_WAIT = 60.0  # seconds that this process waits for an endpoint; a job with a longer pause is set back
PAUSE_AFTER_FAULTS = timedelta(minutes=2)
LOOK_SECONDS = 0.2
LONGEST_REASON = 300


@dataclass
class _Try:
    """A seed that has no image yet, how often it was asked for, and when it may be again (monotonic seconds)."""

    seed: int
    count: int = 0
    not_before: float = 0.0


def make_by_endpoint(job: GenerationJob, seeds: Sequence[int], lease: Lease) -> None:
    """Ask the endpoint of the job's model for the images of the seeds, and record them.

    Raises Refused if the endpoint is not this worker's, if it refuses the key or the request, if its cost limit is
    reached, or, once all others are recorded, if it refused the content of some seeds, now or earlier; SetBack if it is
    away.
    """
    endpoint = accounts.endpoint_called(job.image_set.diffusion_model.endpoint)
    accounts.make_known(endpoint)
    check_parameters(endpoint, SamplingParameters(**job.image_set.parameters), owner=str(job.image_set.diffusion_model))
    note_work(model=endpoint.name, memory_used=0, memory_total=0)
    _Making(job, endpoint, lease).run(seeds)


class _Making:
    """The requests of one job: those that wait, those on their way, and why no more are sent."""

    def __init__(self, job: GenerationJob, endpoint: Endpoint, lease: Lease) -> None:
        self._job = job
        self._endpoint = endpoint
        self._lease = lease
        self._parameters = SamplingParameters(**job.image_set.parameters)
        self._waiting: deque[_Try] = deque()
        self._running: dict[Future[Made], _Try] = {}
        self._moderated: dict[int, str] = {}
        self._end: Refused | SetBack | None = None
        self._next_at = 0.0

    def run(self, seeds: Sequence[int]) -> None:
        """Make all images, or end with the reason. What was made before the end is recorded."""
        refused = self._job.image_set.refused_seeds.filter(seed__in=seeds)
        self._moderated = dict(refused.values_list("seed", "reason"))
        self._waiting.extend(_Try(seed) for seed in seeds if seed not in self._moderated)
        with ThreadPoolExecutor(self._endpoint.parallel, thread_name_prefix="endpoint") as pool:
            while self._running or (self._waiting and self._end is None):
                self._lease.check()
                self._send(pool)
                done, _ = wait(self._running, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                if not self._running:
                    time.sleep(LOOK_SECONDS)
                for future in done:
                    self._settle(future, self._running.pop(future))
        if self._end is not None:
            raise self._end
        if self._moderated:
            raise Refused(self._refused_seeds())

    def _send(self, pool: ThreadPoolExecutor) -> None:
        """Send requests as long as the endpoint takes more at once, and the rate and the cost allow it."""
        while self._end is None and len(self._running) < self._endpoint.parallel:
            now = time.monotonic()
            due = next((one for one in self._waiting if one.not_before <= now), None)
            if due is None or self._next_at > now:
                return
            try:
                seconds = accounts.reserve(self._endpoint, longest_wait=LONGEST_WAIT)
            except Refused as refusal:
                self._stop(refusal)
                return
            if seconds > LONGEST_WAIT:
                self._end = self._pause(seconds)
                return
            self._next_at = now + seconds
            self._waiting.remove(due)
            due.count += 1
            self._running[pool.submit(_later, seconds, self._endpoint, self._request(due.seed), self._size())] = due

    def _request(self, seed: int) -> ImageRequest:
        sent = parameters_for(self._endpoint, self._parameters)
        return ImageRequest(self._job.image_set.rendered_prompt, seed if self._endpoint.seeds else None, sent)

    def _size(self) -> tuple[int, int]:
        return self._parameters.width, self._parameters.height

    def _settle(self, future: Future[Made], tried: _Try) -> None:
        """Record the image of a request that ended, or decide what its failure means."""
        try:
            made = future.result()
        except Moderated as refusal:
            accounts.give_back(self._endpoint)
            self._note_refusal(tried.seed, str(refusal))
        except TemporaryFailure as fault:
            accounts.note_error(self._endpoint, str(fault))
            self._try_again(fault, tried)
        except Refused as refusal:
            self._stop(refusal)
        else:
            self._record(made, tried.seed)

    def _stop(self, refusal: Refused) -> None:
        """Send no more requests; those on their way end."""
        accounts.note_error(self._endpoint, str(refusal))
        self._end = self._end or refusal

    def _note_refusal(self, seed: int, reason: str) -> None:
        """Store that a seed was refused, so that no later attempt asks for it again."""
        reason = plain_text(reason, LONGEST_REASON).removesuffix(".")
        self._moderated[seed] = reason
        RefusedSeed.objects.get_or_create(image_set=self._job.image_set, seed=seed, defaults={"reason": reason})

    def _try_again(self, fault: TemporaryFailure, tried: _Try) -> None:
        if fault.was_refused:
            accounts.give_back(self._endpoint)
        self._waiting.append(tried)
        pause = fault.pause if fault.pause is not None else FIRST_PAUSE * 2 ** (tried.count - 1)
        tried.not_before = time.monotonic() + pause
        if fault.pause is not None:  # for all requests, not for this seed alone
            accounts.hold_off(self._endpoint, pause)
            self._next_at = max(self._next_at, tried.not_before)
        if pause > LONGEST_WAIT:
            self._end = self._end or self._pause(pause)
        elif tried.count >= MOST_TRIES:
            sentence = f"{fault}, {tried.count} times in a row."
            self._end = self._end or SetBack(sentence, pause=PAUSE_AFTER_FAULTS)

    def _pause(self, seconds: float) -> SetBack:
        sentence = f"The endpoint {self._endpoint.name} takes no more requests for {seconds:.0f} s."
        return SetBack(sentence, pause=timedelta(seconds=min(seconds, 86_400)), is_counted=False)

    def _record(self, made: Made, seed: int) -> None:
        if made.answer.model:
            accounts.note_model(self._endpoint, made.answer.model)
        record_image(
            image_set=self._job.image_set,
            seed=seed,
            image=made.image,
            provenance=self._provenance(made, seed),
            job=self._job,
        )

    def _provenance(self, made: Made, seed: int) -> dict[str, Any]:
        endpoint, answer = self._endpoint, made.answer
        facts: dict[str, Any] = {
            "endpoint": endpoint.name,
            "adapter": endpoint.adapter,
            "model": answer.model or endpoint.model,
            "prompt": made.request.prompt,
            "seed": seed,
            "is_seed_sent": made.request.seed is not None,
            "is_reproducible": endpoint.seeds,
            "parameters_sent": {**endpoint.extra, **made.request.parameters},
            "cost": endpoint.cost_micros / MICROS,
            "currency": endpoint.currency,
            "asked_at": made.asked_at.isoformat(),
            "sampled_at": timezone.now().isoformat(),
            "product": version(),
            "commit": commit(),
            "versions": {"pillow": version_of("pillow")},
        }
        if answer.revised_prompt:
            facts["revised_prompt"] = answer.revised_prompt
        if answer.reported:
            facts["reported"] = answer.reported
        if made.original_size != made.image.size:
            facts["resized_from"] = list(made.original_size)
        return facts

    def _refused_seeds(self) -> str:
        seeds = ", ".join(map(str, sorted(self._moderated)))
        which = f"seed {seeds}" if len(self._moderated) == 1 else f"{counted(len(self._moderated), 'seed')} ({seeds})"
        reason = self._moderated[min(self._moderated)]
        image_set = self._job.image_set
        return (
            f"{image_set.diffusion_model}: the endpoint {self._endpoint.name} refused {which} of "
            f'"{plain_text(image_set.rendered_prompt, 80)}" for its content ({reason}). Drop the seed from both sets '
            "(admin), or reword the prompt in a new study."
        )


def _later(seconds: float, endpoint: Endpoint, request: ImageRequest, size: tuple[int, int]) -> Made:
    time.sleep(seconds)  # at most LONGEST_WAIT: until the rate allows it
    return ask(endpoint, request, size=size, limits=limits())
