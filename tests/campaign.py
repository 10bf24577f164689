"""A campaign of bad inputs against a running server: every address and operation, as every kind of visitor.

Forms are read from the server's own pages and bodies from its OpenAPI document; most values stay as they are, so that
the wrong one gets deep. Everything is drawn from one seed.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import quote

import httpx2 as httpx

VALUES = (
    *("", " ", "0", "-1", "1e400", "NaN", "9" * 30, "9" * 5000, "2147483648", "true", "null", "None"),
    *("\0", "a\0b", "\x1b[2J", "\u202e", "\ufeff", "😀" * 50, "é" * 300, "'", '"><script>alert(1)</script>', "{{7*7}}"),
    *("../../etc/passwd", "/etc/passwd", "C:\\con", "a/../../b.png", "file:///etc/passwd", "http://169.254.169.254/"),
    *("' OR 1=1--", "%00", "%s%n", "=cmd()", "[" * 2000, "x" * 100_000, "2026-02-30T25:61", "0001-01-01T00:00", "²"),
    *("name = 'x'\n[models", "[annotation]\noverlap = 1e999", "\r\nSet-Cookie: a=b", "1;2", "-0", "٣", "1_000"),
)
RAW: tuple[Any, ...] = (*VALUES, None, True, -1, 2**70, 1.5, float("1e308"), [], {}, [[]], {"": ""}, ["x"] * 3000)
PART = re.compile(r"\{(\w+)\}|<(?:\w+:)?(\w+)>")
FIELD = re.compile(r"<(?:input|select|textarea|button)\b[^>]*\bname=\"([^\"]+)\"[^>]*>")
VALUE = re.compile(r"\bvalue=\"([^\"]*)\"")
FORM = re.compile(r"<form\b[^>]*>.*?</form>", re.DOTALL)
ACTION = re.compile(r"\baction=\"([^\"]*)\"")
BYTES = (b"", b"\xff\xfe\0", b"PK\x03\x04" + b"\0" * 90, b"{", b"--x\r\n", b"a=1&a=2&=", b"[" * 900)
HEADERS = (
    {"Content-Type": "application/x-www-form-urlencoded; charset=nothing"},
    {"Content-Type": "multipart/form-data"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Accept-Language": "x" * 3000},
    {"If-None-Match": '"' * 200},
    {"If-Modified-Since": "never"},
    {"Range": "bytes=9999999999-0"},
    {"Idempotency-Key": "k" * 3000},
    {"Authorization": "Bearer sem_" + "A" * 43},
    {"Authorization": "Bearer \u00e9"},
    {"Cookie": "csrftoken=\x01; sessionid=;;="},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "::::"},
)


@dataclass(slots=True)
class Visitor:
    """A kind of visitor. cookies: of a session; token: of the API; both may be empty."""

    name: str
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""


@dataclass(slots=True)
class Campaign:
    """The server, its visitors, its routes by style, and values that its addresses really have."""

    url: str
    visitors: list[Visitor]
    routes: list[str]
    known: dict[str, list[str]]
    document: dict[str, Any]
    draw: random.Random
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def run(self, count: int) -> None:
        """Send so many requests. Statuses are counted, and each fault of the server is described."""
        forms = list(self._forms())
        assert len(forms) > 20, "the forms of the pages are read"
        operations = list(self._operations())
        with httpx.Client(base_url=self.url, timeout=120, follow_redirects=False) as client:
            for _ in range(count):
                visitor = self.draw.choice(self.visitors)
                kind = self.draw.random()
                if kind < 0.4:
                    self._send(client, visitor, *self._of_form(*self.draw.choice(forms)))
                elif kind < 0.7:
                    self._send(client, visitor, *self._of_operation(*self.draw.choice(operations)))
                else:
                    self._send(client, visitor, *self._of_route(self.draw.choice(self.routes)))

    def _send(self, client: httpx.Client, visitor: Visitor, method: str, path: str, body: dict[str, Any]) -> None:
        headers = {"X-Forwarded-For": ".".join(str(self.draw.randrange(1, 250)) for _ in range(4))}
        headers |= {"X-CSRFToken": visitor.cookies.get("csrftoken", "")}
        if visitor.token and path.startswith("/api/"):
            headers["Authorization"] = f"Bearer {visitor.token}"
        if kind := body.pop("kind", ""):
            headers["Content-Type"] = kind
        if self.draw.random() < 0.08:
            headers |= self.draw.choice(HEADERS)
        cookies = "; ".join(f"{key}={value}" for key, value in visitor.cookies.items())
        pairs = [(key.encode(), value.encode()) for key, value in ({"Cookie": cookies} | headers).items()]
        try:
            answer = client.request(method, path, headers=pairs, **body)
        except httpx.HTTPError as error:
            self.faults.append(f"{visitor.name}: {method} {path[:200]}: {type(error).__name__} {error}")
            return
        self.statuses[answer.status_code] += 1
        if answer.status_code >= 500 or b"Traceback (most recent call last)" in answer.content:
            sent = str(body)[:600]
            self.faults.append(f"{visitor.name}: {method} {path[:300]} {sent}: {answer.status_code}")

    def _filled(self, route: str, chance: float) -> str:
        def value(match: re.Match[str]) -> str:
            known = self.known.get(match[1] or match[2])
            is_right = known and self.draw.random() > chance
            return quote(self.draw.choice(known) if is_right and known else self.draw.choice(VALUES)[:300], safe="")

        return PART.sub(value, route)

    def _of_route(self, route: str) -> tuple[str, str, dict[str, Any]]:
        method = self.draw.choice(("GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS"))
        query = {self._word(): self.draw.choice(VALUES)[:2000] for _ in range(self.draw.randrange(3))}
        path = self._filled(route, 0.3)
        if query:
            path += "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        return method, path, {"content": self._bytes()} if method == "POST" else {}

    def _word(self) -> str:
        names = ("page", "by", "words", "metric", "pair", "state", "owner", "q", "rate", "from", "study", "limit")
        return self.draw.choice((*names, "offset", "format", "file", "piece", "sha256", "ID", "PROLIFIC_PID", "next"))

    def _bytes(self) -> bytes:
        return self.draw.choice(BYTES)

    def _of_form(self, path: str, given: dict[str, str]) -> tuple[str, str, dict[str, Any]]:
        fields = dict(given)
        for name in self.draw.sample(sorted(fields), min(len(fields), self.draw.choice((0, 1, 1, 1, 2)))):
            fields[name] = self.draw.choice(VALUES)
            if self.draw.random() < 0.1:
                del fields[name]
        if self.draw.random() < 0.1:
            files = {self.draw.choice(sorted(given) or ["file"]): (self.draw.choice(VALUES)[:200], self._bytes())}
            return "POST", path, {"data": fields, "files": files}
        return "POST", path, {"data": fields}

    def _of_operation(self, route: str, method: str, names: list[str]) -> tuple[str, str, dict[str, Any]]:
        path = self._filled(route, 0.1)
        if method not in ("POST", "PUT") or self.draw.random() < 0.1:
            query = f"?{self._word()}={quote(self.draw.choice(VALUES)[:500], safe='')}"
            return method, path + query, {"content": self._bytes()} if method == "POST" else {}
        body = {name: self._wrong(name) for name in names if self.draw.random() < 0.9}
        return method, path, {"content": json.dumps(body), "kind": "application/json"}

    def _wrong(self, name: str) -> Any:
        if name in self.known and self.draw.random() < 0.7:
            return self.draw.choice(self.known[name])
        return self.draw.choice(RAW)

    def _operations(self) -> Iterator[tuple[str, str, list[str]]]:
        schemas = self.document.get("components", {}).get("schemas", {})
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                named = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                yield path, method.upper(), sorted(schemas.get(named, {}).get("properties", {}))

    def _forms(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the address and the fields of every form that the strongest visitor is shown."""
        strongest = self.visitors[-1]
        cookies = "; ".join(f"{key}={value}" for key, value in strongest.cookies.items())
        seen = set()
        with httpx.Client(base_url=self.url, timeout=120, follow_redirects=True) as client:
            for route in self.routes:
                for value in self.known["slug"] if "slug" in route else [""]:
                    path = PART.sub(self._one_of, route.replace("<slug:slug>", value))
                    page = client.get(path, headers={"Cookie": cookies})
                    if "text/html" not in page.headers.get("Content-Type", ""):
                        continue
                    for form in FORM.findall(page.text):
                        action = ACTION.search(form.partition(">")[0])
                        target = unescape(action[1]) if action and action[1] else page.url.path
                        fields = {one[1]: _value(one[0]) for one in FIELD.finditer(form)}
                        fields.pop("csrfmiddlewaretoken", None)
                        key = (target, tuple(sorted(fields)))
                        if "logout" not in target and key not in seen:
                            seen.add(key)
                            yield target, fields

    def _one_of(self, match: re.Match[str]) -> str:
        return quote(self.known.get(match[1] or match[2], ["1"])[0], safe="")


def _value(tag: str) -> str:
    found = VALUE.search(tag)
    return unescape(found[1]) if found else ""
