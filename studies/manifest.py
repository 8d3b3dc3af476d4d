"""The manifest of a study: one line for each scan. Reading is tolerant of the file, and strict about its meaning."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pipeline.workspace import atomic_file
from studies.columns import (
    COLUMNS,
    LABELS,
    PATH,
    ROW_OPTIONS,
    SUBJECT,
    Column,
    Person,
    column_named,
    read_options,
    read_person,
)
from studies.findings import FIELD_COUNT, NO_FILE_NAMED, NOT_A_PATH, Finding, InvalidManifest
from studies.text_table import read_text_table

_WEB: Final = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line.

    number        of the line in the file, from 1
    scan, labels  absolute paths; None: not given
    given         the texts of path and labels, for messages and tables
    options       of ROW_OPTIONS, those that the row sets
    further       the further columns, as they are
    findings      of the text alone: no file was looked at
    """

    number: int
    person: Person
    scan: Path | None
    labels: Path | None
    given: str
    options: Mapping[str, object] = field(default_factory=dict)
    further: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """further: names of the further columns, in their order; notes: how the file was read, where that is unusual."""

    rows: tuple[Row, ...]
    further: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_manifest(path: Path, folder: Path | None = None) -> Manifest:
    """folder: what the paths in it are relative to; None: its own folder.

    Raises InvalidManifest if no row can be read; faults of single rows are in their findings.
    """
    table = read_text_table(path)
    known = [column_named(name) for name in table.header]
    _require_columns(table.header, known)
    names = [
        column.name if column is not None else name.lower() if name.lower() in ROW_OPTIONS else name
        for name, column in zip(table.header, known, strict=True)
    ]
    further = tuple(
        name for name, column in zip(names, known, strict=True) if column is None and name not in ROW_OPTIONS and name
    )
    if not table.lines:
        raise InvalidManifest("The manifest has a header and no rows; expected one line for each scan.")
    rows = tuple(_row(number, fields, names, further, folder or path.parent) for number, fields in table.lines)
    notes = () if table.encoding.startswith("utf") else (f"The manifest was read as {table.encoding}.",)
    return Manifest(rows=rows, further=further, notes=notes)


def _require_columns(header: tuple[str, ...], known: list[Column | None]) -> None:
    named = [column.name for column in known if column is not None]
    listed = ", ".join(name or "(empty)" for name in header)[:300]
    for column in COLUMNS:
        if named.count(column.name) > 1:
            words = " and ".join(name for name, other in zip(header, known, strict=True) if other is column)
            raise InvalidManifest(
                f"The columns {words} mean the same ({column.name}); expected one of them.",
                hint="Rename the one that is not meant.",
            )
    if len({name.lower() for name in header if name}) < sum(map(bool, header)):
        raise InvalidManifest(f"Two columns have the same name; found {listed}.", hint="Rename one of them.")
    if SUBJECT.name not in named:
        raise InvalidManifest(
            f"The manifest has no column {SUBJECT.name}; found {listed}.",
            hint="The first line must name the columns, such as path,subject,visit,side.",
        )
    if not {PATH.name, LABELS.name} & set(named):
        raise InvalidManifest(
            f"The manifest has neither a column {PATH.name} nor {LABELS.name}; found {listed}.",
            hint="The first line must name the columns, such as path,subject,visit,side.",
        )


def _row(number: int, fields: tuple[str, ...], names: list[str], further: tuple[str, ...], folder: Path) -> Row:
    findings: list[Finding] = []
    if len(fields) < len(names):
        fields = (*fields, *("",) * (len(names) - len(fields)))
        findings += [_field_count(number, f"fewer than {len(names)}", len(names))]
    elif any(fields[len(names) :]):
        findings += [_field_count(number, str(len(fields)), len(names))]
    values = dict(zip(names, fields, strict=False))
    if findings:  # the values may be in other columns than their own
        values = {name: value for name, value in values.items() if name in (PATH.name, SUBJECT.name)}
    person, of_person = read_person(number, values)
    options, of_options = read_options(number, values)
    paths = {column: values.get(column.name, "") for column in (PATH, LABELS)}
    if not any(paths.values()) and not findings:
        message = f"Neither {PATH.name} nor {LABELS.name} is given."
        findings.append(
            Finding.of(number, NO_FILE_NAMED, message, "Name the file of the scan, or remove the row.", PATH.name)
        )
    for column, text in paths.items():
        if _WEB.match(text) or set("*?") & set(text):
            kind = "a web address" if _WEB.match(text) else "a pattern"
            message = f"{column.name.capitalize()} is {kind}; expected one file or folder."
            findings.append(
                Finding.of(number, NOT_A_PATH, message, "Fetch the scan first; one row names one scan.", column.name)
            )
            paths[column] = ""
    return Row(
        number=number,
        person=person,
        scan=_path(folder, paths[PATH]),
        labels=_path(folder, paths[LABELS]),
        given=" + ".join(text for column in (PATH, LABELS) if (text := values.get(column.name, ""))),
        options=options,
        further={name: values.get(name, "") for name in further},
        findings=(*findings, *of_person, *of_options),
    )


def _field_count(number: int, found: str, expected: int) -> Finding:
    return Finding.of(
        number,
        FIELD_COUNT,
        f"The line has {found} fields; expected {expected}, as in the header.",
        "Put values that contain the separator in double quotes (also a decimal comma), and check that no cell is "
        "missing.",
    )


def _path(folder: Path, text: str) -> Path | None:
    """Absolute; a path with backslashes that does not exist is read with slashes."""
    if not text:
        return None
    path = Path(text).expanduser() if text.startswith("~") else Path(text)
    found = folder.absolute() / path
    return folder.absolute() / text.replace("\\", "/") if "\\" in text and not found.exists() else found


def manifest_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """Text of a manifest with these rows (column -> value); columns that are empty everywhere are left out."""
    listed = list(rows)
    names = list(dict.fromkeys(name for row in listed for name in row))
    names = [name for name in names if any(row.get(name) for row in listed) or name in (PATH.name, SUBJECT.name)]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([row.get(name, "") for name in names] for row in listed)
    return stream.getvalue()


def write_text(path: Path, text: str) -> None:
    """UTF-8, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as stream:
        stream.write(text.encode())


def with_findings(row: Row, findings: Iterable[Finding]) -> Row:
    """The row with further findings."""
    return replace(row, findings=(*row.findings, *findings))
