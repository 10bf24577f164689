"""The part of a study's prompts that its pilot takes, and the manifests of both; pure."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from annotation.studies.documents import document
from annotation.studies.manifest import Manifest
from annotation.voting.allocation import stored_chance
from jobs.refusals import Refused
from jobs.wording import counted

LEAST_PROMPTS, USUAL_PROMPTS = 2, 20
MOST_OVERLAP = 1000
# What a pilot has of its own: it collects the same number of votes for each comparison, whatever they say.
OWN_RULES = {
    "allocation": "even",
    "early_stopping": False,
    "most_annotators": None,
    "opens_at": None,
    "closes_at": None,
    "withdrawal_until": None,
}
LEFT_OUT = ("floor", "stop_when_decided")


@dataclass(frozen=True, slots=True)
class Drawn:
    """The places, in the manifest, of the prompts that a pilot takes, and both manifests that follow."""

    places: frozenset[int]
    of_study: Manifest
    of_pilot: Manifest


def usual_prompts(manifest: Manifest) -> int:
    """Return how many prompts a pilot takes unless told otherwise: a fifth, at most USUAL_PROMPTS."""
    return max(LEAST_PROMPTS, min(USUAL_PROMPTS, len(manifest.prompts) // 5))


def draw(manifest: Manifest, *, slug: str, prompts: int, overlap: int) -> Drawn:
    """Draw the prompts of a pilot, and return the manifests of the study without them and of the pilot.

    Prompts of one cluster go together, so the pilot may get some more than asked for. The draw follows from the seed of
    the analysis and the pilot's slug. prompts: how many the pilot takes at least. overlap: the pilot's votes for each
    comparison. Refused if the study would keep fewer than LEAST_PROMPTS prompts, or if a manifest would have a fault.
    """
    total = len(manifest.prompts)
    if not LEAST_PROMPTS <= prompts <= total - LEAST_PROMPTS:
        raise Refused(
            f"prompts: a pilot takes {LEAST_PROMPTS} prompts or more, and leaves as many; the study has {total}."
        )
    if not 1 <= overlap <= MOST_OVERLAP:
        raise Refused(f"overlap: from 1 to {MOST_OVERLAP} votes for each comparison.")
    places = _drawn_places(manifest, slug, prompts)
    if total - len(places) < LEAST_PROMPTS:
        raise Refused(
            f"prompts: prompts of one cluster go together, and {counted(len(places), 'prompt')} of {total} would leave "
            f"the study fewer than {LEAST_PROMPTS}; ask for fewer."
        )
    plan = document(manifest)
    kept = {**plan, "prompts": [one for place, one in enumerate(plan["prompts"]) if place not in places]}
    annotation = {key: value for key, value in plan.get("annotation", {}).items() if key not in LEFT_OUT}
    pilot = {
        **plan,
        "name": f"Pilot of {manifest.name}"[:200].strip(),
        "slug": slug,
        "notice": f"A pilot of {manifest.name}, made to plan it: its votes are no part of that study's report.",
        "prompts": [plan["prompts"][place] for place in sorted(places)],
        "annotation": {**annotation, **OWN_RULES, "overlap": overlap},
    }
    if manifest.pairs.comparisons is not None:
        _share_comparisons(manifest.pairs.comparisons, share=len(places) / total, kept=kept, pilot=pilot)
    return Drawn(places, _read(kept, "the study"), _read(pilot, "the pilot"))


def _drawn_places(manifest: Manifest, slug: str, prompts: int) -> frozenset[int]:
    clusters: dict[str, list[int]] = {}
    for place, prompt in enumerate(manifest.prompts):
        clusters.setdefault(prompt.cluster or f"\n{place}", []).append(place)  # no name has a new line
    order = sorted(clusters)
    stored_chance(manifest.analysis.seed, f"prompts of {slug}").shuffle(order)
    drawn: list[int] = []
    for cluster in order:
        if len(drawn) >= prompts:
            break
        drawn += clusters[cluster]
    return frozenset(drawn)


def _share_comparisons(total: int, *, share: float, kept: dict[str, Any], pilot: dict[str, Any]) -> None:
    """Share the comparisons of a balanced design by the prompts of each."""
    of_pilot = max(1, round(total * share))
    pilot["pairs"] = {**pilot["pairs"], "comparisons": of_pilot}
    kept["pairs"] = {**kept["pairs"], "comparisons": max(1, total - of_pilot)}


def _read(plan: dict[str, Any], whose: str) -> Manifest:
    try:
        return Manifest.model_validate(plan)
    except ValidationError as error:
        why = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise Refused(f"A pilot of this size does not fit {whose}: {why}") from error
