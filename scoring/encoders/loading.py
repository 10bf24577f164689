"""Image encoders: image -> embedding. The only module that imports one; it loads torch.

An embedding is float32 and not normalised. It depends on the other images of its batch by rounding only: in batches
of any size it agrees to about 1e-5 of its length. Images are prepared by the processor's PIL implementation, or by the
same steps on tensors if the spec says so; scores never depend on whether torchvision is installed.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import PIL
import torch
import transformers
from PIL import Image
from transformers import (
    BitImageProcessorPil,
    CLIPImageProcessorPil,
    CLIPModel,
    Dinov2Model,
    DINOv3ViTModel,
    SiglipImageProcessorPil,
    SiglipModel,
    ViTImageProcessorPil,
)

from generation.machines.devices import device, device_name, empty_memory, full_precision, is_out_of_memory
from jobs.cores import core_count
from jobs.refusals import Refused
from jobs.wording import first_line
from scoring.encoder_spec import OWN_ENCODER, Embeddings, EncoderSpec, ImageEncoder
from scoring.encoders.checkpoints import Checkpoint, find_checkpoint
from scoring.encoders.dreamsim import DreamSim
from scoring.encoders.tensor_images import TensorPreparation
from scoring.own_code import own_encoder

BATCH_SIZE = 32  # halved for good when the device's memory does not hold it

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


@dataclass(frozen=True, slots=True)
class Architecture:
    """The classes that load one kind of encoder, and the output that is the embedding.

    model_type: the name of the architecture in a checkpoint's configuration.
    """

    model_type: str
    model: Any
    processor: Any
    features: Callable[[Any, torch.Tensor], Any]
    describes: str


ARCHITECTURES: dict[str, Architecture] = {
    # Radford et al. (2021), arXiv:2103.00020
    "clip": Architecture(
        "clip",
        CLIPModel,
        CLIPImageProcessorPil,
        lambda model, pixels: model.get_image_features(pixel_values=pixels).pooler_output,
        "image features after the projection into the space shared with text",
    ),
    # Zhai et al. (2023), arXiv:2303.15343
    "siglip": Architecture(
        "siglip",
        SiglipModel,
        SiglipImageProcessorPil,
        lambda model, pixels: model.get_image_features(pixel_values=pixels).pooler_output,
        "image features of the attention-pooling head",
    ),
    # Oquab et al. (2023), arXiv:2304.07193
    "dinov2": Architecture(
        "dinov2",
        Dinov2Model,
        BitImageProcessorPil,
        lambda model, pixels: model(pixel_values=pixels).pooler_output,
        "the class token after the last layer norm",
    ),
    # Siméoni et al. (2025), arXiv:2508.10104. Its own processor needs torchvision; this one resizes whole levels of
    # brightness instead of fractions of them, which moves a pixel by half a level at most.
    "dinov3": Architecture(
        "dinov3_vit",
        DINOv3ViTModel,
        ViTImageProcessorPil,
        lambda model, pixels: model(pixel_values=pixels).pooler_output,
        "the class token after the last layer norm",
    ),
    # Fu et al. (2023), arXiv:2306.09344
    "dreamsim": Architecture(
        "dreamsim",
        DreamSim,
        ViTImageProcessorPil,
        lambda model, pixels: model(pixels),
        "class tokens and projections of its transformers, less their mean: the cosine is 1 - DreamSim",
    ),
}


@lru_cache(maxsize=1)
def load(spec: EncoderSpec) -> ImageEncoder:
    """Load the encoder of a spec, on the accelerator if there is one. It is cached until another spec is loaded.

    Raises Refused, in one sentence, for a checkpoint that is missing, unreachable, not pinned, not safetensors,
    incomplete, of another architecture than the spec's kind, or incompatible with its own image processor; and for an
    encoder of one's own that this machine does not know.
    """
    if spec.kind == OWN_ENCODER:
        return own_encoder(spec)
    checkpoint = find_checkpoint(spec)
    if checkpoint.model_type != (wanted := ARCHITECTURES[spec.kind].model_type):
        raise Refused(
            f"{spec.checkpoint} is a checkpoint of the architecture {checkpoint.model_type or '(none named)'}, "
            f"not {wanted}: name the encoder's kind as it is (one of {', '.join(ARCHITECTURES)})."
        )
    return _LoadedEncoder(spec, checkpoint)


class _LoadedEncoder:
    """An encoder whose weights are in memory, in evaluation mode and float32."""

    def __init__(self, spec: EncoderSpec, checkpoint: Checkpoint) -> None:
        self.spec = spec
        self.fingerprint = checkpoint.fingerprint
        self._architecture = ARCHITECTURES[spec.kind]
        self._batch_size = BATCH_SIZE
        self._model, self._processor = _load_parts(spec, checkpoint, self._architecture)
        self._model.to(device()).eval()
        self._on_tensors = _on_tensors(spec, self._processor)
        self._pool = ThreadPoolExecutor(core_count(), thread_name_prefix="preparing")
        self.dimension = self._probe()

    @property
    def identity(self) -> str:
        return self.spec.identity

    @property
    def provenance(self) -> dict[str, Any]:
        return {
            "features": self._architecture.describes,
            "processor": type(self._processor).__name__,
            "processor_backend": self.spec.preparation,
            "dtype": "float32",
            "device": device_name(),
            "versions": {
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "pillow": PIL.__version__,
            },
            "sha256": self.fingerprint,
        }

    def embed(self, images: Sequence[Image.Image]) -> Embeddings:
        rows = [np.empty((0, self.dimension), np.float32)]
        done = 0
        while done < len(images):
            batch = images[done : done + self._batch_size]
            vectors = self._embed_or_none(batch)
            if vectors is None:
                self._halve()
            else:
                rows.append(vectors)
                done += len(batch)
        return np.concatenate(rows)

    def _embed_or_none(self, batch: Sequence[Image.Image]) -> Embeddings | None:
        """Return the embeddings of a batch; None if it does not fit into the device's memory."""
        try:
            return self._embed_batch(batch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return None  # the exception holds the batch's tensors: they are free only after this block

    def _embed_batch(self, batch: Sequence[Image.Image]) -> Embeddings:
        pixels = torch.cat(list(self._pool.map(self._prepare, batch)))
        with torch.inference_mode(), full_precision():
            vectors = self._architecture.features(self._model, pixels.to(device(), torch.float32))
        result: Embeddings = vectors.float().cpu().numpy()
        return result

    def _prepare(self, image: Image.Image) -> torch.Tensor:
        """Return the pixels of one image, (1, 3, h, w); PIL and NumPy let other threads work meanwhile."""
        # "L" and palette images too; the processor's own conversion depends on its configuration.
        coloured = image.convert("RGB")
        if self._on_tensors:
            return self._on_tensors(coloured)
        prepared: torch.Tensor = self._processor(images=[coloured], return_tensors="pt")["pixel_values"]
        return prepared

    def _halve(self) -> None:
        if self._batch_size == 1:
            raise self._memory_refusal()
        empty_memory()
        self._batch_size = self._batch_size // 2

    def _probe(self) -> int:
        """Return the dimension of an embedding, from a grey image; this also detects an incompatible processor."""
        try:
            vectors = self._embed_or_none([Image.new("RGB", (64, 48), "grey")])
        except (ValueError, RuntimeError) as error:
            raise Refused(
                f"The image processor of {self.spec.checkpoint} does not fit its model: {first_line(error)}."
            ) from error
        if vectors is None:
            raise self._memory_refusal()
        return int(vectors.shape[1])

    def _memory_refusal(self) -> Refused:
        return Refused(f"The memory of {device_name()} does not hold {self.identity} and one image: free some of it.")


def _load_parts(spec: EncoderSpec, checkpoint: Checkpoint, architecture: Architecture) -> tuple[Any, Any]:
    try:
        model, report = architecture.model.from_pretrained(
            checkpoint.folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
        processor = architecture.processor.from_pretrained(checkpoint.folder, local_files_only=True)
    except Exception as error:  # a damaged file fails in ways of every library on the way
        raise Refused(f"The encoder {spec.checkpoint} cannot be loaded: {first_line(error)}.") from error
    if report["missing_keys"]:  # they would be filled with random numbers
        raise Refused(f"The weights of {spec.checkpoint} lack {sorted(report['missing_keys'])[0]}: it is not whole.")
    return model, processor


def _on_tensors(spec: EncoderSpec, processor: Any) -> TensorPreparation | None:
    """Return how images are prepared on tensors; None if the processor's PIL implementation does it."""
    if spec.preparation == "pil":
        return None
    try:
        return TensorPreparation.of(processor)
    except ValueError as error:
        raise Refused(
            f"The image processor of {spec.checkpoint} cannot be followed on tensors: {error}. Leave preparation out."
        ) from error
