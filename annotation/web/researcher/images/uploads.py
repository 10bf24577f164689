"""The page of a study's uploads: images, votes and scores from the browser, and their results."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST, require_safe
from pydantic import ValidationError

from annotation.models import Study, Upload
from annotation.studies.uploads.receiving import Place, delete_upload, finish, take_piece
from annotation.web.access.guard import researcher_page
from annotation.web.problems import error_response
from annotation.web.upload_documents import UploadIn, begun, upload_of, upload_out
from jobs.refusals import Refused

MOST_SHOWN = 50


@require_safe
@researcher_page
def uploads(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what may be uploaded, and the earlier uploads."""
    study = get_object_or_404(Study.objects.prefetch_related("study_models__diffusion_model"), slug=slug)
    takes_images = study.source == Study.Source.IMAGES and study.state in Study.BEFORE_READY
    context = {
        "study": study,
        "tab": "uploads",
        "takes_images": takes_images,
        "models": [model.name for model in study.diffusion_models],
        "uploads": _shown(study),
    }
    return render(request, "web/researcher/uploads.html", context)


def _shown(study: Study) -> list[dict[str, Any]]:
    rows = Upload.objects.filter(study=study).select_related("job")[:MOST_SHOWN]
    return [upload_out(one).model_dump(mode="json") for one in rows]


@require_safe
@researcher_page
def upload_states(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the page while an import runs: its list of uploads as HTML."""
    study = get_object_or_404(Study, slug=slug)
    return render(request, "web/researcher/upload_list.html", {"study": study, "uploads": _shown(study)})


def _answers(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """Answer the page's script: a refusal as a problem document, by its sentence."""

    @require_POST
    @researcher_page
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Refused as refusal:
            return error_response(request, 409, str(refusal))
        except Http404 as missing:
            return error_response(request, 404, str(missing))

    return wrapper


@_answers
def begin_upload(request: HttpRequest, slug: str) -> HttpResponse:
    """Begin an upload, or continue one of the same files."""
    try:
        body = UploadIn.model_validate_json(request.body)
    except ValidationError as invalid:
        fault = invalid.errors()[0]
        return error_response(request, 422, f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}")
    upload = begun(get_object_or_404(Study, slug=slug), cast(User, request.user), body)
    return JsonResponse(upload.model_dump(mode="json"), status=201)


@_answers
def send_piece(request: HttpRequest, slug: str, upload_id: int, file: int, piece: int) -> HttpResponse:
    """Store a piece: the body of the request."""
    sha256 = request.headers.get("X-Piece-SHA256", "")
    take_piece(upload=upload_of(slug, upload_id), place=Place(file, piece), sha256=sha256, content=request)
    return HttpResponse(status=204)


@_answers
def import_upload(request: HttpRequest, slug: str, upload_id: int) -> HttpResponse:
    """Hand the upload over to its import, or try a failed import again."""
    finish(upload=upload_of(slug, upload_id), actor=cast(User, request.user))
    return JsonResponse(upload_out(upload_of(slug, upload_id)).model_dump(mode="json"), status=202)


@_answers
def remove_upload(request: HttpRequest, slug: str, upload_id: int) -> HttpResponse:
    """Delete an upload with its files."""
    delete_upload(upload=upload_of(slug, upload_id), actor=cast(User, request.user))
    return HttpResponse(status=204)


_ONE = "studies/<slug:slug>/uploads/<int:upload_id>"
urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/uploads/", uploads, name="uploads"),
    path("studies/<slug:slug>/uploads/states", upload_states, name="upload-states"),
    path("studies/<slug:slug>/uploads/begin", begin_upload, name="begin-upload"),
    path(f"{_ONE}/pieces/<int:file>/<int:piece>", send_piece, name="send-piece"),
    path(f"{_ONE}/import", import_upload, name="import-upload"),
    path(f"{_ONE}/delete", remove_upload, name="delete-upload"),
]
