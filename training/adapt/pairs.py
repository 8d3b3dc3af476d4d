"""A lab's labelled set: read as make validate reads it, and divided by knee."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.validation.case import inputs_of
from pipeline.validation.labelled_set import read_set


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A scan and its label map, files or folders. knee: all scans of one knee are in the same fold."""

    name: str
    knee: str
    scan: Path
    labels: Path


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """numbering: of the label maps, as their layout states it."""

    pairs: list[Pair]
    numbering: str


def read_pairs(scans: Path, labels: Path, folder: Path, knee: str = ".*") -> Pairs:
    """The pairs of two folders (pipeline/validation); files that need conversion are written to `folder`.

    knee: regular expression for the part of a name that names the knee. Raises InputError without a pair, ValueError
    if the expression does not occur in a name.
    """
    found = read_set(scans, labels)
    pairs = []
    for case in found.cases:
        scan, outlines = inputs_of(case, found.layout, folder / case.name)
        pairs.append(Pair(name=case.name, knee=_knee(case.name, knee), scan=Path(scan), labels=Path(outlines)))
    return Pairs(pairs=pairs, numbering=found.layout.numbering)


def _knee(case: str, pattern: str) -> str:
    found = re.search(pattern, case)
    if found is None:
        raise ValueError(f"the pattern {pattern!r} does not occur in the name {case!r}; expected it in every name")
    return found.group(0)


def folds(pairs: Sequence[Pair], count: int) -> list[list[Pair]]:
    """The pairs in `count` parts of similar size; all scans of a knee are in the same part."""
    knees = list(dict.fromkeys(pair.knee for pair in pairs))
    part = {knee: k % count for k, knee in enumerate(knees)}
    return [[pair for pair in pairs if part[pair.knee] == k] for k in range(count)]
