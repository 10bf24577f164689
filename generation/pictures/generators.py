"""The data that image programs write into their PNG files: ComfyUI's `prompt` and `workflow`, A1111's `parameters`.

None of it is trusted: it is cut to a bounded size, and only recorded.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

from generation.pictures.containers import png_chunks
from generation.tables.foreign_values import bounded

MOST_BYTES = 2**18  # of one text; of a longer one only its hash is recorded
MOST_TEXT = 8000  # characters that are recorded of A1111's text
MOST_CHUNKS = 1000
DEPTH = 6  # of a workflow that is recorded
KEYWORDS = ("parameters", "prompt", "workflow")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]")
# Begins at a comma and takes nothing back: a stranger's text must not cost the square of its length.
_SETTING = re.compile(r'(?:^|,)\s*+(\w[\w ]{0,39}):\s*+("(?:\\.|[^"\\])*+"|[^,]*+)(?=,|$)')


def generator_of(data: bytes) -> dict[str, Any]:
    """Return what the program wrote that made a PNG, by the name of the program; empty for other files.

    >>> generator_of(b"not a PNG")
    {}
    """
    texts = dict(_texts(data))
    found: dict[str, Any] = {}
    if "parameters" in texts:
        found["a1111"] = _of_a1111(texts["parameters"])
    graphs = {name: _graph(texts[name]) for name in ("prompt", "workflow") if name in texts}
    if graphs:
        found["comfyui"] = graphs
    return found


def _texts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield keyword and text of the text chunks that are of interest, unpacked up to one byte beyond the limit."""
    for kind, content, _checksum in islice(png_chunks(data), MOST_CHUNKS):
        keyword, _, rest = content.partition(b"\0")
        name = keyword.decode("latin-1")
        if name not in KEYWORDS:
            continue
        if kind == b"tEXt":
            yield name, rest.decode("latin-1").encode()
        elif kind == b"zTXt":
            yield name, _unpacked(rest[1:]).decode("latin-1").encode()
        elif kind == b"iTXt":
            is_packed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
            yield name, _unpacked(text) if is_packed else text


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MOST_BYTES + 1)
    except zlib.error:
        return b""


def _of_a1111(text: bytes) -> dict[str, Any]:
    """Return A1111's text, and the settings in its last line by their names."""
    if len(text) > MOST_BYTES:
        return _too_long(text)
    written = _CONTROL.sub(" ", text.decode(errors="replace")).strip()[:MOST_TEXT]
    pairs = islice(_SETTING.findall(written.rpartition("\n")[2]), 100)
    return {"text": written, "settings": {name.strip(): value.strip().strip('"') for name, value in pairs}}


def _graph(text: bytes) -> dict[str, Any]:
    """Return a graph of ComfyUI with its hash, or the hash alone if it is no JSON or too long."""
    if len(text) > MOST_BYTES:
        return _too_long(text)
    try:
        graph = json.loads(text)
    except (ValueError, RecursionError):
        return _too_long(text)
    return {"sha256": hashlib.sha256(text).hexdigest(), "graph": bounded(graph, DEPTH)}


def _too_long(text: bytes) -> dict[str, Any]:
    """Return what is recorded of a text that is too long: its hash, if all of it was read."""
    return {"sha256": hashlib.sha256(text).hexdigest()} if len(text) <= MOST_BYTES else {"is_too_long": True}
