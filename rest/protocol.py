"""HTTP/1.1 with time limits: the connection of a client that stops requesting, sending or reading is closed.

uvicorn itself waits without limit for the rest of a request's head, for a body, and for a client that does not read
its answer.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

import h11

from rest.uvicorn_adapter import Connection

KEEP_ALIVE_S: Final = 9
"""Longer than the 5 s for which common clients keep an idle connection, so that the client closes it first."""

GRACE_S: Final = 3
"""Time for running answers to complete when the server stops."""

DIRECT: Final = "direct_body"
"""Key of scope["extensions"]: a DirectBody, if the rest of a body can be read from the socket itself."""


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
    """Above this number the longest idle connection is dropped: a process has about 1,000 file descriptors."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer."""
        super().connection_made(transport)
        self._waiting_since = self._body_since = self._written_since = self.now_s
        self._body_bytes = 0
        self._known_request: object | None = None
        if self.number_of_connections > self.MAX_CONNECTIONS:
            idle = [other for other in self.others() if isinstance(other, DeadlineProtocol) and other.between_requests]
            min(idle, key=lambda other: other._waiting_since, default=self).drop()
        self._timer = self.call_later(self.TICK_S, self._tick)

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
