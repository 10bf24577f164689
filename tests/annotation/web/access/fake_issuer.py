"""An OpenID Connect issuer of the tests' own: configuration, keys, tokens and userinfo, over HTTP on this machine."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.test import override_settings
from django.urls import clear_url_caches

from config.environment import Environment
from config.single_sign_on import APPS, single_sign_on

CLIENT, SECRET = "semblance-client", "a secret of the client that is long enough"


@dataclass
class FakeIssuer:
    """What the issuer answers. claims: of the next ID token; `changes` replace documents by their path."""

    address: str
    key: RSAPrivateKey = field(default_factory=lambda: generate_private_key(65537, 2048))
    claims: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def document(self, path: str) -> Any:
        """Return the JSON document at a path; None if there is none."""
        documents = {
            "/.well-known/openid-configuration": lambda: {
                "issuer": self.address,
                "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": f"{self.address}/token",
                "jwks_uri": f"{self.address}/keys",
                "userinfo_endpoint": f"{self.address}/userinfo",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            },
            "/keys": lambda: key_set(self.key),
            "/token": lambda: {"access_token": "a", "token_type": "Bearer", "id_token": self.token(self.claims)},
            "/userinfo": lambda: {"sub": self.claims.get("sub")},
        }
        return self.changes[path] if path in self.changes else documents.get(path, lambda: None)()

    def token(self, claims: dict[str, Any]) -> str:
        """Return a signed ID token; what is missing among the claims is right."""
        return token(claims, key=self.key, issuer=self.address)


def token(
    claims: dict[str, Any], *, key: Any, issuer: str, algorithm: str = "RS256", headers: dict[str, Any] | None = None
) -> str:
    """Return an ID token; a claim of None is left out."""
    now = int(time.time())
    whole = {"iss": issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "sub": "person-1"} | claims
    kept = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": "k1", **(headers or {})})


def key_set(key: RSAPrivateKey) -> dict[str, Any]:
    """Return the public half as a JSON Web Key Set."""
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {"keys": [public | {"kid": "k1", "use": "sig", "alg": "RS256"}]}


class _Handler(BaseHTTPRequestHandler):
    issuer: ClassVar[FakeIssuer]

    def do_GET(self) -> None:
        """Answer with the document of the path."""
        found = self.issuer.document(self.path)
        body = json.dumps(found).encode()
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Note what was sent, and answer as for GET."""
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.issuer.asked.append((self.path, dict(parse_qsl(sent))))
        self.do_GET()

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def fake_issuer() -> Iterator[FakeIssuer]:
    """Run an issuer."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        _Handler.issuer = FakeIssuer(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield _Handler.issuer
        server.shutdown()
        thread.join()


def variables(issuer: str, **more: str) -> dict[str, str]:
    return {"OIDC_ISSUER": issuer, "OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SECRET, "OIDC_NAME": "Lab"} | more


@contextmanager
def switched_on(issuer: FakeIssuer) -> Iterator[None]:
    """Switch the login on in this process, with its tables and addresses, as the variables of an installation would."""
    issuer.claims, issuer.changes, issuer.asked = {}, {}, []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables(issuer.address).items():
            patch.setenv(name, value)
        chosen = single_sign_on(Environment())
    with override_settings(
        INSTALLED_APPS=[*settings.INSTALLED_APPS, *APPS],
        ROOT_URLCONF="tests.annotation.web.access.with_single_sign_on",
        SINGLE_SIGN_ON=chosen,
        SOCIALACCOUNT_PROVIDERS=chosen.providers,
    ):
        from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken

        tables = (SocialApp, SocialAccount, SocialToken)
        with connection.schema_editor() as editor:
            for model in tables:
                editor.create_model(model)
        clear_url_caches()
        yield
        with connection.schema_editor() as editor:
            for model in reversed(tables):
                editor.delete_model(model)
    for model in tables:
        if admin.site.is_registered(model):
            admin.site.unregister(model)
    clear_url_caches()
