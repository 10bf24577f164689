"""Keep the prompts and the people of a pilot out of the study that it is a pilot of."""

from collections.abc import Iterable

from annotation.models import Annotator, Study
from annotation.studies.current import current_manifests
from annotation.studies.manifest import Manifest
from annotation.studies.nearest_names import first_names
from annotation.studies.validation.same_prompts import key
from jobs.refusals import Refused


def refuse_shared_prompts(study: Study, manifest: Manifest) -> None:
    """Raise Refused if the manifest has a prompt of a pilot of the study, or of the study that this one is a pilot of.

    One query for a study without pilots.
    """
    others = list(Study.objects.filter(pilot_of=study)) + ([study.pilot_of] if study.pilot_of else [])
    own = {prompt.text for prompt in manifest.prompts}
    for pk, other in current_manifests(others).items():
        if shared := own & {prompt.text for prompt in other.prompts}:
            name = next(one.name for one in others if one.pk == pk)
            raise Refused(
                f"prompts: {name} has {first_names(sorted(shared))} too. A pilot and its study have no prompt in "
                "common, so that the study's results are new: leave it out here."
            )


def refuse_people_of_pilots(study: Study, labels: Iterable[str]) -> None:
    """Raise Refused if a label is that of a person who took part in a pilot of the study by a personal link.

    Two spellings that look alike are one label (see `same_prompts.key`).
    """
    wanted = {key(label) for label in labels}
    invited = Annotator.objects.filter(study__pilot_of=study, kind=Annotator.Kind.PERSONAL)
    if came := sorted({one.label for one in invited if key(one.label) in wanted and one.has_come}):
        raise Refused(
            f"labels: {first_names(came)} took part in a pilot of this study, whose people are kept out of it. "
            "If this is another person, use another label."
        )
