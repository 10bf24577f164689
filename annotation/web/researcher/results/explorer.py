"""The explorer, for researchers: a list of all comparisons of an unsealed study, and a page for each comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from annotation.models import Comparison, Study
from annotation.reports.data.metrics import metrics_of
from annotation.reports.explorer.detail import comparison_detail
from annotation.reports.explorer.listing import list_comparisons
from annotation.reports.explorer.orders import CHOICES, ORDERS, select_comparisons
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.studies.current import current_manifest
from annotation.studies.manifest import Manifest
from annotation.studies.sealing import is_sealed
from annotation.web.access.guard import researcher_page
from annotation.web.researcher.results.comparison_view import opened, side_names, thumbnails, votes_bar
from generation.models import GeneratedImage
from generation.pictures import renditions
from jobs.refusals import Refused
from scoring.statistics.inference.intervals import Resampling

PER_PAGE = 24
WHAT = "This page will list every comparison: both sets of images, their scores and votes, in an order that you choose."
Listed = tuple[ComparisonRow, ...]
SIDES = {"a": "image_set_a", "b": "image_set_b"}


@dataclass(frozen=True, slots=True)
class Search:
    """The query of the address: order, choice, words of the prompt, metric, and the keys of a pair of models."""

    by: str
    show: str
    words: str
    metric: str
    pair: str

    @classmethod
    def of(cls, request: HttpRequest) -> "Search":
        """Read the query. An unknown value becomes the default, so that a truncated address still works."""
        by, show = request.GET.get("by", ""), request.GET.get("show", "")
        return cls(
            by=by if by in ORDERS else "disagreement",
            show=show if show in CHOICES else "all",
            words=request.GET.get("words", "")[:200],
            metric=request.GET.get("metric", ""),
            pair=request.GET.get("pair", "")[:200],
        )

    def query(self, **more: Any) -> str:
        """Return the query of an address, without default values."""
        given = asdict(self) | more
        defaults = {"by": "disagreement", "show": "all"}
        kept = {name: value for name, value in given.items() if value and value != defaults.get(name)}
        return f"?{urlencode(kept)}" if kept else ""


@require_safe
@researcher_page
def explorer(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one page of the list; for a sealed study, a refusal."""
    study = get_object_or_404(Study, slug=slug)
    search, manifest = Search.of(request), current_manifest(study)
    try:
        seen = list_comparisons(study, manifest=manifest, metric=search.metric)
    except Refused as refused:
        return _refused(request, study, refused)
    rows, pairs = seen.rows, _pairs(manifest)
    listed = _listed(rows, search, pairs)
    page = Paginator(listed, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "study": study,
        "tab": "comparisons",
        "metric": seen.metric,
        "metrics": seen.metrics,
        "pairs": {key: " against ".join(names) for key, names in pairs.items()},
        "search": search,
        "query": search.query(),
        "orders": ORDERS,
        "choices": {
            name: (choice, sum(map(choice.is_chosen, rows)))
            for name, choice in CHOICES.items()
            if name != "divided" or len(seen.metrics) > 1
        },
        "order": ORDERS[search.by],
        "page": page,
        "pages": _pages(page, search),
        "total": len(rows),
        "cards": _cards(study, list(page.object_list), are_several=bool(pairs)),
        "are_several": bool(pairs),
    }
    return render(request, "web/researcher/explorer.html", context)


@require_safe
@researcher_page
def explored_comparison(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Show one comparison, with links to the comparisons before and after it in the list."""
    whole = Comparison.objects.select_related(
        "study", "prompt", "image_set_a__diffusion_model", "image_set_b__diffusion_model"
    )
    comparison = get_object_or_404(whole, study__slug=slug, position=number - 1)
    study = comparison.study
    search, manifest = Search.of(request), current_manifest(study)
    try:
        all_seen = list_comparisons(study, manifest=manifest, metric=search.metric)
    except Refused as refused:
        return _refused(request, study, refused)
    rows, metric = all_seen.rows, all_seen.metric
    plan = manifest.analysis
    resampling = Resampling(level=plan.level, resamples=plan.resamples, seed=plan.seed)
    row = next(row for row in rows if row.position == number)
    seen = comparison_detail(comparison, row, metric=metric, resampling=resampling)
    pairs = _pairs(manifest)
    listed = _listed(rows, search, pairs)
    by_seed = request.GET.get("images") == "seed"
    context = {
        "study": study,
        "tab": "comparisons",
        "metric": metric,
        "search": search,
        "query": search.query(),
        "seed_query": search.query(images="seed"),
        **_neighbours(listed, number),
        **opened(seen, slug=slug, metric=metric, by_seed=by_seed, are_several=bool(pairs)),
    }
    return render(request, "web/researcher/explored_comparison.html", context)


@require_safe
def explored_image(_request: HttpRequest, slug: str, number: int, side: str, seed: int, rendition: str) -> HttpResponse:
    """Serve an image of a comparison of an unsealed study. Browsers may cache it: an image never changes.

    404 if its file is missing or damaged.
    """
    study = get_object_or_404(Study, slug=slug)
    if is_sealed(study, manifest=current_manifest(study)) or side not in SIDES or rendition not in renditions.SIZES:
        raise Http404
    comparison = get_object_or_404(Comparison, study=study, position=number - 1)
    image = get_object_or_404(GeneratedImage, image_set=getattr(comparison, f"{SIDES[side]}_id"), seed=seed)
    try:
        response = HttpResponse(renditions.read(image, rendition), content_type="image/webp")
    except Refused as refusal:
        raise Http404(str(refusal)) from None
    response["Cache-Control"] = "private, max-age=86400"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _refused(request: HttpRequest, study: Study, refused: Refused) -> HttpResponse:
    metrics = () if is_sealed(study, manifest=current_manifest(study)) else metrics_of(study)
    context = {"study": study, "sentence": str(refused), "metrics": metrics, "page": "explorer"}
    context |= {"tab": "comparisons", "heading": "Comparisons", "what": WHAT}
    return render(request, "reports/refused.html", context, status=409)


def _pairs(manifest: Manifest) -> dict[str, tuple[str, str]]:
    """Return the names of the models of each pair by their keys; nothing in a study of two models."""
    if manifest.has_two_models:
        return {}
    names = {key: plan.name for key, plan in manifest.models.items()}
    return {f"{a},{b}": (names[a], names[b]) for a, b in manifest.compared_pairs}


def _listed(rows: Sequence[ComparisonRow], search: Search, pairs: Mapping[str, Sequence[str]]) -> Listed:
    """Return the comparisons of the list; an unknown pair leaves all."""
    models = pairs.get(search.pair, ())
    return select_comparisons(rows, by=search.by, show=search.show, words=search.words, models=models)


def _cards(study: Study, rows: list[ComparisonRow], *, are_several: bool) -> list[dict[str, Any]]:
    """Return what a page of the list shows of each comparison."""
    shown = thumbnails(study, [row.position for row in rows])
    return [
        {
            "row": row,
            "sets": shown.get(row.position),
            "bar": votes_bar(row),
            "names": side_names(row, are_several=are_several),
        }
        for row in rows
    ]


def _pages(page: Page[ComparisonRow], search: Search) -> dict[str, Any]:
    """Return the addresses of the pages around this one; a number None stands for omitted pages."""
    elided = page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1)
    numbers = [number if isinstance(number, int) else None for number in elided]
    return {
        "numbers": [{"number": number, "query": number and search.query(page=number)} for number in numbers],
        "previous": search.query(page=page.previous_page_number()) if page.has_previous() else "",
        "next": search.query(page=page.next_page_number()) if page.has_next() else "",
    }


def _neighbours(listed: tuple[ComparisonRow, ...], number: int) -> dict[str, Any]:
    """Return the comparisons before and after this one in the list; None for both if it is not in the list."""
    numbers = [row.position for row in listed]
    if number not in numbers:
        return {"rank": None, "before": None, "after": None, "listed": len(numbers)}
    index = numbers.index(number)
    return {
        "rank": index + 1,
        "before": numbers[index - 1] if index else None,
        "after": numbers[index + 1] if index + 1 < len(numbers) else None,
        "listed": len(numbers),
    }


urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/comparisons/", explorer, name="explorer"),
    path("studies/<slug:slug>/comparisons/<int:number>/", explored_comparison, name="explored-comparison"),
    path(
        "studies/<slug:slug>/comparisons/<int:number>/<str:side>/<int:seed>-<slug:rendition>.webp",
        explored_image,
        name="explored-image",
    ),
]
