"""The private parts of uvicorn's HTTP/1.1 implementation that the REST interface relies on, behind methods of our own.

rest/protocol.py uses only these. tests/rest/test_adapters.py fails when uvicorn changes one of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

UNFINISHED: Final = "returned without completing handshake"

CLOSE: Final = (b"connection", b"close")

LINGER_S: Final = 1.0
"""Time for which data of a refused client is dropped before its connection is closed."""


def quiet_refusals() -> None:
    """Keep uvicorn from logging an error for each WebSocket that is refused with an ordinary response."""
    logging.getLogger("uvicorn.error").addFilter(lambda record: UNFINISHED not in record.getMessage())


class Connection(H11Protocol):
    """One connection. The methods below `drop` are for subclasses; the others override uvicorn's."""

    _refused = False

    def drop(self) -> None:
        """End the connection at once. Data that the client has not read is discarded by the kernel too."""
        connection = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # already closed
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def others(self) -> Iterator[Connection]:
        """Open connections of this server, this one included."""
        for other in self.connections:
            if isinstance(other, Connection) and not other.transport.is_closing():
                yield other

    @property
    def peer(self) -> str:
        """Address of the other end; empty for a Unix socket."""
        return self.client[0] if self.client else ""

    @property
    def number_of_connections(self) -> int:
        """Number of connections of this server."""
        return len(self.connections)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call `callback` once, after this time."""
        return self.loop.call_later(seconds, callback)

    @property
    def now_s(self) -> float:
        """Time of the event loop."""
        return self.loop.time()

    @property
    def request(self) -> object | None:
        """The current or last request; a new object for each. None before the first."""
        return self.cycle

    @property
    def between_requests(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def waits_for_body(self) -> bool:
        """Whether more of a request's body is expected and reading is not paused. Only during a request."""
        return bool(self.cycle.more_body and not self.flow.read_paused)

    @property
    def encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return self.scheme != "http"

    def add_extension(self, name: str, value: object) -> None:
        """Set scope["extensions"][name] of the current request."""
        self.cycle.scope["extensions"] = {name: value}  # type: ignore[dict-item] # an extension of ours

    @property
    def unsent_bytes(self) -> int:
        """Size of what was written and not yet sent."""
        return self.transport.get_write_buffer_size()

    def take_socket(self) -> tuple[bytes, socket.socket]:
        """Stop reading the current request's body; -> (bytes received and not yet delivered, a copy of the socket).

        The connection is closed after the answer, because uvicorn does not know how much of the body was read.
        """
        self.flow.pause_reading()
        received = bytes(self.cycle.body)
        self.cycle.body = bytearray()
        self.cycle.scope["headers"] = [*self.cycle.scope["headers"], CLOSE]
        return received, self.transport.get_extra_info("socket").dup()

    def send_400_response(self, msg: str) -> None:
        """Answer data that is not HTTP in the format of all other errors."""
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
        # a client that is still sending would lose the answer if the connection were closed now
        self._refused = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.call_later(LINGER_S, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Drop what follows data that is not HTTP."""
        if not self._refused:
            super().data_received(data)
