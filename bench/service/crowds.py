"""One address opens many pages and sends many uploads: others still get pages and answers."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from bench.pages.product import PageSite, page_site
from bench.service.figures import Figure
from bench.service.status_times import KEY, StatusTimes

CROWD: Final = "127.0.0.7"
OTHER: Final = "127.0.0.8"
PAGE_BAR_S: Final = 3.0
STATUS_BAR_MS: Final = 50.0
FIRST_VISIT_S: Final = 8.0
"""During its first visit a server imports what all pages need."""

UPLOAD_BYTES: Final = 8 * 1024 * 1024


def figures(*, short: bool) -> Iterator[Figure]:
    """Run with 500 WebSockets and 40 uploads; `short`: 120 and 12."""
    websockets, uploads = (120, 12) if short else (500, 40)
    with page_site() as site:
        site.start_queue()
        site.start_api()
        site.start_pages()
        asyncio.run(_page(site, stay_s=FIRST_VISIT_S))
        with StatusTimes(site.url) as rest, StatusTimes(f"{site.pages_url}/api") as pages:
            seen, refusals, page_s = asyncio.run(_crowd(site, websockets, uploads))
    crowd = f"{websockets} WebSockets and {uploads} uploads of one address"
    yield Figure(
        bar=f"{crowd}: another gets a page in <= {PAGE_BAR_S:.0f} s",
        measured=f"slowest of {len(page_s)}: {max(page_s):.2f} s; WebSockets: {dict(seen)}",
        met=max(page_s) <= PAGE_BAR_S,
    )
    for name, times in (("REST", rest), ("pages", pages)):
        yield Figure(
            bar=f"{crowd}: /status p99 <= {STATUS_BAR_MS:.0f} ms on the port of {name}",
            measured=f"p99 {times.p99_ms:.1f} ms of {len(times.waits_ms)} responses, {times.failures} failures",
            met=times.p99_ms <= STATUS_BAR_MS and times.failures == 0,
        )
    yield Figure(
        bar="every upload gets an answer",
        measured=f"{dict(refusals)}",
        met=refusals.total() == uploads and all(isinstance(answer, int) for answer in refusals),
    )


async def _crowd(site: PageSite, websockets: int, uploads: int) -> tuple[Counter[object], Counter[object], list[float]]:
    """-> (outcomes of the WebSockets, outcomes of the uploads, seconds that another address waited for a page)."""
    held: list[ClientConnection] = []
    opening = asyncio.create_task(_open(site, websockets, held))
    sending = asyncio.create_task(_send(site, uploads))
    page_s = []
    while not (opening.done() and sending.done()) or len(page_s) < 5:
        page_s.append(await _page(site))
        await asyncio.sleep(0.3)
    for opened in held:
        await opened.close()
    return await opening, await sending, page_s


async def _open(site: PageSite, number: int, held: list[ClientConnection]) -> Counter[object]:
    """Open WebSockets, all at once, and leave them idle."""
    address = f"ws://127.0.0.1:{site.pages_port}/_stcore/stream"

    async def one() -> object:
        try:
            held.append(await connect(address, local_addr=(CROWD, 0), open_timeout=60, ping_interval=None))
        except InvalidStatus as error:
            return error.response.status_code
        except (WebSocketException, TimeoutError, OSError) as error:
            return type(error).__name__
        return "open"

    return Counter(await asyncio.gather(*(one() for _ in range(number))))


async def _send(site: PageSite, number: int) -> Counter[object]:
    """Send uploads, all at once."""
    body = os.urandom(UPLOAD_BYTES)
    transport = httpx.AsyncHTTPTransport(local_address=CROWD, limits=httpx.Limits(max_connections=number))
    async with httpx.AsyncClient(base_url=site.url, transport=transport, timeout=120) as client:

        async def one() -> object:
            try:
                files = {"file": ("scan.nii.gz", body)}
                return (await client.post("/upload", files=files, headers={"x-api-key": KEY})).status_code
            except httpx.TransportError as error:
                return type(error).__name__

        return Counter(await asyncio.gather(*(one() for _ in range(number))))


async def _page(site: PageSite, *, stay_s: float = 0.0) -> float:
    """Seconds until a page of another address has its shell, its WebSocket and the first content; then it stays."""
    begun = time.monotonic()
    transport = httpx.AsyncHTTPTransport(local_address=OTHER)
    async with httpx.AsyncClient(base_url=site.pages_url, transport=transport, timeout=60) as client:
        for path in ("/", "/_stcore/health", "/_stcore/host-config"):
            (await client.get(path)).raise_for_status()
    address = f"ws://127.0.0.1:{site.pages_port}/_stcore/stream"
    async with connect(address, local_addr=(OTHER, 0), open_timeout=60, close_timeout=1, max_size=None) as opened:
        await opened.send(_rerun())
        async with asyncio.timeout(60):
            while b"New analysis" not in await opened.recv():
                pass
        taken = time.monotonic() - begun  # closing the connection takes longer and is not waited for by anybody
        await asyncio.sleep(stay_s)
        return taken


def _rerun() -> bytes:
    """The message with which a browser asks for the content of a page."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ClientState_pb2 import ClientState

    return bytes(BackMsg(rerun_script=ClientState()).SerializeToString())
