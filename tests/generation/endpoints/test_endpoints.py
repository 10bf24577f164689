"""Images of endpoints: this project's contract and the images API, from a server of the tests' own."""

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from annotation.studies.lifecycle.pipeline_jobs import has_failed
from generation.endpoints import image_jobs
from generation.models import ENDPOINT_TASK, EndpointAccount, GenerationJob, ImageSet, RefusedSeed
from generation.plans.image_sets import is_complete, missing_seeds, without_seed
from generation.sampling.regeneration import find_image
from generation.tasks import run_endpoint_job, run_generation_job
from jobs import claims
from jobs.refusals import Refused
from tests.clock import Clock
from tests.generation.endpoints.fake_endpoint import (
    KEY,
    FakeEndpoint,
    Request,
    Response,
    as_json,
    define,
    fake_endpoint,
    image_file,
    in_base64,
    own_contract,
)
from tests.generation.planned_sets import diffusion_model, only_job, planned

pytestmark = pytest.mark.django_db
STATES = GenerationJob.State
Define = Callable[..., None]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_jobs, "LOOK_SECONDS", 0.005)


@pytest.fixture
def painter() -> Iterator[FakeEndpoint]:
    with fake_endpoint(own_contract) as server:
        yield server


@pytest.fixture
def defined(painter: FakeEndpoint, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Define:
    """Define the endpoint `painter`, with more keys."""
    monkeypatch.setenv("PAINTER_KEY", KEY)

    def write(more: str = "", adapter: str = "semblance", seeds: str = "true") -> None:
        define(
            tmp_path,
            settings,
            f'[painter]\nadapter = "{adapter}"\nurl = "{painter.address}/v1/paint"\nseeds = {seeds}\n'
            f'key_environment = "PAINTER_KEY"\nprivate_addresses = ["127.0.0.0/8"]\n'
            f'parameters = ["width", "height"]\n{more}\n',
        )

    write()
    return write


@pytest.fixture
def image_set(defined: Define) -> ImageSet:
    return planned(diffusion_model("painted", endpoint="painter"), seeds=[5, 6, 7])


def ended(image_set: ImageSet) -> tuple[str, str]:
    job = only_job(image_set)
    return job.state, job.error


def account() -> EndpointAccount:
    return EndpointAccount.objects.get(name="painter")


def test_images_with_their_provenance(image_set: ImageSet, painter: FakeEndpoint) -> None:
    run_endpoint_job()
    assert ended(image_set) == (STATES.DONE, "")
    assert is_complete(image_set)
    asked = painter.requests[0]
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.document == {
        "version": 1,
        "prompt": "a red cube",
        "seed": 5,
        "parameters": {"width": 64, "height": 64},
    }
    known = image_set.images.get(seed=6).provenance
    expected = {
        "endpoint": "painter",
        "adapter": "semblance",
        "model": "painter 3.1",
        "prompt": "a red cube",
        "seed": 6,
        "is_seed_sent": True,
        "is_reproducible": True,
        "parameters_sent": {"width": 64, "height": 64},
        "reported": {"sampler": "brush", "key_seen": "Bearer …"},
    }
    assert {name: known[name] for name in expected} == expected
    assert KEY not in str(known)
    assert painter.address not in str(known)
    assert (account().request_count, account().model, account().is_seeded) == (3, "painter 3.1", True)


def test_it_is_not_made_again_here(image_set: ImageSet) -> None:
    run_endpoint_job()
    image = image_set.images.get(seed=5)
    with pytest.raises(Refused, match="was made by the endpoint painter, so it cannot be made again here"):
        find_image(image.path)


def test_the_same_again_asks_for_nothing(image_set: ImageSet, painter: FakeEndpoint) -> None:
    run_endpoint_job()
    claims.requeue(GenerationJob.objects.all())
    run_endpoint_job()
    assert painter.seeds() == [5, 6, 7]


def test_a_worker_of_devices_leaves_it_alone(image_set: ImageSet, painter: FakeEndpoint) -> None:
    run_generation_job()
    assert ended(image_set)[0] == STATES.QUEUED
    assert only_job(image_set).message_name == ENDPOINT_TASK
    assert painter.requests == []


def test_a_job_of_a_device_stays_for_one(defined: Define) -> None:
    image_set = planned(diffusion_model("sdxl"), seeds=[1])
    run_endpoint_job()
    assert ended(image_set)[0] == STATES.QUEUED


def test_several_at_once_up_to_the_limit(defined: Define, image_set: ImageSet, painter: FakeEndpoint) -> None:
    defined("parallel = 2")
    run_endpoint_job()
    assert is_complete(image_set)
    assert painter.most_at_once <= 2


def test_a_moderated_seed_is_named_and_can_be_dropped(image_set: ImageSet, painter: FakeEndpoint) -> None:
    def picky(request: Request) -> Response:
        if request.document["seed"] == 6:
            return as_json({"error": {"code": "moderation", "message": f"no cubes with {KEY}"}}, 422)
        return own_contract(request)

    painter.respond = picky
    run_endpoint_job()
    state, error = ended(image_set)
    assert state == STATES.FAILED
    assert error == (
        'painted: the endpoint painter refused seed 6 of "a red cube" for its content (no cubes with …). Drop the '
        "seed from both sets (admin), or reword the prompt in a new study."
    )
    assert missing_seeds(image_set) == [6]
    assert has_failed(image_set, 6)
    assert not has_failed(image_set, 5)
    assert is_complete(without_seed(image_set=image_set, seed=6))


def refuses_six(request: Request) -> Response:
    if request.document["seed"] == 6:
        return as_json({"error": {"code": "moderation", "message": "no cubes."}}, 422)
    return own_contract(request)


def test_a_refused_seed_is_remembered_until_an_admin_deletes_its_row(
    image_set: ImageSet, painter: FakeEndpoint
) -> None:
    painter.respond = refuses_six
    run_endpoint_job()
    first = ended(image_set)
    claims.retry(GenerationJob.objects.all())
    run_endpoint_job()
    assert ended(image_set) == first
    assert painter.seeds() == [5, 6, 7]
    RefusedSeed.objects.get(image_set=image_set, seed=6, reason="no cubes").delete()
    claims.retry(GenerationJob.objects.all())
    run_endpoint_job()
    assert painter.seeds() == [5, 6, 7, 6]


def test_a_smaller_set_remembers_the_other_refusals(defined: Define, painter: FakeEndpoint) -> None:
    image_set = planned(diffusion_model("painted", endpoint="painter"), seeds=[5, 6, 7, 8])

    def respond(request: Request) -> Response:
        return as_json({"error": {"code": "safety"}}, 400) if request.document["seed"] < 7 else own_contract(request)

    painter.respond = respond
    run_endpoint_job()
    smaller = without_seed(image_set=image_set, seed=5)
    run_endpoint_job()
    state, error = ended(smaller)
    assert state == STATES.FAILED
    assert "refused seed 6 of" in error
    assert painter.seeds() == [5, 6, 7, 8]


def test_the_last_error_is_kept_for_the_admin(
    image_set: ImageSet, painter: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_jobs, "FIRST_PAUSE", 0.01)
    painter.faults = [as_json({}, 503)]
    run_endpoint_job()
    assert is_complete(image_set)
    assert account().last_error == "The endpoint painter has a fault (503)"
    assert account().last_error_at is not None


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        (as_json({"error": "who are you?"}, 401), "refuses the worker's key (401): check key_environment or key_file"),
        (as_json({"error": {"message": "bad width"}}, 400), "refuses the request (400). It says: bad width"),
        (as_json({"error": {"code": "insufficient_quota"}}, 429), "has no credit left (429)."),
        (as_json({"error": {"message": "no such model"}}, 200), "refuses the request (200). It says: no such model"),
        (as_json({"detail": [{"loc": ["body"], "msg": "Field required"}]}, 422), "(422). It says: Field required"),
        (Response(302, b"", {"Location": "http://169.254.169.254/latest"}), "answers with a redirect (302)"),
        (as_json({"image": in_base64(b"GIF89a")}), "answered with an image that is not a PNG, JPEG or WebP"),
        (as_json({"image": in_base64(image_file()[:5000])}), "answered with an image that is truncated or damaged"),
        (as_json({"image": in_base64(image_file(size=(32, 64)))}), "makes images of 32 x 64 pixels, and the study"),
        (Response(200, b"", stated=10**12), "answer is larger than"),
    ],
)
def test_what_fails_at_once(image_set: ImageSet, painter: FakeEndpoint, response: Response, sentence: str) -> None:
    painter.faults = [response]
    run_endpoint_job()
    state, error = ended(image_set)
    assert state == STATES.FAILED
    assert sentence in error
    assert painter.address not in error
    assert "169.254" not in error


@pytest.mark.parametrize(
    "response",
    [
        as_json({}, 500),
        as_json({}, 429, Retry_After="0"),
        Response(200, b'{"image": "', stated=5000),  # the line drops
        Response(200, b'{"image": "iVBOR'),
        as_json({"image": "?"}),
    ],
)
def test_what_passes_is_tried_again(
    image_set: ImageSet, painter: FakeEndpoint, response: Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_jobs, "FIRST_PAUSE", 0.01)
    painter.faults = [response]
    run_endpoint_job()
    assert ended(image_set) == (STATES.DONE, "")
    assert len(painter.requests) == 4


def test_an_endpoint_that_stays_away(
    image_set: ImageSet, painter: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_jobs, "FIRST_PAUSE", 0.001)
    painter.respond = lambda _request: as_json({}, 503)
    run_endpoint_job()
    job = only_job(image_set)
    assert (job.state, job.attempt_count) == (STATES.QUEUED, 1)
    assert job.error == "Tried again: The endpoint painter has a fault (503), 5 times in a row."
    assert job.not_before is not None


def test_a_long_pause_gives_the_job_back(image_set: ImageSet, painter: FakeEndpoint) -> None:
    painter.faults = [as_json({}, 429, Retry_After="600")]
    run_endpoint_job()
    job = only_job(image_set)
    assert (job.state, job.attempt_count) == (STATES.QUEUED, 0)
    assert job.error == "The endpoint painter takes no more requests for 600 s."
    assert len(painter.requests) == 1
    claims.requeue(GenerationJob.objects.all())
    GenerationJob.objects.update(not_before=None)
    run_endpoint_job()  # another worker does not ask either
    assert len(painter.requests) == 1


def test_the_rate(defined: Define, image_set: ImageSet) -> None:
    defined("requests_per_minute = 6000")
    run_endpoint_job()
    assert is_complete(image_set)
    assert account().next_at is not None


def test_a_slow_rate_loses_no_moment(
    defined: Define, image_set: ImageSet, painter: FakeEndpoint, database_clock: Clock
) -> None:
    """The job is set back for two minutes and then asks: its moment is neither taken by a look nor moved."""
    defined("requests_per_minute = 0.5")
    for count in (1, 2, 3):
        run_endpoint_job()
        assert len(painter.requests) == count
        assert account().request_count == count
        run_endpoint_job()  # too early
        database_clock.time += timedelta(minutes=2)
    assert is_complete(image_set)


def test_the_cost_stops_at_its_limit(defined: Define, image_set: ImageSet, painter: FakeEndpoint) -> None:
    defined('cost_per_image = 0.04\ncost_limit = 0.08\ncurrency = "EUR"')
    run_endpoint_job()
    state, error = ended(image_set)
    assert state == STATES.FAILED
    assert error.startswith("The endpoint painter has cost 0.08 EUR and reaches its limit of 0.08; raise cost_limit")
    assert missing_seeds(image_set) == [7]
    assert image_set.images.get(seed=5).provenance["cost"] == 0.04


def test_an_error_costs_nothing_and_a_dropped_line_may(
    defined: Define, image_set: ImageSet, painter: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_jobs, "FIRST_PAUSE", 0.01)
    defined("cost_per_image = 1\ncost_limit = 100")
    painter.faults = [as_json({}, 500), Response(200, b"{", stated=50)]
    run_endpoint_job()
    assert is_complete(image_set)
    assert (account().request_count, account().cost_micros) == (5, 4_000_000)


def test_a_crash_asks_again_only_for_what_was_on_its_way(
    image_set: ImageSet, painter: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(request: Request) -> Response:
        if request.document["seed"] == 6 and len(painter.requests) < 3:
            monkeypatch.setattr(image_jobs, "record_image", raise_system_exit)
        return own_contract(request)

    def raise_system_exit(**_arguments: object) -> None:
        monkeypatch.undo()
        raise SystemExit

    painter.respond = killed
    with pytest.raises(SystemExit):
        run_endpoint_job()
    assert missing_seeds(image_set) == [6, 7]
    monkeypatch.setenv("PAINTER_KEY", KEY)
    run_endpoint_job()
    assert painter.seeds() == [5, 6, 6, 7]
    assert is_complete(image_set)


def images_api(request: Request) -> Response:
    data = image_file(len(request.document.get("prompt", "")))
    return as_json({"created": 1, "data": [{"b64_json": in_base64(data), "revised_prompt": "a shiny red cube"}]})


def test_the_images_api(defined: Define, image_set: ImageSet, painter: FakeEndpoint) -> None:
    defined('model = "gpt-image-1"\n[painter.extra]\nquality = "high"', adapter="images-api", seeds="false")
    painter.respond = images_api
    run_endpoint_job()
    assert ended(image_set) == (STATES.DONE, "")
    assert painter.requests[0].document == {
        "model": "gpt-image-1",
        "prompt": "a red cube",
        "n": 1,
        "size": "64x64",
        "quality": "high",
    }
    known = image_set.images.get(seed=5).provenance
    assert (known["revised_prompt"], known["model"]) == ("a shiny red cube", "gpt-image-1")
    assert (known["is_seed_sent"], known["is_reproducible"]) == (False, False)


def test_the_images_api_with_an_address(defined: Define, image_set: ImageSet, painter: FakeEndpoint) -> None:
    defined('model = "dall-e-3"', adapter="images-api")

    def respond(request: Request) -> Response:
        if request.method == "GET":
            return Response(200, image_file(1))
        return as_json({"data": [{"url": f"{painter.address}/files/1.png?signature=x"}]})

    painter.respond = respond
    run_endpoint_job()
    assert ended(image_set) == (STATES.DONE, "")
    fetched = next(request for request in painter.requests if request.method == "GET")
    assert fetched.path == "/files/1.png?signature=x"
    assert "authorization" not in fetched.headers


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/x",
        "https://127.0.0.1/x",
        "file:///etc/passwd",
        "http://[::1",
        "http://a b/",
    ],
)
def test_an_address_of_another_host_is_not_fetched(
    defined: Define, image_set: ImageSet, painter: FakeEndpoint, address: str
) -> None:
    defined('model = "dall-e-3"', adapter="images-api")
    painter.respond = lambda _request: as_json({"data": [{"url": address}]})
    run_endpoint_job()
    state, error = ended(image_set)
    assert state == STATES.FAILED
    assert error.startswith("The endpoint painter gives its images at an address of another host")


@pytest.mark.parametrize("status", [400, 200])
def test_a_moderation_of_the_images_api(
    defined: Define, image_set: ImageSet, painter: FakeEndpoint, status: int
) -> None:
    defined('model = "gpt-image-1"', adapter="images-api")
    refusal = {"error": {"code": "moderation_blocked", "message": "Your request was rejected.", "type": "user_error"}}
    painter.respond = lambda _request: as_json(refusal, status)
    run_endpoint_job()
    assert "refused 3 seeds (5, 6, 7)" in ended(image_set)[1]


def test_a_size_of_its_own_is_scaled_only_if_the_admin_says_so(
    defined: Define, image_set: ImageSet, painter: FakeEndpoint
) -> None:
    defined("resize = true")
    painter.respond = lambda _request: as_json({"image": in_base64(image_file(size=(128, 96)))})
    run_endpoint_job()
    assert ended(image_set) == (STATES.DONE, "")
    image = image_set.images.get(seed=5)
    assert ((image.width, image.height), image.provenance["resized_from"]) == ((64, 64), [128, 96])


def test_a_negative_prompt_that_would_be_ignored(defined: Define, image_set: ImageSet) -> None:
    ImageSet.objects.update(parameters={**image_set.parameters, "negative_prompt": "blurry"})
    run_endpoint_job()
    assert ended(image_set)[1] == (
        "painted: the endpoint painter takes no negative prompt; leave sampling.negative_prompt out."
    )


def test_the_server_of_the_guide(
    tmp_path: Path, settings: Settings, image_set: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "endpoints.md").read_text()
    [program] = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "painter.py").write_text(program)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(tmp_path / "painter.py"), str(port)], stderr=subprocess.DEVNULL)
    try:
        monkeypatch.setattr(image_jobs, "FIRST_PAUSE", 0.2)  # it starts meanwhile
        define(
            tmp_path,
            settings,
            f'[painter]\nadapter = "semblance"\nurl = "http://127.0.0.1:{port}/"\nseeds = true\n'
            'private_addresses = ["127.0.0.1/32"]\nparameters = ["width", "height"]\nparallel = 3\n',
        )
        run_endpoint_job()
    finally:
        server.kill()
        server.wait()
    assert ended(image_set) == (STATES.DONE, "")
    assert image_set.images.get(seed=5).provenance["model"] == "noise 1"
