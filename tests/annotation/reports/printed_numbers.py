"""The decimals that a report prints in any of its formats, looked up in its JSON document."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

_DECIMAL = re.compile(r"(?<![\w.])−?\d+\.\d+(?![\w.]*\w)")
# Addresses, numbers of arXiv, the bound of a small p-value, the length of whiskers in a caption.
_ELSEWHERE = re.compile(r"(?:https?://|\b10\.\d{4,}/)\S+|\b\d{4}\.\d{5}\b|(?:<|less\{\}) 0\.001|\b1\.5 times")


def _of_html(text: str) -> str:
    """What a reader sees or hears: no style, no drawing, but the words in place of a drawing."""
    text = re.sub(r"<style>.*?</style>", " ", text, flags=re.DOTALL)
    text = re.sub(r'<svg\b[^>]*?(?:aria-label="([^"]*)")?[^>]*>.*?</svg>', r" \1 ", text, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", " ", text))


def _of_latex(text: str) -> str:
    text = text.partition(r"\begin{document}")[2]
    text = re.sub(r"\\begin\{(?:tabular|longtable)\}.*|\\(?:addlinespace|vspace|includegraphics).*", " ", text)
    for sign, printed in {"$-$": "−", r"\%": "%", "~": " ", r"\,": " ", r"\allowbreak{}": ""}.items():
        text = text.replace(sign, printed)
    return text


WORDS: dict[str, Callable[[str], str]] = {"html": _of_html, "latex": _of_latex, "txt": str, "md": str}


def decimals(text: str, report_format: str) -> list[str]:
    """Every number with a decimal point that a reader of the format sees, without those that no study changes."""
    return _DECIMAL.findall(_ELSEWHERE.sub(" ", WORDS[report_format](text)))


def numbers(value: Any) -> Iterator[float]:
    """Every number of a document but those of the sentences."""
    if isinstance(value, dict):
        for name, element in value.items():
            if name not in ("claim", "verdict"):
                yield from numbers(element)
    elif isinstance(value, (list, tuple)):
        for element in value:
            yield from numbers(element)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield float(value)


def _texts(value: Any) -> Iterator[str]:
    """Every text of a document but the sentences: a method may say a design effect."""
    if isinstance(value, dict):
        for name, element in value.items():
            if name not in ("claim", "verdict"):
                yield from _texts(element)
    elif isinstance(value, (list, tuple)):
        for element in value:
            yield from _texts(element)
    elif isinstance(value, str):
        yield value


def printed(document: Any) -> set[str]:
    """Every number of the document as a report may print it, signs left out where a sentence has a word for them."""
    found = {one for text in _texts(document) for one in _DECIMAL.findall(text)}
    for number in (*numbers(document), *_by_hand(document)):
        for text in _written(number):
            found |= {text.replace("-", "−"), text.removeprefix("-")}
    return found


def _written(number: float) -> Iterator[str]:
    for value, places in ((100 * number, 1), (number, 1), (number, 2), (number, 3), (number, 4)):
        yield f"{value:.{places}f}"
        yield f"{round(value, places + 8):.{places}f}"  # a half that errors of rounding hide
    yield f"{number:.4g}"
    yield f"{number:.2g}"
    yield f"{100 * number:g}"


def _by_hand(document: dict[str, Any]) -> Iterator[float]:
    """Numbers that follow from others of the document: the level of a test, margins over their seed errors, how often
    equal models tie, how often the votes do, the middles of bars."""
    yield 1 - document["study"]["level"]
    results = document["results"]
    if results is None:
        return
    counts = results["confusion"]["counts"]
    yield sum(counts[-1]) / (sum(map(sum, counts)) or 1)
    yield from ((bar["low"] + bar["high"]) / 2 for bar in results["sensitivity"]["bootstrap"])
    margins = {row["position"]: row["margin"] for row in results.get("comparisons", ())}
    for row in results.get("image_noise", {}).get("margins", ()):
        if row["standard_error"]:
            yield abs(margins[row["position"]]) / row["standard_error"]
    ranking = results.get("ranking")
    if ranking and ranking["ties"]["value"] is not None:
        yield ranking["ties"]["value"] / (2 + ranking["ties"]["value"])  # by the model of Davidson (1970)


def strange(text: str, report_format: str, document: dict[str, Any]) -> list[str]:
    """The decimals of a format that are none of the document."""
    known = printed(document)
    return sorted({one for one in decimals(text, report_format) if one not in known})
