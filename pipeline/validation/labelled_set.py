"""A labelled set: its layout, and pairs of scan and label map by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import InputError
from pipeline.file_kinds import EXTENSIONS, input_stem
from pipeline.validation.layouts import HDF5_LABELS, HDF5_SCAN, LAYOUTS, NAMES_FILE, Layout

LABEL_WORDS: Final = frozenset({"label", "labels", "labelmap", "seg", "segmentation", "mask", "masks", "gt"})
"""Words in the names of label maps that are no part of the case's name."""

SCAN_WORDS: Final = frozenset({"scan", "image", "img", "im", "mri"})

_CHANNEL: Final = re.compile(r"_(\d{4})$")
"""nnU-Net's suffix of an image: the number of its channel."""

_MOST_SHOWN: Final = 5


@dataclass(frozen=True, kw_only=True)
class Case:
    """A scan (a file, or a folder of DICOM files) and its expert label map. names: file with the labels' names."""

    name: str
    scan: Path
    labels: Path
    names: Path | None = None


@dataclass(frozen=True, kw_only=True)
class LabelledSet:
    """The pairs of a set, sorted by name. without_labels, without_scan: names that have no counterpart."""

    layout: Layout
    cases: tuple[Case, ...]
    without_labels: tuple[str, ...] = ()
    without_scan: tuple[str, ...] = ()


def read_set(scans: Path, labels: Path) -> LabelledSet:
    """The pairs in two folders; both may be the same folder.

    Raises InputError if a folder is missing, there is no pair, or a name occurs twice.
    """
    for folder in (scans, labels):
        if not folder.is_dir():
            raise InputError(f"{folder.name} is not a folder; expected folders of scans and of label maps.")
    found, maps = _entries(scans), _entries(labels)
    if scans.resolve() == labels.resolve():
        found, maps = [p for p in found if not _is_labels(p)], [p for p in maps if _is_labels(p)]
    of_scans, of_maps = _by_key(found, "scans"), _by_key(maps, "label maps")
    keys = sorted(of_scans.keys() & of_maps.keys())
    if not keys:
        raise InputError(
            f"No scan has the name of a label map: {len(found)} scans ({_some(of_scans)}), {len(maps)} label maps "
            f"({_some(of_maps)}).",
            hint="Give a scan and its label map the same name, such as knee_01 in two folders.",
        )
    layout = next(layout for layout in LAYOUTS if layout.fits(found, maps))
    names = _names_of(labels)
    return LabelledSet(
        layout=layout,
        cases=tuple(
            Case(name=case_name(of_scans[key]), scan=of_scans[key], labels=of_maps[key], names=names) for key in keys
        ),
        without_labels=tuple(sorted(of_scans.keys() - of_maps.keys())),
        without_scan=tuple(sorted(of_maps.keys() - of_scans.keys())),
    )


def case_name(path: Path) -> str:
    """The name that a scan and its label map share: `oaizib_001` of `oaizib_001_0000.nii.gz`, `7` of `7_labels.nrrd`.

    Raises InputError for the second image of a case in nnU-Net's layout.
    """
    stem = _stem(path)
    channel = _CHANNEL.search(stem)
    if channel is not None:
        if int(channel[1]):
            raise InputError(
                f"{path.name} is a further image of its case; expected one image for each case.",
                hint="Models take one image: keep only the files that end with _0000.",
            )
        stem = stem[: channel.start()]
    words = [word for word in _words(stem) if word.lower() not in LABEL_WORDS | SCAN_WORDS]
    return "_".join(words) or stem


def _stem(path: Path) -> str:
    return path.stem if path.suffix in (HDF5_SCAN, HDF5_LABELS) else input_stem(path.name)


def _entries(folder: Path) -> list[Path]:
    """Files that may be images, and folders with files (DICOM series)."""
    known = (*EXTENSIONS, HDF5_SCAN, HDF5_LABELS)
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            found += [path] if any(item.is_file() for item in path.rglob("*")) else []
        elif path.name.lower().endswith(known):
            found.append(path)
    return found


def _is_labels(path: Path) -> bool:
    if path.suffix == HDF5_LABELS:
        return True
    return any(word.lower() in LABEL_WORDS for word in _words(_stem(path)))


def _words(stem: str) -> list[str]:
    return [word for word in re.split(r"[_\-. ]+", stem) if word]


def _by_key(paths: Iterable[Path], what: str) -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        key = case_name(path).lower()
        if key in found:
            raise InputError(f"Two {what} have the name {key}: {found[key].name} and {path.name}; expected one.")
        found[key] = path
    return found


def _names_of(labels: Path) -> Path | None:
    """The description of the labels, in their folder or in the one above it."""
    return next((path for folder in (labels, labels.parent) if (path := folder / NAMES_FILE).is_file()), None)


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:_MOST_SHOWN]) + (", ..." if len(listed) > _MOST_SHOWN else "") or "none"
