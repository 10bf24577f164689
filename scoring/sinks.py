"""Embed images straight after they are recorded, from their pixels in memory, so that no second pass reads files."""

import logging
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError
from PIL import Image

from generation.models import GeneratedImage
from jobs.refusals import Refused
from scoring.embeddings import embed_pictures, refuse_other_weights
from scoring.encoder_spec import EncoderSpec, ImageEncoder
from scoring.encoders.checkpoints import is_encoder_at_hand

logger = logging.getLogger(__name__)


class EmbeddingSink:
    """Stores the embeddings of the images of a job. What it cannot embed is left to the scoring job, which says why."""

    def __init__(self, encoder: ImageEncoder) -> None:
        self._encoder: ImageEncoder | None = encoder

    def prepare(self, pictures: Sequence[Image.Image]) -> Sequence[Any]:
        """Return the pictures themselves."""
        return pictures

    def store(self, images: Sequence[GeneratedImage], prepared: Sequence[Any]) -> None:
        """Embed the pictures and store their embeddings."""
        if self._encoder is None or not images:
            return
        try:
            embed_pictures(images, prepared, self._encoder)
        except DatabaseError:
            raise
        except Exception as error:  # of the encoder's libraries: the images are good
            from generation.machines.devices import Fault, fault_of

            if fault_of(error) is Fault.STICKY:
                raise
            logger.warning("images are embedded later: %s", error)
            self._encoder = None


def embedding_sink(spec: EncoderSpec) -> EmbeddingSink | None:
    """Return a sink with the encoder of a spec; None if it is not on this host, or does not fit beside the pipeline."""
    if not is_encoder_at_hand(spec):
        return None
    from generation.machines.devices import empty_memory, is_out_of_memory
    from scoring.encoders import loading  # imported here: they load torch, and the web process imports this module

    try:
        encoder = loading.load(spec)
        refuse_other_weights(encoder)
        return EmbeddingSink(encoder)
    except Refused as refusal:
        logger.warning("images are embedded later: %s", refusal)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    empty_memory()
    return None
