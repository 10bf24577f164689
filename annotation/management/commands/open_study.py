"""open_study STUDY: let annotators vote."""

from annotation.management.acting import ActionCommand


class Command(ActionCommand):
    """Opens a ready study, or a paused one again."""

    help = "Let annotators vote in a ready or paused study. The first opening freezes the manifest."
    action = "open"
