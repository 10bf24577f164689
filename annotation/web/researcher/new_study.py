"""The page on which a study is made: a form and the study file in step, faults beside both, and what it costs."""

import re
import tomllib
from dataclasses import dataclass, field
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_POST

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.manifest import Manifest
from annotation.studies.planning.costs import EXPECTED_AGREEMENT, Costs, costs_of
from annotation.studies.sharing import Role, visible_studies
from annotation.studies.study_file.drafting import FIELDS, MODEL_KEYS, STARTS, values_in, with_values
from annotation.studies.study_file.reading import StudyFault, StudyFileFault, warnings_in
from annotation.studies.study_file.registered import names_for_files, parse_by_names, registered_models
from annotation.studies.study_file.writing import write_study_file
from annotation.web.access.guard import researcher_page
from jobs.refusals import Refused
from jobs.wording import counted

LONGEST_FILE = 2_000_000
MOST_FAULTS = 50
USUAL_PAY, MOST_PAY = "12 €", 10_000.0
# A number with the currency before or after it, as "12 €", "$ 12.50" or "12".
PAY = re.compile(r"\s*(?P<before>[^\d\s.,]{0,5})\s*(?P<number>\d{1,9}([.,]\d{1,2})?)\s*(?P<after>[^\d\s.,]{0,5})\s*")
NEXT = {
    Study.Source.GENERATED: "It is a draft: launch it when you are ready.",
    Study.Source.IMAGES: "It is a draft: upload its images here, then launch it.",
    Study.Source.EXTERNAL: "Upload its votes and scores here.",
}


@dataclass(slots=True)
class Draft:
    """The study file on the page, what its form shows, its faults, and its costs once it has none."""

    text: str
    values: dict[str, str] = field(default_factory=dict)
    faults: list[StudyFault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    manifest: Manifest | None = None

    @classmethod
    def of(cls, text: str, account: User) -> "Draft":
        """Read the file as it would be created."""
        draft = cls(text)
        try:
            draft.values = values_in(text)
            draft.manifest = parse_by_names(text, account=account)
        except StudyFileFault as fault:
            draft.faults = fault.faults[:MOST_FAULTS]
        except (tomllib.TOMLDecodeError, RecursionError, ValueError):
            draft.faults = _not_toml(text, account)
        else:
            draft.warnings = list(map(str, warnings_in(text, None, draft.manifest)))
        return draft

    @property
    def prompt_count(self) -> int:
        """The number of prompts that the form shows."""
        return len(self.values.get("prompts", "").splitlines())

    def faults_of_fields(self) -> dict[str, str]:
        """Return the first fault of each field of the form, as a sentence; one of an item belongs to its list."""
        names = {".".join(key): name for name, (key, _kind) in FIELDS.items()} | {"slug": "name"}
        found: dict[str, str] = {}
        for fault in self.faults:
            key = fault.key.partition("[")[0]
            name = names.get(key) or ("prompts" if key == "prompts" else "")
            if name:
                found.setdefault(name, f"It {fault.sentence}" if fault.sentence[:1].islower() else fault.sentence)
        return found


def _not_toml(text: str, account: User) -> list[StudyFault]:
    try:
        parse_by_names(text, account=account)
    except StudyFileFault as fault:
        return fault.faults
    return []


@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def new_study(request: HttpRequest) -> HttpResponse:
    """Show the page with a template or an earlier study; by POST, create the study or show what is wrong."""
    account = cast(User, request.user)
    if request.method != "POST":
        draft = Draft.of(_first_text(request, account), account)
        draft.faults = []  # an empty template is no mistake of its reader; each change shows what is still wrong
        return _page(request, draft)
    draft = Draft.of(_sent_text(request), account)
    if draft.manifest is None or "create" not in request.POST:
        return _page(request, draft, status=400 if "create" in request.POST else 200)
    try:
        study = create_study(manifest=draft.manifest, actor=account)
    except Refused as refusal:
        key, _, sentence = str(refusal).partition(": ")
        is_named = key.isidentifier() and sentence
        draft.faults = [StudyFault(key if is_named else "", 1, sentence if is_named else str(refusal))]
        return _page(request, draft, status=409)
    messages.success(request, f"{study} is made. {NEXT[Study.Source(study.source)]}")
    for warning in draft.warnings:
        messages.warning(request, warning)
    return redirect("study" if study.source == Study.Source.GENERATED else "uploads", study.slug)


def _first_text(request: HttpRequest, account: User) -> str:
    if slug := request.GET.get("from", ""):
        study = get_object_or_404(visible_studies(account, needed=Role.EDITOR), slug=slug)
        manifest = current_manifest(study)
        text = write_study_file(manifest.model_copy(update={"name": f"{manifest.name} (copy)"}))
        return re.sub(
            r"^slug = .*\n", "", text, count=1, flags=re.MULTILINE
        )  # made from the name, also from one typed later
    start = STARTS.get(request.GET.get("start", ""), STARTS["checkpoints"])
    return start.text


def _sent_text(request: HttpRequest) -> str:
    """Return the study file that was sent: uploaded, written from the form, or as typed."""
    if (upload := request.FILES.get("upload")) is not None:
        return str(upload.read(LONGEST_FILE).decode("utf-8", errors="replace"))
    text = request.POST.get("file", "")[:LONGEST_FILE].replace("\r\n", "\n")
    if "from_form" not in request.POST:
        return text
    try:
        return with_values(text, _sent_values(request))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return text  # the file's own fault says so; the form writes nothing into what it cannot read


def _sent_values(request: HttpRequest) -> dict[str, str]:
    """Return the values of the fields that the page had; a box that is not ticked is not sent."""
    kinds = {name: kind for name, (_key, kind) in FIELDS.items()}
    return {name: request.POST.get(name, "") for name, kind in kinds.items() if name in request.POST or kind is bool}


def _page(request: HttpRequest, draft: Draft, status: int = 200) -> HttpResponse:
    account = cast(User, request.user)
    faults = draft.faults_of_fields()
    editable = visible_studies(account, needed=Role.EDITOR).order_by("-created_at")
    context = {
        "draft": draft,
        "starts": STARTS,
        "start": request.GET.get("start", "checkpoints"),
        "earlier": list(editable.values_list("slug", "name")[:50]),
        "models": list(registered_models()),
        "nameable": names_for_files(),
        "is_generated": 'source = "images"' not in draft.text and 'source = "external"' not in draft.text,
        "fields": {name: (draft.values.get(name, ""), faults.get(name, "")) for name in FIELDS},
        "needs": _needs(draft),
        "model_fields": _model_fields(draft, faults),
        "costs": _costs(request, draft),
        "pay": request.POST.get("pay", USUAL_PAY),
        "lines": range(1, draft.text.count("\n") + 2),
        "faulty_lines": {fault.line for fault in draft.faults},
    }
    return render(request, "web/researcher/new_study.html", context, status=status)


@require_POST
@researcher_page
def check_draft(request: HttpRequest) -> JsonResponse:
    """Answer the page while its reader types: the file, the form's values, the faults and the costs."""
    draft = Draft.of(_sent_text(request), cast(User, request.user))
    faults = [{"line": one.line, "key": one.key, "sentence": one.sentence} for one in draft.faults]
    document: dict[str, Any] = {"file": draft.text, "values": draft.values, "faults": faults}
    document |= {"needs": _needs(draft), "prompt_count": draft.prompt_count}
    document |= {"fields": draft.faults_of_fields(), "warnings": draft.warnings, "costs": _costs(request, draft)}
    return JsonResponse(document)


def _needs(draft: Draft) -> dict[str, str]:
    """Return what the models named in the form's fields need, in words; empty for a name that is not registered."""
    models = registered_models()
    names = [f"model_{key}" for key in MODEL_KEYS]
    return {name: _need(models.get(draft.values.get(name, ""))) for name in names}


def _model_fields(draft: Draft, faults: dict[str, str]) -> list[dict[str, str]]:
    """Return the fields of the models: the first two, and one for each further model that the file has a table for."""
    needs = _needs(draft)
    return [
        {
            "name": name,
            "label": f"Model {key.upper()}",
            "value": draft.values.get(name, ""),
            "fault": faults.get(name, ""),
            "need": needs[name],
        }
        for key, name in ((key, f"model_{key}") for key in MODEL_KEYS)
        if key in "ab" or f"[models.{key}]" in draft.text
    ]


def _need(settings: dict[str, Any] | None) -> str:
    if settings is None:
        return ""
    if settings["endpoint"]:
        return f"Its images come from the endpoint {settings['endpoint']}."
    return f"Runs on a worker, in {settings['dtype']}{', with a LoRA' if settings['lora'] else ''}."


def _costs(request: HttpRequest, draft: Draft) -> list[dict[str, str]]:
    """Return the costs as labels, values and small print; empty while the file has faults."""
    if draft.manifest is None:
        return []
    found, rows = costs_of(draft.manifest), []
    if found.image_count:
        rows.append(_row("Images", f"{found.image_count:,}", _machine_time(found)))
    if found.vote_count:
        basis = "as votes took here so far" if found.is_measured else "assumed"
        minutes = f"{counted(found.annotator_count, 'annotator')}, {_minutes(found.annotator_minutes)} each"
        rows.append(
            _row("Votes", f"{found.vote_count:,}", f"{minutes}: {found.seconds_per_vote:.0f} s a vote, {basis}")
        )
        rows.append(_row("Pay", *_pay(found, request.POST.get("pay", USUAL_PAY))))
    low, high = found.interval
    if draft.manifest.has_two_models and low is not None and high is not None:
        label = f"Interval of an agreement of {100 * EXPECTED_AGREEMENT:.0f}\N{NO-BREAK SPACE}%"
        note = f"95 %, {counted(found.comparison_count, 'comparison')}"
        rows.append(_row(label, f"{100 * low:.0f} to {100 * high:.0f} %", note))
    return rows


def _row(label: str, value: str, note: str) -> dict[str, str]:
    return {"label": label, "value": value, "note": note}


def _machine_time(costs: Costs) -> str:
    minutes = costs.machine_minutes
    if minutes is None:
        return "how long is known once these models have made an image here"
    return f"{_minutes(minutes)} on one card, judging by the last images of these models here"


def _minutes(minutes: float) -> str:
    """Return a time in words.

    >>> _minutes(0.3), _minutes(1.6)
    ('under 1 min', 'about 2 min')
    """
    return f"about {minutes:.0f} min" if minutes >= 1 else "under 1 min"


def _pay(costs: Costs, typed: str) -> tuple[str, str]:
    """Return what the votes cost at the pay that was typed, in its currency, and the small print."""
    found = PAY.fullmatch(typed)
    if found is None:
        return "–", f"unknown: write the pay per hour as {USUAL_PAY}"
    per_hour = min(float(found["number"].replace(",", ".")), MOST_PAY)
    total, rate = (
        " ".join(filter(None, (found["before"], value, found["after"])))
        for value in (f"{costs.pay(per_hour):,.2f}", f"{per_hour:g}")
    )
    return total, f"at {rate} an hour, without fees and reading"


urlpatterns: list[URLPattern] = [
    path("studies/new/", new_study, name="new-study"),
    path("studies/new/check", check_draft, name="new-study-check"),
]
