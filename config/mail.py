"""Mail where no server is named: files that only their owner reads, since a password reset lets its reader in."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail.backends.filebased import EmailBackend
from django.core.mail.message import EmailMessage

logger = logging.getLogger(__name__)


class PrivateFiles(EmailBackend):
    """Django's files of mails, in a folder of this account's own."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        folder = Path(settings.EMAIL_FILE_PATH)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # an earlier version may have left it open to others
        super().__init__(*arguments, **options)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write them, and say in the log that they wait, not what they say."""
        logger.warning("no mail server is named (EMAIL_URL): a mail waits in %s", settings.EMAIL_FILE_PATH)
        return int(super().send_messages(email_messages) or 0)
