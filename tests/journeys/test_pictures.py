"""Files of others are stored as Chromium shows them on a white page, or refused."""

import base64

import numpy as np
from playwright.sync_api import Page

from generation.pictures.reading import Limits, decode
from tests.generation.pictures.viewer_files import CASES

LIMITS = Limits(pixel_count=40_000_000, byte_count=10_000_000)
KINDS = {".png": "png", ".jpg": "jpeg", ".webp": "webp"}
# In a canvas the colours are sRGB, whatever the screen is.
DRAW = """async (address) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0);
    return [canvas.height, canvas.width, Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data)];
}"""


def test_what_is_read_is_what_chromium_shows(page: Page) -> None:
    differing = {}
    for name, data, suffix, reason in CASES:
        if reason is None:
            address = f"data:image/{KINDS[suffix]};base64,{base64.b64encode(data).decode()}"
            height, width, values = page.evaluate(DRAW, address)
            shown = np.array(values).reshape(height, width, 4)[:, :, :3]
            stored = np.asarray(decode(data, suffix=suffix, limits=LIMITS), int)
            if shown.shape != stored.shape or np.abs(shown - stored).max() > 5:
                differing[name] = (stored[0, 0].tolist(), shown[0, 0].tolist())
    assert not differing
