"""The secret key of an installation that sets none."""

import secrets
from contextlib import suppress
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from config.environment import writable_folder


def installation_key(var: Path) -> str:
    """Return the key in the var folder, made once and readable by its owner only. Exits with one sentence, not with a
    traceback, if the folder cannot be used."""
    try:
        return _stored_key(var)
    except OSError as error:
        what = f"{error.filename or var}: {error.strerror}"
        raise ImproperlyConfigured(
            f"The var folder cannot be used ({what}). Make room, set its owner, or name another one in SEMBLANCE_VAR."
        ) from error


def _stored_key(var: Path) -> str:
    path = var / "secret_key"
    writable_folder(var, variable="SEMBLANCE_VAR")
    if not path.exists():
        part = path.with_name(f"secret_key.{secrets.token_hex(8)}.part")
        try:
            part.touch(0o600)
            part.write_text(secrets.token_urlsafe(64))
            # If two processes start at once, one of them stores its key atomically, and both read that key.
            with suppress(FileExistsError):
                path.hardlink_to(part)
        finally:
            part.unlink(missing_ok=True)
    return path.read_text()
