"""Read environment variables; an invalid value raises an error that names the variable. And the var folder's key."""

import logging
import secrets
import warnings
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from kombu.transport import TRANSPORT_ALIASES

_WORDS = {"true": True, "on": True, "ok": True, "y": True, "yes": True, "1": True}
_WORDS |= {"false": False, "off": False, "n": False, "no": False, "0": False}
_DATABASES = "postgresql://user:password@host:5432/name or sqlite:////folder/name.sqlite3"


class Environment(environ.Env):  # type: ignore[misc]  # has no types
    """Environment variables with typed values."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        """Return the value of a variable, or its default if it is missing or empty.

        Raises ImproperlyConfigured if it is not of its type.
        """
        default = kwargs.get("default", self.NOTSET)
        if default is not self.NOTSET and not self.ENVIRON.get(var, "").strip():
            return default
        try:
            return super().get_value(var, *args, **kwargs)
        except ValueError as error:
            raise ImproperlyConfigured(f"{var} has a value that cannot be used: {error}.") from None

    @classmethod
    def parse_value(cls, value: Any, cast: Any) -> Any:
        """The value in the type `cast`. A ValueError for a boolean that is neither true nor false: environ takes it
        for false."""
        if cast is not bool:
            return super().parse_value(value, cast)
        if (word := value.strip().lower()) not in _WORDS:
            raise ValueError(f"{value[:100]!r} is neither true nor false; write 1 or 0")
        return _WORDS[word]

    def database(self, var: str, default: str) -> dict[str, Any]:
        """Return a PostgreSQL or SQLite database. Errors never repeat the value, which may hold a password."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # one of them holds the password
                database: dict[str, Any] = self.db_url_config(self.str(var, default="") or default)
        except ValueError:
            database = {}
        if str(database.get("ENGINE")).rpartition(".")[2] not in ("postgresql", "sqlite3"):
            raise ImproperlyConfigured(f"{var} is not the address of a database; it looks like {_DATABASES}.")
        return database

    def broker(self, var: str, default: str) -> str:
        """Return the address of a message broker that Celery supports."""
        address: str = self.str(var, default="") or default
        kind = urlsplit(address).scheme.partition("+")[0]
        if kind not in TRANSPORT_ALIASES:
            raise ImproperlyConfigured(f"{var} begins with no kind of broker; it looks like redis://host:6379/0.")
        return address

    def proxies(self, var: str) -> int | list[IPv4Network | IPv6Network]:
        """Return how many proxies stand in front, or their networks."""
        names: list[str] = self.list(var, default=[])
        try:
            return int(names[0]) if len(names) == 1 and names[0].isdecimal() else [ip_network(name) for name in names]
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{var} must be how many proxies stand in front, or their networks like 10.0.0.0/8: {error}."
            ) from None

    def image_storage(self, var: str) -> dict[str, Any]:
        """Return the storage of the image files: `s3://bucket/folder`, or MEDIA_ROOT if nothing is set.

        Keys, region and endpoint of S3 are read by its client, from the variables that every such client reads.
        """
        address: str = self.str(var, default="")
        if not address:
            return {"BACKEND": "generation.pictures.local_folder.LocalFolder"}
        kind, _, place = address.partition("://")
        bucket, _, folder = place.strip("/").partition("/")
        if kind != "s3" or not bucket:
            raise ImproperlyConfigured(f"{var} must be s3://bucket or s3://bucket/folder, not {address!r}.")
        if not find_spec("storages") or not find_spec("boto3"):
            raise ImproperlyConfigured(f"{var}=s3://… needs: pip install 'semblance[s3]' (make install has it).")
        options = {"bucket_name": bucket, "location": folder, "tries": self.int(f"{var}_TRIES", default=8)}
        return {"BACKEND": "generation.pictures.object_store.ObjectStore", "OPTIONS": options}

    def log_level(self, var: str) -> str:
        """Return the name of a level of Python's logging."""
        level: str = self.str(var, default="WARNING").upper()
        if level not in logging.getLevelNamesMapping():
            raise ImproperlyConfigured(f"{var} must be DEBUG, INFO, WARNING, ERROR or CRITICAL, not {level}.")
        return level


def writable_folder(path: Path) -> Path:
    """Return the folder, created if missing; ImproperlyConfigured if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The folder {path} cannot be made ({error.strerror}); set SEMBLANCE_VAR to one that can be written."
        ) from None
    return path


def installation_key(var: Path) -> str:
    """Return the key in the var folder, made once and readable by its owner only. Exits with one sentence, not with a
    traceback, if the folder cannot be used."""
    try:
        return _stored_key(var)
    except OSError as error:
        what = f"{error.filename or var}: {error.strerror}"
        raise ImproperlyConfigured(
            f"The var folder cannot be used ({what}). Make room, set its owner, or name another one in SEMBLANCE_VAR."
        ) from error


def _stored_key(var: Path) -> str:
    path = var / "secret_key"
    writable_folder(var)
    if not path.exists():
        part = path.with_name(f"secret_key.{secrets.token_hex(8)}.part")
        try:
            part.touch(0o600)
            part.write_text(secrets.token_urlsafe(64))
            # If two processes start at once, one of them stores its key atomically, and both read that key.
            with suppress(FileExistsError):
                path.hardlink_to(part)
        finally:
            part.unlink(missing_ok=True)
    return path.read_text()
