"""The German catalogue: complete for the annotator's pages and the login, and compiled from the current source."""

import gettext
import re
from pathlib import Path

import pytest
from django.conf import settings

from annotation.web.annotator import page_strings

CATALOGUE = Path(settings.LOCALE_PATHS[0]) / "de" / "LC_MESSAGES"
TEMPLATES = Path(settings.BASE_DIR) / "templates"
PAGES = [
    *TEMPLATES.glob("*.html"),
    *(TEMPLATES / "web" / "annotator").glob("*.html"),
    *(TEMPLATES / "account").glob("*.html"),
    TEMPLATES / "web" / "landing.html",
]
FILLED_IN = re.compile(r"{% blocktranslate[^%]*%}(.+?)(?:{% plural %}.+?)?{% endblocktranslate %}", re.DOTALL)
ENTRY = re.compile(r'^msgid "(?P<id>.+)"\n(?:msgid_plural ".+"\n)?msgstr(?:\[0\])? "(?P<text>.*)"', re.MULTILINE)


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    """Return the translations of the catalogue's source by their English sentences."""
    text = (CATALOGUE / "django.po").read_text()
    return {found["id"].replace('\\"', '"'): found["text"].replace('\\"', '"') for found in ENTRY.finditer(text)}


def test_the_compiled_catalogue_is_the_written_one(written: dict[str, str]) -> None:
    with (CATALOGUE / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for sentence, translation in written.items():
        assert translation in (compiled.gettext(sentence), compiled.ngettext(sentence, sentence, 1)), sentence


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_sentence_of_a_page_is_translated(page: Path, written: dict[str, str]) -> None:
    said = [sentence for _quote, sentence in re.findall(r"""{% translate (["'])(.+?)\1 %}""", page.read_text())]
    said += [re.sub(r"{{ (\w+) }}", r"%(\1)s", sentence) for sentence in FILLED_IN.findall(page.read_text())]
    assert [sentence for sentence in said if not written.get(sentence)] == []


def test_every_sentence_of_the_script_is_translated(written: dict[str, str]) -> None:
    def sentences(words: object) -> list[str]:
        return (
            [one for value in words.values() for one in sentences(value)] if isinstance(words, dict) else [str(words)]
        )

    said = [*sentences(page_strings.page_strings()), *page_strings.DEFAULT_TEXTS]
    assert [sentence for sentence in said if not written.get(sentence)] == []


def test_what_the_script_fills_in_is_the_same_in_both_languages(written: dict[str, str]) -> None:
    for sentence, translation in written.items():
        places = re.compile(r"{\w+}|%\(\w+\)[a-z]")
        assert set(places.findall(sentence)) == set(places.findall(translation)), sentence
