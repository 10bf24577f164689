"""Hand mails to the mail server. A refused address is returned as a reason; no log line holds an address or a link."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from smtplib import SMTPException, SMTPRecipientsRefused

from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend

logger = logging.getLogger(__name__)
REFUSED = "the mail server refused the address"
AWAY = "the mail server did not answer"


class MailServerAwayError(Exception):
    """The mail server cannot be reached, or refuses everything: no further mail has to be tried now."""


@contextmanager
def mail_server() -> Iterator[BaseEmailBackend]:
    """Open one connection for several mails. Raises MailServerAwayError if there is none."""
    connection = get_connection()
    try:
        connection.open()
        yield connection
    except (SMTPException, OSError) as error:
        logger.warning("mails wait: %s", type(error).__name__)
        raise MailServerAwayError from error
    finally:
        try:
            connection.close()
        except (SMTPException, OSError):
            logger.warning("the mail server closed the connection first")


def send(connection: BaseEmailBackend, mail: EmailMessage) -> str:
    """Send a mail to one address; return an empty text, or why that address cannot get it.

    Raises OSError or SMTPException if the server fails for other reasons.
    """
    mail.connection = connection
    try:
        mail.send()
    except (SMTPRecipientsRefused, UnicodeError):
        return REFUSED
    return ""
