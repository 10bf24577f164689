"""The parts of PNG, JPEG and WebP files, one after the other. Pure; a part that is cut off ends the walk."""

from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_JPEG = b"\xff\xd8"
_START_OF_SCAN = 0xDA


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield kind, content and checksum of each complete chunk of a PNG; nothing for other files."""
    at = 8 if data.startswith(PNG) else len(data)
    while (end := at + 8 + int.from_bytes(data[at : at + 4], "big")) + 4 <= len(data):
        content = data[at + 8 : end]
        yield data[at + 4 : at + 8], content, int.from_bytes(data[end : end + 4], "big")
        at = end + 4


def without_texts(data: bytes) -> bytes:
    """Return a PNG without its text chunks, whatever is wrong with them; other files unchanged.

    No viewer shows them. Pillow refuses an image for texts that unpack to more than a megabyte, as of a large workflow.
    """
    kept, start, at = [], 0, 8 if data.startswith(PNG) else len(data)
    while (end := at + 12 + int.from_bytes(data[at : at + 4], "big")) <= len(data):
        if data[at + 4 : at + 8] in _TEXTS:
            kept.append(data[start:at])
            start = end
        at = end
    return b"".join([*kept, data[start:]]) if kept else data


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of each segment before the first scan of a JPEG; nothing for other files."""
    at = 2 if data.startswith(_JPEG) else len(data)
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _START_OF_SCAN:
        if data[at + 1] == 0xFF:  # padding
            at += 1
            continue
        end = at + 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        yield data[at + 1], data[at + 4 : end]
        at = end


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each chunk of a WebP; nothing for other files."""
    at = 12 if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else len(data)
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
