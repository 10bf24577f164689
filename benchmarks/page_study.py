"""The pages for `benchmarks.page`: a study of photographs with its web server, and a plain page of the same images.

The images are crops of the two photographs that come with scikit-learn (one for each set), enlarged to the size of the
paper's images: thumbnails then hold the detail of real photographs, while the full-size files are, if anything,
smaller than those of a diffusion model.
"""

import os
import random
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image

SIDE = 768
PER_SET = 20
LEAST_CROP = 330  # pixels of a photograph of 640 x 427
SLUG = "photographs"
PLAIN_PAGE = """<!doctype html><meta charset="utf-8"><title>{n}</title><link rel="icon" href="data:,">
<style>body {{ display: flex; gap: 28px }} div {{ display: grid; grid-template-columns: repeat(5, 132px); gap: 6px }}
img {{ width: 132px; height: 132px }}</style>
<div>{left}</div><div>{right}</div>
<script>
const frame = () => new Promise(done => requestAnimationFrame(done));
Promise.all([...document.images].map(image => image.decode())).then(frame).then(frame).then(() => {{
  // The first page was opened without a key: its time counts from there.
  window.took = performance.timeOrigin + performance.now() - Number(sessionStorage.pressed ?? performance.timeOrigin);
}});
addEventListener('keydown', event => {{
  sessionStorage.pressed = performance.timeOrigin + event.timeStamp;
  location.href = '{following}.html';
}});
</script>"""


def crops(seed: int, photograph: Image.Image, count: int) -> list[Image.Image]:
    """Crop `count` random squares of a photograph."""
    chance = random.Random(seed)
    found = []
    for _number in range(count):
        side = chance.randint(LEAST_CROP, photograph.height)
        left, top = (chance.randint(0, whole - side) for whole in photograph.size)
        crop = photograph.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        found.append(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if chance.random() < 0.5 else crop)
    return found


def photographs() -> list[Image.Image]:
    """Return two photographs: a temple and a flower."""
    from sklearn.datasets import load_sample_images

    return [Image.fromarray(array) for array in load_sample_images().images]


def make_study(comparisons: int) -> None:
    """Return an open study of so many comparisons in the settings' database, made once."""
    from django.utils import timezone

    from annotation.models import Study
    from annotation.studies.comparisons import plan_comparisons
    from annotation.studies.lifecycle.creation import create_study
    from annotation.studies.manifest import Manifest
    from generation.plans.image_sets import plan_imported_set
    from generation.recorded_images.records import record_image

    if Study.objects.filter(slug=SLUG, state=Study.State.OPEN).exists():
        return
    prompts = [f"photograph {number}" for number in range(1, comparisons + 1)]
    manifest = Manifest.model_validate(
        {
            "name": "Photographs",
            "slug": SLUG,
            "source": "images",
            "model_a": {"name": "Temple"},
            "model_b": {"name": "Flower"},
            "prompts": [{"text": prompt} for prompt in prompts],
            "annotation": {"overlap": 1000, "comparisons_per_annotator": comparisons},
        }
    )
    study = create_study(manifest=manifest)
    for model, photograph in zip(study.diffusion_models, photographs(), strict=True):
        for number, prompt in enumerate(prompts):
            image_set = plan_imported_set(diffusion_model=model, prompt=prompt, seeds=range(PER_SET))
            for seed, image in enumerate(crops(number, photograph, PER_SET)):
                record_image(image_set=image_set, seed=seed, image=image, provenance={"source": "a photograph"})
    plan_comparisons(study, manifest)
    Study.objects.filter(pk=study.pk).update(state=Study.State.OPEN, opened_at=timezone.now())


def new_link() -> str:
    """Return the path of a new annotator who has read the instructions."""
    from django.utils import timezone

    from annotation.models import Study
    from annotation.voting.annotators import invite, read_instructions

    annotator = invite(study=Study.objects.get(slug=SLUG), label="benchmark")
    read_instructions(annotator=annotator, now=timezone.now())
    return f"/a/{annotator.token}/"


class WebServer:
    """gunicorn as in production, on a free port."""

    def __enter__(self) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--config",
            "python:config.gunicorn",
            "config.wsgi",
            "--bind",
            address,
        ]
        self.process = subprocess.Popen(command, env=os.environ)
        for _try in range(600):
            try:
                urlopen(f"http://{address}/healthz").close()
                return f"http://{address}"
            except URLError:
                time.sleep(0.1)
        raise SystemExit("the web server did not come up")

    def __exit__(self, *_error: object) -> None:
        self.process.terminate()
        self.process.wait()


class _Quietly(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as the study's server keeps them

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


class PlainPages:
    """`count` pages that show the images of the first comparisons in full, as JPEG or PNG; a key leads to the next."""

    def __init__(self, folder: Path, kind: str, count: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for page in range(count):
            tags = [
                "".join(
                    f'<img alt="" src="{_written(folder, f"{page}-{side}-{n}", image, kind)}">'
                    for n, image in enumerate(crops(page, photograph, PER_SET))
                )
                for side, photograph in enumerate(photographs())
            ]
            html = PLAIN_PAGE.format(n=page, left=tags[0], right=tags[1], following=page + 1)
            (folder / f"{page}.html").write_text(html)

    def __enter__(self) -> str:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quietly, directory=str(self.folder)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()


def _written(folder: Path, name: str, image: Image.Image, kind: str) -> str:
    file = folder / f"{name}.{kind}"
    if not file.exists():
        buffer = BytesIO()
        image.save(buffer, "JPEG" if kind == "jpg" else "PNG", **({"quality": 90} if kind == "jpg" else {}))
        file.write_bytes(buffer.getvalue())
    return file.name
