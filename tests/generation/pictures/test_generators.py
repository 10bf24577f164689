"""What ComfyUI and A1111 write into PNG files: recorded, bounded, never trusted."""

import json
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from generation.imports.conversion import FileTask, ReadFile, prepare
from generation.pictures.generators import MOST_BYTES, generator_of
from generation.pictures.reading import Limits, decode
from generation.pictures.thumbnails import SIZES

A1111 = """a red cube, "fine" (art:1.2)
Negative prompt: blurry
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 64x64, Model: base, Lora hashes: "x: 1, y: 2", Version: v1"""
PROMPT = {"3": {"class_type": "KSampler", "inputs": {"seed": 42, "model": ["4", 0]}}}


def with_texts(*, packed: bool = False, **texts: str) -> bytes:
    info = PngInfo()
    for name, text in texts.items():
        if text.isascii():
            info.add_text(name, text, zip=packed)
        else:
            info.add_itxt(name, text, zip=packed)
    buffer = BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.mark.parametrize("packed", [False, True])
def test_a1111(packed: bool) -> None:
    known = generator_of(with_texts(parameters=A1111, packed=packed))["a1111"]
    assert known["text"] == A1111
    assert known["settings"] == {
        "Steps": "20",
        "Sampler": "Euler a",
        "CFG scale": "7",
        "Seed": "42",
        "Size": "64x64",
        "Model": "base",
        "Lora hashes": "x: 1, y: 2",
        "Version": "v1",
    }


@pytest.mark.parametrize("packed", [False, True])
def test_comfyui(packed: bool) -> None:
    data = with_texts(prompt=json.dumps(PROMPT), workflow='{"nodes": [], "name": "Grüße"}', packed=packed)
    known = generator_of(data)["comfyui"]
    assert known["prompt"]["graph"] == PROMPT
    assert known["workflow"]["graph"] == {"nodes": [], "name": "Grüße"}
    assert len(known["prompt"]["sha256"]) == 64


@pytest.mark.parametrize(
    "texts",
    [
        {"prompt": "[" * 200_000},
        {"prompt": '{"a": NaN, "b": "\\ud800\\u0000", "c": 1' + "0" * 5000 + "}"},
        {"workflow": json.dumps({str(n): list(range(1000)) for n in range(30)})},
        {"parameters": "a\x07b" * 40_000},
        {"parameters": 'Steps: "' + "\\" * 50_000},
        {"parameters": "Steps: 1, " * 20_000},
        {"parameters": "Steps" + " " * 7900 + "x"},  # took half a minute
        {"prompt": '{"a": 1' + "0" * 400 + "}"},
        {"prompt": " " * (2 * MOST_BYTES)},
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_hostile_texts_are_bounded(texts: dict[str, str], packed: bool) -> None:
    known = json.dumps(generator_of(with_texts(packed=packed, **texts)))
    assert len(known) < 60_000
    assert "\\u0000" not in known
    assert "\\ud800" not in known


def test_a_text_that_unpacks_without_end() -> None:
    bomb = zlib.compress(b"\0" * 50_000_000)
    chunk = b"parameters\0\0" + bomb
    picture = with_texts()
    data = picture[:33] + len(chunk).to_bytes(4, "big") + b"zTXt" + chunk + b"\0\0\0\0" + picture[33:]
    assert generator_of(data) == {"a1111": {"is_too_long": True}}


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


LARGE = zlib.compress(b'{"nodes": "' + b"x" * 2_000_000 + b'"}')


@pytest.mark.parametrize(
    "text",
    [
        chunk(b"zTXt", b"workflow\0\0" + LARGE),
        chunk(b"iTXt", b"workflow\0\1\0\0\0" + LARGE),
        chunk(b"zTXt", b"workflow\0\7an unknown method"),
        chunk(b"iTXt", b"workflow\0\1\0\0\0no deflate"),
        chunk(b"iTXt", b"workflow\0\0\0\xff\0\xfe\0\xff\xfe"),
        chunk(b"iTXt", b"workflow"),
        chunk(b"tEXt", b""),
        chunk(b"tEXt", b"prompt\0{}")[:-1] + b"!",  # a wrong checksum
    ],
)
@pytest.mark.parametrize("place", [33, -12])  # before the pixels, and behind them
def test_no_text_costs_its_image(text: bytes, place: int) -> None:
    plain = with_texts()
    data = plain[:place] + text + plain[place:]
    limits = Limits(pixel_count=1000, byte_count=10_000_000)
    assert decode(data, suffix=".png", limits=limits).tobytes() == Image.new("RGB", (8, 8), "red").tobytes()
    generator_of(data)


def test_an_import_records_it(tmp_path: Path) -> None:
    file = tmp_path / "1.png"
    places = {name: tmp_path / f"{name}.webp" for name in SIZES}
    task = FileTask(file, tmp_path / "stored.png", places, Limits(pixel_count=1000, byte_count=10_000), None)
    file.write_bytes(with_texts(parameters=A1111))
    outcome = prepare(task)
    assert isinstance(outcome, ReadFile)
    assert outcome.source["generator"]["a1111"]["settings"]["Seed"] == "42"
    file.write_bytes(with_texts())
    plain = prepare(task)
    assert isinstance(plain, ReadFile)
    assert "generator" not in plain.source
