"""A real S3 server on this machine (moto's), which can be told to fail, to wait, or to keep something else."""

import base64
import hashlib
import itertools
import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

KEYS = {"aws_access_key_id": "tests", "aws_secret_access_key": "tests", "region_name": "us-east-1"}
_numbers = itertools.count(1)


class ObjectStorage:
    """The server. failures: how many of the next requests are answered with 503; -1: all of them.

    share_failing: of the other requests.
    """

    def __init__(self) -> None:
        # Imported here: they take a second, and most tests need none of them.
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        quiet = type("Quiet", (WSGIRequestHandler,), {"log": lambda *_arguments: None})
        self._application = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.bucket = ""
        self.failures = 0
        self.share_failing = 0.0
        self._chance = random.Random(503)
        self.wait_seconds = 0.0
        self.alters = False
        self.rotten: set[str] = set()  # paths of objects whose content has changed since they were stored
        self.requests: list[str] = []
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        self.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        if self.failures or self._chance.random() < self.share_failing:
            self.failures -= bool(self.failures)
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"]
        time.sleep(self.wait_seconds)
        if self.alters and environ["REQUEST_METHOD"] == "PUT":
            environ = {
                name: value for name, value in environ.items() if "CHECKSUM" not in name and "SHA256" not in name
            }
            length = int(environ["CONTENT_LENGTH"])
            environ["wsgi.input"] = BytesIO(b"x" * length)
            environ.pop("HTTP_CONTENT_ENCODING", None)
        rotten = {path for path in self.rotten if environ["PATH_INFO"].endswith(path)}
        if rotten and environ["REQUEST_METHOD"] == "GET":
            return self._rotten(environ, start)
        if environ["REQUEST_METHOD"] == "PUT":
            self.rotten -= rotten
        answer: Iterable[bytes] = self._application(environ, start)
        return answer

    def _rotten(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        """Answer as S3 does then: with the checksum of what was stored."""
        began: list[Any] = []
        body = b"".join(self._application(environ, lambda *arguments: began.extend(arguments)))
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        start(began[0], [*began[1], ("x-amz-checksum-sha256", checksum)])
        return [bytes([body[0] ^ 1]) + body[1:]]

    def use(self, settings: Settings, cache: Path, **options: Any) -> None:
        """Let the images of this test lie in a bucket of its own."""
        self.failures, self.wait_seconds, self.alters = 0, 0.0, False
        self.rotten.clear()
        self.bucket = f"images-{next(_numbers)}"
        client = self.client()
        client.create_bucket(Bucket=self.bucket)
        client.close()
        options = {
            "bucket_name": self.bucket,
            "location": "a/folder",
            "endpoint_url": self.url,
            "access_key": "tests",
            "secret_key": "tests",
            "region_name": "us-east-1",
            "tries": 2,
            **options,
        }
        backend = "generation.pictures.object_store.ObjectStore"
        settings.STORAGES = {**settings.STORAGES, "images": {"BACKEND": backend, "OPTIONS": options}}
        settings.IMAGE_CACHE_ROOT = cache
        self.requests.clear()

    def client(self) -> Any:
        """Return a client of the server."""
        import boto3
        from botocore.config import Config

        return boto3.client("s3", endpoint_url=self.url, config=Config(retries={"total_max_attempts": 1}), **KEYS)

    def variables(self, bucket: str) -> dict[str, str]:
        """Return the variables with which an installation of its own keeps its images in a bucket's folder."""
        keys = {name.upper(): value for name, value in KEYS.items() if name.startswith("aws_")}
        place = {"IMAGE_STORAGE": f"s3://{bucket}/folder", "AWS_ENDPOINT_URL_S3": self.url}
        return {**keys, **place, "AWS_DEFAULT_REGION": KEYS["region_name"]}

    def stored_keys(self) -> list[str]:
        """Return the keys of all objects, without the folder."""
        client = self.client()
        found = client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        client.close()
        return [str(one["Key"]).removeprefix("a/folder/") for one in found]

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def object_storage_server() -> Iterator[ObjectStorage]:
    """Start a server, and stop it at the end."""
    server = ObjectStorage()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[ObjectStorage]:
    """The server of all tests of this process."""
    with object_storage_server() as server:
        yield server


@pytest.fixture
def s3(s3_server: ObjectStorage, settings: Settings, tmp_path: Path) -> ObjectStorage:
    """The images of this test lie in an object storage."""
    s3_server.use(settings, tmp_path / "image-cache")
    return s3_server
