"""Name an image encoder, or what compares two images, and what each can do. A study names one without loading torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Annotated, Any, Literal, Protocol, get_args

import numpy as np
from annotated_types import Len
from numpy.typing import NDArray
from PIL import Image

EncoderKind = Literal["clip", "siglip", "dinov2", "dinov3", "dreamsim", "own"]
OWN_ENCODER: EncoderKind = "own"  # a function, known by a name in the place of a checkpoint
ENCODER_KINDS: tuple[str, ...] = get_args(EncoderKind)
# How images are prepared: by the encoder's own processor on Pillow, or by the same steps on tensors.
Preparation = Literal["pil", "tensor"]
PREPARATIONS: tuple[Preparation, ...] = get_args(Preparation)
ComparerKind = Literal["lpips"]
COMPARER_KINDS: tuple[str, ...] = get_args(ComparerKind)

MOST_METRIC_LENGTH = 255  # of the database's columns
CLIP_VIT_B32 = "openai/clip-vit-base-patch32"
# The commit of CLIP_VIT_B32 that holds model.safetensors; its main branch has pickled weights only.
CLIP_VIT_B32_REVISION = "c237dc49a33fc61debc9276459120b7eac67e7ef"


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """An image encoder: its kind, its checkpoint (local folder or hub id), the pinned revision of a hub id, and how
    images are prepared for it, which makes another encoder of the same weights.

    The default is the encoder of the original study. CLIP ViT-B/32 without a revision means its pinned commit; any
    other hub id needs a revision (a commit of 40 digits), else loading it is refused.

    >>> EncoderSpec(kind="siglip", checkpoint="/data/models/siglip-tiny").metric
    'scs/siglip:siglip-tiny'
    >>> EncoderSpec(kind="siglip", checkpoint="/data/models/siglip-tiny", preparation="tensor").identity
    'siglip+tensor:siglip-tiny'
    """

    kind: EncoderKind = "clip"
    checkpoint: Annotated[str, Len(min_length=1)] = CLIP_VIT_B32
    revision: str = ""
    preparation: Preparation = "pil"

    def __post_init__(self) -> None:
        if self.checkpoint == CLIP_VIT_B32 and not self.revision:
            object.__setattr__(self, "revision", CLIP_VIT_B32_REVISION)

    @property
    def identity(self) -> str:
        """Return the key of stored embeddings: kind, preparation if it is not the usual one, name and revision.

        The name of a local folder is the last component of its path, so the same weights have the same identity on
        every machine. `scoring.models.Encoder` refuses other weights under the same identity: it stores the hash of the
        first.
        """
        kind = self.kind if self.preparation == "pil" else f"{self.kind}+{self.preparation}"
        return f"{kind}:{self._name}" + (f"@{self.revision}" if self.revision else "")

    @property
    def metric(self) -> str:
        """Return the name of the metric: the Semantic Consistency Score by this encoder."""
        return f"scs/{self.identity}"

    @property
    def length_fault(self) -> str:
        """Return an error message if the metric's name is too long for the database, else an empty string."""
        spare = MOST_METRIC_LENGTH - len(self.metric)
        return "" if spare >= 0 else f"gives the metric a name that is {-spare} letters too long; shorten the name."

    @property
    def _name(self) -> str:
        is_path = self.checkpoint.startswith(("/", "./", "../", "~"))
        return (is_path and PurePath(self.checkpoint).name) or self.checkpoint


@dataclass(frozen=True, slots=True)
class ComparerSpec:
    """A comparer of two images: its kind, and the local folder of its weights.

    >>> ComparerSpec(kind="lpips", checkpoint="/data/models/lpips-alex").identity
    'lpips:lpips-alex'
    """

    kind: ComparerKind = "lpips"
    checkpoint: Annotated[str, Len(min_length=1)] = ""

    @property
    def identity(self) -> str:
        """Return the name under which its distances are stored: the same on every machine, as of an encoder."""
        return f"{self.kind}:{PurePath(self.checkpoint).name or self.checkpoint}"


def document_of(source: EncoderSpec | ComparerSpec | None) -> dict[str, Any] | None:
    """Return a spec as it is stored: without `preparation` if it is the usual one, as in earlier versions."""
    return without_usual_preparation(asdict(source)) if source else None


def without_usual_preparation(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document of an encoder without `preparation` if it is the usual one, which earlier versions lack."""
    return {key: value for key, value in document.items() if (key, value) != ("preparation", "pil")}


def source_of(document: Mapping[str, Any] | None) -> EncoderSpec | ComparerSpec | None:
    """Return the spec of a stored document; None without one."""
    if not document:
        return None
    return ComparerSpec(**document) if document["kind"] in COMPARER_KINDS else EncoderSpec(**document)


Embeddings = NDArray[np.float32]


class _Weighted(Protocol):
    """A thing with weights, whose identity and fingerprint tell stored rows apart."""

    @property
    def identity(self) -> str:
        """The key of the embeddings or distances that are stored."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its weights, configuration and preprocessing; one `identity` always has the same fingerprint."""

    @property
    def provenance(self) -> dict[str, Any]:
        """The way it computes, dtype, device, versions and the hash of its files, as JSON."""


class ImageEncoder(_Weighted, Protocol):
    """An image encoder: turns images into embeddings."""

    @property
    def spec(self) -> EncoderSpec:
        """The spec it was loaded by."""

    def embed(self, images: Sequence[Image.Image]) -> Embeddings:
        """Return float32 (n, d), one row for each image in their order, not normalised. Images of any size and mode."""


class Comparer(_Weighted, Protocol):
    """A source of the distances of images: LPIPS, with its weights in memory."""

    @property
    def spec(self) -> ComparerSpec:
        """The spec it was loaded by."""

    def distances(self, images: Sequence[Image.Image]) -> NDArray[np.float64]:
        """Return the (N, N) distances of images of one size. Raises Refused if sizes differ, and for tiny images."""
