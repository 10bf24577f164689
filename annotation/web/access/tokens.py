"""Encrypt numbers into opaque tokens that an annotator's browser can hold but cannot read.

AES-SIV (RFC 5297) is deterministic, so tokens are stable and browsers cache what they address. It is authenticated, so
only tokens made here can be decrypted. Each layout has a fixed length, so the size of a token reveals nothing.
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


class TokenCipher:
    """Encrypts numbers, laid out as `struct` defines, for one purpose. Tokens of another purpose are refused."""

    def __init__(self, purpose: bytes, layout: str) -> None:
        self._purpose, self._layout = purpose, struct.Struct(layout)

    def encrypt(self, *numbers: int) -> str:
        """Return the URL-safe token of these numbers."""
        (token,) = self.encrypt_all([numbers])
        return token

    def encrypt_all(self, rows: Iterable[tuple[int, ...]]) -> list[str]:
        """Return the token of each row of numbers."""
        encrypt, pack = _cipher(settings.SECRET_KEY, self._purpose).encrypt, self._layout.pack
        return [base64.urlsafe_b64encode(encrypt(pack(*row), None)).decode().rstrip("=") for row in rows]

    def decrypt(self, token: str) -> tuple[int, ...]:
        """Return the numbers of a token; raise `ValueError` for a text that `encrypt` did not make."""
        try:
            encrypted = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            return self._layout.unpack(_cipher(settings.SECRET_KEY, self._purpose).decrypt(encrypted, None))
        except (ValueError, InvalidTag, struct.error):
            raise ValueError("not a token of this purpose") from None
