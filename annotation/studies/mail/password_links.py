"""The mail with a link to choose a new password, which a person asks for on the login page."""

from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from annotation.studies.audit import record
from annotation.studies.installation.accounts import password_path, with_email
from annotation.studies.mail.sending import MailServerAwayError, mail_server, send


def send_password_links(address: str, site: str) -> bool:
    """Mail a link to each active account with this address. Return False if the mail server is away: try again.

    A second run sends a second mail, whose link opens the same page.
    """
    accounts = [account for account in with_email(address) if account.is_active]
    if not accounts:
        return True
    try:
        with mail_server() as connection:
            for account in accounts:
                if not send(connection, _mail(account, site)):
                    record("password link mailed", account=account.get_username())
    except MailServerAwayError:
        return False
    return True


def _mail(account: User, site: str) -> EmailMessage:
    values = {"account": account, "address": site + password_path(account), "site": site}
    text = render_to_string("account/email/password_link.txt", values)
    # To the account's own spelling of the address, which an admin entered, and not to what a visitor typed.
    return EmailMessage(subject="Choose a new password for Semblance", body=text, to=[account.email])
