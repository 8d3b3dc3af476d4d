"""One upload and the answer that is right for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ESCAPED: Final = "escaped-from-archive"
"""The name that every entry bears that tries to leave its archive."""

PATIENT: Final = "Doe^Jane"
PATIENT_ID: Final = "4711-0815"

BOUNDARY: Final = "----corpus-boundary-5f1c"


@dataclass(frozen=True)
class Place:
    """What a case may point at: a readable file that nobody may read (as large as the image needs), and a port that
    nobody may call.
    """

    canary: Path
    port: int


Make = Callable[[Place], bytes]


@dataclass(frozen=True, kw_only=True)
class Case:
    """make: the file; sent under `filename` with `fields`; `codes`: any of these error codes is right, none: accepted.

    body: the whole body of the request instead, with its content type.
    """

    kind: str
    name: str
    make: Make = lambda _: b""
    filename: str = "scan.zip"
    fields: dict[str, str] = field(default_factory=dict)
    codes: tuple[str, ...] = ()
    status: int = 0
    body: tuple[str, bytes] | None = None

    @property
    def expected_status(self) -> int:
        return self.status or (400 if self.codes else 201)

    def request(self, place: Place) -> tuple[str, bytes]:
        """Content type and body."""
        if self.body is not None:
            return self.body
        return form_of(self.filename, self.make(place), self.fields)


def form_of(filename: str, content: bytes, fields: dict[str, str]) -> tuple[str, bytes]:
    """A multipart form; the file name goes in as it is, in UTF-8."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
    parts += [head.encode("utf-8", "surrogateescape"), b"Content-Type: application/octet-stream\r\n\r\n", content]
    return f"multipart/form-data; boundary={BOUNDARY}", b"".join([*parts, f"\r\n--{BOUNDARY}--\r\n".encode()])
