"""A researcher makes a study in the browser: form and file in step, prompts from a file, costs that stay in sight."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Study
from annotation.studies.current import current_manifest
from generation.models import DiffusionModel
from tests.journeys.test_uploads import login

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_study_from_its_form(page: Page, server: str, accessible: Callable[[Page], None], tmp_path: Path) -> None:
    for name in ("Alpha", "Beta"):
        DiffusionModel.objects.create(name=name, checkpoint=f"/models/{name}")
    login(page, server)
    page.goto(f"{server}/studies/new/")
    page.get_by_label("Name").fill("From the browser")
    page.get_by_label("Model A").fill("Alpha")
    page.get_by_label("Model B").fill("Beta")
    expect(page.locator("#need-model_b")).to_contain_text("Runs on a worker")
    prompts = tmp_path / "prompts.csv"
    prompts.write_text('\ufeffid,prompt\r\n1,"a ""red"" house, at dusk"\r\n2,two  cats\r\n3,\r\n')
    page.locator("#prompts-file").set_input_files(prompts)
    expect(page.locator("#prompt-count")).to_have_text("2 prompts")
    expect(page.locator("#fault-count")).to_have_text("No faults")
    expect(page.locator("#costs")).to_contain_text("Images")
    page.get_by_label("Steps").fill("0")
    expect(page.locator("#fault-count")).to_have_text("1 fault")
    expect(page.locator("#fault-steps")).not_to_be_empty()
    expect(page.locator("#old-costs")).to_be_visible()
    expect(page.locator("#costs")).to_contain_text("Images")
    accessible(page)
    page.get_by_label("Steps").fill("4")
    expect(page.locator("#fault-count")).to_have_text("No faults")
    expect(page.locator("#old-costs")).to_be_hidden()
    page.get_by_role("button", name="Create study").click()
    expect(page.get_by_role("status").first).to_contain_text("From the browser is made.")
    manifest = current_manifest(Study.objects.get())
    assert [prompt.text for prompt in manifest.prompts] == ['a "red" house, at dusk', "two cats"]


def test_a_file_of_prompts_without_the_column_is_named(page: Page, server: str, tmp_path: Path) -> None:
    login(page, server)
    page.goto(f"{server}/studies/new/")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("text\na house\n")
    page.locator("#prompts-file").set_input_files(wrong)
    expect(page.locator("#fault-prompts")).to_have_text("wrong.csv has no column named “prompt”.")
    plain = tmp_path / "prompts.txt"
    plain.write_text("a house\n\n a tree \n")
    page.locator("#prompts-file").set_input_files(plain)
    expect(page.locator("#field-prompts")).to_have_value("a house\na tree")
