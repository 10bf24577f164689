"""`python -m miniatures`: train every miniature from nothing, or go on where the last run stopped."""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL, PixArtAlphaPipeline, StableDiffusionXLPipeline
from torch import Tensor

from miniatures.adapting import lora_stage, save_lora
from miniatures.architectures import build_clip, build_pixart, build_sdxl, build_vae
from miniatures.autoencoding import encode, set_scale, vae_stage
from miniatures.contrasting import clip_stage
from miniatures.corpus import Corpus, join, load_corpus
from miniatures.denoising import pixart_stage, sdxl_stage
from miniatures.training import train

STAGES = ("vae", "clip", "sdxl", "pixart", "lora")
STEPS = {"vae": 1800, "clip": 1200, "sdxl": 4500, "pixart": 4000, "lora": 500}


class Workshop:
    """The work folder with its corpora and checkpoints, and the folder where finished models go."""

    def __init__(self, work: Path, to: Path) -> None:
        self.work = work
        self.to = to
        self.scenes = load_corpus(work, name="scenes", count=30_000, seed=1, dabs=0)
        self.dabs = load_corpus(work, name="dabs", count=3_000, seed=2, dabs=1)

    @property
    def everything(self) -> Corpus:
        """Both corpora, for the models that must know every style."""
        return join(self.scenes, self.dabs)

    def make(self, stage: str) -> None:
        """Train one stage and write its folder."""
        getattr(self, f"_make_{stage}")()

    def _make_vae(self) -> None:
        torch.manual_seed(1)
        vae = build_vae()
        train(vae_stage(vae, self.everything, step_count=STEPS["vae"]), self.work)
        set_scale(vae, self._latents(vae, self.scenes, "scenes"))
        vae.half().save_pretrained(self.work / "vae")

    def _make_clip(self) -> None:
        torch.manual_seed(2)
        model, tokenizer, processor = build_clip()
        train(clip_stage(model, tokenizer, self.everything, step_count=STEPS["clip"]), self.work)
        for part in (model.eval().half(), tokenizer, processor):
            part.save_pretrained(self.to / "mini-clip")

    def _make_sdxl(self) -> None:
        torch.manual_seed(3)
        pipe = build_sdxl(self._vae())
        latents = self._scaled_latents(pipe.vae, self.scenes, "scenes")
        train(sdxl_stage(pipe, latents, self.scenes.captions, step_count=STEPS["sdxl"]), self.work)
        _save_pipeline(pipe, self.to / "mini-sdxl")

    def _make_pixart(self) -> None:
        torch.manual_seed(4)
        pipe = build_pixart(self._vae())
        latents = self._scaled_latents(pipe.vae, self.scenes, "scenes")
        train(pixart_stage(pipe, latents, self.scenes.captions, step_count=STEPS["pixart"]), self.work)
        _save_pipeline(pipe, self.to / "mini-pixart")

    def _make_lora(self) -> None:
        pipe = StableDiffusionXLPipeline.from_pretrained(self.to / "mini-sdxl", dtype=torch.float32)
        latents = self._scaled_latents(pipe.vae, self.dabs, "dabs")
        train(lora_stage(pipe, latents, self.dabs.captions, step_count=STEPS["lora"]), self.work)
        save_lora(pipe, self.to / "mini-sdxl-lora")

    def _vae(self) -> AutoencoderKL:
        return AutoencoderKL.from_pretrained(self.work / "vae", dtype=torch.float32)

    def _scaled_latents(self, vae: AutoencoderKL, corpus: Corpus, name: str) -> Tensor:
        return self._latents(vae, corpus, name) * float(vae.config.scaling_factor)

    def _latents(self, vae: AutoencoderKL, corpus: Corpus, name: str) -> Tensor:
        path = self.work / f"latents-{name}.pt"
        if not path.exists():
            torch.save(encode(vae, corpus), path)
        latents: Tensor = torch.load(path, weights_only=True)
        return latents


def _save_pipeline(pipe: StableDiffusionXLPipeline | PixArtAlphaPipeline, folder: Path) -> None:
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.cpu().eval().half()
    pipe.save_pretrained(folder, safe_serialization=True)


def main() -> None:
    """Read the arguments and make the stages in order."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(prog="python -m miniatures", description=__doc__)
    parser.add_argument("--work", type=Path, default=here.parent / "var" / "miniatures", help="corpora and checkpoints")
    parser.add_argument("--to", type=Path, default=here, help="where the finished models go")
    parser.add_argument("--only", choices=STAGES, action="append", help="make this stage only (may be repeated)")
    arguments = parser.parse_args()
    workshop = Workshop(arguments.work, arguments.to)
    for stage in arguments.only or STAGES:
        workshop.make(stage)


if __name__ == "__main__":
    main()
