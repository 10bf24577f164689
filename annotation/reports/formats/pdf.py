"""The report as a PDF file for paper, printed by an installed browser. Nothing else needs a browser."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from jobs.refusals import Refused

PAPERS = ("A4", "letter")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
_SECONDS = 300


def write_pdf(html: str, path: Path) -> None:
    """Print one file of HTML, which holds everything it shows, to a PDF file.

    Raises Refused if there is no browser, or if it prints nothing.
    """
    browser = found_browser()
    if browser is None:
        raise Refused(
            f"A PDF needs a browser that prints it, and this machine has none: install one of {', '.join(BROWSERS)}, "
            "or print the HTML file."
        )
    with TemporaryDirectory() as folder:
        source, printed = Path(folder, "report.html"), Path(folder, "report.pdf")
        source.write_text(html, encoding="utf-8")
        try:
            done = subprocess.run(
                _command(browser, source, printed), capture_output=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise Refused(f"{browser} did not print the report within {_SECONDS} s: print the HTML file.") from None
        if done.returncode or not printed.exists():
            raise Refused(f"{browser} could not print the report (exit status {done.returncode}): print the HTML file.")
        shutil.copyfile(printed, path)


def found_browser() -> str | None:
    """Return the path of the first browser that is installed, else None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def _command(browser: str, source: Path, printed: Path) -> list[str]:
    """Return the command that prints without a window, with a new profile. The file loads nothing from the network."""
    # As root the browser refuses to start with its sandbox; the file is ours and has no script.
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    return [
        browser,
        "--headless",
        "--disable-gpu",
        f"--user-data-dir={source.parent / 'profile'}",
        *root,
        "--no-pdf-header-footer",
        f"--print-to-pdf={printed}",
        source.as_uri(),
    ]
