"""Send files in pieces, and wait until they are imported."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semblance_client.connection import Connection, Problem
from semblance_client.waiting import wait_for

BLOCK = 2**20
LEFT_BEHIND = ("thumbs.db", "desktop.ini", "__macosx")
Json = dict[str, Any]


def upload(connection: Connection, slug: str, path: Path, *, seconds: float, **options: Any) -> Json:
    """Send a file, or the files of a folder, and return the result. An interrupted upload continues.

    Raises Problem if the server refuses a file or its import.
    """
    files = list(_files(path))
    described = [_described(file, path) for file in files]
    begun = connection.call("begin_upload", body={"files": described, **options}, slug=slug).document
    for number, piece in _missing(begun, described):
        content = _piece(files[number], piece, begun["piece_bytes"])
        query = {"file": number, "piece": piece, "sha256": hashlib.sha256(content).hexdigest()}
        connection.call("send_piece", query=query, content=content, slug=slug, upload_id=begun["id"])
    connection.call("import_upload", slug=slug, upload_id=begun["id"])
    return _imported(connection, slug, begun["id"], path.name, seconds)


def import_again(connection: Connection, slug: str, upload_id: int, *, seconds: float) -> Json:
    """Try the failed import of an upload again, and return the result. Raises Problem if it is refused or fails."""
    document = connection.call("import_upload", slug=slug, upload_id=upload_id).document
    return _imported(connection, slug, upload_id, document["name"], seconds)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for child in sorted(path.iterdir()):
        if not child.name.startswith(".") and child.name.lower() not in LEFT_BEHIND:
            yield from _files(child)


def _described(file: Path, root: Path) -> Json:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(BLOCK):
            digest.update(block)
    name = file.name if file == root else file.relative_to(root).as_posix()
    return {"path": name, "bytes": file.stat().st_size, "sha256": digest.hexdigest()}


def _missing(begun: Json, described: list[Json]) -> Iterator[tuple[int, int]]:
    """Yield the pieces to send: the first missing one, and all after it."""
    first, size = begun["missing"], begun["piece_bytes"]
    for number, file in enumerate(described):
        for piece in range(-(-file["bytes"] // size)):
            if first and (number, piece) >= (first["file"], first["piece"]):
                yield number, piece


def _piece(file: Path, piece: int, size: int) -> bytes:
    with file.open("rb") as content:
        content.seek(piece * size)
        return content.read(size)


def _imported(connection: Connection, slug: str, upload_id: int, name: str, seconds: float) -> Json:
    def ask() -> Json | None:
        document: Json = connection.call("get_upload", slug=slug, upload_id=upload_id).document
        if document["state"] == "failed":
            raise Problem(f"{name}: {document['error']}")
        return document if document["state"] == "done" else None

    return wait_for(ask, seconds=seconds, what=f"{name} is imported")
