"""The plans of a pilot as a file of its report, because a page cannot wait for their simulations.

A file has the assumptions in its name and what the plans depend on in its contents: an amendment of the main study
changes the latter, and then the plans are made again.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from annotation.models import Study
from annotation.reports.findings.results import AgreementReport
from annotation.reports.pilot.result import DIGITS, Asked, Assumed, PilotPlan, Plans, asked, compute_plans
from annotation.reports.progress import Progress
from annotation.studies.pilot.pace import Pace, pace_of
from annotation.studies.planning.design import design_of_study

_BEFORE = "plans"
_STEPS = 10**DIGITS


def plans_name(assumed: Assumed) -> str:
    """Return the name of the file with the plans under these assumptions.

    >>> plans_name(Assumed(agreement=0.85, baseline=0.6))
    'plans-8500-6000'
    """
    return f"{_BEFORE}-{round(assumed.agreement * _STEPS)}-{round(assumed.baseline * _STEPS)}"


def assumed_in(name: str) -> Assumed | None:
    """Return the assumptions of a file's name; None for the name of another file."""
    before, *given = name.split("-")
    if before != _BEFORE or len(given) != 2 or not all(one.isdecimal() for one in given):
        return None
    return Assumed(agreement=int(given[0]) / _STEPS, baseline=int(given[1]) / _STEPS)


def asked_of(pilot: Study, pace: Pace, report: AgreementReport | None, assumed: Assumed) -> Asked | Plans:
    """Return what the plans of a pilot depend on now, or why there are none."""
    return asked(pace, report, design_of_study(pilot.pilot_of or pilot), assumed)


def write_plans(pilot: Study, report: AgreementReport, path: Path, progress: Progress, *, assumed: Assumed) -> None:
    """Compute the plans and write them."""
    found = asked_of(pilot, pace_of(pilot), report, assumed)
    plans = compute_plans(found, progress)
    document = {"asked": _digest(found), "plans": [asdict(plan) for plan in plans.plans], "reason": plans.reason}
    path.write_text(json.dumps(document), encoding="utf-8")


def read_plans(path: Path, found: Asked) -> Plans | None:
    """Return the stored plans; None if they answer something else."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["asked"] != _digest(found):
        return None
    return Plans(tuple(PilotPlan(**plan) for plan in document["plans"]), document["reason"])


def _digest(found: Asked | Plans) -> str:
    return hashlib.sha256(repr(found).encode()).hexdigest()
