"""Try an endpoint: ask it for one image, which is not stored, and say what all images would take and cost."""

import time

from generation.endpoints import accounts
from generation.endpoints.adapters import ask, check_parameters, parameters_for
from generation.endpoints.definitions import Endpoint
from generation.endpoints.outcomes import ImageRequest, Moderated, TemporaryFailure
from generation.pictures.files import limits
from generation.plans.orders import Order
from jobs.refusals import Refused
from jobs.wording import duration

SEED = 1
LONGEST_WAIT = 60.0  # seconds until the endpoint's rate allows the request


def try_endpoint(order: Order, *, image_count: int) -> str:
    """Ask the endpoint of the order's model for one image, and return in words what `image_count` images take and cost.

    The request and its cost are counted. Raises Refused if the endpoint is not in this machine's file, is away, or
    refuses the request, the key or the content.
    """
    endpoint = accounts.endpoint_called(order.diffusion_model.endpoint)
    accounts.make_known(endpoint)
    check_parameters(endpoint, order.parameters, owner=str(order.diffusion_model))
    wait = accounts.reserve(endpoint, longest_wait=LONGEST_WAIT)
    if wait > LONGEST_WAIT:
        raise Refused(f"The endpoint {endpoint.name} takes no more requests for {wait:.0f} s.")
    time.sleep(wait)
    began = time.monotonic()
    model = _asked(endpoint, order)
    return _in_words(order, endpoint, model, seconds=time.monotonic() - began, image_count=image_count)


def _asked(endpoint: Endpoint, order: Order) -> str:
    """Ask once, and return the model as the endpoint names it."""
    parameters = order.parameters
    request = ImageRequest(order.prompt, SEED if endpoint.seeds else None, parameters_for(endpoint, parameters))
    try:
        made = ask(endpoint, request, size=(parameters.width, parameters.height), limits=limits())
    except Moderated as refusal:
        accounts.give_back(endpoint)
        raise Refused(f"The endpoint {endpoint.name} refused the first prompt for its content ({refusal}).") from None
    except TemporaryFailure as fault:
        if fault.was_refused:
            accounts.give_back(endpoint)
        raise Refused(f"{fault}. Try again later.") from None
    return made.answer.model or endpoint.model


def _in_words(order: Order, endpoint: Endpoint, model: str, *, seconds: float, image_count: int) -> str:
    between = 60 / endpoint.requests_per_minute if endpoint.requests_per_minute else 0.0
    in_all = image_count * max(seconds / endpoint.parallel, between)
    named = f" ({model})" if model else ""
    price = endpoint.cost_per_image
    cost = f" and cost {image_count * price:.2f} {endpoint.currency}" if price else ""
    seeds = "" if endpoint.seeds else " It takes no seeds, so its images are not reproducible."
    return (
        f"{order.diffusion_model.name} was tried: the endpoint {endpoint.name}{named} made one image of "
        f"{order.parameters.width} x {order.parameters.height} px in {seconds:.1f} s; at this rate {image_count} "
        f"images take {duration(in_all)}{cost}.{seeds}"
    )
