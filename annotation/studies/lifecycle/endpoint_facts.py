"""The endpoints that make a study's images: what they cost, and whether their images can be made again.

The facts come from the workers, through the database: no other process reads the file of endpoints.
"""

from annotation.models import Study, StudyEvent
from annotation.studies.comparisons import image_sets_of
from generation.endpoints.accounts import price_of_jobs
from generation.endpoints.definitions import MICROS
from generation.models import DiffusionModel, EndpointAccount, GeneratedImage, GenerationJob
from jobs.wording import listed


def endpoint_sentences(study: Study) -> list[str]:
    """Return one sentence for each model of the study whose images an endpoint makes."""
    models = [model for model in study.diffusion_models if model.endpoint]
    if not models:
        return []
    accounts = {one.name: one for one in EndpointAccount.objects.filter(name__in=[model.endpoint for model in models])}
    return [_sentence(model, accounts.get(model.endpoint)) for model in models]


def _sentence(model: DiffusionModel, account: EndpointAccount | None) -> str:
    if account is None:
        return f"{model}: no worker has an endpoint called {model.endpoint}."
    named = f" ({account.model})" if account.model else ""
    seeds = "" if account.is_seeded else " It takes no seeds, so its images are not reproducible."
    cost = ""
    if account.limit_micros is not None:
        spent, limit = account.cost_micros / MICROS, account.limit_micros / MICROS
        cost = f" For all studies it has cost {spent:.2f} of at most {limit:.2f} {account.currency}"
        cost += f", {account.price_micros / MICROS:g} for each image."
    return f"{model}: the endpoint {account.name}{named} makes its images.{seeds}{cost}"


def price_of_retrying(study: Study) -> str:
    """Return how many images the failed jobs may ask of endpoints, and the price; empty if they cost nothing."""
    jobs = GenerationJob.objects.filter(image_set__in=image_sets_of(study), state=GenerationJob.State.FAILED)
    return price_of_jobs(jobs)


def generated_detail(study: Study) -> dict[str, str]:
    """Return the models whose images cannot be made again, for the study's history; empty if there are none."""
    models = [model for model in study.diffusion_models if model.endpoint]
    if not models:
        return {}
    images = GeneratedImage.objects.filter(image_set__in=image_sets_of(study), provenance__is_reproducible=False)
    found = set(images.order_by().values_list("image_set__diffusion_model", flat=True).distinct())
    names = [str(model) for model in models if model.pk in found]
    return {StudyEvent.NOT_REPRODUCIBLE: listed(names)} if names else {}
