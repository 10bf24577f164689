"""Find the known name that a mistyped one most likely means; pure."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from annotation.studies.validation import same_prompts

MOST_NAMED = 5


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the nearest known name as a question in brackets, with a blank before it; empty if none is near.

    >>> did_you_mean("Alhpa", ["Alpha", "Beta"]), did_you_mean("other", ["Alpha", "Beta"])
    (' (did you mean “Alpha”?)', '')
    """
    wanted, by_key = same_prompts.key(name), {same_prompts.key(text): text for text in known}
    nearest = [wanted] if wanted in by_key else get_close_matches(wanted, by_key, n=1)
    return f" (did you mean “{by_key[nearest[0]]}”?)" if nearest else ""


def first_names(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are.

    >>> first_names(list("abcdefg"))
    'a, b, c, d, e, and 2 more'
    """
    more = f", and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
