"""Measure the figures of the miniatures' cards: following prompts, variation where a prompt is open, captions.

    python -m benchmarks.miniatures [--prompts 200] [--write-cards]

Prompts, pictures and captions are of combinations of colour, shape and background that no training picture shows.
The models are loaded and sampled by the code that loads and samples full-size ones, with the sampling parameters of
docs/studies/miniature-pixart.toml. With --write-cards the figures and contact sheets go into the model cards.
"""

import argparse
import os
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import django
import numpy as np
from PIL import Image
from rich.progress import track

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from annotation.studies.manifest import ModelPlan
from annotation.studies.study_file.reading import read_study_file
from generation.models import DiffusionModel
from generation.plans.orders import Order
from generation.plans.parameters import SamplingParameters
from generation.sampling.sampling import sample
from miniatures.cards import rows, write_cards
from miniatures.judging import Reader, Verdict, by_rule, retrieved, spreads
from miniatures.renderer import render
from miniatures.rule_reader import find_object
from miniatures.scenes import DAB_STYLE, TRIGGER, Description, draw_description, imagine
from scoring.statistics.inference.intervals import wilson

ROOT = Path(__file__).parent.parent
WEIGHTS = ROOT / "miniatures" / "weights"
STUDY = ROOT / "docs" / "studies" / "miniature-pixart.toml"
LORA_STUDY = ROOT / "docs" / "studies" / "miniature-lora.toml"
SEED = 2026
AMONG = 100
SET_SIZE = 20
Proportion = dict[str, float | None]  # value, low, high, n
Shares = dict[str, Proportion]


def held_out(count: int, thing_counts: Sequence[int]) -> list[Description]:
    """Draw different captions that no training picture has."""
    rng, found = random.Random(SEED), dict[str, Description]()
    while len(found) < count:
        description = draw_description(rng, held_out=True, thing_count=thing_counts[len(found) % len(thing_counts)])
        found[description.caption()] = description
    return list(found.values())


def share(hits: Sequence[bool]) -> Proportion:
    """Return a proportion with its Wilson interval."""
    estimate = wilson(sum(hits), len(hits))
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}


def shares(verdicts: Sequence[Verdict]) -> Shares:
    """Return how often the colour, the shape, and both are as named."""
    return {name: share([getattr(verdict, name) for verdict in verdicts]) for name in ("colour", "shape", "both")}


def _model(plan: ModelPlan) -> DiffusionModel:
    return DiffusionModel(**plan.model_dump())


class Bench:
    """The models of the shipped studies, and mini-clip to read their pictures."""

    def __init__(self) -> None:
        manifest = read_study_file(STUDY)
        self.parameters: SamplingParameters = manifest.sampling
        self.models = {Path(plan.checkpoint).name: _model(plan) for plan in manifest.models.values()}
        self.lora_model = _model(read_study_file(LORA_STUDY).model_b)
        self.reader = Reader(WEIGHTS / "mini-clip")

    def pictures(self, model: DiffusionModel, prompt: str, seeds: Sequence[int]) -> list[Image.Image]:
        """Sample one picture for each seed."""
        order = Order(model, model.render_prompt(prompt), self.parameters)
        return [sampled.image for sampled in sample(order, seeds, check=lambda: None)]

    def following(self, model: DiffusionModel, descriptions: Sequence[Description]) -> dict[str, Shares]:
        """Measure how often one named object is there, by the rules on the pixels and by mini-clip."""
        rules, read = [], []
        for seed, description in enumerate(track(descriptions, f"{model.name}: prompts of one object")):
            (picture,) = self.pictures(model, description.caption(), [seed])
            rules.append(by_rule(picture, description))
            read.append(self.reader.zero_shot(self.reader.of_pictures([picture])[0], description))
        return {"by rules": shares(rules), "by mini-clip": shares(read)}

    def several(self, model: DiffusionModel, descriptions: Sequence[Description]) -> Proportion:
        """Measure with several objects how often mini-clip finds a picture's prompt among all prompts."""
        captions = self.reader.of_texts([description.caption() for description in descriptions])
        sampled = [
            self.pictures(model, description.caption(), [seed])[0]
            for seed, description in enumerate(track(descriptions, f"{model.name}: prompts of several objects"))
        ]
        hits = retrieved(
            self.reader.of_pictures(sampled), captions, among=len(descriptions), rng=np.random.default_rng(SEED)
        )
        return share(hits.tolist())

    def retrieval(self, descriptions: Sequence[Description]) -> Proportion:
        """Measure how often mini-clip finds a drawn picture's caption among a hundred."""
        rng = random.Random(SEED + 1)
        drawn = [render(imagine(description, rng)) for description in track(descriptions, "mini-clip: drawn pictures")]
        hits = retrieved(
            self.reader.of_pictures(drawn),
            self.reader.of_texts([description.caption() for description in descriptions]),
            among=AMONG,
            rng=np.random.default_rng(SEED),
        )
        return share(hits.tolist())

    def a_set(self, model: DiffusionModel, prompt: str) -> tuple[dict[str, float], list[Image.Image]]:
        """Return twenty seeds of one prompt, and how much they vary in what it leaves open."""
        pictures = self.pictures(model, prompt, range(SET_SIZE))
        return spreads(pictures), pictures


def measure(bench: Bench, prompt_count: int) -> tuple[dict[str, Any], dict[str, list[Image.Image]]]:
    """Return every figure by model folder, and the pictures of each contact sheet."""
    figures: dict[str, Any] = {"mini-clip": {"retrieval among 100": bench.retrieval(held_out(500, (1, 1, 1, 2, 3)))}}
    sheets: dict[str, list[Image.Image]] = {}
    one, more = held_out(prompt_count, (1,)), held_out(AMONG, (2, 3))
    shown = ("a red star on a yellow background", "a blue heart on a white background")
    for name, model in bench.models.items():
        figures[name] = bench.following(model, one) | {"several objects, among 100": bench.several(model, more)}
        sets = [bench.a_set(model, prompt) for prompt in shown]
        figures[name]["sets"] = {prompt: spread for prompt, (spread, _) in zip(shown, sets, strict=True)}
        sheets[name] = [picture for _, pictures in sets for picture in pictures]
    dabbed, plain = (
        [bench.pictures(model, one[seed].caption(), [seed])[0] for seed in range(SET_SIZE)]
        for model in (bench.lora_model, bench.models["mini-sdxl"])
    )
    rng = random.Random(SEED)
    drawn = [by_rule(render(imagine(description, rng, style=DAB_STYLE)), description) for description in one]
    figures["mini-sdxl-lora"] = {
        f"style of {TRIGGER} seen": style_share(dabbed),
        "without the LoRA": style_share(plain),
        "drawn in that style, by rules": shares(drawn),
    } | bench.following(bench.lora_model, one)
    sheets["mini-sdxl-lora"] = dabbed + plain
    return figures, sheets


def style_share(pictures: Sequence[Image.Image]) -> Proportion:
    """Return the share of pictures in which the rules find the LoRA's style."""
    seen = [find_object(picture) for picture in pictures]
    return share([sighting is not None and sighting.style == DAB_STYLE for sighting in seen])


def main() -> None:
    """Measure, print, and with --write-cards write the cards."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.miniatures", description=__doc__.split("\n")[0])
    parser.add_argument("--prompts", type=int, default=200, help="held-out prompts of one object (default 200)")
    parser.add_argument("--write-cards", action="store_true", help="put the figures into the model cards")
    arguments = parser.parse_args()
    if not WEIGHTS.exists():
        sys.exit(f"There are no models in {WEIGHTS}. Train them: make miniatures")
    bench = Bench()
    figures, sheets = measure(bench, arguments.prompts)
    print("\n".join(rows(figures)))
    if arguments.write_cards:
        write_cards(WEIGHTS, figures, sheets, sampling=asdict(bench.parameters))


if __name__ == "__main__":
    main()
