"""Write mails to files if no mail server is configured; only their owner can read them, as they reset passwords."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail.backends.filebased import EmailBackend
from django.core.mail.message import EmailMessage

logger = logging.getLogger(__name__)


class PrivateFiles(EmailBackend):
    """Django's backend of mail files, in a folder that only this account can read."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        folder = Path(settings.EMAIL_FILE_PATH)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # an earlier version may have left it open to others
        super().__init__(*arguments, **options)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write the mails, and log that they wait, without their content."""
        logger.warning("no mail server is named (EMAIL_URL): a mail waits in %s", settings.EMAIL_FILE_PATH)
        return int(super().send_messages(email_messages) or 0)
