"""Reads a table of text as programs save it: any common encoding, separator and quote, with or without a BOM."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from studies.findings import InvalidManifest

SEPARATORS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
MOST_BYTES: Final = 256 << 20
COMMENT: Final = "#"

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of .xlsx and .ods, and of .xls."""


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """header: names as written, without surrounding spaces; lines: number in the file, from 1, and the fields of each.

    encoding, separator: how it was read
    """

    header: tuple[str, ...]
    lines: tuple[tuple[int, tuple[str, ...]], ...]
    encoding: str
    separator: str


def read_text_table(path: Path) -> TextTable:
    """Empty lines and lines that begin with # are left out. Raises InvalidManifest."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidManifest(f"The manifest {path.name} cannot be read ({error.strerror}).") from error
    if len(content) > MOST_BYTES:
        raise InvalidManifest(f"The manifest has {len(content) >> 20} MB; expected at most {MOST_BYTES >> 20} MB.")
    if content.startswith(_WORKBOOKS):
        raise InvalidManifest("The manifest is a workbook; expected text.", hint="Save it as CSV (UTF-8).")
    text, encoding = decoded(content)
    lines = text.splitlines()
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith(COMMENT)), None)
    if first is None:
        raise InvalidManifest("The manifest is empty; expected a header line and one line for each scan.")
    separator = max(SEPARATORS, key=lambda mark: (len(_fields(first, mark)), -list(SEPARATORS).index(mark)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    found: list[tuple[int, tuple[str, ...]]] = []
    begin = 1
    try:
        for fields in reader:
            cells = tuple(field.strip(" \t\r\n\xa0") for field in fields)
            if any(cells) and not cells[0].startswith(COMMENT):
                found.append((begin, cells))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise InvalidManifest(f"The manifest cannot be read at line {reader.line_num} ({error}).") from error
    return TextTable(header=found[0][1], lines=tuple(found[1:]), encoding=encoding, separator=SEPARATORS[separator])


def _fields(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator))


def decoded(content: bytes) -> tuple[str, str]:
    """Text, and the encoding that it had. Raises InvalidManifest."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding), encoding
            except UnicodeDecodeError as error:
                raise InvalidManifest(f"The manifest is no valid {encoding}.") from error
    if b"\0" in content[:200]:
        wide = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        try:
            return content.decode(wide), wide
        except UnicodeDecodeError:
            raise InvalidManifest("The manifest holds bytes that are no text.") from None
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace"), "cp1252"
