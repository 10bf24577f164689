"""An installation of Semblance, as an account sees it with a token."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semblance_client.connection import Connection
from semblance_client.studies import Study, pages


class Semblance:
    """An installation. `url`: its address; `token`: from the page API tokens of your account there."""

    def __init__(self, url: str, token: str, *, timeout: float = 120.0) -> None:
        self._connection = Connection(url, token, timeout)

    def models(self) -> list[dict[str, Any]]:
        """Return the models that a study file may name."""
        return list(self._connection.call("list_models").document["items"])

    def workers(self) -> list[dict[str, Any]]:
        """Return the worker processes that were seen in the last minute. For admins."""
        return list(self._connection.call("list_workers").document["items"])

    def jobs(self, *, kind: str = "images", state: str = "failed") -> Iterator[dict[str, Any]]:
        """Yield the jobs of a kind in a state, with their errors. For admins."""
        return pages(self._connection, "list_jobs", query={"kind": kind, "state": state})

    def registered_models(self) -> Iterator[dict[str, Any]]:
        """Yield every model with its class, licence, hash and size, and the studies that use it. For admins."""
        return pages(self._connection, "list_registered_models")

    def studies(self, *, state: str = "", archived: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the studies that are shared with the account, the newest first."""
        return pages(self._connection, "list_studies", query={"state": state or None, "archived": archived})

    def notices(self, *, unread: bool = False) -> Iterator[dict[str, Any]]:
        """Yield what the account is told about its studies, the latest first."""
        return pages(self._connection, "list_notices", query={"unread": unread})

    def read_notices(self) -> int:
        """Mark every notice as read, and return how many were unread."""
        return int(self._connection.call("read_notices").document["read"])

    def study(self, slug: str) -> Study:
        """Return the study of that slug. Raises Problem if there is none, or it is not shared with the account."""
        return Study(self._connection, self._connection.call("get_study", slug=slug).document)

    def check_study(self, file: str | Path) -> dict[str, Any]:
        """Read a study file and create nothing. Raises Problem with each fault, its field and its line.

        file: a path, or the text of a study file.
        """
        return dict(self._connection.call("check_study", body={"file": _text(file)}).document)

    def create_study(self, file: str | Path) -> Study:
        """Create a study as a draft from a study file. file: a path, or the text of a study file."""
        return Study(self._connection, self._connection.call("create_study", body={"file": _text(file)}).document)

    def __repr__(self) -> str:
        return f"<Semblance at {self._connection.url}>"


def _text(file: str | Path) -> str:
    return file.read_text(encoding="utf-8") if isinstance(file, Path) else file
