"""Write the model cards: each miniature's description, training data and time, figures, and the hash of every file."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from miniatures.scenes import COLOURS, HELD_OUT_SHARE, SHAPES, STYLES, TRIGGER

CARD = "README.md"
SHEET = "contact-sheet.png"
_COLUMNS = 10
_ABOUT = {
    "mini-sdxl": "A StableDiffusionXLPipeline of 96 x 96 pixels: two CLIP text encoders, a UNet with added time ids, "
    "an AutoencoderKL; all its weights are trained here.",
    "mini-pixart": "A PixArtAlphaPipeline of 96 x 96 pixels: a T5 encoder, a transformer denoiser, and the autoencoder "
    "that mini-sdxl has too.",
    "mini-sdxl-lora": f"A LoRA for mini-sdxl, fine-tuned on pictures painted in dabs and called by the word {TRIGGER}.",
    "mini-clip": "A CLIPModel with its processor and tokenizer, trained contrastively on pictures and their captions.",
}


def write_cards(
    folder: Path, figures: Mapping[str, Any], sheets: Mapping[str, Sequence[Image.Image]], *, sampling: dict[str, Any]
) -> None:
    """Write README.md, and the contact sheet if there is one, into each model's folder."""
    for name, about in _ABOUT.items():
        if pictures := sheets.get(name):
            contact_sheet(pictures).save(folder / name / SHEET)
        text = card(folder / name, name, about, figures[name], sampling if name != "mini-clip" else None)
        (folder / name / CARD).write_text(text, encoding="utf-8")


def contact_sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """Arrange the pictures in rows of ten on white, two pixels apart."""
    width, height = (side + 2 for side in pictures[0].size)
    row_count = -(-len(pictures) // _COLUMNS)
    sheet = Image.new("RGB", (width * _COLUMNS + 2, height * row_count + 2), "white")
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (2 + index % _COLUMNS * width, 2 + index // _COLUMNS * height))
    return sheet


def card(folder: Path, name: str, about: str, figures: Mapping[str, Any], sampling: dict[str, Any] | None) -> str:
    """Return the card's Markdown."""
    parts = [
        f"# {name}",
        about,
        "Made for demonstrations and tests of Semblance, from nothing, on drawn pictures only. It knows "
        f"{len(COLOURS)} colours, {len(SHAPES)} shapes and {len(STYLES)} styles, and nothing of the world.",
        "## Training",
        f"Pictures of one to three objects with captions, drawn by `miniatures/renderer.py`; {HELD_OUT_SHARE:.0%} of "
        "all combinations of colour, shape and background were held out. `make miniatures` trains it again.",
        _training_table(folder),
        "## Measured",
        "On held-out combinations, by `python -m benchmarks.miniatures --write-cards`"
        + (f", sampled with {_sampling(sampling)}." if sampling else "."),
        "\n".join(rows(figures)),
        *([f"![Contact sheet]({SHEET})"] if (folder / SHEET).exists() else []),
        "## Files",
        "| file | bytes | SHA-256 |\n| --- | --- | --- |\n" + "\n".join(_files(folder)),
    ]
    return "\n\n".join(parts) + "\n"


def _training_table(folder: Path) -> str:
    efforts = json.loads((folder / "training.json").read_text())
    lines = [
        f"| {stage} | {effort['steps']} | {effort['seconds'] / 60:.0f} | {effort['processor_seconds'] / 60:.0f} | "
        f"{effort['threads']} | {effort['on']}, torch {effort['torch']} |"
        for stage, effort in efforts.items()
    ]
    head = "| stage | steps | minutes | processor minutes | threads | on |\n| --- | --- | --- | --- | --- | --- |\n"
    return head + "\n".join(lines)


def _sampling(sampling: dict[str, Any]) -> str:
    return f"{sampling['num_inference_steps']} steps, guidance {sampling['guidance_scale']:g}"


def rows(figures: Mapping[str, Any], depth: int = 0) -> list[str]:
    """Return the figures as a nested list."""
    lines = []
    for name, value in figures.items():
        lead = f"{'  ' * depth}- {name}"
        if isinstance(value, Mapping) and "low" not in value:
            lines += [f"{lead}:", *rows(value, depth + 1)]
        else:
            lines.append(f"{lead}: {as_text(value)}")
    return lines


def as_text(value: Mapping[str, float] | float) -> str:
    """Format a figure; a proportion as per cent with its interval and n."""
    if not isinstance(value, Mapping):
        return f"{value:.3g}"
    low, high = (f"{100 * value[end]:.1f}" for end in ("low", "high"))
    return f"{100 * value['value']:.1f} % [{low} to {high}], n = {value['n']:.0f} (Wilson, 95 %)"


def _files(folder: Path) -> list[str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CARD)
    return [
        f"| {path.relative_to(folder)} | {path.stat().st_size} | {hashlib.sha256(path.read_bytes()).hexdigest()} |"
        for path in files
    ]
