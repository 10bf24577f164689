"""The metrics of a study file beside the study's own: their names, what they need, and which way they point."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from annotation.studies.section import Fault, Parts, Section
from scoring.encoder_spec import MOST_METRIC_LENGTH, ComparerSpec, EncoderSpec
from scoring.metric_spec import MetricSpec, named_functional, names_computed_metric

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class MetricPlan(Section):
    """A further metric of a study.

    needs: "scores" (imported for each set), "embeddings" (computed here from those of `encoder`, by default the study's
    own), "images" (a metric of one's own), or "similarities" (computed from the imported pairwise ones of that name, or
    from those that `comparer` computes here).
    name: of the metric; of a computed one it says how it is computed, like "vendi:order=2". tuned_on_prompts: whether
    the metric has seen the prompts.
    """

    name: Name
    needs: Literal["scores", "embeddings", "images", "similarities"] = "scores"
    higher_is_more_consistent: bool | None = None
    version: str = Field(default="", max_length=100)
    tuned_on_prompts: bool = False
    encoder: EncoderSpec | None = None
    similarities: str = Field(default="", max_length=100)
    comparer: ComparerSpec | None = None

    def identity(self, encoder: EncoderSpec) -> str:
        """Return the name under which its scores are stored. encoder: the study's own."""
        return self.name if self.needs == "scores" else self.spec(encoder).identity

    def spec(self, encoder: EncoderSpec) -> MetricSpec:
        """Return how a computed metric is computed. encoder: the study's own."""
        if self.comparer:
            return MetricSpec.compared(self.name, self.comparer)
        if self.needs == "similarities":
            return MetricSpec(self.name, None, self.similarities)
        return MetricSpec(self.name, (self.encoder or encoder) if self.needs == "embeddings" else None)


def metric_faults(parts: Parts) -> Iterator[Fault]:
    """Yield the faults of each metric, as `faults_between` needs them."""
    plans: Sequence[MetricPlan | None] = parts.get("metrics", ())
    encoder = parts.get("encoder", EncoderSpec())
    seen = {encoder.metric}
    for index, plan in enumerate(plans):
        if plan is None:
            continue
        for key, sentence in _faults(plan, parts):
            yield Fault(("metrics", index, key), sentence)
        identity = plan.identity(encoder)
        if identity in seen:
            yield Fault(
                ("metrics", index, "name"),
                f'"{plan.name}" is the study\'s own metric, or an earlier one; name it once.',
            )
        if len(identity) > MOST_METRIC_LENGTH:
            yield Fault(("metrics", index, "name"), "gives the metric a name that is too long; shorten it.")
        seen.add(identity)


def _faults(plan: MetricPlan, parts: Parts) -> Iterator[tuple[str, str]]:
    if plan.needs == "scores":
        if names_computed_metric(plan.name):
            sentence = "is the name of a metric that is computed here, so imported scores would pass for computed ones"
            yield "name", f'{sentence}; give them another name, or write needs = "embeddings".'
        if plan.higher_is_more_consistent is None:
            yield (
                "higher_is_more_consistent",
                "is missing, and is never guessed: write true, or false for a distance like LPIPS.",
            )
    else:
        yield from _computed_faults(plan, parts)
    if plan.encoder and plan.needs != "embeddings":
        yield "encoder", 'belongs to needs = "embeddings"; leave it out.'
    if plan.similarities and plan.needs != "similarities":
        yield "similarities", 'belongs to needs = "similarities"; leave it out.'
    if plan.comparer and plan.needs != "similarities":
        yield "comparer", 'belongs to needs = "similarities"; leave it out.'
    if plan.needs == "similarities" and bool(plan.similarities) == bool(plan.comparer):
        sentence = "give either the name under which import_similarities stores them or a comparer."
        yield "similarities", f"{'is given beside comparer' if plan.comparer else 'is missing'}: {sentence}"


def _computed_faults(plan: MetricPlan, parts: Parts) -> Iterator[tuple[str, str]]:
    if parts.get("source") == "external":
        yield "needs", 'is about images, and source is "external", which has none here; write needs = "scores".'
    try:
        functional = named_functional(plan.name)
    except ValueError as error:
        yield "name", f"{error}."
        return
    if functional is None and plan.needs == "similarities":
        yield "name", f'"{plan.name}" is one\'s own, which takes embeddings or images; choose another metric.'
    if functional and plan.needs == "images":
        yield "name", f'"{plan.name}" is computed from embeddings; only a metric own:NAME takes images.'
    if functional and plan.needs == "similarities" and functional.of == "embeddings":
        yield "name", f'"{plan.name}" is computed from embeddings and not from similarities; choose another metric.'
    told = plan.higher_is_more_consistent
    if functional is None and told is not None:
        yield "higher_is_more_consistent", f'is said by the function of "{plan.name}" itself; leave it out.'
    if functional and told is not None and told != functional.higher_is_more_consistent:
        way = "higher" if functional.higher_is_more_consistent else "lower"
        yield (
            "higher_is_more_consistent",
            f'contradicts "{plan.name}", of which {way} is more consistent; leave it out.',
        )
