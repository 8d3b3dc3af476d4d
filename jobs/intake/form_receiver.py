"""Parses a form with a file while it is received."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from jobs.errors import InvalidForm, InvalidUpload
from jobs.intake.field_names import UPLOAD_FIELDS, check_names
from jobs.intake.form import JobForm, parse_form
from jobs.intake.parts import FilePart
from jobs.intake.uploads import Upload

CONSENT: Final = "retain_results"
"""The option that asks for a copy for research."""

MAX_PARTS: Final = 40
MAX_FIELDS: Final = 20
MAX_FIELD_BYTES: Final = 10_000


F = TypeVar("F")


@dataclass(frozen=True, kw_only=True)
class FormKind(Generic[F]):
    """A form with files.

    files    its file parts, of which at least one is needed; missing: what to say without one
    fields   names of all parts
    parse    checks the values, and raises InvalidForm
    """

    files: tuple[FilePart, ...]
    missing: str
    fields: tuple[str, ...]
    parse: Callable[[Mapping[str, str]], F]


UPLOAD_FORM: Final = FormKind[JobForm](
    files=tuple(FilePart),
    missing="Field required: a scan, or a label map as 'labels'",
    fields=UPLOAD_FIELDS,
    parse=parse_form,
)


class FormReceiver(Generic[F]):
    """A multipart/form-data body, received in pieces: `file` and `labels` go to an Upload, the other fields are kept.

    Values before a file are validated before the file is stored, all of them at the end.

    form      names and values of the form
    warnings  about unknown fields
    """

    def __init__(self, content_type: str, upload: Upload, form: FormKind[F]) -> None:
        self.upload = upload
        self._form = form
        self.values: dict[str, str] = {}
        self.warnings: tuple[str, ...] = ()
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._field: str | None = None
        self._value = bytearray()
        self._in_file = False
        self._ended = False
        self._received = 0
        self._parts = 0
        kind, parameters = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not parameters.get(b"boundary"):
            raise _missing_file(form)
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
        self._received += len(data)
        self.upload.check_total(self._received)
        try:
            self._parser.write(data)
        except FormParserError:
            raise _broken_form() from None

    @property
    def consents(self) -> bool:
        """Whether the form itself asks for a copy for research; the default of the option is no consent."""
        return CONSENT in self.values

    def finish(self) -> F:
        """The body has ended: its values. Raises as `feed` does."""
        if not self._ended:
            raise _broken_form()
        form = self._form.parse(self.values)
        if not self.upload.names:
            raise _missing_file(self._form)
        return form

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _broken_form()
        self._headers, self._field, self._value, self._in_file = {}, None, bytearray(), False

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        _, parameters = parse_options_header(self._headers.get(b"content-disposition"))
        name = parameters.get(b"name", b"").decode("utf-8", "replace")
        filename = parameters.get(b"filename")
        self.warnings += check_names([name] if name else [], self._form.fields)
        if name in self._form.files and filename is not None:
            self._form.parse(self.values)
            self.upload.open(FilePart(name), filename.decode("utf-8", "replace"))
            self._in_file = True
        elif name and filename is None:
            if len(self.values) >= MAX_FIELDS:
                raise _broken_form()
            if name in self.values and name in self._form.fields:
                raise InvalidForm([_detail(name, "repeated", "Field was sent more than once")])
            self._field = name

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.upload.write(memoryview(data)[start:end])
        elif self._field is not None:
            self._value += data[start:end]
            if len(self._value) > MAX_FIELD_BYTES:
                raise _broken_form()

    def _part_end(self) -> None:
        if self._in_file:
            self.upload.close()
        if self._field is not None:
            self.values[self._field] = self._value.decode("utf-8", "replace")

    def _end(self) -> None:
        self._ended = True


def _broken_form() -> InvalidUpload:
    return InvalidUpload(
        "The form is invalid or incomplete; expected multipart/form-data with a file.", hint="Send the form again."
    )


def _missing_file(form: FormKind[F]) -> InvalidForm:
    return InvalidForm([_detail(form.files[0], "missing", form.missing)])


def _detail(name: str, kind: str, text: str) -> dict[str, object]:
    return {"type": kind, "loc": ["body", str(name)], "msg": text, "input": None}
