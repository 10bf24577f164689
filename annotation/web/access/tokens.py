"""Numbers sealed into opaque tokens: what an annotator's browser may hold without being able to read it.

AES-SIV (RFC 5297) is deterministic, so a token is stable and caches hold; it is authenticated, so a token
that opens was made here; and a layout has a fixed length, so nothing can be read off a token's size.
"""

import base64
import struct
from collections.abc import Iterable
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


@lru_cache(maxsize=16)
def _cipher(secret: str, purpose: bytes) -> AESSIV:
    # 64 bytes: AES-256-SIV takes one key for the tag and one for the text.
    return AESSIV(HKDF(algorithm=SHA256(), length=64, salt=None, info=purpose).derive(secret.encode()))


class Seal:
    """Tokens of one purpose, over numbers laid out as `struct` says. A token of one purpose opens no other."""

    def __init__(self, purpose: bytes, layout: str) -> None:
        self._purpose, self._layout = purpose, struct.Struct(layout)

    def close(self, *numbers: int) -> str:
        """The URL-safe token of these numbers."""
        (token,) = self.close_all([numbers])
        return token

    def close_all(self, rows: Iterable[tuple[int, ...]]) -> list[str]:
        """The token of each row of numbers."""
        encrypt, pack = _cipher(settings.SECRET_KEY, self._purpose).encrypt, self._layout.pack
        return [base64.urlsafe_b64encode(encrypt(pack(*row), None)).decode().rstrip("=") for row in rows]

    def open(self, token: str) -> tuple[int, ...]:
        """The numbers of a token; raises `ValueError` for anything that `close` did not make."""
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            return self._layout.unpack(_cipher(settings.SECRET_KEY, self._purpose).decrypt(sealed, None))
        except (ValueError, InvalidTag, struct.error):
            raise ValueError("not a token of this purpose") from None
