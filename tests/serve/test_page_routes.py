"""The door of the pages' port: which requests reach Streamlit, and from whom."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from jobs.settings import Settings
from rest.page_door import WEBSOCKETS_EACH, PageDoor, page_policy
from rest.page_routes import REFUSED, USED, Users, page_routes
from tests.support.processes import ROOT

PAGES = ("jobs", "analysis")
SHELL = "<script>first = 1</script><script src='./x.js'></script>"
OWN = "http://127.0.0.1"
STREAM = "ws://127.0.0.1/_stcore/stream"
LIST_ROUTES = """
import json, logging, web
from jobs.settings import load_settings
from streamlit.web.server.starlette.starlette_app import create_streamlit_routes
from streamlit.runtime import Runtime
web.make_app(load_settings())
from streamlit import logger
logger.get_logger("later")
own_handlers = [name for name in logger._loggers if logging.getLogger(name).handlers]
routes = [route.path for route in create_streamlit_routes(Runtime.instance())]
print(json.dumps({"routes": routes, "own": own_handlers}))
"""


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """Instead of Streamlit: says what reached it."""
    if scope["type"] == "websocket":
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        await websocket.send_text(scope["path"])
        await websocket.receive()
        return
    await PlainTextResponse(f"reached {scope['path']}")(scope, receive, send)


def door(**settings: str) -> TestClient:
    """A client of a door with these settings."""
    chosen = Settings(**settings)  # type: ignore[arg-type]
    return TestClient(PageDoor(behind, chosen, PAGES, SHELL), base_url=OWN, follow_redirects=False)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


@pytest.mark.slow
def test_every_route_of_streamlit_is_used_or_refused_on_purpose() -> None:
    """After an update, a failure here names routes that rest/page_routes.py does not know."""
    done = subprocess.run(
        [sys.executable, "-c", LIST_ROUTES], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    declared = {str(path) for path in found["routes"]} - {""}  # the mount of static files
    used = {path for path in declared if any(route.matches(re.sub(r"\{.*\}", "x", path)) for route in USED)}
    assert declared - used == set(REFUSED)
    assert found["own"] == [], "its loggers use the handlers of the process (rest/streamlit_adapter.py)"


def test_every_listed_route_reaches_streamlit_and_no_other_does() -> None:
    client = door()
    for route in page_routes(PAGES):
        path = f"{route.path}x" if route.path.endswith("/") and route.path != "/" else route.path
        if route.kind == "websocket":
            with client.websocket_connect(f"ws://127.0.0.1{path}") as opened:
                assert opened.receive_text() == path
            continue
        assert client.get(path).text == f"reached {path}"
        assert refusal(client.post(path)) == (405, "METHOD_NOT_ALLOWED")
        assert refusal(client.get(path, headers={"content-length": "40000000"})) == (413, "BODY_TOO_LARGE")
    refused = [path.format(session_id="a", file_id="b") for path in REFUSED if ":path" not in path]
    for path in (*refused, "/component/x", "/nothing", "/static", "/jobs/x", "/apix", "/jobsx"):
        for method in ("GET", "PUT", "POST", "DELETE"):
            assert refusal(client.request(method, path)) == (404, "NOT_FOUND"), (method, path)


def test_pictures_of_a_server_with_keys_are_for_browsers_with_access() -> None:
    client = door(api_keys="a-key-of-some-length", allowed_hosts="knee.example")
    admitted = [route for route in page_routes(PAGES) if route.users is Users.ADMITTED]
    assert {route.path for route in admitted} == {"/media/", "/_stcore/bidi-components/"}
    for route in admitted:
        path = f"{route.path}x"
        assert refusal(client.get(path)) == (401, "UNAUTHORIZED")
        assert client.get(path, headers={"x-api-key": "a-key-of-some-length"}).status_code == 200
    assert client.get("/jobs").status_code == 200, "the page asks for a key"


@pytest.mark.parametrize("keys", ["", "a-key-of-some-length"], ids=["open", "keys"])
@pytest.mark.parametrize(
    "headers",
    [{"host": "elsewhere.example"}, {"origin": "http://elsewhere.example"}, {"host": "a.example", "origin": OWN}],
    ids=str,
)
def test_a_foreign_name_or_origin_is_refused_with_the_setting(headers: dict[str, str], keys: str) -> None:
    client = door(api_keys=keys)
    for path in ("/", "/static/x", "/assets/x"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 403
        assert "ALLOWED_HOSTS" in answer.json()["hint"]
    with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect(STREAM, headers=headers):
        pass
    assert "ALLOWED_HOSTS" in caught.value.text


def test_an_allowed_name_is_accepted_everywhere() -> None:
    client = door(allowed_hosts="knee.example", api_keys="a-key-of-some-length")
    same = {"host": "knee.example:8443", "origin": "https://knee.example:8443"}
    assert client.get("/", headers=same).status_code == 200
    with client.websocket_connect(STREAM, headers=same) as opened:
        assert opened.receive_text() == "/_stcore/stream"


def test_below_a_root_path_addresses_work_with_and_without_it() -> None:
    client = door(root_path="/knee")
    for path in ("/knee/jobs", "/jobs"):
        assert client.get(path).text == "reached /knee/jobs"
    assert client.get("/knee").text == "reached /knee/"
    assert client.get("/knee/jobs/?job=1").headers["location"] == "/knee/jobs?job=1"
    assert refusal(client.get("/kneecap/jobs")) == (404, "NOT_FOUND")


def test_pages_have_the_headers_that_browsers_enforce() -> None:
    headers = door().get("/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "strict-transport-security" not in headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy["script-src"]
    assert "'sha256-" in policy["script-src"]
    assert page_policy(SHELL) != page_policy(SHELL.replace("first", "second"))
    encrypted = TestClient(PageDoor(behind, Settings(), PAGES, SHELL), base_url="https://localhost").get("/")
    assert int(encrypted.headers["strict-transport-security"].removeprefix("max-age=")) >= 86_400 * 180


@pytest.mark.slow
def test_one_client_may_have_a_number_of_open_pages() -> None:
    client = door()
    opened = [client.websocket_connect(STREAM) for _ in range(WEBSOCKETS_EACH + 1)]
    for session in opened[:-1]:
        session.__enter__()
    with pytest.raises(WebSocketDenialResponse) as caught, opened[-1]:
        pass
    assert "CLIENT_BUSY" in caught.value.text
    for session in opened[:-1]:
        session.__exit__(None, None, None)
    with client.websocket_connect(STREAM):
        pass


def test_the_least_upload_of_streamlit_is_configured() -> None:
    """Its upload is refused; should it ever be reached, it takes no more than this."""
    assert "maxUploadSize = 1 " in Path(ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8")
