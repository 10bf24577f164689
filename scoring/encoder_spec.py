"""Which image encoder: pure, so that a study can name one without loading torch."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_args

from annotated_types import Len

EncoderKind = Literal["clip", "siglip", "dinov2"]
ENCODER_KINDS = get_args(EncoderKind)


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """An image encoder: its kind, its checkpoint (local folder or hub id) and the pinned revision of a hub id.

    >>> EncoderSpec().metric
    'scs/clip:openai/clip-vit-base-patch32'
    """

    kind: EncoderKind = "clip"
    checkpoint: Annotated[str, Len(min_length=1)] = "openai/clip-vit-base-patch32"
    revision: str = ""

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
