"""The API's operations on uploads: images, votes and scores that come in pieces."""

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from annotation.models import Upload
from annotation.studies.uploads.receiving import Place, delete_upload, finish, take_piece
from annotation.web.api.pages import account_of, answer, gives, next_page, page_of, study_called
from annotation.web.api.study_schemas import PageOut
from annotation.web.upload_documents import UploadIn, UploadOut, begun, upload_of, upload_out

router = Router(tags=["uploads"])
PIECE = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


class UploadsOut(PageOut):
    """A page of uploads, the newest first."""

    items: list[UploadOut]


@router.get(
    "/studies/{slug}/uploads",
    response=gives(UploadsOut),
    operation_id="list_uploads",
    url_name="uploads",
)
def list_uploads(request: HttpRequest, slug: str, limit: int = 50, offset: int = 0) -> HttpResponse:
    """List the uploads of the study, the newest first."""
    rows = Upload.objects.filter(study=study_called(slug)).select_related("job")
    page, count = page_of(rows, limit, offset), rows.count()
    following = next_page(request, limit, offset, count)
    return answer(UploadsOut(count=count, next=following, items=[upload_out(one) for one in page]))


@router.post(
    "/studies/{slug}/uploads",
    response=gives(UploadOut, 201),
    operation_id="begin_upload",
    url_name="uploads",
)
def begin_upload(request: HttpRequest, slug: str, body: UploadIn) -> HttpResponse:
    """Begin an upload, or continue one of the same files: `missing` is the first piece to send."""
    return answer(begun(study_called(slug), account_of(request), body), status=201)


@router.get(
    "/studies/{slug}/uploads/{upload_id}",
    response=gives(UploadOut),
    operation_id="get_upload",
    url_name="upload",
)
def get_upload(request: HttpRequest, slug: str, upload_id: int) -> HttpResponse:
    """Return the progress of an upload or of its import."""
    return answer(upload_out(upload_of(slug, upload_id)))


@router.delete(
    "/studies/{slug}/uploads/{upload_id}",
    response=gives(None, 204),
    operation_id="delete_upload",
    url_name="upload",
)
def delete(request: HttpRequest, slug: str, upload_id: int) -> Status[None]:
    """Delete an upload and its files. What was imported from it stays."""
    delete_upload(upload=upload_of(slug, upload_id), actor=account_of(request))
    return Status(204, None)


@router.post(
    "/studies/{slug}/uploads/{upload_id}/pieces",
    response=gives(None, 204),
    operation_id="send_piece",
    url_name="upload-pieces",
    openapi_extra={"requestBody": {"content": PIECE, "required": True}},
)
def send_piece(
    request: HttpRequest,
    slug: str,
    upload_id: int,
    file: int,
    piece: int,
    sha256: str = Query(pattern="^[0-9a-fA-F]{64}$"),  # type: ignore[type-arg]
) -> Status[None]:
    """Send one piece of a file as the body. Sending it again changes nothing.

    A piece is `piece_bytes` long, the last one of a file as long as the rest. file, piece: counted from 0. sha256: the
    hash of the piece.
    """
    take_piece(upload=upload_of(slug, upload_id), place=Place(file, piece), sha256=sha256, content=request)
    return Status(204, None)


@router.post(
    "/studies/{slug}/uploads/{upload_id}/import",
    response=gives(UploadOut, 202),
    operation_id="import_upload",
    url_name="upload-import",
)
def import_upload(request: HttpRequest, slug: str, upload_id: int) -> HttpResponse:
    """Import an upload whose pieces have all arrived, or try a failed import again if its files are still there.

    A worker imports it: ask for the upload until its state is done or failed.
    """
    upload = upload_of(slug, upload_id)
    finish(upload=upload, actor=account_of(request))
    return answer(upload_out(upload_of(slug, upload_id)), status=202)
