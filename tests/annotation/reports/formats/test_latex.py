"""The report as a LaTeX document: whole, escaped, with figures and literature; compiled if there is a TeX."""

import re
import shutil
import subprocess
import zipfile
from functools import lru_cache
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from annotation.models import Study
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats import latex
from annotation.reports.formats.latex_escape import escape
from annotation.reports.printing.references import bibliography, entries
from annotation.reports.progress import silent
from annotation.reports.report import build_report
from annotation.reports.report_jobs.downloads import DOWNLOADS, render
from annotation.reports.sections.contents import figures_of, sections
from tests.annotation.reports.many_models import Simulated, simulated_data
from tests.annotation.reports.voted_studies import Plan, crossed, embed, make_study, report_of

pytestmark = pytest.mark.django_db

PROMPTS = [
    '100 % of a_b & $c #1 {x} ~ ^ \\input{y} <b>|"q"',
    "a cat 🐈‍⬛ ❤️ in 東京, ελληνικά, Кот, שלום, مرحبا",
    "[in brackets] first",
    "* a star, --ar 16:9 ``quoted'' ?` !`",
    "café e\u0301 µ² ± 5 € …\tafter a tab, third\u00a0paragraph",
    "x" * 300,
]


NASTY = Plan(
    votes=[["A", "A", "B"], ["B", "A", "B"], ["B", "B", "tie"], ["A", "A", "A"], ["B", "A", "A"], ["tie"] * 3],
    scores=[(80.0, 70.0), (60.0, 65.0), (60.0, 65.5), (70.0, 71.0), (90.0, 60.0), (50.0, 50.0)],
    prompts=PROMPTS,
    kind="simulated",
    manifest={"notice": "Untrained <models> & noise.", "model_a": {"name": "Alpha <b> $x$_1"}},
)


def embedded(plan: Plan) -> Study:
    """The study of a plan, with images."""
    study = make_study(plan)
    for comparison in study.comparisons.all():
        embed(comparison, spread_a=0.1 + 0.02 * comparison.position, spread_b=0.2)
    return study


@lru_cache(maxsize=1)
def nasty_report() -> AgreementReport:
    """The report of it, which needs no database any more."""
    return report_of(embedded(NASTY))


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("--ar 16:9 --- x", "-{}-ar 16:9 -{}-{}- x"),
        ("``it's''", "`{}`it's'{}'"),
        ("¿?` !`", "¿?{}` !{}`"),
        ("two\nlines\n\n and\ttab", "two lines and tab"),
        ("50\u00a0% e\u0301", r"50~\% é"),
        ("❤\ufe0f \x07\u200d東", "❤ 東"),
    ],
)
def test_text_is_printed_unchanged(text: str, printed: str) -> None:
    assert escape(text) == printed


def test_every_environment_is_closed_and_every_row_has_its_cells() -> None:
    text = render(nasty_report(), "latex")
    stack = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []
    bare = re.sub(r"\\[\\{}]", "", text)
    assert bare.count("{") == bare.count("}")
    for opened, body in re.findall(
        r"\\begin\{(?:longtable|tabular)\}(?:\[l\])?\{([^\n]*)\}\n(.*?)\\end\{(?:long)?tab", text, re.DOTALL
    ):
        columns = len(re.sub(r"\{.*?\}", "", opened))
        rows = [row for row in body.splitlines() if " & " in row]
        assert rows
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {columns - 1}


def test_every_number_of_a_section_is_in_the_document() -> None:
    report = nasty_report()
    text = render(report, "latex")
    for section in sections(report):
        for row in section.rows:
            assert f"{escape(row.value)}" in text, row
        for table in section.tables:
            assert rf"\caption{{{escape(table.caption)}}}" in text
            for cells in table.rows:
                assert all(escape(cell) in text for cell in cells)


def test_methods_cite_works_of_the_bibliography() -> None:
    text = render(nasty_report(), "latex")
    cited = {key for keys in re.findall(r"\\cite\{(.*?)\}", text) for key in keys.split(",")}
    assert {"bent2024", "wilson1927", "krippendorff2018", "efron1979", "field2007"} <= cited
    assert cited == set(re.findall(r"\\bibitem\[.*\]\{(\w+)\}", text))
    assert cited <= set(entries())
    assert all(f"{{{key}," in bibliography() for key in cited)
    assert r"Its interval is Wilson's \cite{wilson1927}, " in text
    assert r"\cite{efron1979,field2007" in text
    assert r"\bibitem[{Wilson}(1927)]{wilson1927}" in text
    assert "(Wilson, 1927)" not in text


def test_the_download_has_every_file_that_the_document_includes(tmp_path: Path) -> None:
    report, study = nasty_report(), Study()  # it is made from the report alone
    DOWNLOADS["latex-figures"].write(study, report, tmp_path / "latex.zip", silent)
    with zipfile.ZipFile(tmp_path / "latex.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    text = members.pop("report.tex").decode()
    assert text == render(report, "latex")
    assert members.pop("references.bib").decode() == bibliography()
    included = re.findall(r"\\includegraphics\{(.*?)\}", text)
    assert sorted(included) == sorted(members) == sorted(f"figures/{figure.name}.pdf" for figure in figures_of(report))
    assert len(included) > 10
    assert all(contents.startswith(b"%PDF") for contents in members.values())


def test_the_command_writes_the_same_files_into_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latex, "drawn", lambda _report, _results, name, suffix: f"{name} as {suffix}".encode())
    study, said = make_study(crossed([[4, 1], [1, 4]])), StringIO()
    call_command("report", study.slug, format="latex-figures", out=tmp_path, stdout=said)
    report = report_of(study)
    names = ["report.tex", "references.bib", *(f"figures/{figure.name}.pdf" for figure in figures_of(report))]
    assert said.getvalue().splitlines() == [*(str(tmp_path / name) for name in names), *report.notices, report.claim]
    assert all((tmp_path / name).is_file() for name in names)
    assert (tmp_path / "figures" / "margin.pdf").read_text() == "margin as pdf"
    call_command("report", study.slug, format="latex", stdout=(printed := StringIO()))
    assert printed.getvalue() == (tmp_path / "report.tex").read_text()


# --- compiled -----------------------------------------------------------------------------------
needs_tex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="needs a TeX: apt-get install texlive-latex-recommended"
)


def compiled(folder: Path) -> str:
    """Compile report.tex as often as its references need, and return the log of the last run."""
    for _ in range(3):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
        run = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
        assert run.returncode == 0, run.stdout[-3000:].decode(errors="replace")
    return (folder / "report.log").read_text(errors="replace")


def faults(log: str) -> list[str]:
    """Return the warnings about anything undefined, and what sticks out by more than 3 mm."""
    wide = [
        line
        for line in log.splitlines()
        if (found := re.match(r"Overfull \\[hv]box \((\d+)", line)) and int(found[1]) > 8
    ]
    return wide + re.findall(r".*undefined.*|.*multiply.*", log)


@needs_tex
@pytest.mark.slow
@pytest.mark.parametrize(
    ("plan", "are_figures_there"),
    [
        (NASTY, True),
        (crossed([[60, 10], [20, 50]]), True),
        (crossed([[4, 1], [1, 4]], state="open"), False),  # sealed
        (Plan([["A", "B", "tie"]] * 4, [(None, None)] * 4), False),
    ],
)
def test_it_compiles(tmp_path: Path, plan: Plan, *, are_figures_there: bool) -> None:
    study = embedded(plan) if plan is NASTY else make_study(plan)
    (tmp_path / "report.tex").write_text(render(report_of(study), "latex"))
    if are_figures_there:
        call_command("report", study.slug, format="latex-figures", out=tmp_path, stdout=StringIO())
    assert faults(compiled(tmp_path)) == []
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
    numbers = re.findall(r"\\newlabel\{tab:[\w-]+\}\{\{(\d+)\}", (tmp_path / "report.aux").read_text())
    assert [int(one) for one in numbers] == list(range(1, len(numbers) + 1))
    assert numbers


@needs_tex
@pytest.mark.slow
def test_the_report_of_several_models_compiles(tmp_path: Path) -> None:
    names = ["a_b & #1 %", "C:\\new {x} ~ ^ $", "东京 🐈 שלום", "x" * 90, "Stable Diffusion XL base 1.0, fine-tuned"]
    models = {f"m{place}": {"name": name} for place, name in enumerate(names)}
    report = build_report(simulated_data(Simulated(settings=(("models", models),))))
    latex.write_latex(report, tmp_path)
    assert faults(log := compiled(tmp_path)) == []
    assert all(f"figures/{figure.name}.pdf" in "".join(log.split()) for figure in figures_of(report))
