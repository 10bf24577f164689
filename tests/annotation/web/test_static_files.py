"""The static files: they work in the oldest browsers that the README names, and colours stand in one sheet."""

import re

import pytest
from django.conf import settings

from annotation.reports.figures.svg import SET_BY_THE_PAGE

# Features that Safari 15.4, Firefox 101 or Chrome 108 lacks by MDN's data. A comment names the last browser to add it.
NEWER = {
    "js": (
        r"AbortSignal\.(timeout|any)",  # Chrome 124, Safari 16
        r"\.requestSubmit\(",  # Safari 16
        r"\.(findLast|findLastIndex)\(",  # Firefox 104
        r"\.(toSorted|toReversed|toSpliced)\(",  # Firefox 115
        r"(Object|Map)\.groupBy",  # Safari 17.4
        r"Array\.fromAsync",  # Chrome 121
        r"Promise\.(withResolvers|try)",  # Safari 17.4
        r"\.(union|intersection|difference|isSubsetOf)\(",  # Firefox 127
        r"\(\?<[=!]",  # lookbehind: Safari 16.4
        r"URL\.(canParse|parse)",  # Chrome 120
        r"^await ",  # at the top of a module: Safari 27
        r"^\s*static \{",  # Safari 16.4
        r"\bshowPopover\(|\bpopover\b",  # Firefox 125
        r"navigator\.userActivation|checkVisibility\(",  # Firefox 120
    ),
    "css": (
        r"@container|\bcq[wh]\b",  # Firefox 110
        r"color-mix\(|\boklch\(|light-dark\(",  # Firefox 113, 120
        r"text-wrap:",  # Firefox 121
        r"@starting-style|@scope|@property",  # Firefox 129
        r"^\s+&",  # nesting: Firefox 117
        r"@media[^{]*[<>]=?",  # ranges: Safari 16.4
        r"scripting:",  # Chrome 120
        r"subgrid",  # Chrome 117
    ),
}
STATIC = settings.BASE_DIR / "static"
FILES = sorted(str(path.relative_to(STATIC)) for kind in NEWER for path in STATIC.rglob(f"*.{kind}"))
COMMENTS = re.compile(r"//.*|/\*[\s\S]*?\*/")
# Each is alone in its rule. Without it Firefox before 121 shows a check box under its label, or prints a table on
# another page than its sentence; neither does harm.
MAY_BE_MISSING = re.compile(r"(?<=[{}])\s*p:has\((> input|\+ table)[^,{]*(, \+ [.\w]+)*\)[^,{]*\{")
SET_BY_SCRIPTS = {"--columns", "--cell"}


@pytest.mark.parametrize("name", FILES)
def test_nothing_newer_is_used(name: str) -> None:
    text = MAY_BE_MISSING.sub("", COMMENTS.sub("", (STATIC / name).read_text()))
    newer = (*NEWER[name.rpartition(".")[2]], r":has\(")
    assert [one for one in newer if re.search(one, text, flags=re.MULTILINE)] == []


def test_the_readme_and_the_first_page_name_the_same_versions() -> None:
    readme = " ".join((settings.BASE_DIR / "README.md").read_text().split())
    page = (settings.BASE_DIR / "templates/web/annotator/too_old.html").read_text()
    for version in ("15.4", "Firefox 101", "Edge 108"):
        assert version in readme
        assert version in page


def test_every_colour_is_a_token() -> None:
    sheets = {path.name: COMMENTS.sub("", path.read_text()) for path in STATIC.rglob("*.css")}
    assert len(sheets) > 6
    tokens = set(re.findall(r"(--[\w-]+):", sheets["tokens.css"]))
    for name, css in sheets.items():
        assert re.findall(r"^\s*[a-z][\w-]*: .*#[0-9a-f]{3}.*;", css, flags=re.MULTILINE) == [], name
        assert (
            set(re.findall(r"var\((--[\w-]+)", css)) <= tokens | set(re.findall(r"(--[\w-]+):", css)) | SET_BY_SCRIPTS
        )
    by_figures = {f"--{name}" for name in SET_BY_THE_PAGE}
    assert tokens - by_figures <= {name for css in sheets.values() for name in re.findall(r"var\((--[\w-]+)", css)}, (
        "one is not used"
    )
