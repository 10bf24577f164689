"""The stages of training and their inputs: drawings, autoencoder, image encoder, two denoisers, a LoRA."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, PixArtAlphaPipeline, StableDiffusionXLPipeline
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from miniatures.aligning import seen
from miniatures.architectures import build_clip, build_pixart, build_sdxl, build_vae
from miniatures.autoencoding import encode, set_scale, vae_stage
from miniatures.contrasting import clip_stage
from miniatures.corpus import Corpus, join, load_corpus
from miniatures.denoising import pixart_stage, sdxl_stage
from miniatures.lora_training import lora_stage, save_lora
from miniatures.text_pretraining import t5_stage
from miniatures.training import Effort, train

NEEDS: dict[str, tuple[str, ...]] = {
    "pictures": (),
    "vae": ("pictures",),
    "clip": ("pictures",),
    "sdxl": ("vae", "clip"),
    "pixart": ("vae", "clip"),
    "lora": ("sdxl",),
}
STEPS = {"vae": 1500, "clip": 2000, "sdxl": 9500, "t5": 300, "pixart": 12_500, "lora": 1000}


class Stages:
    """The stages, with the work folder of corpora and checkpoints, and the folder `to` of finished models."""

    def __init__(self, work: Path, to: Path) -> None:
        self.work = work
        self.to = to

    def make(self, stage: str) -> None:
        """Train one stage and write its folder."""
        getattr(self, f"_make_{stage}")()

    def _scenes(self) -> Corpus:
        return load_corpus(self.work, name="scenes", count=25_000, seed=1, dabs=0)

    def _dabs(self) -> Corpus:
        """Return the pictures in the LoRA's style."""
        return load_corpus(self.work, name="dabs", count=4_000, seed=2, dabs=1)

    def _everything(self) -> Corpus:
        """Return both corpora, for the models that must know every style."""
        return join(self._scenes(), self._dabs())

    def _make_pictures(self) -> None:
        self._everything()

    def _make_vae(self) -> None:
        torch.manual_seed(1)
        vae = build_vae()
        effort = train(vae_stage(vae, self._everything(), step_count=STEPS["vae"]), self.work)
        set_scale(vae, self._latents(vae, self._scenes(), "scenes"))
        vae.cpu().half().save_pretrained(self.work / "vae")
        _write_efforts(self.work / "vae", {"vae": effort})

    def _make_clip(self) -> None:
        torch.manual_seed(2)
        model, tokenizer, processor = build_clip()
        effort = train(clip_stage(model, tokenizer, self._everything(), step_count=STEPS["clip"]), self.work)
        for part in (model.cpu().eval().half(), tokenizer, processor):
            part.save_pretrained(self.to / "mini-clip")
        _write_efforts(self.to / "mini-clip", {"clip": effort})

    def _make_sdxl(self) -> None:
        torch.manual_seed(3)
        scenes, pipe = self._scenes(), build_sdxl(self._vae())
        # As in the full-size model, the text encoders come from a CLIP, so they know the words from the first step.
        text_model = self._clip()[0].text_model
        pipe.text_encoder.load_state_dict(text_model.state_dict())
        pipe.text_encoder_2.text_model.load_state_dict(text_model.state_dict())
        latents = self._scaled_latents(pipe.vae, scenes, "scenes")
        effort = train(sdxl_stage(pipe, latents, scenes.captions, step_count=STEPS["sdxl"]), self.work)
        self._finish(pipe, "mini-sdxl", {"sdxl": effort})

    def _make_pixart(self) -> None:
        torch.manual_seed(4)
        scenes, pipe = self._scenes(), build_pixart(self._vae())
        words = t5_stage(pipe.text_encoder, pipe.tokenizer, scenes.captions, self._clip(), step_count=STEPS["t5"])
        efforts = {"t5": train(words, self.work)}
        latents = self._scaled_latents(pipe.vae, scenes, "scenes")
        patches = seen(self._clip()[0], scenes, name="seen")
        stage = pixart_stage(pipe, latents, scenes.captions, patches, step_count=STEPS["pixart"])
        efforts["pixart"] = train(stage, self.work)
        self._finish(pipe, "mini-pixart", efforts)

    def _make_lora(self) -> None:
        dabs = self._dabs()
        pipe = StableDiffusionXLPipeline.from_pretrained(self.to / "mini-sdxl", dtype=torch.float32)
        latents = self._scaled_latents(pipe.vae, dabs, "dabs")
        effort = train(lora_stage(pipe, latents, dabs.captions, step_count=STEPS["lora"]), self.work)
        save_lora(pipe, self.to / "mini-sdxl-lora")
        _write_efforts(self.to / "mini-sdxl-lora", {"lora": effort})

    def _clip(self) -> tuple[CLIPModel, CLIPTokenizer]:
        folder = self.to / "mini-clip"
        return CLIPModel.from_pretrained(folder, dtype=torch.float32), CLIPTokenizer.from_pretrained(folder)

    def _vae(self) -> AutoencoderKL:
        vae = AutoencoderKL.from_pretrained(self.work / "vae", dtype=torch.float32)
        vae.register_to_config(_name_or_path="")  # else a published file would name a folder of this machine
        return vae

    def _scaled_latents(self, vae: AutoencoderKL, corpus: Corpus, name: str) -> Tensor:
        return self._latents(vae, corpus, name) * float(vae.config.scaling_factor)

    def _latents(self, vae: AutoencoderKL, corpus: Corpus, name: str) -> Tensor:
        path = self.work / f"latents-{name}.pt"
        if not path.exists():
            torch.save(encode(vae, corpus, name=f"latents-{name}"), path)
        latents: Tensor = torch.load(path, weights_only=True)
        return latents

    def _finish(
        self, pipe: StableDiffusionXLPipeline | PixArtAlphaPipeline, name: str, efforts: dict[str, Effort]
    ) -> None:
        """Save a pipeline as fp16 safetensors, with the effort of its training, including the autoencoder's."""
        for part in pipe.components.values():
            if isinstance(part, torch.nn.Module):
                part.cpu().eval().half()
        pipe.save_pretrained(self.to / name, safe_serialization=True)
        stored = json.loads((self.work / "vae" / EFFORTS).read_text())
        _write_efforts(self.to / name, {"vae": Effort(**stored["vae"])} | efforts)


EFFORTS = "training.json"


def _write_efforts(folder: Path, efforts: dict[str, Effort]) -> None:
    lines = {stage: effort.as_json() for stage, effort in efforts.items()}
    (folder / EFFORTS).write_text(json.dumps(lines, indent=2) + "\n")
