"""Makes the rows of a manifest from the names in a folder: BIDS, the OAI's image folders, or names by a pattern.

No scan is opened. What the names do not say is left empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.errors import InputError, OptionsError
from pipeline.file_kinds import EXTENSIONS, extension_of
from pipeline.scan_checks.folder import scans_in
from studies.columns import AGE, LABELS, PATH, SEX, SIDE, SIDES, SUBJECT, TIME, VISIT, column_named
from studies.text_table import read_text_table


class LayoutName(StrEnum):
    """How a folder is arranged."""

    BIDS = "bids"
    OAI = "image03"
    PATTERN = "pattern"


RowValues = dict[str, str]
"""Column -> value of one row."""

OAI_VISITS: Final[Mapping[str, str]] = {
    "00m": "V00",
    "12m": "V01",
    "18m": "V02",
    "24m": "V03",
    "30m": "V04",
    "36m": "V05",
    "48m": "V06",
    "72m": "V08",
    "96m": "V10",
}
"""Month of a folder of the OAI -> its name of the visit."""

_OAI: Final = re.compile(r"(?:^|/)(?P<subject>9\d{6})/(?P<date>(?:19|20)\d{6})/(?P<series>\d{8})(?:/|\.|$)")
_MONTH: Final = re.compile(r"(?:^|[/_])(\d{2}m)(?:[/_]|$)")
_ENTITY: Final = re.compile(r"([a-z]+)-([A-Za-z0-9+]+)")

_VISIT: Final = r"(?:v\d+|\d+m|m\d+|bl|baseline|fu\d*|ses[-\w]*?|t\d+|y\d+)"
PATTERNS: Final = ("{subject}_{visit}_{side}", "{subject}_{side}_{visit}", "{subject}_{side}", "{subject}")
"""Tried in this order where no pattern is given; the visit must then look like one (V00, 12m, baseline)."""

_SIDE_WORDS: Final = "|".join(sorted(map(re.escape, SIDES), key=len, reverse=True))


@dataclass(frozen=True, kw_only=True)
class Found:
    """Rows from a folder, and how its names were read, as text."""

    rows: tuple[RowValues, ...]
    read_as: str
    left_out: tuple[str, ...] = ()
    """Names that do not have the pattern."""


def rows_of_folder(
    folder: Path, *, layout: LayoutName | None = None, pattern: str = "", only: str = "", label_maps: bool = False
) -> Found:
    """One row for each scan in the folder, in the order of their paths, relative to the folder.

    layout      None: recognised from the names
    pattern     for PATTERN: fields in braces, such as `{subject}_{visit}_{side}`; other fields become further columns.
                With a slash it is matched to the path below the folder, else to the file's name, without extension
    only        a glob that the path below the folder must match, such as `*DESS*`
    label_maps  the files are label maps, not scans
    Raises InputError if no scan is found, OptionsError if no name has the pattern.
    """
    scans = [path for path in scans_in(folder) if not only or path.relative_to(folder).match(only) or path.match(only)]
    if not scans:
        raise InputError(f"No scan in the folder matches {only}.", hint="Check the pattern after --only.")
    paths = [path.relative_to(folder).as_posix() for path in scans]
    chosen = layout or (LayoutName.PATTERN if pattern else _recognised(paths))
    found = _READERS[chosen](folder, paths, pattern)
    column = LABELS.name if label_maps else PATH.name
    return Found(
        rows=tuple({column: row.pop(PATH.name)} | row for row in map(dict, found.rows)),
        read_as=found.read_as,
        left_out=found.left_out,
    )


def _recognised(paths: Iterable[str]) -> LayoutName:
    listed = list(paths)
    if all(re.search(r"(?:^|/)sub-[A-Za-z0-9+]+[/_]", path) for path in listed):
        return LayoutName.BIDS
    return LayoutName.OAI if all(_OAI.search(path) for path in listed) else LayoutName.PATTERN


def _bids(folder: Path, paths: Sequence[str], _: str) -> Found:
    people = {row.get("participant_id", ""): row for row in _side_table(folder / "participants.tsv")}
    rows, left_out = [], []
    for path in paths:
        parts = dict(_ENTITY.findall(path))
        if "sub" not in parts:
            left_out.append(path)
            continue
        person = people.get(f"sub-{parts['sub']}", {})
        row = {PATH.name: path, SUBJECT.name: parts["sub"], VISIT.name: parts.get("ses", "")}
        row[SIDE.name] = _side_of(parts.get("hemi", ""), *parts.values())
        row[TIME.name] = _acquired(folder, path)
        for name, value in person.items():
            known = column_named(name)
            if known in (SEX, AGE):
                row[known.name if known else name] = value
            elif name != "participant_id":
                row[name] = value
        row["suffix"] = PurePosixPath(path).name.removesuffix(extension_of(path)).rpartition("_")[2]
        rows.append({name: "" if value == "n/a" else value for name, value in row.items()})
    return Found(rows=tuple(rows), read_as="BIDS: sub-SUBJECT/ses-VISIT", left_out=tuple(left_out))


def _acquired(folder: Path, path: str) -> str:
    """Date of a scan from the table of its session; empty without one."""
    place = folder / path
    for parent in list(place.parents)[:2]:
        for table in sorted(parent.glob("sub-*_scans.tsv")):
            for row in _side_table(table):
                if row.get("filename") and (parent / row["filename"]) == place:
                    return row.get("acq_time", "")[:10].replace("n/a", "")
    return ""


def _side_table(path: Path) -> list[RowValues]:
    """A tab-separated table beside the scans; empty if it is missing or cannot be read."""
    if not path.is_file():
        return []
    table = read_text_table(path)
    return [dict(zip(table.header, fields, strict=False)) for _, fields in table.lines]


def _oai(_: Path, paths: Sequence[str], __: str) -> Found:
    matches = [(path, match) for path in paths if (match := _OAI.search(path))]
    dates: dict[str, list[str]] = {}
    for _path, match in matches:
        dates.setdefault(match["subject"], []).append(match["date"])
    rows = []
    for path, match in matches:
        day, month = match["date"], _MONTH.search(path)
        number = sorted(set(dates[match["subject"]])).index(day) + 1
        rows.append(
            {
                PATH.name: path,
                SUBJECT.name: match["subject"],
                VISIT.name: OAI_VISITS.get(month[1], month[1]) if month else str(number),
                SIDE.name: _side_of(*re.split(r"[/_.]", path)),
                TIME.name: f"{day[:4]}-{day[4:6]}-{day[6:]}",
                "series_uid": match["series"],
            }
        )
    kept = {path for path, _match in matches}
    return Found(
        rows=tuple(rows),
        read_as="OAI: SUBJECT/DATE/SERIES, visits from the folders of months, else by the order of dates",
        left_out=tuple(path for path in paths if path not in kept),
    )


def rows_from_names(names: Sequence[str], pattern: str = "") -> Found:
    """One row for each name that has the pattern. Raises OptionsError if none has."""
    return _names(Path(), names, pattern)


def _names(_: Path, paths: Sequence[str], pattern: str) -> Found:
    names = {path: _stem(path) for path in paths}
    for candidate in (pattern,) if pattern else PATTERNS:
        expression = _expression(candidate, strict=not pattern)
        whole = "/" in candidate
        matches = {
            path: match
            for path, name in names.items()
            if (match := expression.fullmatch(name if whole else name.rpartition("/")[2]))
        }
        if matches and (pattern or len(matches) == len(names)):
            rows = tuple({PATH.name: path} | match.groupdict() for path, match in matches.items())
            return Found(rows=rows, read_as=candidate, left_out=tuple(path for path in paths if path not in matches))
    raise OptionsError(
        f"No name has the pattern {pattern}; the first is {names[paths[0]]}.",
        hint="Give the fields in braces and all else as it is written: --pattern '{subject}_{visit}_{side}'.",
    )


def _stem(path: str) -> str:
    extension = extension_of(path)
    return path[: -len(extension)] if extension in EXTENSIONS else path


def _expression(pattern: str, *, strict: bool) -> re.Pattern[str]:
    """Raises OptionsError. strict: a visit must look like one."""
    parts = re.split(r"{([^{}]*)}", pattern)
    names = parts[1::2]
    if SUBJECT.name not in names or len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
        raise OptionsError(
            f"The pattern {pattern} has the fields {', '.join(names) or 'none'}; expected {SUBJECT.name} and others, "
            "each once.",
            hint="An example: --pattern '{subject}_{visit}_{side}'.",
        )
    text = re.escape(parts[0])
    for name, after in zip(names, parts[2::2], strict=True):
        kind = {SUBJECT.name: r"[^/]+", SIDE.name: f"(?:{_SIDE_WORDS})", VISIT.name: _VISIT if strict else r"[^/_]+"}
        text += f"(?P<{name}>{kind.get(name, r'[^/_]+')}){re.escape(after)}"
    return re.compile(text, re.IGNORECASE)


def _side_of(*words: str) -> str:
    """The one side that the words state; empty if none or both do. Single letters count in the first word alone."""
    first = SIDES.get(words[0].lower()) if words else None
    stated = {side for word in words for text, side in SIDES.items() if len(text) > 2 and text in word.lower()}
    if first is not None:
        return first.value
    return next(iter(stated)).value if len(stated) == 1 else ""


_READERS: Final = {LayoutName.BIDS: _bids, LayoutName.OAI: _oai, LayoutName.PATTERN: _names}
