"""A real OpenID Connect provider in a process, and a sign-in as a browser does it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.processes import DATA_DIR, free_port, running, wait_until
from tests.support.rest_client import answers


@dataclass(frozen=True, kw_only=True)
class OpenIdProvider:
    """environment: the settings of a server that uses it, with the address to which it returns"""

    issuer: str
    app_port: int
    environment: dict[str, str]

    @property
    def url(self) -> str:
        """Of the pages."""
        return f"http://127.0.0.1:{self.app_port}"

    def know(self, subject: str, **claims: object) -> None:
        """Make a person known, who has these claims."""
        httpx.put(f"{self.issuer}/users/{subject}", json=claims).raise_for_status()

    def answer(self, client: httpx.Client, subject: str, next: str = "/") -> str:
        """Begin a sign-in, and do at the provider what its person does; -> where it sends the browser."""
        begun = client.get(f"{self.url}/api/sign-in", params={"next": next})
        assert begun.status_code == 303, begun.text
        asked = parse_qs(urlsplit(begun.headers["location"]).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["redirect_uri"] == [f"{self.url}/api/sign-in/callback"]
        done = client.post(begun.headers["location"], data={"sub": subject})
        assert done.status_code == 302, done.text
        return str(done.headers["location"])

    def sign_in(self, subject: str, next: str = "/") -> httpx.Client:
        """A browser in which a person has signed in."""
        client = httpx.Client(base_url=f"{self.url}/api", timeout=30)
        answer = client.get(self.answer(client, subject, next))
        assert answer.status_code == 303, answer.text
        return client


@contextlib.contextmanager
def provider(**environment: str) -> Iterator[OpenIdProvider]:
    """Start it, and register a server whose pages get a free port."""
    port, app_port = free_port(), free_port()
    issuer = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "oidc_provider_mock", "-p", str(port), "-r", "true", "-n", "true"]
    with running(command, DATA_DIR / "provider.log"):
        wait_until(lambda: answers(f"{issuer}/jwks"), what="the provider")
        body = {"redirect_uris": [f"http://127.0.0.1:{app_port}/api/sign-in/callback"]}
        client = httpx.post(f"{issuer}/oauth2/clients", json=body).json()
        yield OpenIdProvider(
            issuer=issuer,
            app_port=app_port,
            environment={
                "SIGN_IN_ISSUER": issuer,
                "SIGN_IN_CLIENT_ID": client["client_id"],
                "SIGN_IN_CLIENT_SECRET": client["client_secret"],
                "SIGN_IN_ADDRESS": f"http://127.0.0.1:{app_port}",
                "APP_PORT": str(app_port),
                **environment,
            },
        )
