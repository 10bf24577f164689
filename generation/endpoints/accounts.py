"""Count what is asked of an endpoint, keep its rate and its cost limit, over all workers: the database holds both."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, QuerySet

from generation.endpoints.definitions import MICROS, Endpoint, read_definitions
from generation.models import EndpointAccount, GenerationJob
from jobs import clock
from jobs.refusals import Refused
from jobs.wording import counted


def endpoint_called(name: str) -> Endpoint:
    """Return an endpoint of this machine's file. Raises Refused if there is no file, or none of that name in it."""
    if not settings.ENDPOINTS_FILE:
        raise Refused(f"The endpoint {name} cannot be asked from here: ENDPOINTS_FILE is not set on this machine.")
    endpoints = own_definitions()
    if name not in endpoints:
        known = ", ".join(sorted(endpoints)) or "none"
        raise Refused(f"The file of endpoints (ENDPOINTS_FILE) names none called {name}; it names {known}.")
    return endpoints[name]


def own_definitions() -> dict[str, Endpoint]:
    """Return the endpoints of this worker's file; none without a file. Read anew each time: the admin may change it."""
    return read_definitions(Path(settings.ENDPOINTS_FILE)) if settings.ENDPOINTS_FILE else {}


def make_known(endpoint: Endpoint) -> EndpointAccount:
    """Store what others may know of an endpoint, and return its account. The counts stay."""
    facts = {
        "adapter": endpoint.adapter,
        "is_seeded": endpoint.seeds,
        "currency": endpoint.currency,
        "limit_micros": endpoint.limit_micros,
        "price_micros": endpoint.cost_micros,
    }
    account, _ = EndpointAccount.objects.update_or_create(
        name=endpoint.name, defaults=facts, create_defaults={**facts, "model": endpoint.model}
    )
    return account


def make_all_known() -> list[str]:
    """Store what others may know of this worker's endpoints, and return their names."""
    return [make_known(endpoint).name for endpoint in own_definitions().values()]


def check_is_known(name: str) -> None:
    """Raise Refused if a study names an endpoint that no worker has had in its file."""
    if not name or EndpointAccount.objects.filter(name=name).exists():
        return
    known = ", ".join(EndpointAccount.objects.values_list("name", flat=True))
    names = f"known are {known}" if known else "none is known yet"
    raise Refused(
        f"No worker has an endpoint called {name}; {names}. The admin defines it in ENDPOINTS_FILE and starts "
        "a worker of the queue endpoints."
    )


@transaction.atomic
def reserve(endpoint: Endpoint, *, longest_wait: float) -> float:
    """Count a request and its cost before it is sent. Return the seconds to wait until it may be sent.

    Nothing is counted if they are more than `longest_wait`: a moment that nobody uses would move all later ones.
    Raises Refused if the cost limit would be passed.
    """
    rows = EndpointAccount.objects.filter(name=endpoint.name)
    # The row stays locked, so that no other worker takes the same moment.
    account, now = rows.select_for_update().get(), _now(endpoint.name)
    sent_at = max(now, account.next_at or now)
    seconds = (sent_at - now).total_seconds()
    if seconds > longest_wait:
        return seconds
    cost, limit = endpoint.cost_micros, endpoint.limit_micros
    has_room = Q() if limit is None or not cost else Q(cost_micros__lte=limit - cost)
    if not rows.filter(has_room).update(request_count=F("request_count") + 1, cost_micros=F("cost_micros") + cost):
        spent = account.cost_micros / MICROS
        raise Refused(
            f"The endpoint {endpoint.name} has cost {spent:.2f} {endpoint.currency} and reaches its limit of "
            f"{endpoint.cost_limit:g}; raise cost_limit in the worker's file of endpoints, then retry the failed jobs."
        )
    if endpoint.requests_per_minute:
        rows.update(next_at=sent_at + timedelta(minutes=1 / endpoint.requests_per_minute))
    return seconds


def give_back(endpoint: Endpoint) -> None:
    """Take back the cost of a request that made no image, and for which nothing is paid."""
    rows = EndpointAccount.objects.filter(name=endpoint.name, cost_micros__gte=endpoint.cost_micros)
    rows.update(cost_micros=F("cost_micros") - endpoint.cost_micros)


def hold_off(endpoint: Endpoint, seconds: float) -> None:
    """Let no worker ask the endpoint for that long."""
    later = _now(endpoint.name) + timedelta(seconds=seconds)
    is_later = Q(next_at__isnull=True) | Q(next_at__lt=later)
    EndpointAccount.objects.filter(is_later, name=endpoint.name).update(next_at=later)


def note_model(endpoint: Endpoint, model: str) -> None:
    """Store the model that the endpoint says it is."""
    EndpointAccount.objects.filter(name=endpoint.name).exclude(model=model[:200]).update(model=model[:200])


def note_error(endpoint: Endpoint, sentence: str) -> None:
    """Store why the latest failed request failed, for the admin."""
    EndpointAccount.objects.filter(name=endpoint.name).update(last_error=sentence, last_error_at=clock.now())


def price_of(name: str, image_count: int) -> str:
    """Return what images of an endpoint cost, in words; empty if they cost nothing or it is not known."""
    account = EndpointAccount.objects.filter(name=name).first()
    if account is None or not account.price_micros:
        return ""
    return f"{image_count * account.price_micros / MICROS:.2f} {account.currency}"


def price_of_jobs(jobs: QuerySet[GenerationJob]) -> str:
    """Return how many images the jobs may ask of endpoints, and the price; empty if they cost nothing.

    An image whose file is lost is asked for again, so all seeds of a job count.
    """
    counts: Counter[str] = Counter()
    rows = jobs.order_by().values_list("image_set__diffusion_model__endpoint", "seeds")
    for name, seeds in rows.exclude(image_set__diffusion_model__endpoint=""):
        counts[name] += len(seeds)
    return " ".join(
        f"At most {counted(count, 'image')} will be asked of the endpoint {name}, which may cost {price}."
        for name, count in sorted(counts.items())
        if (price := price_of(name, count))
    )


def _now(name: str) -> datetime:
    """Return the database's time, by which all workers keep the rate."""
    now = ExpressionWrapper(clock.now(), output_field=DateTimeField())
    moment: datetime = EndpointAccount.objects.filter(name=name).annotate(now=now).values_list("now", flat=True).get()
    return moment
