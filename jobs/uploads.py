"""A file on its way in: streamed once to disk under a name that the server makes, refused as early as possible."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import BinaryIO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from jobs.errors import InvalidForm, InvalidUpload, StorageFull, UploadTooLarge
from jobs.form import parse_form
from jobs.model import ALLOWED_EXTENSIONS, clean_filename, extension_of
from jobs.storage import Storage
from pipeline.options import AnalysisOptions

MEGABYTE: Final = 1024 * 1024
FORM_OVERHEAD: Final = 256 * 1024
"""What a form may weigh beside its file."""

RESERVE_BYTES: Final = 500 * MEGABYTE
"""Room that an upload must leave on the disk: results and the queue's log need it."""

MOST_FIELDS: Final = 20
MOST_FIELD_BYTES: Final = 10_000


class Upload:
    """One file being written to DATA_DIR/jobs/<new id>/input/upload<extension>. `discard` removes every trace."""

    def __init__(self, storage: Storage, limit_bytes: int) -> None:
        self.job_id = str(uuid.uuid4())
        self.filename = ""
        self.size = 0
        self._storage = storage
        self._limit = limit_bytes
        self._stream: BinaryIO | None = None

    @property
    def stored_name(self) -> str:
        """The server's name for the file, relative to the input folder."""
        return f"upload{extension_of(self.filename)}"

    @property
    def opened(self) -> bool:
        """Whether a file has begun."""
        return bool(self.filename)

    def check_announced(self, size: int | None) -> None:
        """Refuse by the announced length, before anything is read. Raises UploadTooLarge, StorageFull."""
        if size is not None and size > self._limit + FORM_OVERHEAD:
            raise self._too_large()
        if self._storage.free_bytes() < (size or 0) + RESERVE_BYTES:
            raise StorageFull("The server has no room for another upload.", hint="Try again later.")

    def open(self, filename: str) -> None:
        """Begin the file. Raises InvalidUpload for an extension that is not accepted."""
        self.filename = clean_filename(filename)
        extension = extension_of(self.filename)
        if extension not in ALLOWED_EXTENSIONS:
            raise InvalidUpload(
                f"Invalid file type '{extension}'; accepted: {', '.join(sorted(ALLOWED_EXTENSIONS))}.",
                hint="Upload NIfTI, NRRD, DICOM, or a zip of a DICOM folder.",
            )
        workspace = self._storage.workspace(self.job_id)
        with _disk_errors():
            workspace.create()
            self._stream = (workspace.input_dir / self.stored_name).open("wb")

    def write(self, data: bytes) -> None:
        """Add bytes. Raises UploadTooLarge as soon as they pass the limit, StorageFull where the disk is full."""
        if self._stream is None:
            raise InvalidUpload("Data before the file has begun.")
        self.size += len(data)
        if self.size > self._limit:
            raise self._too_large()
        with _disk_errors():
            self._stream.write(data)

    def close(self) -> None:
        """The file is whole. Raises InvalidUpload where it is empty."""
        if self._stream is not None:
            with _disk_errors():
                self._stream.close()
            self._stream = None
        if self.size == 0:
            raise InvalidUpload("The uploaded file is empty.", hint="Choose the image file itself.")

    def discard(self) -> None:
        """Delete what was written; may be called at any time, more than once."""
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._stream = None
        self._storage.remove(self.job_id)

    def _too_large(self) -> UploadTooLarge:
        return UploadTooLarge(
            f"The file is larger than the limit of {self._limit // MEGABYTE} MB.",
            hint="Upload one series only, or compress it (.nii.gz, .zip).",
        )


class FormReceiver:
    """A multipart/form-data body, fed in pieces: `file` goes to an Upload, the other fields are kept.

    Values that come before the file are checked before the file is kept, all of them at the end.
    """

    def __init__(self, content_type: str, upload: Upload) -> None:
        self.upload = upload
        self.values: dict[str, str] = {}
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._field: str | None = None
        self._value = bytearray()
        self._in_file = False
        self._ended = False
        kind, parameters = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not parameters.get(b"boundary"):
            raise _missing_file()
        try:
            self._parser = MultipartParser(
                parameters[b"boundary"],
                {
                    "on_part_begin": self._part_begin,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._part_data,
                    "on_part_end": self._part_end,
                    "on_end": self._end,
                },
            )
        except FormParserError:
            raise _broken_form() from None

    def feed(self, data: bytes) -> None:
        """The next piece of the body. Raises InvalidForm, InvalidUpload, UploadTooLarge, StorageFull."""
        try:
            self._parser.write(data)
        except FormParserError:
            raise _broken_form() from None

    def finish(self) -> tuple[AnalysisOptions, str | None]:
        """The body has ended: options and e-mail address. Raises as `feed` does."""
        if not self._ended:
            raise _broken_form()
        form = parse_form(self.values)
        if not self.upload.opened:
            raise _missing_file()
        self.upload.close()
        return form

    def _part_begin(self) -> None:
        self._headers, self._field, self._value, self._in_file = {}, None, bytearray(), False

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        _, parameters = parse_options_header(self._headers.get(b"content-disposition"))
        name = parameters.get(b"name", b"").decode("utf-8", "replace")
        filename = parameters.get(b"filename")
        if name == "file" and filename is not None:
            if self.upload.opened:
                raise InvalidUpload("The form holds more than one file; expected one.")
            parse_form(self.values)
            self.upload.open(filename.decode("utf-8", "replace"))
            self._in_file = True
        elif name and filename is None:
            if len(self.values) >= MOST_FIELDS:
                raise _broken_form()
            self._field = name

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.upload.write(data[start:end])
        elif self._field is not None:
            self._value += data[start:end]
            if len(self._value) > MOST_FIELD_BYTES:
                raise _broken_form()

    def _part_end(self) -> None:
        if self._field is not None:
            self.values[self._field] = self._value.decode("utf-8", "replace")

    def _end(self) -> None:
        self._ended = True


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFull("The server cannot store this upload.", hint="Try again later.") from error


def _broken_form() -> InvalidUpload:
    return InvalidUpload("The form is invalid or broken off; expected multipart/form-data with one file.")


def _missing_file() -> InvalidForm:
    return InvalidForm([{"type": "missing", "loc": ["body", "file"], "msg": "Field required", "input": None}])
