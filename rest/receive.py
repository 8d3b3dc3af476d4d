"""The body of an upload on its way from the client to the disk."""

from __future__ import annotations

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class EarlyRefusal(Response):
    """An answer given while the client still sends: then the connection is closed, after a moment in which the client
    can notice (closed at once, the answer would be lost with the unread data).
    """

    LINGER_S = 1.0
    LINGER_BYTES = 4 * 1024 * 1024

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- ASGI's signature
        """ASGI."""
        self.headers["connection"] = "close"
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        read = 0
        with anyio.move_on_after(self.LINGER_S):
            while read < self.LINGER_BYTES:
                message = await receive()
                read += len(message.get("body", b""))
                if not message.get("more_body", False):
                    break
        await send({"type": "http.response.body", "body": b"", "more_body": False})
