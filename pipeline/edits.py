"""Corrections of outlines by readers: what each version changed, per structure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import Structure
from pipeline.types import LabelArray


class EditWay(StrEnum):
    """How a version was made."""

    BROWSER = "browser"
    LABEL_MAP = "label_map"
    RESTORED = "restored"

    @property
    def words(self) -> str:
        """Display text."""
        return {
            EditWay.BROWSER: "edited in the browser",
            EditWay.LABEL_MAP: "corrected in another program",
            EditWay.RESTORED: "restored",
        }[self]


@dataclass(frozen=True, kw_only=True)
class StructureEdit:
    """Voxels of one structure that a version added and removed. dice: of the structure with that of the base."""

    structure: str
    added: int
    removed: int
    dice: float


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One version of an analysis.

    base      number of the version that was changed, or restored
    made_at   ISO 8601 with offset
    note, initials   free text of the reader
    structures       those that changed, by label
    """

    version: int
    base: int
    made_at: str
    way: EditWay
    note: str = ""
    initials: str = ""
    structures: tuple[StructureEdit, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self) | {"way": self.way.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Edit:
        """From the dictionary of `to_dict`, also after JSON. Raises KeyError, TypeError, ValueError."""
        values: dict[str, Any] = dict(data)
        return cls(
            **values | {"way": EditWay(values["way"]), "structures": structure_edits(values["structures"])},
        )


def structure_edits(rows: Iterable[Mapping[str, object]]) -> tuple[StructureEdit, ...]:
    """From JSON. Raises KeyError, TypeError, ValueError for values of other types."""
    found = []
    for row in rows:
        values: dict[str, Any] = dict(row)
        structure = Structure[str(values["structure"]).upper()]
        added, removed, dice = int(values["added"]), int(values["removed"]), float(values["dice"])
        if added < 0 or removed < 0 or not 0.0 <= dice <= 1.0:
            raise ValueError("expected numbers of voxels, and a Dice from 0 to 1")
        found.append(StructureEdit(structure=structure.key, added=added, removed=removed, dice=dice))
    return tuple(found)


def edited_structures(edits: Iterable[Edit]) -> frozenset[Structure]:
    """The structures that any of the edits changed."""
    return frozenset(Structure[item.structure.upper()] for edit in edits for item in edit.structures)


def edit_warnings(edits: Iterable[Edit]) -> tuple[str, ...]:
    """For a result with corrected outlines."""
    found = sorted(edited_structures(edits))
    if not found:
        return ()
    return (
        f"A reader corrected these outlines: {', '.join(s.title.lower() for s in found)}. The confidence and the "
        "repeatability of the model do not hold for them and are left out.",
    )


def changes_between(before: LabelArray, after: LabelArray) -> tuple[StructureEdit, ...]:
    """Per structure that differs, the voxels added and removed, and the Dice of both. (z, y, x) each."""
    size = max(Structure) + 1
    exchanged = np.zeros((size, size), dtype=np.int64)
    voxels = np.zeros(size, dtype=np.int64)
    for old, new in zip(before, after, strict=True):  # per slice: bincount copies to 64 bits
        voxels += np.bincount(old.reshape(-1), minlength=size)
        other = old != new
        if other.any():
            pairs = old[other].astype(np.int64) * size + new[other]
            exchanged += np.bincount(pairs, minlength=size * size).reshape(size, size)
    added, removed = exchanged.sum(axis=0), exchanged.sum(axis=1)
    return tuple(
        StructureEdit(
            structure=structure.key,
            added=int(added[structure]),
            removed=int(removed[structure]),
            dice=_dice(voxels[structure], added[structure], removed[structure]),
        )
        for structure in Structure
        if added[structure] or removed[structure]
    )


def _dice(before: NDArray[Any], added: NDArray[Any], removed: NDArray[Any]) -> float:
    return float(2 * (before - removed) / (2 * before - removed + added))
