"""HTTP/1.1 with time limits: the connection of a client that stops requesting, sending or reading is closed.

uvicorn itself waits without limit for the rest of a request's head, for a body, and for a client that does not read
its answer.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from typing import Final

import h11
import uvicorn
from starlette.types import ASGIApp

from jobs.settings import Settings
from rest.uvicorn_adapter import Connection, quiet_refusals

KEEP_ALIVE_S: Final = 9
"""Longer than the 5 s for which common clients keep an idle connection, so that the client closes it first."""

GRACE_S: Final = 3
"""Time for running answers to complete when the server stops."""

PING_S: Final = 30.0
"""Ping interval for idle pages; a ping has a few bytes."""

MOST_MESSAGE_BYTES: Final = 1024 * 1024
"""Largest message of a page: the state of its widgets has some kilobytes."""

DIRECT: Final = "direct_body"
"""Key of scope["extensions"]: a DirectBody, if the rest of a body can be read from the socket itself."""


def run_server(app: ASGIApp | str, settings: Settings, port: int, *, pages: bool) -> None:
    """Serve until a stop signal. Without TRUSTED_PROXIES, no X-Forwarded header counts. pages: with WebSockets"""
    quiet_refusals()
    uvicorn.run(
        app,
        host=settings.host,
        port=port,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        server_header=False,
        http=DeadlineProtocol,
        ws="websockets-sansio" if pages else "none",
        ws_max_size=MOST_MESSAGE_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        access_log=False,  # rest/access_log.py
        log_config=None,  # jobs/logs.py
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
    )


class DirectBody:
    """The rest of a request's body, to be read by a thread.

    Through the event loop every byte would be copied five times, which takes three times as long.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self) -> tuple[bytes, socket.socket]:
        """Bytes received and not yet delivered, and a socket to read the rest from; the caller closes it.

        The answer closes the connection.
        """
        return self._connection.take_socket()


class DeadlineProtocol(Connection):
    """One connection. Times are in seconds."""

    HEADERS_S = 10.0
    """Maximum time from the connection, or the last response, to the end of the next request's header."""

    BODY_S = 20.0
    """In each period of this length in which a body is awaited, at least BODY_BYTES of it must arrive."""

    BODY_BYTES = 64 * 1024

    STALL_S = 10.0
    """The client must read what was written, or most of it, within this time."""

    TICK_S = 1.0

    MAX_CONNECTIONS = 500
    """Above this number the longest idle connection is dropped, of the address with the most connections: a process
    has about 1,000 file descriptors.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer."""
        super().connection_made(transport)
        self._waiting_since = self._body_since = self._written_since = self.now_s
        self._body_bytes = 0
        self._known_request: object | None = None
        if self.number_of_connections > self.MAX_CONNECTIONS:
            self._superfluous().drop()
        self._timer = self.call_later(self.TICK_S, self._tick)

    def _superfluous(self) -> DeadlineProtocol:
        """The longest idle connection of the address with the most; the newest, if none is idle."""
        open_now = [other for other in self.others() if isinstance(other, DeadlineProtocol)]
        (crowded, _), *_ = Counter(other.peer for other in open_now).most_common(1)
        crowd = [other for other in open_now if other.peer == crowded]
        idle = [other for other in crowd if other.between_requests]
        if idle:
            return min(idle, key=lambda other: other._waiting_since)
        return max(crowd, key=lambda other: other._waiting_since)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes; offer direct reading to a request whose body is still to come."""
        self._body_bytes += len(data)
        super().data_received(data)
        if self.request is not None and self.request is not self._known_request:
            self._known_request = self.request
            self._body_since, self._body_bytes = self.now_s, 0
            if not self.encrypted:
                self.add_extension(DIRECT, DirectBody(self))

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Stop the timer: a WebSocket has its own pings."""
        self._timer.cancel()
        super().handle_websocket_upgrade(event)

    def resume_writing(self) -> None:
        """The client has read."""
        self._written_since = self.now_s
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._waiting_since = self.now_s
        super().on_response_complete()

    def _tick(self) -> None:
        if self._late(self.now_s):
            self.drop()
        else:
            self._timer = self.call_later(self.TICK_S, self._tick)

    def _late(self, time: float) -> bool:
        if self.unsent_bytes == 0:
            self._written_since = time
        if time - self._written_since > self.STALL_S:
            return True
        if self.between_requests:
            return time - self._waiting_since > self.HEADERS_S
        if not self.waits_for_body:
            self._body_since, self._body_bytes = time, 0
        elif time - self._body_since > self.BODY_S:
            if self._body_bytes < self.BODY_BYTES:
                return True
            self._body_since, self._body_bytes = time, 0
        return False
