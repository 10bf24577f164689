"""A study with the image sets of an open study does not unseal that study's scores."""

import pytest
from django.utils import timezone

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.periodic import maintain
from annotation.studies.lifecycle.transitions import advance, close
from annotation.studies.sealing import WAITS, is_sealed
from tests.factories import make_study

pytestmark = pytest.mark.django_db


def sealed(study: Study) -> bool:
    return is_sealed(study, manifest=current_manifest(study))


def test_a_twin_that_is_closed_without_votes_stays_sealed_until_the_voting_of_the_other_ends() -> None:
    voting, twin = make_study(), make_study(slug="twin", has_scores=False)
    close(study=twin)
    assert (twin.state, sealed(twin)) == ("closing", True)
    assert advance(twin) == WAITS
    Study.objects.filter(pk=voting.pk).update(state="paused")
    assert advance(twin) == WAITS
    Study.objects.filter(pk=voting.pk).update(state="open")
    close(study=voting)  # the twin takes no votes any more, so neither waits for the other
    assert (voting.state, sealed(voting)) == ("closed", False)
    maintain(timezone.now())
    twin.refresh_from_db()
    assert (twin.state, sealed(twin)) == ("closed", False)


def test_a_twin_that_opted_out_of_sealing_shows_nothing_meanwhile() -> None:
    voting, twin = make_study(), make_study(slug="twin", sealed=False, has_scores=False, state="ready")
    assert sealed(twin)
    close(study=voting)
    assert not sealed(twin)


def test_studies_of_other_prompts_or_that_are_not_sealed_hold_nothing_up() -> None:
    make_study(sealed=False)
    make_study(slug="elsewhere", prompts=[{"text": "another"}])
    study = make_study(slug="mine", has_scores=False)
    close(study=study)
    assert study.state == "closed"
