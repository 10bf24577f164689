"""The API's operations on pilots: make one, and read what it says."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from annotation.models import ReportJob
from annotation.reports.formats.document import as_document
from annotation.reports.pilot.current import requested_result
from annotation.reports.pilot.words import answer as answer_of
from annotation.reports.pilot.words import assumptions
from annotation.studies.pilot.making import make_pilot
from annotation.studies.warnings.image_warnings import image_warnings
from annotation.web.api import study_schemas as schemas
from annotation.web.api.collecting import state_out
from annotation.web.api.pages import answer, gives
from annotation.web.api.repeating import repeatable
from annotation.web.api.studies import account_of, detail_out, study_called

router = Router(tags=["pilots"])


@router.post(
    "/studies/{slug}/pilots", response=gives(schemas.StudyDetailOut, 201), operation_id="make_pilot", url_name="pilots"
)
@repeatable
def make(request: HttpRequest, slug: str, body: schemas.PilotIn) -> HttpResponse:
    """Make a pilot of a draft or ready study, as a draft. Its prompts are drawn, and leave the study."""
    study = study_called(slug)
    pilot = make_pilot(study=study, prompts=body.prompts, overlap=body.overlap, actor=account_of(request))
    return answer(detail_out(request, pilot, image_warnings(pilot)), status=201)


@router.get(
    "/studies/{slug}/pilot",
    response=gives(schemas.ReportStateOut, 202) | gives(schemas.PilotResultOut),
    operation_id="get_pilot_result",
    url_name="pilot",
)
def get_result(
    request: HttpRequest, slug: str, agreement: float | None = None, baseline: float | None = None
) -> HttpResponse:
    """What a pilot says: its pace at any time; once it is closed, reliability and the sample size that follows.

    `agreement` and `baseline` are what the size assumes about the metric and about always naming one model.
    """
    result = requested_result(study_called(slug), agreement=agreement, baseline=baseline)
    if isinstance(result, ReportJob):
        return answer(state_out(result), status=202)
    sentences = [answer_of(result), *(assumptions(result) if result.plans else ())]
    return answer(schemas.PilotResultOut(sentences=sentences, result=as_document(result)))
