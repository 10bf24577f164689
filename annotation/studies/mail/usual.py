"""The mails that annotators get unless a researcher writes others, in the study's language."""

from django.utils import translation
from django.utils.translation import gettext as _

from annotation.models import InvitationMail, Study
from annotation.studies.current import current_manifest
from annotation.studies.language import language_of

Kind = InvitationMail.Kind


def usual_mail(study: Study, kind: str) -> tuple[str, str]:
    """Return the subject and the message of an invitation or a reminder, with their places unfilled."""
    with translation.override(language_of(current_manifest(study))):
        if kind == Kind.REMINDER:
            subject = _("Reminder: {study}")
            paragraphs = [
                _("you were invited to compare sets of images, and some comparisons still wait for you."),
                _("Your link takes you back to where you stopped:") + "\n{link}",
            ]
        else:
            subject = _("Invitation: {study}")
            paragraphs = [
                _("you are invited to compare sets of images and to say which set is more consistent.")
                + " "
                + _("You can stop and continue later."),
                _("Your personal link, which is for you alone:") + "\n{link}",
            ]
        return subject, "\n\n".join([_("Hello,"), *paragraphs, _("Thank you.")])
