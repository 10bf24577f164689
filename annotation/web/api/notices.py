"""The API's operations on the notices of an account."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from annotation.studies.notices.reading import mark_read, notices_for
from annotation.web.api import study_schemas as schemas
from annotation.web.api.pages import account_of, answer, gives, next_page, page_of

router = Router(tags=["notices"])


@router.get("/notices", response=gives(schemas.NoticesOut), operation_id="list_notices", url_name="notices")
def list_notices(request: HttpRequest, limit: int = 50, offset: int = 0, unread: bool = False) -> HttpResponse:
    """List the notices of the account, the latest first; `unread`: only those that it has not read."""
    rows = notices_for(account_of(request), is_unread=unread)
    page, count = page_of(rows, limit, offset), rows.count()
    items = [
        schemas.NoticeOut(
            study=one.notice.study.slug,
            kind=one.notice.kind,
            words=one.notice.words,
            began_at=one.notice.began_at,
            ended_at=one.notice.ended_at,
            is_read=one.read_at is not None,
        )
        for one in page
    ]
    return answer(schemas.NoticesOut(count=count, next=next_page(request, limit, offset, count), items=items))


@router.post("/notices/read", response=gives(schemas.ReadOut), operation_id="read_notices", url_name="notices-read")
def read_notices(request: HttpRequest) -> HttpResponse:
    """Mark every notice of the account as read."""
    return answer(schemas.ReadOut(read=mark_read(account_of(request))))
