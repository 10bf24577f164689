"""Verify an ID token (OpenID Connect Core 1.0, section 3.1.3.7). Pure: it asks no server."""

from collections.abc import Mapping
from typing import Any

import jwt

# Signatures with a public key only: with HMAC, anyone who knows the client's secret could write a token.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
NEEDED = ("iss", "sub", "aud", "exp", "iat")
LEEWAY_SECONDS = 60  # between the clocks of two machines


class TokenRefused(Exception):  # noqa: N818 - it names what happened
    """The issuer's answer is no proof of who logs in. Its text is for the log and holds no claim."""


def verified_claims(
    id_token: str, *, keys: Mapping[str, Any], issuer: str, client_id: str, nonce: str
) -> dict[str, Any]:
    """Return the claims of an ID token.

    Raises TokenRefused unless a key of the issuer signed it, for this client, for the login that sent this nonce, and
    it has not expired. keys: the issuer's JSON Web Key Set.
    """
    try:
        header = jwt.get_unverified_header(id_token)
        key = _key(keys, str(header.get("kid", "")), str(header.get("alg", "")))
        claims: dict[str, Any] = jwt.decode(
            id_token,
            key,
            algorithms=list(ALGORITHMS),
            issuer=issuer,
            audience=client_id,
            leeway=LEEWAY_SECONDS,
            options={"require": list(NEEDED)},
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise TokenRefused(f"the ID token is refused: {type(error).__name__}") from None
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", client_id) != client_id or (several and "azp" not in claims):
        raise TokenRefused("the ID token is for another client")
    if not nonce or claims.get("nonce") != nonce:
        raise TokenRefused("the ID token is not of this login: its nonce differs")
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise TokenRefused("the ID token names nobody")
    return claims


def _key(keys: Mapping[str, Any], kid: str, algorithm: str) -> jwt.PyJWK:
    """Return the key that a token names. A token without a name may use the only key of the set."""
    if algorithm not in ALGORITHMS:
        raise TokenRefused(f"the ID token is signed with {algorithm[:20]!r}")
    usable = [one for one in jwt.PyJWKSet.from_dict(dict(keys)).keys if one.public_key_use in (None, "sig")]
    found = [one for one in usable if one.key_id == kid] if kid else usable
    if len(found) != 1:
        raise TokenRefused("no key of the issuer signed the ID token")
    return found[0]


def is_verified_email(claims: Mapping[str, Any]) -> bool:
    """Return whether the issuer says that the e-mail is the person's. Some issuers write the boolean as a text."""
    return bool(claims.get("email")) and claims.get("email_verified") in (True, "true")
