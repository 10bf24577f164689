"""The adapter for ComfyUI: queue the admin's workflow with the request in its placeholders, wait, fetch the image."""

import hashlib
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from generation.endpoints import replies
from generation.endpoints.definitions import Endpoint
from generation.endpoints.exchanges import Bounds, exchange
from generation.endpoints.http_adapters import BESIDE_THE_IMAGE, key_headers, owner_of
from generation.endpoints.outcomes import Answer, ImageRequest, TemporaryFailure
from generation.tables.foreign_values import plain_text
from jobs.refusals import Refused

POLL_SECONDS = 0.5
MOST_WORKFLOW_BYTES = 2**22
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
KNOWN = frozenset(
    ("prompt", "seed", "width", "height", "num_inference_steps", "guidance_scale", "negative_prompt", "scheduler")
)


def ask_comfyui(endpoint: Endpoint, request: ImageRequest, *, image_bytes: int) -> Answer:
    """Queue the workflow (POST /prompt), ask for its end (GET /history/ID), and fetch its image (GET /view)."""
    workflow, digest = filled_workflow(endpoint, request)
    deadline = time.monotonic() + endpoint.seconds
    bounds = Bounds(endpoint.seconds, BESIDE_THE_IMAGE, endpoint.private_addresses)
    queued = _json(endpoint, "POST", "/prompt", bounds, {"prompt": workflow})
    prompt_id = queued.get("prompt_id")
    if not isinstance(prompt_id, str) or not prompt_id:
        raise TemporaryFailure(f"{owner_of(endpoint)} did not queue the workflow")
    while not (outputs := _outputs(endpoint, prompt_id, bounds)):
        if time.monotonic() > deadline:
            raise TemporaryFailure(f"{owner_of(endpoint)} did not finish the workflow within {endpoint.seconds:g} s")
        time.sleep(POLL_SECONDS)
    query = urlencode({name: str(outputs.get(name, "")) for name in ("filename", "subfolder", "type")})
    fetch = Bounds(endpoint.seconds, image_bytes, endpoint.private_addresses)
    url = f"{endpoint.url.rstrip('/')}/view?{query}"
    reply = exchange("GET", url, bounds=fetch, owner=owner_of(endpoint), headers=key_headers(endpoint))
    replies.check(reply, owner=owner_of(endpoint))
    return Answer(reply.body, reported={"workflow_sha256": digest})


def filled_workflow(endpoint: Endpoint, request: ImageRequest) -> tuple[dict[str, Any], str]:
    """Return the admin's workflow with its placeholders filled, and the hash of its file.

    The values are put into the parsed JSON, so that no prompt can change the workflow.
    """
    owner, path = owner_of(endpoint), endpoint.workflow or Path()
    try:
        with path.open("rb") as file:
            data = file.read(MOST_WORKFLOW_BYTES)
        workflow = json.loads(data)
    except (OSError, ValueError, RecursionError):
        raise Refused(f"{owner}: its workflow cannot be read, or is not JSON.") from None
    if not isinstance(workflow, dict) or "nodes" in workflow:
        raise Refused(f"{owner}: its workflow is not in the API format; export it with 'Export (API)'.")
    values = {**endpoint.extra, **request.parameters, "prompt": request.prompt}
    if request.seed is not None:
        values["seed"] = request.seed
    used = set(PLACEHOLDER.findall(json.dumps(workflow))) & (KNOWN | endpoint.extra.keys())
    if absent := sorted(used - values.keys()):
        raise Refused(f"{owner}: its workflow holds {{{absent[0]}}}, but parameters or seeds do not allow it.")
    for name in ("prompt", *(["seed"] if endpoint.seeds else [])):
        if name not in used:
            raise Refused(f"{owner}: its workflow holds no {{{name}}}, so all images would be the same.")
    filled: dict[str, Any] = _filled(workflow, {name: values[name] for name in used})
    return filled, hashlib.sha256(data).hexdigest()


def _filled(node: Any, values: dict[str, Any]) -> Any:
    """Return the JSON with its placeholders replaced. If one is the whole text, the value keeps its type."""
    if isinstance(node, dict):
        return {key: _filled(item, values) for key, item in node.items()}
    if isinstance(node, list):
        return [_filled(item, values) for item in node]
    if not isinstance(node, str):
        return node
    whole = PLACEHOLDER.fullmatch(node)
    if whole and whole[1] in values:
        return values[whole[1]]
    return PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), node)


def _outputs(endpoint: Endpoint, prompt_id: str, bounds: Bounds) -> dict[str, Any]:
    """Return where the first image of a finished workflow is; empty while it runs. Raises Refused if it failed."""
    entry = _json(endpoint, "GET", f"/history/{quote(prompt_id, safe='')}", bounds).get(prompt_id)
    if not isinstance(entry, dict):
        return {}
    status = entry.get("status")
    status = status if isinstance(status, dict) else {}
    if status.get("status_str") == "error":
        raise Refused(f"{owner_of(endpoint)}: the workflow failed. It says: {_why(status)}")
    outputs = entry.get("outputs")
    nodes = outputs.values() if isinstance(outputs, dict) else ()
    lists = (node.get("images") for node in nodes if isinstance(node, dict))
    images = [image for found in lists if isinstance(found, list) for image in found if isinstance(image, dict)]
    # Previews are temporary; what the workflow saves is meant.
    images.sort(key=lambda image: image.get("type") != "output")
    if not images and status.get("completed"):
        raise TemporaryFailure(f"{owner_of(endpoint)} finished the workflow without an image")
    return images[0] if images else {}


def _why(status: dict[str, Any]) -> str:
    messages = status.get("messages")
    pairs = [one for one in messages if isinstance(one, list)] if isinstance(messages, list) else []
    details = [pair[1] for pair in pairs if len(pair) == 2 and isinstance(pair[1], dict)]
    texts = [plain_text(detail.get("exception_message"), 300) for detail in details]
    return next((text for text in texts if text), "nothing")


def _json(endpoint: Endpoint, method: str, path: str, bounds: Bounds, sent: Any = None) -> dict[str, Any]:
    owner, url = owner_of(endpoint), endpoint.url.rstrip("/") + path
    reply = exchange(method, url, bounds=bounds, owner=owner, headers=key_headers(endpoint), sent=sent)
    replies.check(reply, owner=owner)
    return reply.document()
