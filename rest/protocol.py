"""HTTP/1.1 as uvicorn speaks it, with deadlines: a client that stops asking, sending or reading loses its connection.

uvicorn waits for ever for the rest of a request's head, for a body, and for a client that does not read its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

CLOSE: Final = (b"connection", b"close")

KEEP_ALIVE_S: Final = 9
"""Longer than the 5 s for which common clients keep a connection: they should be the ones to let go."""

GRACE_S: Final = 3
"""How long a stop waits for answers that are under way."""

DIRECT: Final = "direct_body"
"""Key of scope["extensions"]: a DirectBody, where the rest of a body can be read from the socket itself."""


class DirectBody:
    """The rest of a request's body, to be read by a thread.

    Through the event loop every byte of it would be copied five times; that takes three times as long.
    """

    def __init__(self, protocol: DeadlineProtocol) -> None:
        self._protocol = protocol

    def take(self) -> tuple[bytes, socket.socket]:
        """What has come already and was not yet received, and a socket to read the rest from; close it.

        The answer closes the connection: the event loop does not know how much of the body was read.
        """
        return self._protocol.hand_over()


class DeadlineProtocol(H11Protocol):
    """One connection. Times are in seconds."""

    HEADERS_S = 10.0
    """From the connection, or the last answer, to the end of the next request's head."""

    BODY_S = 20.0
    """In every stretch of this length in which a body is waited for, BODY_BYTES of it must come."""

    BODY_BYTES = 64 * 1024

    STALL_S = 10.0
    """The client must take what was written, or most of it, within this time."""

    TICK_S = 1.0

    MOST_CONNECTIONS = 500
    """Beyond them the one that has been silent longest goes: a process has about 1,000 descriptors."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch."""
        super().connection_made(transport)
        self._waiting_since = self._body_since = self._written_since = self.loop.time()
        self._body_bytes = 0
        self._known_cycle: Any = None
        if len(self.connections) > self.MOST_CONNECTIONS:
            oldest = min(self._silent(), key=lambda other: other._waiting_since, default=self)
            oldest.drop()
        self._timer = self.loop.call_later(self.TICK_S, self._tick)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count; name the way past the event loop to a request whose body is still to come."""
        self._body_bytes += len(data)
        super().data_received(data)
        if self.cycle is not None and self.cycle is not self._known_cycle:
            self._known_cycle = self.cycle
            self._body_since, self._body_bytes = self.loop.time(), 0
            if self.scheme == "http":
                self.cycle.scope["extensions"] = {DIRECT: DirectBody(self)}  # type: ignore[dict-item] # an extension of ours

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """From here on the WebSocket's own pings watch the connection."""
        self._timer.cancel()
        super().handle_websocket_upgrade(event)

    def resume_writing(self) -> None:
        """The client has read."""
        self._written_since = self.loop.time()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """From here on the next request is waited for."""
        self._waiting_since = self.loop.time()
        super().on_response_complete()

    def hand_over(self) -> tuple[bytes, socket.socket]:
        """See DirectBody.take."""
        self.flow.pause_reading()
        taken = bytes(self.cycle.body)
        self.cycle.body = bytearray()
        # whatever the answer will be: uvicorn then closes after it
        self.cycle.scope["headers"] = [*self.cycle.scope["headers"], CLOSE]
        return taken, self.transport.get_extra_info("socket").dup()

    def drop(self) -> None:
        """End the connection at once; what the client has not read is not kept in the kernel for it either."""
        connection = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # gone already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Something that is no HTTP: answered in the form of every other error."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        body = json.dumps({"detail": msg, "error_code": "BAD_REQUEST", "hint": ""}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            CLOSE,
        ]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _silent(self) -> Iterator[DeadlineProtocol]:
        """Connections without a request."""
        for other in self.connections:
            if isinstance(other, DeadlineProtocol) and other._between_requests and not other.transport.is_closing():
                yield other

    @property
    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _tick(self) -> None:
        if self._late(self.loop.time()):
            self.drop()
        else:
            self._timer = self.loop.call_later(self.TICK_S, self._tick)

    def _late(self, time: float) -> bool:
        if self.transport.get_write_buffer_size() == 0:
            self._written_since = time
        if time - self._written_since > self.STALL_S:
            return True
        if self._between_requests:
            return time - self._waiting_since > self.HEADERS_S
        if not self.cycle.more_body or self.flow.read_paused:
            self._body_since, self._body_bytes = time, 0
        elif time - self._body_since > self.BODY_S:
            if self._body_bytes < self.BODY_BYTES:
                return True
            self._body_since, self._body_bytes = time, 0
        return False
