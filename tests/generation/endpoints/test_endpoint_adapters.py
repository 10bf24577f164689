"""Images of a command and of ComfyUI."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from generation.endpoints import comfyui_adapter
from generation.endpoints.adapters import ask
from generation.endpoints.definitions import Endpoint
from generation.endpoints.outcomes import ImageRequest, Moderated, TemporaryFailure
from generation.pictures.reading import Limits
from jobs.refusals import Refused
from tests.generation.endpoints.fake_endpoint import FakeEndpoint, Request, Response, as_json, fake_endpoint, image_file

LIMITS = Limits(pixel_count=10_000, byte_count=200_000)
SIZE = (64, 64)
NASTY = '"; touch /tmp/x; $(id) `id` {seed} \\ " \'\n'
HONEST = """
import json, os, shutil, sys
request = json.load(sys.stdin)
assert os.listdir(".") == [], os.listdir(".")
assert sys.argv[1:] == ["--fast"]
json.dump({"request": request, "names": sorted(os.environ), "model": "local 1"}, open("provenance.json", "w"))
shutil.copy("IMAGE", "image.png")
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "made.png"
    file.write_bytes(image_file(3))
    return file


def command(tmp_path: Path, program: str, *arguments: str, **more: Any) -> Endpoint:
    script = tmp_path / "paint.py"
    script.write_text(program)
    values = {"seconds": 600, "parameters": ("width", "height"), "seeds": True, **more}
    return Endpoint(name="local", adapter="command", command=(sys.executable, str(script), *arguments), **values)


def made_by(endpoint: Endpoint, prompt: str = NASTY) -> Any:
    request = ImageRequest(prompt, 5 if endpoint.seeds else None, {"width": 64, "height": 64})
    return ask(endpoint, request, size=SIZE, limits=LIMITS)


def test_a_command_gets_the_wish_as_json(tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "of the worker")
    monkeypatch.setenv("PAINT_HOME", "/opt/paint")
    endpoint = command(tmp_path, HONEST.replace("IMAGE", str(image)), "--fast", environment=("PAINT_HOME",))
    made = made_by(endpoint)
    assert made.image.size == SIZE
    assert made.answer.model == "local 1"
    reported = made.answer.reported
    assert reported["request"]["prompt"] == " ".join(NASTY.split())
    assert (reported["request"]["seed"], reported["request"]["parameters"]) == (5, {"width": 64, "height": 64})
    assert set(reported["names"]) - {"LC_CTYPE"} == {
        "HOME",
        "LANG",
        "PAINT_HOME",
        "PATH",
        "SEMBLANCE_COMMAND",
        "TMPDIR",
    }


@pytest.mark.parametrize(
    ("program", "kind", "sentence"),
    [
        ("import sys; sys.exit('no cubes\\n')", Refused, "its command ended with status 1. It says: no cubes"),
        ("import sys; print('too red', file=sys.stderr); sys.exit(10)", Moderated, "too red"),
        ("import sys; sys.exit(75)", TemporaryFailure, "its command cannot make an image now"),
        ("", Refused, "its command wrote no image"),
        ("open('image.png', 'w'); open('image.jpg', 'w')", Refused, "its command wrote several images"),
        ("open('image.png', 'w').write('<svg/>')", Refused, "answered with an image that is not a PNG, JPEG or WebP"),
        ("open('image.png', 'wb').write(b'x' * 200_001)", Refused, "is no plain file of at most 200,000 bytes"),
        ("import os; os.symlink('/etc/passwd', 'image.png')", Refused, "is no plain file"),
        ("import os; os.mkfifo('image.png')", Refused, "is no plain file"),
        ("import os; os.mkdir('image.png')", Refused, "is no plain file"),
        (
            "import time\nfor n in range(500): open(f'{n}', 'wb').write(b'x' * 10**5)\ntime.sleep(9)",
            Refused,
            "its command writes more than",
        ),
    ],
)
def test_what_a_command_may_do_wrong(tmp_path: Path, program: str, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind) as raised:
        made_by(command(tmp_path, program))
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    "afterwards",
    [
        "here = os.getcwd(); os.chdir('/'); shutil.rmtree(here); open(here, 'w')",
        "[(os.mkdir('d'), os.chdir('d')) for _ in range(1500)]",
        "os.mkdir('d'); os.chmod('d', 0)",
    ],
)
def test_a_folder_that_cannot_be_deleted_changes_no_outcome(
    tmp_path: Path, afterwards: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    program = f"import os, shutil, sys; {afterwards}; sys.stderr.write('no cubes'); sys.exit(10)"
    with pytest.raises(Moderated, match="no cubes"):
        made_by(command(tmp_path, program))
    for left in tmp_path.glob("command-*"):
        subprocess.run(["rm", "-rf", left], check=True)  # which goes as deep as it must


def test_a_command_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    started = tmp_path / "children"
    program = (
        "import subprocess, sys, time\n"
        f"child = {f'import time; time.sleep(1); open({str(started)!r}, chr(119))'!r}\n"
        "subprocess.Popen([sys.executable, '-c', child])\ntime.sleep(60)"
    )
    with pytest.raises(TemporaryFailure, match=r"its command did not end within 0\.5 s"):
        made_by(command(tmp_path, program, seconds=0.5))
    time.sleep(1.2)
    assert not started.exists()


WORKER = """
import sys
from generation.endpoints.command_adapter import ask_command
from generation.endpoints.definitions import Endpoint
from generation.endpoints.outcomes import ImageRequest
endpoint = Endpoint(name="local", adapter="command", command=(sys.executable, sys.argv[1]))
ask_command(endpoint, ImageRequest("a red cube", 5, {}), image_bytes=1000)
"""
LONG = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)"], start_new_session=DETACHED)
with open("FILE.part", "w") as file:
    file.write(f"{os.getpid()} {child.pid} {os.getcwd()}")
os.rename("FILE.part", "FILE")
time.sleep(900)
"""


def long_command(facts: Path, *, is_detached: bool) -> str:
    """A program that notes its process, its child's and its folder, and does not end."""
    return LONG.replace("FILE", str(facts)).replace("DETACHED", str(is_detached))


def test_a_child_with_its_own_session_is_killed_too(tmp_path: Path) -> None:
    facts, seconds = tmp_path / "facts", 0.5
    program = long_command(facts, is_detached=True)
    while not facts.exists():  # on a busy machine it may not have come so far
        with pytest.raises(TemporaryFailure, match="its command did not end within"):
            made_by(command(tmp_path, program, seconds=seconds))
        seconds *= 2
    _own, child, _folder = facts.read_text().split()
    assert becomes_true(lambda: not is_running(int(child)))


@pytest.mark.parametrize("is_detached", [False, True])
def test_a_command_ends_with_a_worker_that_is_killed(tmp_path: Path, is_detached: bool) -> None:
    script, facts = tmp_path / "paint.py", tmp_path / "facts"
    script.write_text(long_command(facts, is_detached=is_detached))
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(script)], cwd=Path(__file__).parents[3])
    assert becomes_true(facts.exists)
    worker.kill()
    worker.wait()
    own, child, folder = facts.read_text().split()
    assert becomes_true(lambda: not is_running(int(own)))
    assert becomes_true(lambda: not is_running(int(child)))
    assert becomes_true(lambda: not Path(folder).exists())


def becomes_true(question: Callable[[], bool], seconds: float = 600) -> bool:
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_running(pid: int) -> bool:
    """Whether the process runs; one that ended and was not waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    absent = Endpoint(name="local", adapter="command", command=("/no/such/program",))
    with pytest.raises(Refused, match=r"The endpoint local: its command cannot be started \(No such file"):
        made_by(absent)


WORKFLOW = {
    "3": {"class_type": "KSampler", "inputs": {"seed": "{seed}", "steps": 20, "model": ["4", 0]}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": "{width}", "height": "{height}"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "photo of {prompt}, {style}"}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "images": ["8", 0]}},
}


class Comfy:
    """A ComfyUI that has finished at the second look."""

    def __init__(self) -> None:
        self.looks = 0
        self.entry: dict[str, Any] = {
            "status": {"status_str": "success", "completed": True},
            "outputs": {
                "8": {"images": [{"filename": "preview.png", "subfolder": "", "type": "temp"}]},
                "9": {"images": [{"filename": "x 1&.png", "subfolder": "a/b", "type": "output"}]},
            },
        }

    def __call__(self, request: Request) -> Response:
        if request.path == "/prompt":
            return as_json({"prompt_id": "a b/c", "number": 1, "node_errors": {}})
        if request.path == "/history/a%20b%2Fc":
            self.looks += 1
            return as_json({"a b/c": self.entry} if self.looks > 1 else {})
        assert request.path == "/view?filename=x+1%26.png&subfolder=a%2Fb&type=output"
        return Response(200, image_file(7))


@pytest.fixture
def comfy(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    monkeypatch.setattr(comfyui_adapter, "POLL_SECONDS", 0.01)
    with fake_endpoint(Comfy()) as server:
        yield server


def comfy_endpoint(tmp_path: Path, server: FakeEndpoint, workflow: Any = WORKFLOW, **more: Any) -> Endpoint:
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(workflow))
    values = {
        "url": server.address,
        "workflow": file,
        "parameters": ("width", "height"),
        "seeds": True,
        "extra": {"style": "film"},
        "private_addresses": ("127.0.0.0/8",),
        "seconds": 600,
    }
    return Endpoint.model_validate({"name": "comfy", "adapter": "comfyui", **values, **more})


def test_comfyui(tmp_path: Path, comfy: FakeEndpoint) -> None:
    made = made_by(comfy_endpoint(tmp_path, comfy))
    assert made.image.size == SIZE
    sent = comfy.requests[0].document["prompt"]
    assert sent["3"]["inputs"] == {"seed": 5, "steps": 20, "model": ["4", 0]}
    assert sent["5"]["inputs"] == {"width": 64, "height": 64}
    assert sent["6"]["inputs"]["text"] == f"photo of {NASTY}, film"  # its {seed} is no placeholder
    assert len(made.answer.reported["workflow_sha256"]) == 64


def test_a_workflow_that_failed(tmp_path: Path, comfy: FakeEndpoint) -> None:
    assert isinstance(comfy.respond, Comfy)
    error = ["execution_error", {"exception_message": "no such checkpoint"}]
    comfy.respond.entry = {"status": {"status_str": "error", "messages": [["execution_start", {}], error]}}
    with pytest.raises(Refused, match=r"The endpoint comfy: the workflow failed\. It says: no such checkpoint"):
        made_by(comfy_endpoint(tmp_path, comfy))


def test_a_workflow_that_is_not_valid(tmp_path: Path, comfy: FakeEndpoint) -> None:
    comfy.faults = [as_json({"error": {"type": "prompt_outputs_failed_validation", "message": "No ckpt"}}, 400)]
    with pytest.raises(Refused, match=r"refuses the request \(400\). It says: No ckpt"):
        made_by(comfy_endpoint(tmp_path, comfy))


def test_a_workflow_that_never_ends(tmp_path: Path, comfy: FakeEndpoint) -> None:
    assert isinstance(comfy.respond, Comfy)
    comfy.respond.looks = -(10**9)
    with pytest.raises(TemporaryFailure, match=r"did not finish the workflow within 0\.2 s"):
        made_by(comfy_endpoint(tmp_path, comfy, seconds=0.2))


@pytest.mark.parametrize(
    ("workflow", "more", "sentence"),
    [
        ({"nodes": []}, {}, "not in the API format"),
        ({"6": {"inputs": {"text": "a cat"}}}, {}, "holds no {prompt}"),
        ({"6": {"inputs": {"text": "{prompt}"}}}, {}, "holds no {seed}"),
        (WORKFLOW, {"seeds": False}, "its workflow holds {seed}, but parameters or seeds do not allow it"),
    ],
)
def test_a_faulty_workflow(
    tmp_path: Path, comfy: FakeEndpoint, workflow: Any, more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused) as raised:
        made_by(comfy_endpoint(tmp_path, comfy, workflow, **more))
    assert sentence in str(raised.value)
    assert comfy.requests == []
