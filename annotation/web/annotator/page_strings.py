"""The translated texts that the scripts of the comparison page show. The scripts fill in `{…}`."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotation.studies.manifest import Manifest

# The default texts of a study file, marked here so that the catalogues contain them.
DEFAULT_TEXTS = (
    gettext_noop("Which set is more consistent?"),
    gettext_noop("Consistent: the images of a set look alike in what they show and how."),
    gettext_noop("To show that you are reading this, please choose the set called “{side}”, whatever it shows."),
)


def other_questions(manifest: Manifest) -> list[str]:
    """Return the texts that may replace the question: those of instructed checks, for each side."""
    if not manifest.quality.instructed:
        return []
    instructed = _(manifest.texts.instructed)
    return [instructed.replace("{side}", name) for name in (_("Left"), _("Right"), _("Upper"), _("Lower"))]


def page_strings() -> dict[str, object]:
    """Return the texts by the names that the scripts use, in the active language."""
    return {
        "beside": {"left": _("Left"), "right": _("Right")},
        "above": {"left": _("Upper"), "right": _("Lower")},
        "set": _("{set} set, {of} images"),
        "image": _("{set} set, image {n} of {of}"),
        "prompt": _("Described as: {prompt}"),
        "count": _("{n} of {of}"),
        "loading": _("Loading"),
        "ready": _("Ready"),
        "look": _("Look for {n} s"),
        "sending": _("Sending"),
        "saved": _("Saved"),
        "offline": _("Offline"),
        "offlineWaiting": _("Offline ({n} waiting)"),
        "stopped": _("Stopped"),
        "stopping": _("Your last votes are not saved yet. Leave this page open until it says that they are saved."),
        "late": _("Too late to count"),
        "alreadyVoted": _("Already voted"),
        "undone": _("Undone"),
        "notUndone": _("Not undone: too late"),
        "undoUntil": _("The last vote can be undone for {n} s after it was saved."),
        "imageFailed": _(
            "An image could not be loaded, so this comparison cannot be judged fairly. Every vote you have made is "
            "saved. Report it and you get another comparison instead, or try again."
        ),
        "noCookie": _(
            "Your browser keeps no cookie of this page, so it gets no images. Every vote you have made is saved. Allow "
            "cookies for this page, then reload it."
        ),
        "practiceFailed": _("An image could not be loaded. Nothing is lost: try again."),
        "noAnswer": _(
            "The server does not answer. Every vote you have made is kept, and this page tries again by itself. Check "
            "your connection, or try again now."
        ),
        "fault": _(
            "Something on this page does not work in this browser ({reason}). Every vote that was saved is safe. "
            "Reload the page to continue. If this happens again, open the same link in another browser."
        ),
        "reportOffensive": _(
            "Report this image as offensive? The researcher will look at it, and you get another comparison instead."
        ),
        "refused": _("Your last vote could not be stored: {reason} Reload the page to continue."),
        "wait": _(
            "Other annotators have the last comparisons. One may become free: this page asks again by itself. Every "
            "vote you have made is saved. You can also stop here and come back later with the same link."
        ),
    }
