"""The dry run: every row of a manifest is read and judged before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.anatomy import Side
from pipeline.decoding.headers import BATCH, Header, HeaderRequest, read_headers
from pipeline.errors import AmbiguousSeries, KneeError, OptionsError
from pipeline.options import AnalysisOptions
from pipeline.segmentation.registry import model
from pipeline.types import Resources
from pipeline.upload_facts import HeaderFacts
from studies.columns import LABELS, PATH
from studies.content import equal_groups
from studies.findings import (
    EMPTY_FILE,
    INVALID_OPTION,
    KINDS,
    LABELS_OFF_GRID,
    MISSING_FILE,
    NO_PERMISSION,
    SAME_CONTENT,
    SAME_FILE,
    Finding,
    Severity,
)
from studies.manifest import Manifest, Row
from studies.order import years_of_rows
from studies.rules import CheckedRow, judge, named_rows

OnProgress = Callable[[int, int], None]
"""Receives the number of rows that were read, and of all."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """Every row of a study, judged. accepted: codes of findings with which rows are analysed nevertheless."""

    rows: tuple[CheckedRow, ...]
    further: tuple[str, ...]
    notes: tuple[str, ...]
    accepted: frozenset[str]

    def decisive(self, row: CheckedRow) -> tuple[Finding, ...]:
        """The findings for which a row is left out; the gravest first."""
        found = [item for item in row.findings if item.severity is not Severity.NOTE and item.code not in self.accepted]
        return tuple(sorted(found, key=lambda item: tuple(Severity).index(item.severity)))

    @property
    def ready(self) -> tuple[CheckedRow, ...]:
        """The rows that can be analysed."""
        return tuple(row for row in self.rows if not self.decisive(row))

    @property
    def findings(self) -> Iterator[tuple[CheckedRow, Finding]]:
        """All of them, in the order of the rows."""
        return ((row, finding) for row in self.rows for finding in row.findings)


def acceptable(codes: Iterable[str]) -> frozenset[str]:
    """Codes for `Check.accepted`. Raises OptionsError for one that cannot be accepted."""
    known = [code for code, kind in KINDS.items() if kind.severity is Severity.DOUBT]
    for code in codes:
        if code not in known:
            raise OptionsError(f"{code} cannot be accepted; expected one of {', '.join(known)}.")
    return frozenset(codes)


def check_manifest(
    manifest: Manifest,
    options: AnalysisOptions,
    resources: Resources,
    *,
    accepted: frozenset[str] = frozenset(),
    whole: bool = False,
    on_progress: OnProgress = lambda _, __: None,
) -> Check:
    """Judge every row. whole: read every voxel, as an upload is checked, instead of headers alone.

    Raises OptionsError if the model does not exist.
    """
    sequences = model(options.segmentation_model, resources).card.sequences
    rows = [_with_files(row) for row in manifest.rows]
    rows = [replace(row, findings=(*row.findings, *_of_options(row, options))) for row in rows]
    headers = _headers(rows, options, whole=whole, on_progress=on_progress)
    years = years_of_rows(rows)
    checked = [
        CheckedRow(
            row=row,
            header=header if isinstance(header, HeaderFacts) else None,
            findings=(*row.findings, *_of_header(row, header, options)),
            years=years.get(row.number),
        )
        for row, header in zip(rows, headers, strict=True)
    ]
    found: dict[int, list[Finding]] = {}
    for finding in (*_of_content(rows), *judge(checked, sequences)):
        found.setdefault(finding.row, []).append(finding)
    return Check(
        rows=tuple(replace(row, findings=(*row.findings, *found.get(row.row.number, ()))) for row in checked),
        further=manifest.further,
        notes=manifest.notes,
        accepted=accepted,
    )


def options_of_row(row: Row, options: AnalysisOptions) -> AnalysisOptions:
    """The options of the study with those of the row. Raises OptionsError."""
    side = {} if row.person.side is None else {"side": Side(row.person.side).value}
    return AnalysisOptions.from_dict(options.to_dict() | dict(row.options) | side)


def _of_options(row: Row, options: AnalysisOptions) -> list[Finding]:
    try:
        options_of_row(row, options)
    except OptionsError as error:
        column = str(error.facts.get("option", ""))
        return [Finding.of(row.number, INVALID_OPTION, error.message, error.hint, column)]
    return []


def _with_files(row: Row) -> Row:
    """With findings about files that are missing, and without their paths."""
    found = [
        finding
        for column, path in ((PATH.name, row.scan), (LABELS.name, row.labels))
        if path is not None and (finding := _of_file(row.number, column, path)) is not None
    ]
    return replace(row, findings=(*row.findings, *found))


def _of_file(number: int, column: str, path: Path) -> Finding | None:
    try:
        facts = path.stat()
        empty = not any(path.iterdir()) if path.is_dir() else facts.st_size == 0
        forbidden = not os.access(path, os.R_OK)
    except FileNotFoundError:
        message = "There is no file or folder with this path."
        if path.is_symlink():
            message = "The path is a link to a file that does not exist."
        remedy = "Correct the path; it is relative to the manifest. Names differ by case."
        return Finding.of(number, MISSING_FILE, message, remedy, column)
    except NotADirectoryError:
        message = "A part of the path is a file, not a folder."
        return Finding.of(number, MISSING_FILE, message, "Correct the path.", column)
    except OSError as error:
        message = f"The path cannot be read ({error.strerror})."
        return Finding.of(number, NO_PERMISSION, message, "Allow this user to read it.", column)
    if forbidden:
        message = "The file exists, and this user may not read it."
        return Finding.of(number, NO_PERMISSION, message, "Allow this user to read it.", column)
    if empty:
        message = "The folder has no files." if path.is_dir() else "The file has no bytes."
        return Finding.of(number, EMPTY_FILE, message, "Copy the scan again; the copy was interrupted.", column)
    return None


def _usable(row: Row) -> bool:
    return not any(finding.severity is Severity.BLOCKED for finding in row.findings) and bool(row.scan or row.labels)


def _headers(
    rows: Sequence[Row], options: AnalysisOptions, *, whole: bool, on_progress: OnProgress
) -> list[Header | None]:
    usable = [(index, row) for index, row in enumerate(rows) if _usable(row)]
    parts = [usable[start : start + BATCH] for start in range(0, len(usable), BATCH)]
    found: list[Header | None] = [None] * len(rows)
    done = len(rows) - len(usable)

    def read(part: list[tuple[int, Row]]) -> list[Header]:
        return read_headers(
            [
                HeaderRequest(
                    file=row.scan,
                    labels=row.labels,
                    series=str(row.options.get("series", options.series)),
                    whole=whole,
                )
                for _, row in part
            ]
        )

    with ThreadPoolExecutor(_cores()) as pool:
        for part, headers in zip(parts, pool.map(read, parts), strict=True):
            for (index, _), header in zip(part, headers, strict=True):
                found[index] = header
            done += len(part)
            on_progress(done, len(rows))
    return found


def _of_header(row: Row, header: Header | None, options: AnalysisOptions) -> list[Finding]:
    if isinstance(header, AmbiguousSeries) and row.labels is None:
        remedy = "Put the number of the series to analyse into a column named series."
        return [Finding.of_error(row.number, header, PATH.name, remedy if _numbered(header) else "")]
    if isinstance(header, KneeError):
        return [Finding.of_error(row.number, header, PATH.name if row.scan else LABELS.name)]
    if header is not None and header.off_grid and not row.options.get("resample_labels", options.resample_labels):
        remedy = "Save the label map on the voxels of its scan, or write yes into a column named resample_labels."
        return [Finding.of(row.number, LABELS_OFF_GRID, header.off_grid, remedy, LABELS.name)]
    return []


def _numbered(error: AmbiguousSeries) -> bool:
    series = error.facts.get("series")
    return isinstance(series, list) and any(isinstance(item, dict) and "number" in item for item in series)


def _of_content(rows: Sequence[Row]) -> Iterator[Finding]:
    users: dict[Path, list[int]] = {}
    for row in rows:
        path = row.scan or row.labels
        if path is not None and _usable(row):
            users.setdefault(path, []).append(row.number)
    same, equal = equal_groups(users)
    grouped = {path for group in same for path in group}
    same += [[path] for path, numbers in users.items() if len(numbers) > 1 and path not in grouped]
    first_of = {path: group for group in same for path in group}
    for code, groups, words in (
        (SAME_FILE, same, "The same file is named by"),
        (SAME_CONTENT, equal, "Another file with the same content is named by"),
    ):
        for group in groups:
            members = [
                other for path in group for other in (first_of.get(path, [path]) if code == SAME_CONTENT else [path])
            ]
            numbers = sorted({number for path in members for number in users[path]})
            for number in numbers:
                listed = named_rows(other for other in numbers if other != number)
                remedy = "Name the file of this visit and side, or remove the row that is not meant."
                yield Finding.of(number, code, f"{words} row {listed}.", remedy, PATH.name)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1
