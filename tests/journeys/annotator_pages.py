"""The pages of annotators and visitors, as the tour visits them."""

import errno
import os

import pytest
from django.utils import timezone
from playwright.sync_api import Route, expect

from annotation.models import Annotator, Study
from annotation.web.annotator import joining
from tests.annotation.web.annotator.test_onboarding import FRAME, PLATFORM, TEXTS
from tests.annotation.web.drawn_studies import draw_study
from tests.factories import put_in_state
from tests.journeys.tour import PER_SET, Tour


def visit_the_landing(tour: Tour) -> None:
    tour.go("/")
    tour.stop("landing")
    tour.go("/sample-report/")
    tour.stop("sample-report")
    tour.go("/docs/")
    tour.stop("docs")
    tour.page.get_by_label("Search the docs").fill("overlap")
    tour.press("Search")
    tour.stop("docs-search")
    tour.go("/docs/nothing/")
    tour.stop("docs-404")
    tour.go("/docs/study-guide/")
    tour.stop("docs-study-guide")
    tour.go("/resume/")
    tour.page.get_by_label("Resume code").fill("WRONG")
    tour.press("Continue")
    tour.stop("resume")
    tour.go("/a/wrong/")
    tour.stop("404")
    tour.go("/accounts/signup/")
    tour.stop("signup")
    for path in ("", "done/", "key/1-wrong/"):
        tour.go(f"/accounts/password/reset/{path}")
        tour.stop(f"password-reset-{path.partition('/')[0] or 'ask'}")


def visit_the_states(tour: Tour) -> None:
    """A study that is not open, for its annotators and for visitors."""
    drawn = draw_study(prompt_count=1, images_per_set=PER_SET, annotation={"most_annotators": 1})
    tour.go(f"/join/{drawn.study.open_link_token}/")
    tour.stop("join")
    tour.press("Start")
    tour.stop("instructions")
    link = tour.page.url
    for state in (Study.State.PAUSED, Study.State.READY, Study.State.CLOSED):
        put_in_state(drawn.study, state)
        tour.page.goto(link)
        tour.stop(f"state-{state}")
    put_in_state(drawn.study, Study.State.OPEN)
    tour.page.goto(f"{link}end/")
    tour.press("Start the comparisons")
    tour.until_votable()
    tour.page.goto(f"{link}end/")
    tour.stop("nothing-left")
    tour.page.context.clear_cookies()
    tour.go(f"/join/{drawn.study.open_link_token}/")
    tour.stop("all-held")
    drawn.study.annotators.update(state=Annotator.State.FINISHED)
    tour.go(f"/join/{drawn.study.open_link_token}/")
    tour.stop("study-full")
    visit_as_from_a_pilot(tour)


def visit_as_from_a_pilot(tour: Tour) -> None:
    """The open link of a study, opened in the browser of a person who took part in its pilot."""
    study, pilot = (draw_study(prompt_count=2, images_per_set=PER_SET).study for _ in range(2))
    Study.objects.filter(pk=pilot.pk).update(pilot_of=study)
    for one in (pilot, study):
        tour.go(f"/join/{one.open_link_token}/")
        if one == pilot:
            tour.press("Start")
            tour.page.wait_for_url("**/a/**")
    tour.stop("in-pilot")


def visit_the_comparisons(tour: Tour) -> None:
    drawn = draw_study(prompt_count=3, images_per_set=PER_SET, annotation={"ties": True})
    tour.begin(drawn)
    tour.until_votable()
    tour.stop("comparison")
    tour.page.locator(".cell").nth(2).click()
    expect(tour.page.get_by_role("dialog")).to_be_visible()
    tour.stop("comparison-zoom")
    tour.press("Report this image")
    tour.stop("comparison-offensive")
    tour.press("Back to the comparison")
    tour.page.keyboard.press("1")
    expect(tour.page.get_by_role("button", name="Undo")).to_be_visible()
    tour.until_votable()
    tour.stop("comparison-undo")
    tour.page.context.set_offline(True)
    tour.page.keyboard.press("2")
    expect(tour.page.locator("#state")).to_have_text("Offline (1 waiting)")
    tour.stop("comparison-offline")
    tour.page.context.set_offline(False)
    expect(tour.page.locator("#state")).to_have_text("Saved")


def visit_what_goes_wrong(tour: Tour) -> None:
    """An image that fails, and a study whose last comparison another annotator holds."""
    drawn = draw_study(prompt_count=1, images_per_set=PER_SET, annotation={"overlap": 1})
    failed: list[str] = []

    def fail_one(route: Route) -> None:
        failed.append(route.request.url)
        if route.request.url == failed[0]:
            route.abort()
        else:
            route.continue_()

    tour.page.route("**/i/*", fail_one)
    tour.begin(drawn, "Bob")
    expect(tour.page.get_by_role("alert")).to_contain_text("could not be loaded")
    tour.stop("comparison-failed")
    tour.page.unroute_all(behavior="ignoreErrors")
    tour.begin(drawn, "Cleo")
    expect(tour.page.get_by_role("alert")).to_contain_text("Other annotators have")
    tour.stop("comparison-wait")


def visit_the_refusals(tour: Tour) -> None:
    """Requests that the server cannot read or does not allow, and its own failures."""
    drawn = draw_study(prompt_count=1, images_per_set=2, platform=PLATFORM)
    tour.go(f"/join/{drawn.study.open_link_token}/?{'a&' * 1001}")
    tour.stop("400")
    tour.go("/resume/")
    tour.page.context.clear_cookies()
    tour.page.get_by_label("Resume code").fill("WRONG")
    tour.press("Continue")
    tour.stop("403-csrf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joining, "MOST_RESUME_TRIES", 0)
        tour.go("/resume/")
        tour.page.get_by_label("Resume code").fill("WRONG")
        tour.press("Continue")
        tour.stop("429")
        patch.setattr(joining, "ResumeForm", None)
        tour.go("/resume/")
        tour.stop("500")
        patch.setattr(joining, "ResumeForm", disk_is_full)
        tour.go("/resume/")
        tour.stop("503")


def disk_is_full(*_data: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def visit_the_onboarding(tour: Tour) -> None:
    drawn = draw_study(prompt_count=3, images_per_set=PER_SET, frame=FRAME, platform=PLATFORM, texts=TEXTS)
    tour.go(f"/join/{drawn.study.open_link_token}/")
    tour.stop("missing-id")
    tour.go(f"/join/{drawn.study.open_link_token}/?PROLIFIC_PID=p1")
    tour.stop("onboarding-welcome")
    tour.press("I agree and take part")
    tour.press("Continue")
    tour.stop("onboarding-questions")
    tour.page.get_by_label("How old are you?").fill("34")
    tour.press("Continue")
    tour.stop("onboarding-instructions")
    tour.press("Continue")
    for _number in range(2):
        tour.until_votable()
        tour.stop("onboarding-practice")
        tour.page.keyboard.press("1")
        tour.page.get_by_role("link", name="Continue").wait_for()
        tour.stop("onboarding-feedback")
        tour.follow("Continue")
    for number in range(2):
        for answer in ("beauty", "sets"):
            tour.page.get_by_label(answer).check()
        tour.press("Check my answers")
        tour.page.get_by_role("heading", name=["Is everything clear?", "Your part in this study has ended"][number])
        tour.stop(["onboarding-check", "onboarding-screened-out"][number])
    visit_the_debriefing(tour, Annotator.objects.get(external_id="p1"))


def visit_the_debriefing(tour: Tour, annotator: Annotator) -> None:
    """The pages from a break to the withdrawal."""
    Annotator.objects.filter(pk=annotator.pk).update(
        check_passed_at=timezone.now(), state=Annotator.State.ACTIVE, screened_out_for=""
    )
    tour.go(f"/a/{annotator.token}/")
    for _vote in range(2):
        tour.until_votable()
        tour.page.keyboard.press("1")
        tour.page.wait_for_timeout(100)
    tour.page.get_by_role("button", name="Continue").wait_for()
    tour.stop("break")
    tour.press("Stop for now")
    tour.stop("stop")
    tour.follow("Continue")
    tour.press("Continue")
    tour.until_votable()
    tour.page.keyboard.press("2")
    tour.page.get_by_label("Your comment").wait_for()
    tour.stop("comment")
    tour.press("Continue")
    tour.page.get_by_role("link", name="Back to the platform").wait_for()
    tour.stop("end")
    tour.follow("Withdraw from this study")
    tour.stop("withdraw")
    tour.press("Delete my votes and withdraw")
    tour.stop("withdrawn")
