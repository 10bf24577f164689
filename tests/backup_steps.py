"""What people do in an installation of its own: python -m tests.backup_steps make|vote|finish. Prints JSON."""

import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import django

PEOPLE = 6
COMPARISONS = 5


def make() -> dict[str, Any]:
    """Make an open study with its people; return an address of an image."""
    from django.utils import timezone

    from annotation.voting.annotators import read_instructions
    from annotation.web.annotator.images import addresses
    from generation.models import GeneratedImage
    from tests.annotation.web.drawn_studies import draw_study

    drawn = draw_study(prompt_count=COMPARISONS, images_per_set=2, side=64, annotation={"overlap": PEOPLE})
    people = [drawn.invite(f"person {number}") for number in range(PEOPLE)]
    for person in people:
        read_instructions(annotator=person, now=timezone.now())
    image = GeneratedImage.objects.order_by("pk")[0]
    return {"address": addresses(annotator_id=people[0].pk, image_ids=[image.pk])[0] + ".grid"}


def vote(seconds_between: float = 0.1) -> dict[str, Any]:
    """Let everybody vote to the end, in turns, as the page does; return how many votes were acknowledged."""
    from django.test import Client

    from annotation.models import Annotator

    client, count = Client(), 0
    due = {}
    for token in Annotator.objects.order_by("pk").values_list("token", flat=True):
        due[token] = client.post(f"/api/v1/annotators/{token}/next", {}, "application/json").json()
    while waiting := {token: comparison for token, comparison in due.items() if comparison["kind"] == "comparison"}:
        for token, comparison in waiting.items():
            ballot = {"vote_id": str(uuid.uuid4()), "assignment": comparison["assignment"], "choice": "left"}
            answer = client.post(f"/api/v1/annotators/{token}/votes", ballot, "application/json").json()
            count += answer["state"] == "accepted"
            due[token] = answer["next"]
            time.sleep(seconds_between)
    return {"accepted": count}


def finish(address: str) -> dict[str, Any]:
    """Vote on in a restored installation; return what was there before, and what is there afterwards."""
    from django.test import Client

    from annotation.models import Annotator, Study, Vote

    before = Vote.objects.filter(state="standing").count()
    client = Client()
    client.get(f"/a/{Annotator.objects.earliest('pk').token}/")  # binds their images to this browser
    image = client.get(address)
    accepted = vote(0)["accepted"]
    return {
        "before": before,
        "image": [image.status_code, image.headers["Content-Type"]],
        "accepted": accepted,
        "after": Vote.objects.filter(state="standing").count(),
        "finished": Annotator.objects.filter(state="finished").count(),
        "state": Study.objects.get().state,
    }


if __name__ == "__main__":
    django.setup()
    steps: dict[str, Callable[..., dict[str, Any]]] = {"make": make, "vote": vote, "finish": finish}
    step = steps[sys.argv[1]]
    print(json.dumps(step(*sys.argv[2:])))
