"""Image files in an S3-compatible object storage. A browser never sees an address of it.

An object appears whole or not at all, but two workers may write one key, and no transaction holds an object back. So
the name of an object has the hash of its content, it is stored before the row that names it, and one that no row names
is deleted by the next attempt at the same image, or by `verify_images`.
"""

import base64
import errno
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError, NoCredentialsError
from storages.backends.s3 import S3Storage

from generation.pictures.image_storage import Damaged, StorageAway, StoredFile

BRISK: dict[str, Any] = {
    "connect_timeout": 2,
    "read_timeout": 4,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}
PATIENT: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 60}
REST_SECONDS = 2.0  # after an outage, in which pages ask for nothing
DEFAULT_TRIES = 8  # with growing pauses of up to 20 s: about a minute, before a job is set back
HASH_DIGITS = 16  # of the content's SHA-256, in the name of an image
CONTENT_TYPES = {".png": "image/png", ".webp": "image/webp"}
PASSING_CODES = {"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "OperationAborted"}


@dataclass(frozen=True, slots=True)
class _Stored:
    """An object that was stored before its row."""

    path: str

    def put(self) -> None:
        """Do nothing: the object has its final name."""


class ObjectStore(S3Storage):  # type: ignore[misc]  # django-storages has no types
    """Django's storage of S3 objects, with verified writing, bounded waiting, and an error of its own for an outage.

    Options are those of django-storages, and `tries`: how often a worker sends a request before its job is set back.
    """

    is_remote = True

    def __init__(self, *, tries: int = DEFAULT_TRIES, **options: Any) -> None:
        super().__init__(**options)
        style = {"s3": {"addressing_style": self.addressing_style}, "signature_version": self.signature_version}
        self._rests_until = 0.0
        retries = {"mode": "standard", "total_max_attempts": tries}
        # One pool of connections for all threads of a process.
        self.client_config = Config(**style, **PATIENT, retries=retries, max_pool_connections=32, tcp_keepalive=True)

    @cached_property
    def _patient(self) -> Any:
        return self.connection.meta.client

    @cached_property
    def _brisk(self) -> Any:
        """Return the client of pages, which rather answer 503 than wait."""
        config = self.client_config.merge(Config(**BRISK))
        options = {"region_name": self.region_name, "endpoint_url": self.endpoint_url, "verify": self.verify}
        return self._create_session().client("s3", config=config, use_ssl=self.use_ssl, **options)

    @contextmanager
    def stage(self, path: str, data: bytes, *, is_named_by_content: bool = True) -> Iterator[_Stored]:
        """Store the object under its final name. It stays if it is never put: another worker may have recorded it."""
        named = self.path_of(path, hashlib.sha256(data).hexdigest()) if is_named_by_content else path
        stored = _Stored(named)
        self.write(stored.path, data)
        yield stored

    def path_of(self, path: str, sha256: str) -> str:
        """Return the path with the beginning of the content's hash in its name, so that no content replaces another."""
        file = PurePosixPath(path)
        return str(file.with_name(f"{file.stem}-{sha256[:HASH_DIGITS]}{file.suffix}"))

    def before_rows(self, part: Path, path: str) -> None:
        """Store the content of a temporary local file."""
        self.write(path, part.read_bytes())

    def after_rows(self, part: Path, path: str) -> None:
        """Delete the temporary local file, whose content is stored already."""
        part.unlink(missing_ok=True)

    def sync(self, folder: str) -> None:
        """Do nothing: an object that was acknowledged is durable."""

    def write(self, path: str, data: bytes, *, is_brisk: bool = False) -> None:
        """Store an object and verify it: by the hash that the storage computes, else by reading it back."""
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        at, client = self._at(path), self._brisk if is_brisk else self._patient
        with _faults(path):
            client.put_object(
                **at, Body=data, ChecksumSHA256=digest, ContentType=CONTENT_TYPES[PurePosixPath(path).suffix]
            )
            head = client.head_object(**at, ChecksumMode="ENABLED")
        stored = head.get("ChecksumSHA256")
        is_equal = stored == digest if stored else self.read(path, is_brisk=is_brisk) == data
        if head["ContentLength"] != len(data) or not is_equal:
            self.delete(path)
            raise StorageAway(f"The storage of the images did not keep {path} as it was sent.", is_counted=True)

    def read(self, path: str, *, is_brisk: bool = False) -> bytes:
        """Return an object's content. Raises FileNotFoundError, Damaged, or StorageAway."""
        with self._resting() if is_brisk else nullcontext(), _faults(path):
            client = self._brisk if is_brisk else self._patient
            content: bytes = client.get_object(**self._at(path))["Body"].read()
        return content

    @contextmanager
    def _resting(self) -> Iterator[None]:
        """Raise StorageAway at once if another page has just met an outage: else each thread of the server waits."""
        if time.monotonic() < self._rests_until:
            raise StorageAway("The storage of the images did not answer a moment ago.")
        try:
            yield
        except StorageAway:
            self._rests_until = time.monotonic() + REST_SECONDS
            raise

    def exists(self, name: str) -> bool:
        """Return whether an object is there."""
        try:
            with _faults(name):
                self._patient.head_object(**self._at(name))
        except FileNotFoundError:
            return False
        return True

    def delete(self, name: str) -> None:
        """Delete an object if it is there."""
        with _faults(name):
            self._patient.delete_object(**self._at(name))

    def prune(self, folder: str) -> None:
        """Do nothing: an object storage has no folders."""

    def sweep(self, path: str) -> None:
        """Do nothing: an object has no temporary files."""

    def files(self, folder: str) -> Iterator[StoredFile]:
        """Yield every object below a folder."""
        prefix = self._at(f"{folder}/")["Key"]
        with _faults(folder):
            pages = self._patient.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name, Prefix=prefix)
            for page in pages:
                for found in page.get("Contents", ()):
                    path = folder + "/" + found["Key"].removeprefix(prefix)
                    yield StoredFile(path, found["LastModified"].timestamp())

    def now(self) -> float:
        """Return the date of an answer of the storage: the end of its second, as a date has no fractions."""
        with _faults("its clock"):
            listed = self._patient.list_objects_v2(Bucket=self.bucket_name, MaxKeys=1)
        dated = listed["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return parsedate_to_datetime(dated).timestamp() + 1
        except ValueError:
            raise StorageAway("The storage of the images does not date its answers.", is_counted=True) from None

    def _at(self, path: str) -> dict[str, str]:
        """Return the bucket and the key of a path."""
        return {"Bucket": self.bucket_name, "Key": "/".join(filter(None, (self.location.strip("/"), path)))}


@contextmanager
def _faults(path: str) -> Iterator[None]:
    """Turn an error of the storage into FileNotFoundError, Damaged or StorageAway, without its address and keys."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response.get("Error", {}).get("Code", "")
        if status == 404 and code != "NoSuchBucket":
            raise FileNotFoundError(path) from error
        is_passing = status >= 500 or status == 429 or code in PASSING_CODES
        what = "does not answer at the moment" if is_passing else "refuses a request; check its bucket and its keys"
        sentence = f"The storage of the images {what} ({code or status}, {path})."
        raise StorageAway(sentence, is_counted=not is_passing) from error
    except NoCredentialsError as error:
        raise StorageAway("The storage of the images has no keys: set AWS_ACCESS_KEY_ID.", is_counted=True) from error
    except FlexibleChecksumError as error:  # asking again gives the same
        raise Damaged(errno.EIO, "its checksum is wrong", path) from error
    except BotoCoreError as error:
        sentence = f"The storage of the images does not answer at the moment ({type(error).__name__}, {path})."
        raise StorageAway(sentence) from error
