"""The columns of a manifest: names, other names for them, and how each value is read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pipeline.anatomy import Side
from pipeline.comparison.visits import years_of
from pipeline.errors import KneeError, NotComparable, OptionsError
from pipeline.options import AnalysisOptions, read_times
from studies.findings import (
    INVALID_AGE,
    INVALID_NAME,
    INVALID_OPTION,
    INVALID_SEX,
    INVALID_SIDE,
    INVALID_TIME,
    NO_SUBJECT,
    Finding,
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. synonyms: other names under which it is found, in lower case; required: in every manifest."""

    name: str
    meaning: str
    synonyms: tuple[str, ...] = ()
    required: bool = False


PATH: Final = Column(
    name="path",
    meaning="file or folder of the scan, relative to the manifest; empty for a label map alone",
    synonyms=("scan", "file", "filename", "image", "upload"),
)
LABELS: Final = Column(
    name="labels",
    meaning="label map that is measured instead of running a network",
    synonyms=("label", "label_map", "segmentation", "mask"),
)
SUBJECT: Final = Column(
    name="subject",
    meaning="name of the person, the same in all rows of the person",
    synonyms=("subject_id", "participant_id", "participant", "id", "patient"),
    required=True,
)
VISIT: Final = Column(
    name="visit", meaning="name of the visit: V00, baseline, 12m", synonyms=("session", "session_id", "timepoint")
)
SIDE: Final = Column(
    name="side", meaning="left or right; empty: from the header, else from the anatomy", synonyms=("laterality",)
)
TIME: Final = Column(
    name="time",
    meaning="date of the scan (2021-05-31) or years after any date (1.02); needed for slopes. Only the years "
    "after the first visit of the subject are written to the tables",
    synonyms=("date", "scan_date", "years"),
)
SEX: Final = Column(name="sex", meaning="male or female", synonyms=("gender",))
AGE: Final = Column(name="age", meaning="years, at the visit", synonyms=("age_years",))

COLUMNS: Final = (PATH, LABELS, SUBJECT, VISIT, SIDE, TIME, SEX, AGE)

ROW_OPTIONS: Final = (
    "series",
    "knee",
    "turn",
    "numbering",
    "resample_labels",
    "echo_times_ms",
    "spin_lock_times_ms",
)
"""Options that depend on the scan: a column with such a name sets the option for its rows, where it is not empty."""

SIDES: Final[Mapping[str, Side]] = MappingProxyType(
    {side.value: side for side in Side} | {side.value[0]: side for side in Side} | {"lt": Side.LEFT, "rt": Side.RIGHT}
)
SEXES: Final[Mapping[str, str]] = MappingProxyType(
    {word: sex for sex, words in {"male": "male m man", "female": "female f woman"}.items() for word in words.split()}
)
OLDEST: Final = 120.0
LONGEST_NAME: Final = 64
_TRUE: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class Person:
    """What a row says of its person and visit."""

    subject: str
    visit: str
    side: Side | None
    time: str
    sex: str
    age: float | None


def column_named(header: str) -> Column | None:
    """The column of a header, in any case, with spaces or underscores; None for a further column."""
    name = re.sub(r"[\s-]+", "_", header.strip().lower())
    return next((column for column in COLUMNS if name == column.name or name in column.synonyms), None)


def read_person(row: int, values: Mapping[str, str]) -> tuple[Person, list[Finding]]:
    """values: column name -> text. A value that cannot be read is left empty, with a finding."""
    found: list[Finding] = []
    subject, visit = (_name(row, column, values.get(column.name, ""), found) for column in (SUBJECT, VISIT))
    if not values.get(SUBJECT.name):
        found.append(Finding.of(row, NO_SUBJECT, "The subject is empty.", "Give a name to the person.", SUBJECT.name))
    side, sex = values.get(SIDE.name, "").lower(), values.get(SEX.name, "").lower()
    if side and side not in SIDES and side != "auto":
        found.append(
            Finding.of(
                row,
                INVALID_SIDE,
                f"The side is {_quoted(side)}; expected left or right.",
                "Write left or right; numbers are not read, because data sets disagree about them.",
                SIDE.name,
            )
        )
    if sex and sex not in SEXES:
        found.append(
            Finding.of(
                row,
                INVALID_SEX,
                f"The sex is {_quoted(sex)}; expected male or female.",
                "Write male or female, or leave it empty; numbers are not read, because data sets disagree about them.",
                SEX.name,
            )
        )
    person = Person(
        subject=subject,
        visit=visit,
        side=SIDES.get(side),
        time=_time(row, values.get(TIME.name, ""), found),
        sex=SEXES.get(sex, ""),
        age=_age(row, values.get(AGE.name, ""), found),
    )
    return person, found


def read_options(row: int, values: Mapping[str, str]) -> tuple[dict[str, object], list[Finding]]:
    """The options of a row from the columns of ROW_OPTIONS that are not empty."""
    given: dict[str, object] = {}
    found: list[Finding] = []
    for name in ROW_OPTIONS:
        if not (text := values.get(name, "")):
            continue
        try:
            value = _option(name, text)
            AnalysisOptions.from_dict({name: value})
            given[name] = value
        except OptionsError as error:
            found.append(Finding.of(row, INVALID_OPTION, error.message, error.hint, name))
    return given, found


def _option(name: str, text: str) -> object:
    default = getattr(AnalysisOptions(), name)
    if isinstance(default, bool):
        if text.lower() not in _TRUE:
            raise OptionsError(f"{name} is {_quoted(text)}; expected yes or no.")
        return _TRUE[text.lower()]
    return read_times(text, name) if isinstance(default, tuple) else text


def _name(row: int, column: Column, text: str, found: list[Finding]) -> str:
    if len(text) <= LONGEST_NAME and text.isprintable():
        return text
    message = f"The {column.name} has {len(text)} characters" if text.isprintable() else f"The {column.name} has a "
    message += "" if text.isprintable() else "character that cannot be printed"
    found.append(
        Finding.of(
            row,
            INVALID_NAME,
            f"{message}; expected at most {LONGEST_NAME} printable ones.",
            "Give a shorter name without line breaks.",
            column.name,
        )
    )
    return ""


def _age(row: int, text: str, found: list[Finding]) -> float | None:
    if not text:
        return None
    try:
        age = float(text.replace(",", "."))
    except ValueError:
        age = math.nan
    if 0.0 < age <= OLDEST:
        return age
    message = f"The age is {_quoted(text)}; expected years from 0 to {OLDEST:.0f}."
    found.append(Finding.of(row, INVALID_AGE, message, "Write the number alone (63.5), or leave it empty.", AGE.name))
    return None


def _time(row: int, text: str, found: list[Finding]) -> str:
    plain = text.replace(",", ".") if re.fullmatch(r"-?\d+,\d+", text) else text
    if not plain:
        return ""
    try:
        if math.isfinite(years_of([plain])[0]):
            return plain
        reason: KneeError = NotComparable("The time of a visit is not a finite number.")
    except NotComparable as error:
        reason = error
    remedy = "Write a date as 2021-05-31, or years after any date as 1.02."
    found.append(Finding.of(row, INVALID_TIME, f"{reason.message} Found {_quoted(text)}.", remedy, TIME.name))
    return ""


def _quoted(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:40])
    return f"'{shown}'"
