"""Names of models and prompts in an import that no study knows, with the nearest known name."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from difflib import get_close_matches

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.validation import same_prompts
from generation.imports.layouts import Layout

MOST_NAMED = 5
_STAY = "imported all the same and kept until a study names"


def unknown_names(layout: Layout) -> list[str]:
    """One sentence about each model that no study of imported images names, or whose prompts none asks for."""
    known = _known_names()
    prompts: dict[str, list[str]] = defaultdict(list)
    for prompt in layout.prompts:
        prompts[prompt.model].append(prompt.prompt)
    if not known:
        return [f'no study here takes images (source = "images") yet; what is found is {_STAY} it.']
    return [sentence for model, found in prompts.items() if (sentence := _about(model, found, known))]


def _known_names() -> dict[str, set[str]]:
    """For each model of a study that takes images, the prompts as its sets may be called."""
    known: dict[str, set[str]] = defaultdict(set)
    for study in Study.objects.filter(source=Study.Source.IMAGES):
        manifest = current_manifest(study)
        for plan in (manifest.model_a, manifest.model_b):
            for prompt in manifest.prompts:
                known[plan.name] |= {prompt.text, plan.prompt_template.replace("{prompt}", prompt.text)}
    return known


def _about(model: str, prompts: list[str], known: dict[str, set[str]]) -> str:
    if model not in known:
        sets = "its one set is" if len(prompts) == 1 else f"its {len(prompts)} sets are"
        return f"no study that takes images has a model called {_with_near(model, known)}; {sets} {_STAY} it."
    unknown = [prompt for prompt in prompts if prompt not in known[model]]
    if not unknown:
        return ""
    named = ", ".join(_with_near(prompt, known[model]) for prompt in unknown[:MOST_NAMED])
    more = f", and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
    if len(prompts) == 1:
        return f"the prompt of {model} is in no study: {named}; it is {_STAY} it."
    are, they, them = ("is", "it is", "it") if len(unknown) == 1 else ("are", "they are", "them")
    return (
        f"{len(unknown)} of {len(prompts)} prompts of {model} {are} in no study: {named}{more}; {they} {_STAY} {them}."
    )


def _with_near(name: str, known: Collection[str]) -> str:
    near = _near(name, known)
    return f"“{name}”" + (f" (did you mean “{near}”?)" if near else "")


def _near(name: str, known: Iterable[str]) -> str:
    wanted, by_key = same_prompts.key(name), {same_prompts.key(one): one for one in known}
    found = [wanted] if wanted in by_key else get_close_matches(wanted, by_key, n=1)
    return by_key[found[0]] if found else ""
