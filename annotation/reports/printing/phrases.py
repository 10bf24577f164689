"""Phrases that the claim and several sections share. Pure."""

from annotation.reports.findings.agreement.agreement import Agreement
from annotation.reports.findings.analysed import first_votes
from annotation.reports.findings.study.study_facts import StudyFacts
from annotation.reports.printing.numbers import significant
from annotation.reports.printing.sentences import of_comparisons
from annotation.studies.manifest import Manifest
from jobs.wording import counted
from scoring.statistics.agreement.constant_choice import ConstantChoice
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.people.non_inferiority import NonInferiority

FIXED_ORDER = "the best fixed order of the models"
NEVER = "–"  # in a cell without a number


def capitalised(text: str) -> str:
    """Return a text that begins with a capital letter.

    >>> capitalised("always naming A (SDXL)")
    'Always naming A (SDXL)'
    """
    return text[:1].upper() + text[1:]


def right_on(agreement: Agreement, share: Estimate) -> str:
    """Return on how many comparisons the metric chose the winner, and how many count one half.

    share: the headline; in a study that stopped by the evidence it may rest on fewer comparisons than the confusion.
    """
    right, halves = sum(row[place] for place, row in enumerate(agreement.confusion.counts)), agreement.half_right
    if not halves or share != agreement.headline:
        return of_comparisons(share, has_halves=bool(halves))
    ties = f"{halves} with a tie on one side {'counts' if halves == 1 else 'count'} half"
    return f"{right} of {counted(share.n, 'comparison')}, and {ties}"


def versus_constant(choice: ConstantChoice) -> str:
    """Return the verdict on the metric against the constant choice."""
    return {"shown": "beats", "shown worse": "does worse than", "undecided": "not shown to beat"}[choice.verdict]


def interval_contradicts(choice: ConstantChoice) -> bool:
    """Whether the interval of the difference excludes zero although the verdict is "undecided", or the other way round.

    The test, which decides, is exact; the interval is approximate.
    """
    low, high = choice.difference.low, choice.difference.high
    if low is None or high is None:
        return False
    return (low > 0 or high < 0) != (choice.verdict != "undecided")


def constant_models(models: tuple[str, ...], study: StudyFacts) -> str:
    """Return the models that a constant choice names, with their names; of several models, what it is.

    If both do equally well, the difference and its test are for the choice whose test has the larger p-value.
    """
    if study.are_several:
        return FIXED_ORDER
    names = {"A": study.model_a, "B": study.model_b}
    named = " or ".join(f"{model} ({names[model]})" for model in models)
    return f"{named}, whichever is harder to beat" if len(models) == 2 else named


def margin_in_points(margin: float) -> str:
    """Return a margin as the manifest has it, and so never rounded to zero.

    >>> margin_in_points(0.05), margin_in_points(0.0001)
    ('5 points', '0.01 points')
    """
    return f"{significant(100 * margin)} points"


def person_verdict(found: NonInferiority, metric: str) -> str:
    """Return the verdict on the metric in the place of a person, as a clause. metric: its name."""
    margin = margin_in_points(found.margin)
    match found.verdict:
        case "shown":
            return f"{metric} is shown to fall short of one more person by less than {margin}, if at all"
        case "shown worse":
            return f"{metric} is shown to fall short of one more person by more than {margin}"
        case _:
            return f"{metric} is not shown to fall short of one more person by less than {margin}, nor by more"


def always_naming(models: tuple[str, ...], study: StudyFacts) -> str:
    """Return what a constant choice does, with the names of its models."""
    return FIXED_ORDER if study.are_several else f"always naming {constant_models(models, study)}"


def constant_choice(study: StudyFacts) -> str:
    """Return what a constant choice is in this study, without names."""
    return FIXED_ORDER if study.are_several else "always naming one model"


def first_votes_note(manifest: Manifest) -> tuple[str, ...]:
    """Return a sentence on the votes that say how well people agree, if not all of them do."""
    most = first_votes(manifest)
    if most is None:
        return ()
    return (
        f"From the first {counted(most, 'vote')} of each comparison: the study stopped early where people agreed, so "
        "all votes together would overstate how well they agree.",
    )


def ranks(best: int | None, worst: int | None) -> str:
    """A set of ranks.

    >>> ranks(2, 3), ranks(1, 1), ranks(None, None)
    ('2–3', '1', '–')
    """
    if best is None:
        return NEVER
    return str(best) if best == worst else f"{best}–{worst}"
