"""Transfers the body of an upload from the client to disk.

A thread parses and writes it. If the server is ours and the length is known, the thread also reads it directly from
the socket.
"""

from __future__ import annotations

import asyncio
import functools
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive

from jobs import service
from jobs.errors import UploadTooSlow
from jobs.intake.field_names import check_query
from jobs.intake.parts import FilePart
from pipeline.errors import KneeError
from pipeline.file_kinds import EXTENSIONS, VOLUMES, FileKind, either
from rest.answers import error_response
from rest.clients import Places, TimeBudget, client_of
from rest.early_refusal import EarlyRefusal
from rest.protocol import DIRECT

T = TypeVar("T")
F = TypeVar("F")

BATCH_BYTES: Final = 1024 * 1024
"""Approximate size of the pieces for the writing thread."""

PIECE_BYTES: Final = 256 * 1024
"""Bytes per read from a socket: they stay in the CPU cache until they are written."""

STOP_CHECK_MS: Final = 500
"""Interval at which a thread waiting for a client checks whether to stop."""

MAX_UPLOADS: Final = 8
UPLOADS_EACH: Final = 4
"""Maximum number of simultaneous uploads, and of one client. Each has a separate thread, so that other routes do not
wait.
"""

CHECKS: Final = 2
CHECK_BUDGET_S: Final = 150.0
CHECK_WINDOW_S: Final = 300.0
"""Simultaneous checks of uploads, and the time that those of one client may take: the slowest scans need 10 s each."""

WINDOW_S: Final = 15.0
"""Maximum silence of a client; and the waiting time in which at least SLOWEST_BYTES must arrive."""

SLOWEST_BYTES: Final = int(WINDOW_S) * 16 * 1024


class Intake:
    """The places for uploads and their checks."""

    def __init__(self) -> None:
        self._places = Places("uploads", MAX_UPLOADS, UPLOADS_EACH)
        self._checks = TimeBudget(CHECKS, CHECK_BUDGET_S, CHECK_WINDOW_S)
        self._threads = CapacityLimiter(MAX_UPLOADS)

    async def receive(
        self,
        request: Request,
        finish: Callable[[service.FormReceiver[F], tuple[str, ...]], BaseModel],
        form: service.FormKind[F],
    ) -> Response:
        """Receive a form with a file, and respond 201 with the result of `finish`; a failure leaves no files.

        finish: receives the form, and warnings about the query

        Raises the KneeErrors of `finish`, and other errors after the whole body has been read.
        """
        receiver: service.FormReceiver[F] | None = None
        whole = False
        client = client_of(request.scope)
        try:
            with self._places.hold(client):
                headers = request.headers
                warnings = check_query(request.query_params, form.fields)
                opened = await self.run(
                    open_receiver, headers.get("content-type", ""), headers.get("content-length", ""), form
                )
                receiver = opened
                await self.fill(opened, request)
                whole = True
                answer = await self.check(client, finish, opened, warnings)
                return JSONResponse(answer.model_dump(), 201, {"connection": "close"})
        except BaseException as error:
            if receiver is not None:
                await self.discard(receiver)
            if isinstance(error, KneeError) and not whole:
                return EarlyRefusal.of(error_response(error))
            if isinstance(error, ClientDisconnect):
                return Response(status_code=400)  # the client is disconnected
            raise

    async def check(self, client: str, work: Callable[..., T], *arguments: object) -> T:
        """Call it in an upload thread, on the client's time for checks. Raises ClientBusy."""
        async with self._checks.spend(client):
            return await self.run(work, *arguments)

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Call it in an upload thread; waits for its end even if the request is cancelled."""
        return await to_thread.run_sync(functools.partial(work, *arguments), limiter=self._threads)

    async def discard(self, receiver: service.FormReceiver[F]) -> None:
        """Remove written data, even while the request is being cancelled."""
        with anyio.CancelScope(shield=True):
            await self.run(receiver.upload.discard)

    async def fill(self, receiver: service.FormReceiver[F], request: Request) -> None:
        """Feed the whole body. Raises the errors of the receiver, UploadTooSlow, ClientDisconnect."""
        pace = Pace()
        begun, more = await _piece(request.receive, pace)
        announced = request.headers.get("content-length", "")
        direct = request.scope.get("extensions", {}).get(DIRECT)
        if not more or direct is None or not announced.isdecimal():
            await self._fill_through_event_loop(receiver, request.receive, pace, begun, more=more)
            return
        came, source = direct.take()
        stop = threading.Event()
        try:
            await self._run_watched(stop, _feed_from, source, int(announced), begun + came, receiver, pace, stop)
        finally:
            source.close()

    async def _run_watched(self, stop: threading.Event, work: Callable[..., None], *arguments: object) -> None:
        """Run it; if the request is cancelled, stop it and wait for its end."""
        working = asyncio.ensure_future(self.run(work, *arguments))
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            stop.set()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([working])
            raise

    async def _fill_through_event_loop(
        self, receiver: service.FormReceiver[F], receive: Receive, pace: Pace, piece: bytes, *, more: bool
    ) -> None:
        """Feed one batch at a time; further data waits in the connection."""
        batch, size = [piece], len(piece)
        first = True
        while True:
            if first or size >= BATCH_BYTES or not more:
                await self.run(_feed, receiver, batch)
                batch, size, first = [], 0, False
            if not more:
                return
            piece, more = await _piece(receive, pace)
            batch.append(piece)
            size += len(piece)


class Pace:
    """Transfer rate of a client, measured while waiting for it."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._received = 0

    def note(self, seconds: float, came: int) -> None:
        """Raises UploadTooSlow."""
        self._waited += seconds
        self._received += came
        if self._waited >= WINDOW_S:
            if self._received < SLOWEST_BYTES:
                raise too_slow()
            self._waited, self._received = 0.0, 0


def upload_form(form: type[BaseModel], *names: str) -> dict[str, object]:
    """For the OpenAPI document: a multipart body with files and the form's values (only the given ones, if any)."""
    values = form.model_json_schema()["properties"]
    file = {
        "type": "string",
        "format": "binary",
        "description": f"Knee MRI: {either(EXTENSIONS)}; several {FileKind.DICOM} files as one {FileKind.ZIP}.",
    }
    labels = {
        "type": "string",
        "format": "binary",
        "description": "A label map to measure instead of running a network, alone or with its scan: "
        f"{either(VOLUMES)}, a segmentation of 3D Slicer or a {FileKind.DICOM} segmentation.",
    }
    properties = {FilePart.SCAN.value: file, FilePart.LABELS.value: labels}
    properties |= {name: value for name, value in values.items() if not names or name in names}
    needed = [{"required": [part.value]} for part in FilePart]
    schema = {"type": "object", "anyOf": needed, "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def open_receiver(content_type: str, announced: str, form: service.FormKind[F]) -> service.FormReceiver[F]:
    """Raises the errors of jobs.service.receive_form."""
    return service.receive_form(content_type, int(announced) if announced.isdecimal() else None, form)


def _feed(receiver: service.FormReceiver[F], batch: list[bytes]) -> None:
    for piece in batch:
        receiver.feed(piece)


async def _piece(receive: Receive, pace: Pace) -> tuple[bytes, bool]:
    """The next piece of the body, and whether more follows."""
    begun = time.monotonic()
    try:
        async with asyncio.timeout(WINDOW_S):
            message = await receive()
    except TimeoutError:
        raise too_slow() from None
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    piece: bytes = message.get("body", b"")
    more: bool = message.get("more_body", False)
    if more:
        pace.note(time.monotonic() - begun, len(piece))
    return piece, more


def _feed_from(
    source: socket.socket,
    length: int,
    begun: bytes,
    receiver: service.FormReceiver[F],
    pace: Pace,
    stop: threading.Event,
) -> None:
    """Read the rest of a body of `length` bytes from a socket, in a thread."""
    receiver.feed(begun)
    left = length - len(begun)
    poller = select.poll()
    poller.register(source, select.POLLIN)
    while left > 0:
        waited = time.monotonic()
        ready = poller.poll(STOP_CHECK_MS)
        if stop.is_set():
            raise ClientDisconnect
        piece = b""
        if ready:
            try:
                piece = source.recv(min(PIECE_BYTES, left))
            except BlockingIOError:
                continue
            except OSError:
                raise ClientDisconnect from None
            if not piece:
                raise ClientDisconnect
        pace.note(time.monotonic() - waited, len(piece))
        if piece:
            left -= len(piece)
            receiver.feed(piece)


def too_slow() -> UploadTooSlow:
    """The error for a client time-out."""
    return UploadTooSlow(
        f"Less than {SLOWEST_BYTES // 1024} KB of the upload arrived in {WINDOW_S:.0f} s.",
        hint="Try a faster connection.",
    )
