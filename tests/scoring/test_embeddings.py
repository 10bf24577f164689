"""Embedding a set, twice, half, out of order."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from generation.pictures.files import media_path
from generation.recorded_images.records import record_image
from jobs.refusals import Refused
from scoring import embeddings
from scoring.embeddings import embed_set, embeddings_of
from scoring.models import Encoder, ImageEmbedding
from tests.scoring.embedded_sets import ColourEncoder, make_external_set, make_set, picture

pytestmark = pytest.mark.django_db


def test_embeds_every_image_once() -> None:
    image_set, encoder = make_set(), ColourEncoder()

    assert embed_set(image_set=image_set, encoder=encoder) == 3
    before = embeddings_of(image_set, encoder.identity)
    assert embed_set(image_set=image_set, encoder=encoder) == 0

    assert encoder.calls == [3]  # the second time no image is opened at all
    assert ImageEmbedding.objects.count() == 3
    np.testing.assert_array_equal(embeddings_of(image_set, encoder.identity), before)


def test_rows_are_float32_in_ascending_order_of_the_seeds() -> None:
    image_set, encoder = make_set(seeds=(5, 3, 9)), ColourEncoder()

    embed_set(image_set=image_set, encoder=encoder)

    found = embeddings_of(image_set, encoder.identity)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, encoder.embed([picture(3), picture(5), picture(9)]))
    assert ImageEmbedding.objects.first().dimension == 3  # type: ignore[union-attr]


def test_embeds_only_what_is_missing() -> None:
    image_set, encoder = make_set(), ColourEncoder()
    embed_set(image_set=image_set, encoder=encoder)
    ImageEmbedding.objects.get(image__seed=9).delete()

    assert embed_set(image_set=image_set, encoder=encoder) == 1
    assert encoder.calls == [3, 1]


def test_a_chunk_that_is_embedded_is_stored_before_the_next_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "CHUNK_SIZE", 2)
    image_set, encoder = make_set(), ColourEncoder()
    media_path(image_set.images.get(seed=9).path).unlink()

    with pytest.raises(Refused, match="seed 9"):
        embed_set(image_set=image_set, encoder=encoder)
    assert sorted(ImageEmbedding.objects.values_list("image__seed", flat=True)) == [3, 5]


def test_stops_between_chunks_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "CHUNK_SIZE", 2)
    image_set, encoder = make_set(), ColourEncoder()

    def stop_after_the_first() -> None:
        if encoder.calls:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_set(image_set=image_set, encoder=encoder, check=stop_after_the_first)
    assert encoder.calls == [2]


def test_two_workers_that_embed_the_same_set_store_each_image_once() -> None:
    image_set = make_set()

    class Overtaken(ColourEncoder):
        def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
            if not self.calls:
                embed_set(image_set=image_set, encoder=ColourEncoder())  # the other worker is faster
            return super().embed(images)

    embed_set(image_set=image_set, encoder=Overtaken())
    assert ImageEmbedding.objects.count() == 3


def test_two_sets_and_two_encoders_are_kept_apart() -> None:
    cat, dog, encoder = make_set(), make_set(prompt="a dog", seeds=(1, 2)), ColourEncoder()
    embed_set(image_set=cat, encoder=encoder)
    embed_set(image_set=dog, encoder=encoder)
    assert embeddings_of(dog, encoder.identity).shape == (2, 3)
    assert embeddings_of(dog, "clip:another").shape == (0, 0)


def test_refuses_a_set_that_is_not_complete() -> None:
    image_set = make_set(recorded=(5, 3))
    with pytest.raises(Refused, match="2 of 3 images"):
        embed_set(image_set=image_set, encoder=ColourEncoder())
    assert not Encoder.objects.exists()

    record_image(image_set=image_set, seed=9, image=picture(9), provenance={})
    assert embed_set(image_set=image_set, encoder=ColourEncoder()) == 3


def test_refuses_a_set_whose_images_are_elsewhere() -> None:
    with pytest.raises(Refused, match="import its scores"):
        embed_set(image_set=make_external_set(), encoder=ColourEncoder())


def test_refuses_other_weights_under_the_same_identity() -> None:
    embed_set(image_set=make_set(), encoder=ColourEncoder("a" * 64))
    other_set = make_set(prompt="a dog")

    with pytest.raises(Refused, match=r"are not those that clip:colour stood for before .*aaaaaaaaaaaa"):
        embed_set(image_set=other_set, encoder=ColourEncoder("b" * 64))
    assert not embeddings_of(other_set, "clip:colour").size


def test_remembers_what_stands_behind_an_identity() -> None:
    embed_set(image_set=make_set(), encoder=ColourEncoder())
    known = Encoder.objects.get(identity="clip:colour")
    assert (known.fingerprint, known.provenance) == ("c" * 64, {"features": "mean colour"})


def test_refuses_embeddings_that_are_not_finite() -> None:
    class Broken(ColourEncoder):
        def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
            return np.full((len(images), 3), np.nan, np.float32)

    with pytest.raises(Refused, match="not finite"):
        embed_set(image_set=make_set(), encoder=Broken())
    assert not ImageEmbedding.objects.exists()
