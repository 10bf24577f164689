"""Fetching from the hub: exactly the used files, resumed, verified, with one sentence for each refusal."""

import logging
import shutil
from collections import namedtuple
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from generation.hub import downloads
from generation.hub.answers import FetchPostponed, Passing, fault_of
from generation.hub.downloads import MOST_TRIES
from generation.hub.fetching import FetchPlan, fetch, only_fetcher, plan_fetch
from generation.hub.wanted import checkpoint_at_hand, is_at_hand, lora_at_hand, wanted_of
from generation.models import DiffusionModel
from generation.weights.file_hashes import sha256_of
from jobs.refusals import Refused
from tests.checkpoint_layouts import add_strays, add_variant, shard
from tests.fake_hub import COMMIT, SIGNATURE, FakeHub

NAME = "owner/sdxl"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
TOKEN = "hf_a-token-that-nobody-may-read"


@pytest.fixture(scope="module")
def layout(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in the hub's layout: plain and fp16 files, and much that nobody uses."""
    folder = Path(shutil.copytree(tiny_models / "sdxl", tmp_path_factory.mktemp("layout") / "sdxl"))
    add_variant(folder)
    add_strays(folder)
    return folder


@pytest.fixture
def repository(hub: FakeHub, layout: Path, tmp_path: Path) -> Path:
    """The layout as a repository of the hub, which a test may change."""
    hub.folders[NAME] = Path(shutil.copytree(layout, tmp_path / "repository"))
    return hub.folders[NAME]


@pytest.fixture
def pauses() -> list[float]:
    return []


def model(variant: str = "", **fields: Any) -> DiffusionModel:
    return DiffusionModel(**{"name": "m", "checkpoint": NAME, "revision": COMMIT, "variant": variant, **fields})


def plan(one: DiffusionModel, pause: Callable[[float], None] = lambda _seconds: None) -> FetchPlan:
    return plan_fetch(wanted_of(one)[0], pause=pause)


def fetched(one: DiffusionModel, pauses: list[float] | None = None) -> list[tuple[int, int]]:
    """Fetch a model's checkpoint; return the reports."""
    reports: list[tuple[int, int]] = []
    pause = (pauses if pauses is not None else []).append
    fetch(plan(one, pause), report=lambda here, total: reports.append((here, total)), pause=pause)
    return reports


@pytest.mark.parametrize("variant", ["", "fp16"])
def test_exactly_the_used_files_are_fetched(hub: FakeHub, repository: Path, variant: str) -> None:
    one = model(variant)
    assert not is_at_hand(one)
    reports = fetched(one)
    folder, files = checkpoint_at_hand(one)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {*files.small_files, *files.weights} == hub.fetched_files()
    assert all((folder / name).read_bytes() == (repository / name).read_bytes() for name in there)
    total = sum((repository / name).stat().st_size for name in there)
    assert reports[-1] == (total, total)
    assert [here for here, _total in reports] == sorted(here for here, _total in reports)
    asked = len(hub.requests)
    assert is_at_hand(one)
    fetched(one)
    assert len(hub.requests) == asked  # nothing is asked twice, not even the listing
    assert not is_at_hand(model("" if variant else "fp16"))


def test_the_same_commit_has_the_same_hash_however_it_came(hub: FakeHub, repository: Path) -> None:
    fetched(model())
    folder, files = checkpoint_at_hand(model())
    local = [repository / name for name in files.weights]
    assert sha256_of([folder / name for name in files.weights], root=folder) == sha256_of(local, root=repository)
    fetched(model("fp16"))  # another fetch into the same snapshot changes nothing
    assert checkpoint_at_hand(model())[1] == files


def test_shards_are_fetched_by_their_index(hub: FakeHub, repository: Path) -> None:
    shards = shard(repository / WEIGHTS)
    fetched(model())
    assert {f"unet/{path.name}" for path in shards} < set(checkpoint_at_hand(model())[1].weights)
    shards[0].unlink()
    (repository.parent / "var" / "hub" / f"owner--sdxl@{COMMIT}.json").unlink()
    with pytest.raises(
        Refused, match=r"m: the shard diffusion_pytorch_model-00001-of-00002.safetensors is missing in own"
    ):
        fetched(model())


def test_a_repository_that_has_only_the_variant(hub: FakeHub, repository: Path) -> None:
    for file in repository.glob("*/*.safetensors"):
        if "fp16" not in file.name and file.parent.name != "vae_1_0":
            file.unlink()
    fetched(model())
    assert checkpoint_at_hand(model())[1].variant == "fp16"


def test_a_cut_line_is_taken_up_where_it_broke(hub: FakeHub, repository: Path, pauses: list[float]) -> None:
    size = (repository / WEIGHTS).stat().st_size
    hub.fail("/content/owner/sdxl/unet/diff", cut_after=100_000, times=2)
    fetched(model(), pauses)
    ranges = [
        headers.get("range", "") for path, headers in hub.requests if path.startswith("/content/owner/sdxl/unet/diff")
    ]
    assert ranges[0] == ""
    assert 0 < int(ranges[1].removeprefix("bytes=").removesuffix("-")) <= 100_000 < size
    assert pauses == [1.0, 1.0]  # each time something had come
    assert (checkpoint_at_hand(model())[0] / WEIGHTS).read_bytes() == (repository / WEIGHTS).read_bytes()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line counts as dripping after a fraction of a second."""
    monkeypatch.setattr(downloads, "SLOWEST_SECONDS", 0.2)


def test_a_line_that_drips_is_given_up_and_taken_up_again(
    hub: FakeHub, repository: Path, pauses: list[float], impatient: None
) -> None:
    hub.fail("/content/owner/sdxl/unet/diff", drips=True, times=2)
    fetched(model(), pauses)
    assert pauses == [1.0, 2.0]  # a few bytes are no progress
    ranges = [
        headers.get("range", "") for path, headers in hub.requests if path.startswith("/content/owner/sdxl/unet/diff")
    ]
    assert ranges[0] == ""
    assert all(int(begun.removeprefix("bytes=").removesuffix("-")) > 0 for begun in ranges[1:])
    assert (checkpoint_at_hand(model())[0] / WEIGHTS).read_bytes() == (repository / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    ("part", "in_head", "sentence"),
    [
        ("/content/owner/sdxl/unet/diff", False, "it sends less than 66 kB in 0.2 s"),
        ("/content/owner/sdxl/unet/diff", True, "it did not answer within 0.2 s"),
        ("/api/models/", False, "it did not answer within 0.2 s"),
    ],
)
def test_a_hub_that_only_drips_holds_no_fetch(
    hub: FakeHub, repository: Path, pauses: list[float], impatient: None, part: str, in_head: bool, sentence: str
) -> None:
    hub.fail(part, drips=True, in_head=in_head, times=MOST_TRIES)
    with pytest.raises(FetchPostponed, match=f"tried again and again, and {sentence}; what has arrived is kept"):
        fetched(model(), pauses)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    fetched(model())  # the hub is well again


def test_a_fetch_that_was_killed_goes_on_in_another_process(hub: FakeHub, repository: Path) -> None:
    one = plan(model())
    part = one.listing.part(WEIGHTS)
    part.parent.mkdir(parents=True, exist_ok=True)
    data = (repository / WEIGHTS).read_bytes()
    part.write_bytes(data[:70_000])
    assert one.bytes_to_come == one.bytes_missing - 70_000
    reports = fetched(model())
    assert reports[-1][0] == reports[-1][1]
    [headers] = [headers for path, headers in hub.requests if path.startswith("/content/owner/sdxl/unet/diff")]
    assert headers["range"] == "bytes=70000-"
    assert (checkpoint_at_hand(model())[0] / WEIGHTS).read_bytes() == data


def test_bytes_that_arrive_damaged_are_fetched_again(hub: FakeHub, repository: Path, pauses: list[float]) -> None:
    hub.fail("/content/owner/sdxl/unet/diff", damages=True)
    hub.fail("model_index.json", damages=True)  # of the small files git's hash is verified
    reports = fetched(model(), pauses)
    assert (checkpoint_at_hand(model())[0] / WEIGHTS).read_bytes() == (repository / WEIGHTS).read_bytes()
    assert reports[-1][0] == reports[-1][1]
    assert len(pauses) == 2


@pytest.mark.parametrize("part", ["/api/models/", "/resolve/", "/content/"])
def test_a_busy_hub_is_asked_again_as_it_wishes(
    hub: FakeHub, repository: Path, pauses: list[float], part: str, caplog: pytest.LogCaptureFixture
) -> None:
    hub.fail(part, 429, headers={"Retry-After": "17"})
    hub.fail(part, 503, times=2)
    hub.fail(part, 429, headers={"ratelimit": '"api";r=0;t=55'})
    moment = datetime.now(UTC) + timedelta(seconds=300)
    hub.fail(part, 503, headers={"Retry-After": format_datetime(moment, usegmt=True)})
    fetched(model(), pauses)
    assert pauses[:4] == [17.0, 2.0, 4.0, 56.0]
    assert 200 < pauses[4] <= 301
    assert caplog.messages[:2] == [
        "the hub: it answers 429; tried again in 17 s",
        "the hub: it answers 503; tried again in 2 s",
    ]
    assert is_at_hand(model())


@pytest.mark.parametrize("wish", ["", "soon", "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"])
def test_a_wish_that_says_nothing_is_none(wish: str) -> None:
    fault = fault_of(429, {"retry-after": wish}, wanted=wanted_of(model())[0], file="", has_token=False)
    assert isinstance(fault, Passing)
    assert fault.wait_seconds == 0


def test_a_hub_that_stays_away_fails_nothing_for_good(hub: FakeHub, repository: Path, pauses: list[float]) -> None:
    hub.fail("/content/owner/sdxl/unet/diff", 500, times=100)
    with pytest.raises(
        FetchPostponed, match=r"^m: owner/sdxl cannot be fetched now: http://127.* was tried .*it answers 500"
    ):
        fetched(model(), pauses)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0][: MOST_TRIES - 1]
    hub.faults.clear()
    fetched(model())
    assert is_at_hand(model())
    hub.server.shutdown()
    hub.server.server_close()
    assert is_at_hand(model())
    with pytest.raises(FetchPostponed, match=r"tried again and again, and the connection failed \(Connect"):
        plan(model(revision="f" * 40))


@pytest.mark.parametrize(
    ("token", "status", "code", "sentence"),
    [
        ("", 401, "GatedRepo", "is gated (401): accept its licence on {hub}/owner/sdxl, and give the worker the token"),
        (TOKEN, 403, "GatedRepo", "is gated, and the account of HF_TOKEN has no access (403): accept its licence on"),
        (TOKEN, 401, "", "the hub does not accept HF_TOKEN (401)"),
        ("", 401, "", "may not be read without an account (401): give the worker the token"),
        (TOKEN, 403, "", "HF_TOKEN may not read owner/sdxl (403)"),
        ("", 401, "RepoNotFound", "there is no owner/sdxl on the hub (401): correct the name; or it is private"),
        ("", 404, "RepoNotFound", "there is no owner/sdxl on the hub (404): correct the name"),
        ("", 404, "RevisionNotFound", f"owner/sdxl has no revision {COMMIT} (404): correct the revision"),
        ("", 404, "EntryNotFound", f"owner/sdxl at {COMMIT} has no file"),
        ("", 451, "", "the hub refuses owner/sdxl (451)"),
    ],
)
def test_a_refusal_is_final_and_names_the_way_out(
    hub: FakeHub,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    pauses: list[float],
    token: str,
    status: int,
    code: str,
    sentence: str,
) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    for part in ("/api/models/", "/resolve/"):
        hub.fail(part, status, headers={"X-Error-Code": code} if code else {})
        with pytest.raises(Refused) as caught:
            plan(model(), pauses.append)
        assert str(caught.value).startswith("m: ")
        assert sentence.format(hub=hub.address) in str(caught.value)
        assert TOKEN not in str(caught.value)
    assert pauses == []


def test_a_name_and_a_revision_that_the_hub_does_not_have(hub: FakeHub, repository: Path) -> None:
    with pytest.raises(Refused, match="there is no owner/other on the hub"):
        plan(model(checkpoint="owner/other"))
    with pytest.raises(Refused, match="owner/sdxl has no revision f"):
        plan(model(revision="f" * 40))


def test_the_token_goes_to_the_hub_alone_and_to_no_log(
    hub: FakeHub, repository: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx2", "httpcore2", "huggingface_hub"):
        caplog.set_level(logging.DEBUG, logger=name)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.token = TOKEN
    hub.fail("/content/", 503)
    hub.fail("/resolve/", 429)
    fetched(model())
    for path, headers in hub.requests:
        assert headers.get("authorization") == (None if path.startswith("/content/") else f"Bearer {TOKEN}")
    assert caplog.records
    assert TOKEN not in caplog.text


def test_a_full_disk_is_seen_before_anything_is_fetched(
    hub: FakeHub, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage(10**12, 10**12, 2**30 + 1000))
    with pytest.raises(
        FetchPostponed, match=r"owner/sdxl: 1\.\d MB|owner/sdxl: \d MB are still to fetch and only 1.1 GB are f"
    ):
        fetched(model())
    assert hub.fetched_files() == {"model_index.json"}
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage(10**12, 0, 10**12))
    fetched(model())
    assert is_at_hand(model())


def test_a_disk_that_gets_full_meanwhile(hub: FakeHub, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(
            FetchPostponed, match=r"m: owner/sdxl cannot be stored in .*/cache: No space left on device; what has"
        ):
            plan(model())


def test_a_file_without_an_end_does_not_fill_the_disk(hub: FakeHub, repository: Path, tmp_path: Path) -> None:
    hub.fail("/content/", never_ends=True)
    fetched(model())  # it is fetched again
    assert is_at_hand(model())
    hub.fail("/resolve/", never_ends=True, times=MOST_TRIES)
    (repository / "unet/config.json").write_text('{"another": 1}')
    shutil.rmtree(tmp_path / "var")
    with pytest.raises(FetchPostponed, match=r"unet/config\.json is longer than its listing says"):
        fetched(model())


@pytest.mark.parametrize(
    "name", ["/tmp/x/config.json", "../../x", "unet/../../x", "unet//x", "a\0b", "\ud800", "", "."]
)
def test_a_listed_name_that_leaves_the_folder_is_ignored(hub: FakeHub, repository: Path, name: str) -> None:
    hub.listed_too = [name]
    assert name not in plan(model()).listing.files


def test_a_repository_that_cannot_be_read_does_not_stop_the_claims_of_others(hub: FakeHub, repository: Path) -> None:
    (repository / "model_index.json").write_text("[" * 100_000)
    with pytest.raises(Refused, match=r"model_index\.json is not JSON \(maximum recursion depth"):
        plan(model())
    assert is_at_hand(model())  # so that its jobs are claimed and fail with the sentence


def test_a_cache_that_cannot_be_read_does_not_stop_the_claims_of_others(
    hub: FakeHub, repository: Path, tmp_path: Path
) -> None:
    fetched(model())
    index = checkpoint_at_hand(model())[0] / "model_index.json"
    index.unlink()
    index.mkdir()
    assert not is_at_hand(model())
    with pytest.raises(FetchPostponed, match=r"m: owner/sdxl cannot be stored in .*/cache: Is a directory; what has"):
        fetched(model())


def test_a_mirror_that_lists_no_sizes(hub: FakeHub, repository: Path) -> None:
    hub.lists_sizes = False
    with pytest.raises(FetchPostponed, match="it lists files without their sizes"):
        plan(model())
    hub.lists_sizes = True
    fetched(model())  # nothing was kept of the first listing


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        *(({"size": size}, "it lists files without their sizes") for size in (-1, "12", 1.5)),
        ({"blobId": 7, "lfs": None}, "holds no model_index.json"),
        ({"lfs": {"sha256": 7, "size": 1, "pointerSize": 1}}, "holds no model_index.json"),
        ({"lfs": "x"}, r"the connection failed \(TypeError\)"),
    ],
)
def test_a_listing_of_nonsense(hub: FakeHub, repository: Path, said: dict[str, Any], sentence: str) -> None:
    hub.listed_as = said
    with pytest.raises((FetchPostponed, Refused), match=sentence):
        plan(model())


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("HTTPS_PROXY", "ftp://proxy:1", r"can be set up \(ValueError\): correct HTTPS_PROXY"),
        ("HTTPS_PROXY", "http://user:secret@[::1", r"can be set up \(InvalidURL\): correct HTTPS_PROXY"),
        ("SSL_CERT_FILE", "/nowhere.pem", r"can be set up \(FileNotFoundError\): .* or SSL_CERT_FILE of the worker"),
        ("HF_TOKEN", "hf_\u2013secret", "HF_TOKEN holds characters that no token has: copy it again"),
    ],
)
def test_settings_that_no_connection_can_be_made_with(
    hub: FakeHub, repository: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    fetched_listing = plan(model())
    monkeypatch.setenv(name, value)
    huggingface_hub.close_session()
    with pytest.raises(Refused, match=sentence) as while_fetching:
        fetch(fetched_listing, report=lambda _here, _total: None)
    (repository.parent / "var" / "hub" / f"owner--sdxl@{COMMIT}.json").unlink()
    with pytest.raises(Refused, match=sentence) as while_asking:
        plan(model())
    assert "secret" not in f"{while_fetching.value} {while_asking.value}"
    huggingface_hub.close_session()


def test_offline_is_a_decision_and_so_a_refusal(
    hub: FakeHub, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(Refused, match=f"m: {NAME} at {COMMIT} is not on this machine, and HF_HUB_OFFLINE forbids"):
        plan(model())


def test_a_cache_filled_by_other_means_needs_no_hub(repository: Path, hub: FakeHub) -> None:
    plan(model())  # makes the cache's folder
    (repository.parent / "var" / "hub" / f"owner--sdxl@{COMMIT}.json").unlink()
    snapshot = repository.parent / "cache" / "models--owner--sdxl" / "snapshots" / COMMIT
    shutil.rmtree(snapshot)
    shutil.copytree(repository, snapshot)
    assert is_at_hand(model())
    (snapshot / WEIGHTS).unlink()
    assert not is_at_hand(model())  # the fp16 file is there, but nobody knows whether the hub has a plain one
    assert is_at_hand(model("fp16"))


def test_the_files_of_a_lora(hub: FakeHub, tiny_models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_models / "sdxl-lora", tmp_path / "lora"))
    shutil.copy(folder / "pytorch_lora_weights.safetensors", folder / "step-100.safetensors")
    (folder / "optimizer.bin").write_bytes(b"x" * 2000)
    (folder / "special_params.json").write_text("{}")
    hub.folders["owner/lora"] = folder
    one = model(checkpoint=str(tiny_models / "sdxl"), revision="", lora="owner/lora", lora_revision=COMMIT)
    one.lora_file = "step-100.safetensors"
    assert not is_at_hand(one)
    fetched(one)
    assert is_at_hand(one)
    assert hub.fetched_files() == {"step-100.safetensors", "special_params.json"}
    assert lora_at_hand(one)[1].weights == "step-100.safetensors"


def test_only_one_process_fetches_at_a_time(hub: FakeHub) -> None:
    with only_fetcher(may_wait=True) as first, only_fetcher(may_wait=False) as second:
        assert (first, second) == (True, False)
    with only_fetcher(may_wait=False) as first:
        assert first


def test_no_signed_address_is_in_a_message(hub: FakeHub, repository: Path, caplog: pytest.LogCaptureFixture) -> None:
    hub.fail("/content/", 403, times=100)  # as for a signed address that has expired
    with pytest.raises(FetchPostponed, match="its content network answers 403") as caught:
        fetched(model())
    assert SIGNATURE not in str(caught.value) + caplog.text
