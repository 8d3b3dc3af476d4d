"""Which requests the guard admits, in both places of the interface: on its own port and beside the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from jobs.settings import ACCESS_COOKIE, load_settings
from jobs.state.passes import PASS_LIFETIME_S
from rest import guard
from rest.access import end_access, grant_access
from rest.clients import WRONG_KEYS, WRONG_KEYS_WINDOW_S, KeyTries
from rest.guard import BESIDE_PAGES, Guard

FIRST, SECOND = "the-first-of-two-keys", "the-second-of-two-keys"
PUBLIC = {"API_KEYS": f"{FIRST}, {SECOND}", "ALLOWED_HOSTS": "knee.example"}
LOCAL = {"API_KEYS": f"{FIRST}, {SECOND}"}


def shown(request: Request) -> PlainTextResponse:
    return PlainTextResponse("shown")


def served() -> Starlette:
    """The guard in both places, before routes that answer everybody."""
    inner = Starlette(
        routes=[
            Route("/stats", shown, methods=["GET", "POST"]),
            Route("/health", shown),
            Route("/access", grant_access, methods=["POST"]),
            Route("/access", end_access, methods=["DELETE"]),
        ]
    )
    return Starlette(routes=[Mount(BESIDE_PAGES, Guard(inner)), Mount("/", Guard(inner))])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the tries with keys, in s; no client has sent one."""
    now = [0.0]
    monkeypatch.setattr(guard, "key_tries", KeyTries(lambda: now[0]))
    return now


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> Iterator[Callable[..., TestClient]]:
    """Opens a client of a server with these settings."""

    def opened(base: str = "http://127.0.0.1", address: str = "192.0.2.1", **settings: str) -> TestClient:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        load_settings.cache_clear()
        return TestClient(served(), base_url=base, client=(address, 1))

    yield opened
    load_settings.cache_clear()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


def test_the_pages_of_this_machine_need_no_key_but_the_interface_does(browser: Callable[..., TestClient]) -> None:
    client = browser(**LOCAL)
    assert client.get("/api/stats").text == "shown"
    assert code(client.get("/stats")) == (401, "UNAUTHORIZED")
    assert client.get("/stats").headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("settings", [LOCAL, PUBLIC], ids=["local", "public"])
def test_health_is_open_in_both_places(browser: Callable[..., TestClient], settings: dict[str, str]) -> None:
    client = browser(**settings)
    assert client.get("/health").text == client.get("/api/health").text == "shown"
    assert client.get("/health/").status_code == 401


def test_a_pass_opens_the_interface_beside_the_pages_only(browser: Callable[..., TestClient]) -> None:
    client = browser(**PUBLIC)
    assert code(client.get("/api/stats")) == (401, "UNAUTHORIZED")
    assert code(client.post("/api/access")) == (401, "UNAUTHORIZED")
    assert code(client.post("/api/access", headers={"x-api-key": "a-guess"})) == (401, "UNAUTHORIZED")
    assert client.post("/api/access", headers={"x-api-key": SECOND}).status_code == 204
    assert client.get("/api/stats").text == "shown"
    assert code(client.get("/stats")) == (401, "UNAUTHORIZED")
    kept = {"cookie": f"{ACCESS_COOKIE}={client.cookies[ACCESS_COOKIE]}"}
    rest = browser(**PUBLIC | {"API_KEYS": SECOND})
    assert rest.get("/api/stats", headers=kept).text == "shown", "it was made with the key that was sent"
    assert browser(**PUBLIC | {"API_KEYS": FIRST}).get("/api/stats", headers=kept).status_code == 401
    client = browser(**PUBLIC)
    assert client.delete("/api/access", headers=kept).status_code == 204
    assert client.get("/api/stats", headers=kept).status_code == 401


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_cookie_is_hidden_from_scripts_and_from_other_sites(
    browser: Callable[..., TestClient], scheme: str
) -> None:
    client = browser(f"{scheme}://127.0.0.1", **PUBLIC)
    for answer in (client.post("/api/access", headers={"x-api-key": FIRST}), client.delete("/api/access")):
        assert answer.status_code == 204
        attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}
        assert {"httponly", "samesite=strict"} <= attributes
        assert ("secure" in attributes) == (scheme == "https")
        given = answer.request.method == "POST"
        assert f"max-age={PASS_LIFETIME_S if given else 0}" in attributes


def test_a_key_is_taken_from_either_header(browser: Callable[..., TestClient]) -> None:
    client = browser(**PUBLIC)
    for key in (FIRST, SECOND):
        for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}, {"authorization": f"bearer  {key} "}):
            assert client.get("/stats", headers=headers).text == "shown"
    for headers in ({"authorization": f"Basic {FIRST}"}, {"authorization": FIRST}, {"x-api-key": ""}):
        assert code(client.get("/stats", headers=headers)) == (401, "UNAUTHORIZED")


def test_wrong_keys_are_refused_for_a_minute_and_requests_without_a_key_are_not_counted(
    browser: Callable[..., TestClient], clock: list[float]
) -> None:
    client = browser(**PUBLIC)
    for _ in range(2 * WRONG_KEYS):
        assert code(client.get("/stats")) == (401, "UNAUTHORIZED")
    wrong, right = {"x-api-key": "a-guess"}, {"x-api-key": FIRST}
    for _ in range(WRONG_KEYS):
        assert code(client.get("/stats", headers=wrong)) == (401, "UNAUTHORIZED")
    clock[0] = WRONG_KEYS_WINDOW_S - 0.5
    for headers in (wrong, right):
        refused = client.get("/stats", headers=headers)
        assert code(refused) == (429, "TOO_MANY_KEYS")
        assert refused.headers["retry-after"] == "1"
    assert code(client.get("/stats")) == (401, "UNAUTHORIZED")
    assert browser(address="192.0.2.2", **PUBLIC).get("/stats", headers=right).text == "shown"
    clock[0] = WRONG_KEYS_WINDOW_S + 0.5
    assert client.get("/stats", headers=right).text == "shown"


@pytest.mark.parametrize("settings", [{}, LOCAL, PUBLIC], ids=["open", "local", "public"])
def test_a_foreign_name_is_refused_with_the_right_key_too(
    browser: Callable[..., TestClient], settings: dict[str, str]
) -> None:
    client = browser(**settings)
    for path in ("/stats", "/api/stats", "/health"):
        headers = {"x-api-key": FIRST, "host": "elsewhere.example"}
        assert code(client.get(path, headers=headers)) == (403, "UNKNOWN_HOST")
        assert client.get(path, headers={"x-api-key": FIRST}).status_code == 200


def test_a_refused_upload_ends_its_connection(browser: Callable[..., TestClient]) -> None:
    client = browser(**PUBLIC)
    assert client.post("/stats", content=b"scan").headers["connection"] == "close"
    assert "connection" not in client.get("/stats").headers


def test_without_keys_everything_is_open(browser: Callable[..., TestClient]) -> None:
    client = browser()
    for path in ("/stats", "/api/stats"):
        assert client.get(path).text == client.post(path).text == "shown"
    answer = client.post("/access", headers={"x-api-key": "a-guess"})
    assert answer.status_code == 204
    assert "set-cookie" not in answer.headers
