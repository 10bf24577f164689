"""Image encoders of one's own: a function in a file, which takes a list of images and returns their embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from jobs.refusals import Refused
from scoring.encoder_spec import OWN_ENCODER, EncoderSpec
from scoring.own_code import ENCODERS, OwnFunction, function_in_file, in_words, known_function, parameter_of

GROUP = "semblance.encoders"


@dataclass(frozen=True, slots=True)
class OwnEncoder:
    """An image encoder of one's own, used like those of `scoring.encoders`. fingerprint: of its file."""

    spec: EncoderSpec
    function: Any
    fingerprint: str

    @property
    def identity(self) -> str:
        """The key of its stored embeddings."""
        return self.spec.identity

    @property
    def provenance(self) -> dict[str, Any]:
        """The origin of the embeddings, as JSON."""
        versions = {"numpy": np.__version__, "pillow": PIL.__version__}
        return {"features": "a function of one's own", "versions": versions, "sha256": self.fingerprint}

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return float32 (n, d), one row for each image. Raises Refused, in one sentence, if the function fails."""
        try:
            rows = np.asarray(self.function(list(images)), dtype=np.float32)
        except (Exception, SystemExit) as error:  # the function may raise any error
            raise Refused(f"The encoder {self.identity} failed with {in_words(error)}.") from error
        if rows.ndim != 2 or len(rows) != len(images) or not rows.shape[1]:
            raise Refused(
                f"The encoder {self.identity} returned an array {rows.shape} for {len(images)} images: return one row "
                "for each image."
            )
        return rows


def own_encoder(spec: EncoderSpec) -> OwnEncoder:
    """Return the encoder of a spec of the kind "own". Raises Refused if this machine does not know its name."""
    if spec.preparation != "pil":
        raise Refused(f"The encoder {spec.checkpoint} is a function, which prepares its images: leave preparation out.")
    found = known_function(spec.checkpoint, group=GROUP, table=ENCODERS)
    if found is None:
        raise Refused(
            f"This machine knows no encoder {spec.checkpoint}: install it as an entry point of {GROUP}, or list it "
            f"under [{ENCODERS}] in the file that OWN_METRICS_FILE names."
        )
    return _described(spec, found)


def encoder_in_file(place: str) -> OwnEncoder:
    """Return the encoder of a place like "/encoders/mine.py:encode". The file's code runs here."""
    found = function_in_file(place)
    return _described(EncoderSpec(kind=OWN_ENCODER, checkpoint=place.rpartition(":")[2]), found)


def _described(spec: EncoderSpec, found: OwnFunction) -> OwnEncoder:
    takes = parameter_of(found.function)
    if takes != "images":
        raise Refused(f"The encoder {spec.identity} takes {takes or 'nothing'}: call its one parameter images.")
    return OwnEncoder(spec, found.function, found.sha256)
