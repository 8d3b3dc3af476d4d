"""What can be wrong with a row of a manifest: the one table of it, for messages, documents and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pipeline.errors import InputError, KneeError


class Severity(StrEnum):
    """What a finding means for its row. Earlier members are graver."""

    BLOCKED = "blocked"
    DOUBT = "doubt"
    NOTE = "note"

    @property
    def meaning(self) -> str:
        """For people."""
        return _MEANING[self]


_MEANING: Final[Mapping[Severity, str]] = MappingProxyType(
    {
        Severity.BLOCKED: "cannot be analysed unless it is corrected",
        Severity.DOUBT: "is left out until it is corrected, or accepted with --accept CODE",
        Severity.NOTE: "is analysed",
    }
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One row of KINDS. meaning: when it is found."""

    severity: Severity
    meaning: str


def _blocked(meaning: str) -> Kind:
    return Kind(severity=Severity.BLOCKED, meaning=meaning)


def _doubt(meaning: str) -> Kind:
    return Kind(severity=Severity.DOUBT, meaning=meaning)


def _note(meaning: str) -> Kind:
    return Kind(severity=Severity.NOTE, meaning=meaning)


FIELD_COUNT: Final = "FIELD_COUNT"
NO_SUBJECT: Final = "NO_SUBJECT"
INVALID_NAME: Final = "INVALID_NAME"
INVALID_SIDE: Final = "INVALID_SIDE"
INVALID_SEX: Final = "INVALID_SEX"
INVALID_AGE: Final = "INVALID_AGE"
INVALID_TIME: Final = "INVALID_TIME"
INVALID_OPTION: Final = "INVALID_OPTION"
NO_FILE_NAMED: Final = "NO_FILE_NAMED"
NOT_A_PATH: Final = "NOT_A_PATH"
NOT_ALLOWED: Final = "NOT_ALLOWED"
MISSING_FILE: Final = "MISSING_FILE"
EMPTY_FILE: Final = "EMPTY_FILE"
NO_PERMISSION: Final = "NO_PERMISSION"
DOUBLED_ROW: Final = "DOUBLED_ROW"
LABELS_OFF_GRID: Final = "LABELS_OFF_GRID"
SAME_FILE: Final = "SAME_FILE"
SAME_CONTENT: Final = "SAME_CONTENT"
SIDE_CONTRADICTS_HEADER: Final = "SIDE_CONTRADICTS_HEADER"
SIDE_CONTRADICTS_NAME: Final = "SIDE_CONTRADICTS_NAME"
SEQUENCE_NOT_OF_MODEL: Final = "SEQUENCE_NOT_OF_MODEL"
DIFFERENT_SEQUENCE: Final = "DIFFERENT_SEQUENCE"
TIMES_OUT_OF_ORDER: Final = "TIMES_OUT_OF_ORDER"
TIMES_NOT_COMPARABLE: Final = "TIMES_NOT_COMPARABLE"
TIME_MISSING: Final = "TIME_MISSING"
SEX_CHANGES: Final = "SEX_CHANGES"
AGES_OUT_OF_ORDER: Final = "AGES_OUT_OF_ORDER"
REFORMATTED_SUBJECT: Final = "REFORMATTED_SUBJECT"
SIMILAR_SUBJECTS: Final = "SIMILAR_SUBJECTS"
NO_BASELINE: Final = "NO_BASELINE"
DIFFERENT_VOXELS: Final = "DIFFERENT_VOXELS"

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        FIELD_COUNT: _blocked("the line has more or fewer fields than the header"),
        NO_SUBJECT: _blocked("the subject is empty"),
        INVALID_NAME: _blocked("subject or visit is too long, or has characters that cannot be printed"),
        INVALID_SIDE: _blocked("the side is neither left nor right"),
        INVALID_SEX: _blocked("the sex is neither male nor female"),
        INVALID_AGE: _blocked("the age is not a number of years"),
        INVALID_TIME: _blocked("the time is neither a date nor a number of years"),
        INVALID_OPTION: _blocked("a column that is named as an option has a value that the option does not have"),
        NO_FILE_NAMED: _blocked("neither a scan nor a label map is given"),
        NOT_A_PATH: _blocked("a web address or a pattern is given instead of a file"),
        NOT_ALLOWED: _blocked("the file is outside the folders that the operator of a server allows"),
        MISSING_FILE: _blocked("there is no such file or folder"),
        EMPTY_FILE: _blocked("the file has no bytes, or the folder no files"),
        NO_PERMISSION: _blocked("the file exists and may not be read"),
        DOUBLED_ROW: _blocked("another row has the same subject, visit and side"),
        LABELS_OFF_GRID: _blocked("the label map must be resampled to its scan, and the study does not ask for that"),
        SAME_FILE: _doubt("another row names the same file"),
        SAME_CONTENT: _doubt("the file of another row has the same content"),
        SIDE_CONTRADICTS_HEADER: _doubt("the header of the scan states the other side"),
        SIDE_CONTRADICTS_NAME: _doubt("the name of the file states the other side"),
        SEQUENCE_NOT_OF_MODEL: _doubt("the pulse sequence is not one that the model was made for"),
        DIFFERENT_SEQUENCE: _doubt("the pulse sequence differs from that of nearly all other rows"),
        TIMES_OUT_OF_ORDER: _doubt("the times of a subject's visits contradict the order of their names"),
        TIMES_NOT_COMPARABLE: _doubt("a subject has dates beside years, or two visits at one time"),
        SEX_CHANGES: _doubt("the rows of one subject have different sexes"),
        AGES_OUT_OF_ORDER: _doubt("a subject is younger at a later visit"),
        REFORMATTED_SUBJECT: _doubt("the subject looks like a number or date that a spreadsheet has reformatted"),
        SIMILAR_SUBJECTS: _note("subjects differ only in case, separators or leading zeros"),
        TIME_MISSING: _note("other visits of the subject have a time, and this one has none: no slope is fitted"),
        NO_BASELINE: _note("the subject lacks the visit with which most subjects begin"),
        DIFFERENT_VOXELS: _note("the voxel size differs from that of the subject's other visits"),
    }
)
"""Code -> severity and meaning. Besides these, a row can have the code of a reading error (docs/how-to/rest.md)."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fault of one row.

    row      number of its line in the manifest, from 1, as a spreadsheet counts
    column   of the manifest; empty for the whole row
    message  what was found and what was expected; remedy: what to do
    """

    row: int
    code: str
    severity: Severity
    message: str
    remedy: str
    column: str = ""

    @classmethod
    def of(cls, row: int, code: str, message: str, remedy: str, column: str = "") -> Finding:
        """With the severity of KINDS. Raises KeyError for an unknown code."""
        return cls(row=row, code=code, severity=KINDS[code].severity, message=message, remedy=remedy, column=column)

    @classmethod
    def of_error(cls, row: int, error: KneeError, column: str = "", remedy: str = "") -> Finding:
        """Of an error of reading or of the analysis."""
        return cls(
            row=row,
            code=error.code,
            severity=Severity.BLOCKED,
            message=error.message,
            remedy=remedy or error.hint,
            column=column,
        )


class InvalidManifest(InputError):
    """A manifest of which no row can be read."""

    next_step = "Save it as CSV (UTF-8) with a header line; docs/how-to/study.md shows one."
