"""pause_study STUDY: give out no comparisons for a while."""

from annotation.management.acting import ActionCommand


class Command(ActionCommand):
    """Pauses an open study."""

    help = "Stop giving out comparisons; open_study goes on. Comparisons on a screen may still be answered."
    action = "pause"
