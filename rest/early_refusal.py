"""A refusal that reaches a client which is still sending its request."""

from __future__ import annotations

import asyncio
import http
import socket
import time
from typing import Final

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rest.protocol import DIRECT, DirectBody

PIECE_BYTES: Final = 1024 * 1024
_PIECE: Final = bytearray(PIECE_BYTES)
"""Where a kernel that does not know MSG_TRUNC for TCP would put what is dropped. Its content is never used."""


class EarlyRefusal(Response):
    """A response sent while the client may still be sending, after which the connection is closed.

    Many clients lose a response if the connection is closed before they have sent everything. So the rest of the
    request is taken from the connection and dropped, until the client closes it or is silent. The kernel drops it
    without a copy, at PACE_S per PIECE_BYTES, so that this costs next to nothing. Of a body that is too large, only
    little is taken.
    """

    LINGER_S = 1.0
    LEAST_BYTES = 16 * 1024
    """A client that sends less than this in LINGER_S is taken for silent."""

    LONGEST_S = 40.0
    PACE_S = 0.04
    """600 MB take 24 s."""

    LITTLE_BYTES = 1024 * 1024
    """Of a body that is too large, or that only the event loop can read."""

    @classmethod
    def of(cls, refusal: Response) -> EarlyRefusal:
        """The same response, for a client that may still be sending."""
        headers = {name: value for name, value in refusal.headers.items() if name != "content-length"}
        return cls(refusal.body, refusal.status_code, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        self.headers["connection"] = "close"
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        direct = scope.get("extensions", {}).get(DIRECT)
        if direct is None or self.status_code == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            await self._read_little(receive)
        else:
            await self._drop_all(direct)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _read_little(self, receive: Receive) -> None:
        read = 0
        with anyio.move_on_after(self.LINGER_S):
            while True:
                message = await receive()
                read += len(message.get("body", b""))
                if not message.get("more_body", False):
                    break
                if read >= self.LITTLE_BYTES:
                    await anyio.sleep(self.LINGER_S)

    async def _drop_all(self, direct: DirectBody) -> None:
        _, source = direct.take()
        begun = heard = time.monotonic()
        new = 0
        with source:
            while time.monotonic() - begun < self.LONGEST_S and time.monotonic() - heard < self.LINGER_S:
                dropped = _drop(source)
                if dropped == 0:
                    return
                new += dropped or 0
                if new >= self.LEAST_BYTES:
                    heard, new = time.monotonic(), 0
                await asyncio.sleep(self.PACE_S)


def _drop(source: socket.socket) -> int | None:
    """Drop up to PIECE_BYTES that have arrived; 0 if the client has closed, None if nothing has arrived."""
    try:
        return source.recv_into(_PIECE, PIECE_BYTES, socket.MSG_TRUNC)
    except BlockingIOError:
        return None
    except OSError:
        return 0
