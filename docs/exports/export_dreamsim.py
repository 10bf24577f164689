"""Write DreamSim's weights as a folder that Semblance reads: python export_dreamsim.py FOLDER [TYPE].

TYPE is "ensemble" (the default, the published model), "dino_vitb16", "clip_vitb32" or "open_clip_vitb32". The authors'
package downloads the weights, so run this where that is allowed. The folder is then named in a study file or command as
the checkpoint of an encoder of the kind "dreamsim".
"""

# mypy: ignore-errors
# Run elsewhere, with packages that are not among the tools of this project.

import json
import sys
from pathlib import Path

from dreamsim import dreamsim
from dreamsim.config import dreamsim_args
from dreamsim.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from safetensors.torch import save_file


def export(model, names, folder):
    """Write the transformers of a PerceptualModel whose LoRA is merged. names: those of the transformers, in order."""
    weights, parts = {}, []
    for number, (name, extractor) in enumerate(zip(names, model.extractor_list, strict=True)):
        is_clip = "clip" in name
        own = dict(extractor.model.state_dict()) | ({"proj": extractor.proj} if is_clip else {})
        weights |= {f"parts.{number}.{key}": value.detach().contiguous().clone() for key, value in own.items()}
        parts.append(
            {
                "features": "projection" if is_clip else "class_token",
                "activation": "quick_gelu" if is_clip and not name.startswith("open_clip") else "gelu",
                "epsilon": extractor.model.norm.eps,
                "mean": OPENAI_CLIP_MEAN if is_clip else IMAGENET_DEFAULT_MEAN,
                "deviation": OPENAI_CLIP_STD if is_clip else IMAGENET_DEFAULT_STD,
            }
        )
    side = dreamsim_args["img_size"]
    prepared = {"size": {"height": side, "width": side}, "resample": 3, "do_normalize": False}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"model_type": "dreamsim", "parts": parts}))
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))


if __name__ == "__main__":
    kind = sys.argv[2] if len(sys.argv) > 2 else "ensemble"
    loaded, _ = dreamsim(pretrained=True, device="cpu", dreamsim_type=kind)
    names = dreamsim_args["model_config"][kind]["model_type"].split(",")
    export(loaded.merge_and_unload(), names, Path(sys.argv[1]))
