"""The API's operations on the personal data of a study: the record of it, and its erasure after the closing."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from annotation.reports.report_jobs.retention import erase_personal_data
from annotation.studies.people.data_record import data_record
from annotation.web.api import study_schemas as schemas
from annotation.web.api.pages import answer, gives
from annotation.web.api.studies import account_of, study_called

router = Router(tags=["people and results"])


@router.get(
    "/studies/{slug}/personal-data",
    response=gives(schemas.DataRecordOut),
    operation_id="get_personal_data_record",
    url_name="personal-data",
)
def get_record(request: HttpRequest, slug: str) -> HttpResponse:
    """What is stored about people, why, for how long, and who may see it: names of fields, and no values."""
    return answer(schemas.DataRecordOut(**data_record(study_called(slug)).as_document()))


@router.delete(
    "/studies/{slug}/personal-data",
    response=gives(schemas.DataRecordOut),
    operation_id="erase_personal_data",
    url_name="personal-data",
)
def erase(request: HttpRequest, slug: str) -> HttpResponse:
    """Erase the personal data of a closed study's annotators; votes stay under pseudonyms. It cannot be undone."""
    study = study_called(slug)
    erase_personal_data(study=study, actor=account_of(request))
    return answer(schemas.DataRecordOut(**data_record(study).as_document()))
