"""One upload and its expected response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ESCAPED: Final = "escaped-from-archive"
"""The file name of every entry that tries to leave its archive."""

PATIENT: Final = "Doe^Jane"
PATIENT_ID: Final = "4711-0815"

BOUNDARY: Final = "----corpus-boundary-5f1c"


@dataclass(frozen=True)
class Place:
    """Targets that a case may reference: a readable file that must not be read (as large as the image needs), and a
    port that must not be contacted.
    """

    canary: Path
    port: int


Make = Callable[[Place], bytes]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case.

    make: creates the file, which is sent as `filename` with `fields`; codes: accepted error codes, empty: the upload is
    valid; body: replaces the whole request body, with its content type; labels: the file is a label map.
    """

    kind: str
    name: str
    make: Make = lambda _: b""
    filename: str = "scan.zip"
    fields: dict[str, str] = field(default_factory=dict)
    codes: tuple[str, ...] = ()
    status: int = 0
    body: tuple[str, bytes] | None = None
    labels: bool = False

    @property
    def expected_status(self) -> int:
        return self.status or (400 if self.codes else 201)

    def request(self, place: Place) -> tuple[str, bytes]:
        """Content type and body of the request."""
        if self.body is not None:
            return self.body
        return form_of(self.filename, self.make(place), self.fields)


def form_of(filename: str, content: bytes, fields: dict[str, str]) -> tuple[str, bytes]:
    """A multipart form; the file name is inserted unescaped, in UTF-8."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
    parts += [head.encode("utf-8", "surrogateescape"), b"Content-Type: application/octet-stream\r\n\r\n", content]
    return f"multipart/form-data; boundary={BOUNDARY}", b"".join([*parts, f"\r\n--{BOUNDARY}--\r\n".encode()])
