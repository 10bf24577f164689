"""Which image encoder: pure, so that a study can name one without loading torch."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_args

from annotated_types import Len

EncoderKind = Literal["clip", "siglip", "dinov2"]
ENCODER_KINDS = get_args(EncoderKind)


# The paper's encoder, at the commit of its hub repository that holds the weights as safetensors.
CLIP_VIT_B_32 = "openai/clip-vit-base-patch32"
CLIP_VIT_B_32_REVISION = "c237dc49a33fc61debc9276459120b7eac67e7ef"


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """An image encoder: its kind, its checkpoint (local folder or hub id) and the pinned revision of a hub id.

    The default is the paper's encoder. A local folder has no revision.

    >>> EncoderSpec(kind="clip", checkpoint="/models/clip", revision="").metric
    'scs/clip:/models/clip'
    """

    kind: EncoderKind = "clip"
    checkpoint: Annotated[str, Len(min_length=1)] = CLIP_VIT_B_32
    revision: str = CLIP_VIT_B_32_REVISION

    @property
    def identity(self) -> str:
        """What embeddings are stored under."""
        return f"{self.kind}:{self.checkpoint}" + (f"@{self.revision}" if self.revision else "")

    @property
    def metric(self) -> str:
        """What the Semantic Consistency Score by this encoder is stored under."""
        return f"scs/{self.identity}"

    def as_document(self) -> dict[str, Any]:
        """The spec as JSON keeps it."""
        return asdict(self)
