"""Who may use which address: foreign names, wrong keys, and bodies that no route needs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterator
from typing import Final

import httpx
import psutil
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from bench.pages.product import PageSite, page_site
from bench.service.figures import Figure
from bench.service.status_times import KEY, StatusTimes
from rest.page_routes import REFUSED, USED

MEGABYTE: Final = 1024 * 1024
FOREIGN: Final = "elsewhere.example"
PLACES: Final = ("REST", "/api", "page", "websocket")
SETTING: Final = "ALLOWED_HOSTS"
MEMORY_BAR_MB: Final = 8.0


def figures(*, short: bool) -> Iterator[Figure]:
    """Run with 40 MB per route and 200 wrong keys; `short`: 10 MB and 60 keys."""
    refused: list[str] = []
    tried = 0
    for keys in ("", KEY):
        with page_site(API_KEYS=keys) as site:
            site.start_queue()
            site.start_api()
            site.start_pages()
            for place, signs in itertools.product(PLACES, ({"host"}, {"origin"}, {"host", "origin"})):
                tried += 1
                if SETTING in _foreign(site, place, signs):
                    refused.append(place)
            yield from _bodies(site, keys, (10 if short else 40) * MEGABYTE)
            if keys:
                yield _wrong_keys(site, 60 if short else 200)
    yield Figure(
        bar=f"{tried} foreign Host or Origin refused with the setting's name",
        measured=f"{len(refused)} refused",
        met=len(refused) == tried,
    )


def _foreign(site: PageSite, place: str, signs: set[str]) -> str:
    """The answer to a request with foreign signs; empty if it was not refused."""
    port = site.port if place == "REST" else site.pages_port
    headers = {"host": FOREIGN if "host" in signs else f"127.0.0.1:{port}", "x-api-key": KEY}
    if "origin" in signs:
        headers["origin"] = f"http://{FOREIGN}"
    if place == "websocket":
        return asyncio.run(_handshake(port, headers))
    path = {"REST": "/stats", "/api": "/api/stats", "page": "/"}[place]
    answer = httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=10)
    return answer.text if answer.status_code == 403 else ""


async def _handshake(port: int, headers: dict[str, str]) -> str:
    host = headers["host"] if ":" in headers["host"] else f"{headers['host']}:{port}"
    try:
        async with connect(
            f"ws://{host}/_stcore/stream", host="127.0.0.1", port=port, origin=headers.get("origin"), open_timeout=10
        ):
            return ""
    except InvalidStatus as error:
        return bytes(error.response.body or b"").decode() if error.response.status_code == 403 else ""


def _bodies(site: PageSite, keys: str, size: int) -> Iterator[Figure]:
    """Send a body to every route of the pages' port, with and without a key, and watch the memory of its server."""
    assert site.pages is not None
    server = psutil.Process(site.pages.pid)
    paths = [f"{route.path}x" if route.path.endswith("/") else route.path for route in USED]
    paths += ["/", "/jobs", "/nothing", "/assets/style.css", "/api/stats", "/api/upload", "/api/scans", "/api/access"]
    paths += [path.replace("{session_id}", "a").replace("{file_id}", "b").split("{")[0] for path in REFUSED]
    body = bytes(size)
    asked = list(itertools.product(paths, ("PUT", "POST"), ({}, {"x-api-key": KEY})))
    httpx.get(f"{site.pages_url}/", timeout=10)
    resting = peak = server.memory_info().rss
    for path, method, headers in asked:
        with contextlib.suppress(httpx.TransportError):  # the server stopped reading
            httpx.request(method, f"{site.pages_url}{path}", content=body, headers=headers, timeout=30)
        peak = max(peak, server.memory_info().rss)
    peak = max(peak, asyncio.run(_messages(site, size, server)))
    grown = (peak - resting) / MEGABYTE
    server_has = "with" if keys else "without"
    yield Figure(
        bar=f"{size // MEGABYTE} MB to each route, server {server_has} keys: memory + <= {MEMORY_BAR_MB:.0f} MB",
        measured=f"+ {grown:.1f} MB after {len(asked)} requests and a WebSocket message (RSS)",
        met=grown <= MEMORY_BAR_MB,
    )


async def _messages(site: PageSite, size: int, server: psutil.Process) -> int:
    """One message of this size to the WebSocket; returns the memory of the server."""
    try:
        async with connect(f"{site.pages_url.replace('http', 'ws')}/_stcore/stream", open_timeout=10) as opened:
            await opened.send(bytes(size))
            await asyncio.wait_for(opened.recv(), 2)
    except (WebSocketException, TimeoutError, OSError):
        pass  # the server closed it
    return int(server.memory_info().rss)


def _wrong_keys(site: PageSite, number: int) -> Figure:
    with StatusTimes(site.url) as times:
        time.sleep(1)
        statuses = asyncio.run(_guess(site, number))
        time.sleep(1)
    return Figure(
        bar=f"{number} wrong keys at once: /status p99 <= 50 ms",
        measured=f"p99 {times.p99_ms:.1f} ms of {len(times.waits_ms)} responses, {times.failures} failures; {statuses}",
        met=times.p99_ms <= 50 and times.failures == 0,
    )


async def _guess(site: PageSite, number: int) -> dict[int, int]:
    """Send wrong keys at the same time; returns the number of answers by status."""
    limits = httpx.Limits(max_connections=number)
    async with httpx.AsyncClient(base_url=site.url, timeout=30, limits=limits) as client:
        keys = [{"x-api-key": f"guess-{place}"} for place in range(number)]
        answers = await asyncio.gather(*(client.post("/access", headers=headers) for headers in keys))
    statuses = [answer.status_code for answer in answers]
    return {status: statuses.count(status) for status in sorted(set(statuses))}
