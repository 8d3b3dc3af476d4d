"""Judges rows together: doubled ones, contradictions between columns, headers and names, and a subject's visits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, pairwise
from typing import Final

from pipeline.acquisition import PulseSequence
from pipeline.anatomy import Side
from pipeline.comparison.visits import LEAST_YEARS, years_of
from pipeline.errors import NotComparable
from pipeline.upload_facts import HeaderFacts
from studies.columns import AGE, PATH, SEX, SIDE, SUBJECT, TIME, VISIT
from studies.findings import (
    AGES_OUT_OF_ORDER,
    DIFFERENT_SEQUENCE,
    DIFFERENT_VOXELS,
    DOUBLED_ROW,
    NO_BASELINE,
    REFORMATTED_SUBJECT,
    SEQUENCE_NOT_OF_MODEL,
    SEX_CHANGES,
    SIDE_CONTRADICTS_HEADER,
    SIDE_CONTRADICTS_NAME,
    SIMILAR_SUBJECTS,
    TIME_MISSING,
    TIMES_NOT_COMPARABLE,
    TIMES_OUT_OF_ORDER,
    Finding,
)
from studies.manifest import Row
from studies.order import by_subject, name_order, of_one_form

LEAST_FOR_MAJORITY: Final = 10
MAJORITY: Final = 0.8
"""Share of the rows with a sequence, of at least this number, from which the others are conspicuous."""

LEAST_FOR_BASELINE: Final = 3
"""Subjects that begin with the same visit."""

SPACING_TOLERANCE: Final = 0.05
_MOST_NAMED: Final = 5

_SPREADSHEET: Final = re.compile(
    r"\d([.,]\d+)?E\+\d+|\d{1,2}-[A-Za-z]{3}(-\d{2,4})?|[A-Za-z]{3}-\d{2}|#(REF!|NAME\?|N/A|VALUE!|NUM!)", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class CheckedRow:
    """A row with what was found. header: None where none could be read; years: after the subject's first visit."""

    row: Row
    header: HeaderFacts | None
    findings: tuple[Finding, ...]
    years: float | None

    @property
    def stated_side(self) -> Side | None:
        """From the manifest, else from the header of the scan."""
        if self.row.person.side is not None:
            return self.row.person.side
        return None if self.header is None or self.header.scan is None else self.header.scan.side

    @property
    def sequence(self) -> PulseSequence:
        """From the header of the scan; UNKNOWN for a label map."""
        if self.header is None or self.header.scan is None or self.row.labels is not None:
            return PulseSequence.UNKNOWN
        return self.header.scan.sequence


def judge(rows: Sequence[CheckedRow], sequences: tuple[PulseSequence, ...]) -> Iterator[Finding]:
    """sequences: those that the model was made for; empty: any."""
    yield from _doubled(rows)
    for row in rows:
        yield from _sides(row)
        yield from _name(row.row)
        if sequences and row.sequence not in (PulseSequence.UNKNOWN, *sequences):
            words = ", ".join(item.words for item in sequences)
            yield Finding.of(
                row.row.number,
                SEQUENCE_NOT_OF_MODEL,
                f"The sequence is {row.sequence.words}; the model was made for {words}.",
                "Name another series of the visit, or choose another model with --model.",
                PATH.name,
            )
    yield from _odd_sequences(rows)
    yield from _similar(row.row for row in rows)
    subjects = by_subject(row.row for row in rows)
    for those in subjects.values():
        yield from _person(those)
    yield from _baselines(subjects)
    yield from _voxels(rows)


def named_rows(numbers: Iterable[int]) -> str:
    """The first of them, as text: `3, 5 and others`."""
    some = list(islice(numbers, _MOST_NAMED + 1))
    return ", ".join(map(str, some[:_MOST_NAMED])) + (" and others" if len(some) > _MOST_NAMED else "")


def _doubled(rows: Sequence[CheckedRow]) -> Iterator[Finding]:
    groups: dict[tuple[str, str, str], list[int]] = {}
    for row in rows:
        person = row.row.person
        if person.subject:
            groups.setdefault((person.subject, person.visit, row.stated_side or ""), []).append(row.row.number)
    for (_, visit, side), numbers in groups.items():
        for number in numbers if len(numbers) > 1 else ():
            listed = named_rows(other for other in numbers if other != number)
            yield Finding.of(
                number,
                DOUBLED_ROW,
                f"Row {listed} has the same subject, visit ({visit or 'empty'}) and side ({side or 'not stated'}).",
                "Keep one of them; give each knee its side, and each repeated scan of a visit its name (V00a, V00b).",
                SUBJECT.name,
            )


def _sides(row: CheckedRow) -> Iterator[Finding]:
    stated = row.row.person.side
    header = None if row.header is None or row.header.scan is None else row.header.scan.side
    number = row.row.number
    if stated is not None and header is not None and header is not stated:
        yield Finding.of(
            number,
            SIDE_CONTRADICTS_HEADER,
            f"The manifest states {stated}, the header of the scan {header}.",
            "Correct the side or the path, or leave the side empty to use that of the header.",
            SIDE.name,
        )
    words = set(re.split(r"[^a-z]+", row.row.given.lower()))
    named = [side for side in Side if side.value in words]
    known = row.stated_side
    if len(named) == 1 and known is not None and named[0] is not known:
        source = "manifest" if stated is not None else "header of the scan"
        yield Finding.of(
            number,
            SIDE_CONTRADICTS_NAME,
            f"The name of the file states {named[0]}, the {source} {known}.",
            "Correct the side or the path.",
            SIDE.name,
        )


def _name(row: Row) -> Iterator[Finding]:
    if _SPREADSHEET.fullmatch(row.person.subject):
        yield Finding.of(
            row.number,
            REFORMATTED_SUBJECT,
            f"The subject is '{row.person.subject}', which a spreadsheet may have made of another name.",
            "Format the column as text, enter the names again, and save the file again.",
            SUBJECT.name,
        )


def _similar(rows: Iterable[Row]) -> Iterator[Finding]:
    spellings: dict[str, dict[str, int]] = {}
    for row in rows:
        if row.person.subject:
            plain = re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\s._-]", "", row.person.subject.lower()))
            spellings.setdefault(plain, {}).setdefault(row.person.subject, row.number)
    for names in spellings.values():
        for name, number in list(names.items())[1:]:
            yield Finding.of(
                number,
                SIMILAR_SUBJECTS,
                f"The subject '{name}' is written '{next(iter(names))}' in row {next(iter(names.values()))}.",
                "Write the names of one person in one way; other persons need no change.",
                SUBJECT.name,
            )


def _odd_sequences(rows: Sequence[CheckedRow]) -> Iterator[Finding]:
    counts = Counter(row.sequence for row in rows if row.sequence is not PulseSequence.UNKNOWN)
    total = sum(counts.values())
    if total < LEAST_FOR_MAJORITY or len(counts) < 2:
        return
    usual, number = counts.most_common(1)[0]
    if number < MAJORITY * total:
        return
    for row in rows:
        if row.sequence not in (PulseSequence.UNKNOWN, usual):
            yield Finding.of(
                row.row.number,
                DIFFERENT_SEQUENCE,
                f"The sequence is {row.sequence.words}; {number} of {total} rows have {usual.words}.",
                "Name the series of the same sequence, or analyse this sequence as another study.",
                PATH.name,
            )


def _person(rows: Sequence[Row]) -> Iterator[Finding]:
    """Of one subject."""
    sexes = sorted({row.person.sex for row in rows} - {""})
    if len(sexes) > 1:
        for row in rows:
            message = f"The subject is {' and '.join(sexes)} in different rows."
            yield Finding.of(row.number, SEX_CHANGES, message, "Correct the sex, or the subject.", SEX.name)
    yield from _times(rows)


def _times(rows: Sequence[Row]) -> Iterator[Finding]:
    timed = [row for row in rows if row.person.time]
    for row in rows if timed and len({row.person.visit for row in rows}) > 1 else ():
        if not row.person.time:
            message = "Other visits of the subject have a time, and this one has none."
            yield Finding.of(row.number, TIME_MISSING, message, "Give its date or years.", TIME.name)
    try:
        years = dict(zip([row.number for row in timed], years_of([row.person.time for row in timed]), strict=True))
    except NotComparable as error:
        for row in timed:
            yield Finding.of(row.number, TIMES_NOT_COMPARABLE, error.message, error.hint, TIME.name)
        years, timed = {}, []
    ordered = sorted(timed, key=lambda row: years[row.number])
    for before, after in pairwise(ordered):
        close = years[after.number] - years[before.number] < LEAST_YEARS
        if close and before.person.visit != after.person.visit:
            for row, other in ((before, after), (after, before)):
                message = f"Visit {row.person.visit or '(empty)'} has the time of row {other.number}, another visit."
                yield Finding.of(row.number, TIMES_NOT_COMPARABLE, message, "Correct time or visit.", TIME.name)
        elif (
            not close
            and of_one_form((before.person.visit, after.person.visit))
            and name_order(before.person.visit) > name_order(after.person.visit)
        ):
            for row, other, word in ((before, after, "before"), (after, before, "after")):
                message = f"Visit {row.person.visit} is {word} visit {other.person.visit} (row {other.number})."
                yield Finding.of(row.number, TIMES_OUT_OF_ORDER, message, "Correct time or visit.", TIME.name)
    by_visit = ordered if len(ordered) == len(rows) else sorted(rows, key=lambda row: name_order(row.person.visit))
    aged = [(row, row.person.age) for row in by_visit if row.person.age is not None]
    for (before, younger), (after, older) in pairwise(aged):
        if before.person.visit != after.person.visit and older < younger:
            message = f"The age is {older:g}, and {younger:g} at the earlier visit {before.person.visit}."
            yield Finding.of(after.number, AGES_OUT_OF_ORDER, message, "Correct age, visit or time.", AGE.name)


def _baselines(subjects: dict[str, list[Row]]) -> Iterator[Finding]:
    visits = {subject: sorted({row.person.visit for row in rows}, key=name_order) for subject, rows in subjects.items()}
    firsts = Counter(names[0] for names in visits.values() if len(names) > 1)
    if not firsts:
        return
    baseline, number = firsts.most_common(1)[0]
    if number < LEAST_FOR_BASELINE:
        return
    for subject, names in visits.items():
        if baseline not in names and all(names):
            row = subjects[subject][0]
            yield Finding.of(
                row.number,
                NO_BASELINE,
                f"The subject has no visit {baseline}, with which {number} subjects begin; it begins with {names[0]}.",
                "Add the visit, if there is a scan of it; changes are then counted from it.",
                VISIT.name,
            )


def _voxels(rows: Sequence[CheckedRow]) -> Iterator[Finding]:
    read = [row for row in rows if row.header is not None and row.header.scan is not None and row.row.person.subject]
    read.sort(key=lambda row: (row.row.person.subject, name_order(row.row.person.visit), row.row.number))
    for _, those in groupby(read, key=lambda row: row.row.person.subject):
        first, *later = those
        for row in later:
            one, two = (
                sorted(item.header.scan.spacing_mm) for item in (first, row) if item.header and item.header.scan
            )
            if any(abs(a - b) > SPACING_TOLERANCE * max(a, b) for a, b in zip(one, two, strict=True)):
                sizes = [" x ".join(f"{mm:.2f}" for mm in size) for size in (two, one)]
                yield Finding.of(
                    row.row.number,
                    DIFFERENT_VOXELS,
                    f"The voxels have {sizes[0]} mm, those of row {first.row.number} of the subject {sizes[1]} mm.",
                    "Name the series of the same protocol, if there is one: changes between them are less certain.",
                    PATH.name,
                )
