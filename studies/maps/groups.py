"""Which knees make a group, and their maps: every row is used or named with the reason why not."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.anatomy import PLATE_ON, Structure
from pipeline.flags import QualityFlag
from pipeline.flat_maps.reference import reference_plate
from pipeline.grid import FloatArray
from pipeline.report.flat_maps import MAPPED, Mapped
from pipeline.results_tree import FLAT_MAP, RESULTS
from pipeline.uses import Uses
from studies.maps.names import BONES
from studies.maps.request import ALL, SEX, MapRequest
from studies.maps.statistics import Accumulator, GroupMap
from studies.tables.rows import StudyRow, StudyState

OTHER_EXAMINATION: Final = "another row has the same knee at this visit"
NO_MAP: Final = "no map: compact study, or the bone has no cartilage or does not fit the reference"
NO_QUANTITY: Final = "the quantity was not measured"
MUST_NOT_BE_USED: Final = "the quantity must not be used"


_MAPPED: Final = {item.name: item for item in MAPPED}


def mapped_of(request: MapRequest) -> Mapped:
    """The quantity of a request. Raises KeyError for an unknown one."""
    return _MAPPED[request.figure]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A row of a group that does not contribute to the map of a bone. bone: empty for all."""

    row: int
    subject: str
    side: str
    group: str
    bone: str
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """rows: its complete rows; subjects: number of persons among them; maps: bone -> statistics."""

    title: str
    rows: tuple[int, ...]
    subjects: int
    maps: dict[Structure, GroupMap]
    left_out: tuple[LeftOut, ...] = field(default=())


def group_of(state: StudyState, request: MapRequest, value: str) -> Group:
    """The maps of one group, read knee by knee in the order of the manifest."""
    mapped = mapped_of(request)
    rows = [row for row, _ in state.complete if _belongs(row, request, value)]
    title = value if request.column else "All knees"
    sums = {bone: Accumulator(len(reference_plate(bone).surface.points_mm)) for bone in BONES}
    left_out: list[LeftOut] = []
    used: list[StudyRow] = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        knee = row.checked.row.person.subject, row.side
        reasons: Iterable[tuple[str, str]]
        if knee in seen:
            reasons = [("", OTHER_EXAMINATION)]
        else:
            seen.add(knee)
            used.append(row)
            assert row.record is not None  # noqa: S101 -- it is complete
            reasons = _add(state.folder(row.record), mapped, sums)
        left_out += [
            LeftOut(row=row.number, subject=knee[0], side=knee[1], group=title, bone=bone, reason=reason)
            for bone, reason in reasons
        ]
    return Group(
        title=title,
        rows=tuple(row.number for row in used),
        subjects=len({row.checked.row.person.subject for row in used}),
        maps={bone: accumulator.result() for bone, accumulator in sums.items()},
        left_out=tuple(left_out),
    )


def _belongs(row: StudyRow, request: MapRequest, value: str) -> bool:
    line = row.checked.row
    if request.visit != ALL and line.person.visit != request.visit:
        return False
    if not request.column:
        return True
    return (line.person.sex if request.column == SEX else line.further.get(request.column, "")) == value


def _add(folder: Path, mapped: Mapped, sums: dict[Structure, Accumulator]) -> list[tuple[str, str]]:
    """Add one knee; returns (bone, reason) for each bone that it does not contribute to.

    Points in regions that must not be used are left out.
    """
    uses = _uses(folder)
    found = []
    for bone, accumulator in sums.items():
        plate = PLATE_ON[bone]
        parts = plate.parts or (plate.whole,)
        banned = [part for part in parts if not uses.usable(mapped.quantity, part)]
        if len(banned) == len(parts):
            found.append((bone.key, MUST_NOT_BE_USED))
            continue
        values = read_values(FLAT_MAP.at(folder, bone=bone.key), mapped.name)
        if isinstance(values, str):
            found.append((bone.key, values))
            continue
        region = reference_plate(bone).region
        accumulator.add(np.where(np.isin(region, [part.label for part in banned]), np.nan, values))
    return found


def _uses(folder: Path) -> Uses:
    document = json.loads(RESULTS.at(folder).read_text(encoding="utf-8"))
    return Uses(flags=tuple(QualityFlag.from_dict(flag) for flag in document.get("flags", [])))


def read_values(path: Path, name: str) -> FloatArray | str:
    """(m,) values of one knee at the points of the reference, or the reason why there are none."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if f"reference_{name}" not in stored.files:
                return NO_QUANTITY
            return np.asarray(stored[f"reference_{name}"], dtype=np.float64)
    except (OSError, ValueError, zipfile.BadZipFile):
        return NO_MAP
