"""The literature of the methods: citations and references, read from references.bib. Pure."""

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

BIBLIOGRAPHY = Path(__file__).with_name("references.bib")
_ENTRY = re.compile(r"^@\w+\{(\w+),\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)
_CITATION = re.compile(r"\(([^()]+)\)")
_MOST_AUTHORS = 2  # that a citation names


def bibliography() -> str:
    """Return the literature of the methods that a report uses, as BibTeX."""
    return BIBLIOGRAPHY.read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def entries() -> dict[str, dict[str, str]]:
    """Return the fields of each entry by its key, without TeX's marks."""
    text = bibliography()
    return {key: {name: _plain(value) for name, value in _FIELD.findall(body)} for key, body in _ENTRY.findall(text)}


def cited(*keys: str) -> str:
    """Return works as a citation in brackets.

    >>> cited("wilson1927"), cited("field2007", "cameron2011")
    ('(Wilson, 1927)', '(Field and Welsh, 2007; Cameron et al., 2011)')
    """
    return f"({'; '.join(map(_named, keys))})"


def reference(key: str) -> str:
    """Return a work as an entry of a list of references.

    >>> reference("efron1979")
    'Efron, Bradley (1979). Bootstrap Methods: Another Look at the Jackknife. The Annals of Statistics, 7(1), 1–26.'
    """
    found = entries()[key]
    where = found.get("journal") or found.get("booktitle") or found.get("publisher") or f"arXiv {found['eprint']}"
    volume = found.get("volume", "") + (f"({found['number']})" if "number" in found else "")
    place = ", ".join(part for part in (where, volume, found.get("pages", "")) if part)
    return f"{', '.join(_authors(found))} ({found['year']}). {found['title']}. {place}."


def authors_and_year(key: str) -> tuple[str, str]:
    """Return the names and the year by which a work is cited.

    >>> authors_and_year("field2007")
    ('Field and Welsh', '2007')
    """
    found = entries()[key]
    families = [author.partition(",")[0] for author in _authors(found)]
    names = f"{families[0]} et al." if len(families) > _MOST_AUTHORS else " and ".join(families)
    return names, found["year"]


def pieces(text: str) -> tuple[str | tuple[str, ...], ...]:
    """Return a text in pieces: words as they are, and each citation as the keys of its works.

    >>> pieces("The interval is Wilson's (Wilson, 1927), to be exact (in short).")
    ("The interval is Wilson's ", ('wilson1927',), ', to be exact (in short).')
    """
    keys, found, at = _keys_by_name(), list[str | tuple[str, ...]](), 0
    for citation in _CITATION.finditer(text):
        works = [keys.get(name) for name in citation[1].split("; ")]
        if None not in works:
            found += [text[at : citation.start()], tuple(filter(None, works))]
            at = citation.end()
    return (*found, text[at:])


def cited_keys(texts: Iterable[str]) -> list[str]:
    """Return the keys of all works that are cited, in the order of the list of references."""
    return sorted(
        {key for text in texts for part in pieces(text) if not isinstance(part, str) for key in part}, key=reference
    )


@lru_cache(maxsize=1)
def _keys_by_name() -> dict[str, str]:
    return {_named(key): key for key in entries()}


def _named(key: str) -> str:
    return ", ".join(authors_and_year(key))


def _authors(entry: dict[str, str]) -> list[str]:
    return entry["author"].split(" and ")


def _plain(value: str) -> str:
    value = value.replace(r"$\chi^2$", "χ²").replace(r"\&", "&").replace("---", "—").replace("--", "–")
    return re.sub(r"[{}]", "", value)
