"""The endpoints that the admin defines in one TOML file on the worker. Nothing else may hold an address or a command.

docs/endpoints.md documents each key.
"""

import json
import os
import tomllib
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from generation.endpoints import ENDPOINT_NAME
from jobs.refusals import Refused

MOST_FILE_BYTES = 2**20
MICROS = 1_000_000  # costs are counted in millionths, because floats do not add up
Adapter = Literal["semblance", "images-api", "comfyui", "command"]
Host = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=253)]


class Endpoint(BaseModel):
    """One endpoint, as the admin wrote it. `parameters` are those that it understands; no others are sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=ENDPOINT_NAME, max_length=100)
    adapter: Adapter
    url: str = ""
    command: tuple[str, ...] = ()
    workflow: Path | None = None
    model: str = Field(default="", max_length=200)
    parameters: tuple[
        Literal["width", "height", "num_inference_steps", "guidance_scale", "negative_prompt", "scheduler"], ...
    ] = ()
    extra: dict[str, Any] = {}
    seeds: bool = False
    key_environment: str = ""
    key_file: Path | None = None
    key_header: str = Field(default="Authorization", pattern=r"^[A-Za-z0-9-]+$")
    environment: tuple[str, ...] = ()
    private_addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    image_hosts: tuple[Host, ...] = ()
    parallel: int = Field(default=1, ge=1, le=64)
    requests_per_minute: float | None = Field(default=None, ge=0.001, le=60_000)
    seconds: float = Field(default=120, gt=0, le=1200)
    resize: bool = False
    cost_per_image: float = Field(default=0, ge=0, le=10_000)
    cost_limit: float | None = Field(default=None, ge=0, le=10_000_000)
    currency: str = Field(default="USD", max_length=10)

    @field_validator("command")
    @classmethod
    def _can_be_run(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if any("\0" in part for part in command):
            raise ValueError("no program or argument can hold the character NUL")
        return command

    @field_validator("extra")
    @classmethod
    def _can_be_sent(cls, extra: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(extra, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError("JSON cannot say what it holds: write a date as a text, and neither inf nor nan") from None
        return extra

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.adapter == "command":
            if not self.command:
                raise ValueError('command is missing: the program and its arguments, as a list like ["/opt/paint"]')
            if not Path(self.command[0]).is_absolute():
                raise ValueError("command must begin with the absolute path of a program")
        else:
            _check_url(self.url)
        if (self.adapter == "comfyui") != (self.workflow is not None):
            raise ValueError("workflow, the file of a workflow in the API format, belongs to the adapter comfyui alone")
        if self.adapter == "images-api" and not self.model:
            raise ValueError("model is missing: the images API needs the name of a model")
        if self.key_environment and self.key_file:
            raise ValueError("key_environment and key_file are two places of one key; give one of them")
        if self.cost_limit is None and self.cost_per_image:
            raise ValueError("cost_limit is missing: an endpoint that costs money needs the most that it may cost")
        return self

    def key(self) -> str:
        """Return the key; empty if the endpoint needs none. Raises Refused if it is not where the file says."""
        if self.key_environment:
            key = os.environ.get(self.key_environment, "").strip()
            if not key:
                raise Refused(f"The endpoint {self.name} has no key: the worker's {self.key_environment} is empty.")
        elif self.key_file:
            try:
                key = self.key_file.read_text().strip()
            except (OSError, ValueError):
                raise Refused(f"The endpoint {self.name} has no key: its key_file cannot be read.") from None
        else:
            return ""
        if not key.isascii() or not key.isprintable():
            raise Refused(f"The key of the endpoint {self.name} holds characters that no header may hold.")
        return key

    @property
    def cost_micros(self) -> int:
        """The cost of an image in millionths of the currency."""
        return round(self.cost_per_image * MICROS)

    @property
    def limit_micros(self) -> int | None:
        """The most that all images may cost, in millionths; None without a limit."""
        return None if self.cost_limit is None else round(self.cost_limit * MICROS)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("url must be a whole address that begins with https:// or http://")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("url must hold no user, password or fragment; a key has key_environment or key_file")


def read_definitions(path: Path) -> dict[str, Endpoint]:
    """Return the endpoints of a file, by name. Raises Refused, with file, endpoint and key, for a faulty file."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_FILE_BYTES)
        tables = tomllib.loads(data.decode())
    except OSError as error:
        raise Refused(f"The file of endpoints {path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path} is not TOML: {error}.") from None
    return {name: _endpoint(path, name, table) for name, table in tables.items()}


def _endpoint(path: Path, name: str, table: Any) -> Endpoint:
    if not isinstance(table, dict) or "name" in table:
        raise Refused(f"{path}: {name} must be a table like [{name}], and its name is that of the table.")
    try:
        return Endpoint.model_validate({**table, "name": name})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        raise Refused(f"{path}: [{name}] {key + ': ' if key else ''}{reason}.") from None
