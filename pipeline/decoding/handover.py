"""What a confined process hands over: JSON values, and one array as raw numbers in a file.

Nothing in it is trusted: sizes are bounded, and every value has the type that the caller expects.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pipeline.edits import StructureEdit, structure_edits
from pipeline.flags import QualityFlag
from pipeline.image_codec import label_map_of, label_map_values, scan_of, scan_values
from pipeline.image_io.voxels import MAX_VOXELS
from pipeline.types import LabelArray, LabelMap, Scan

VERDICT: Final = "verdict.json"
ARRAY: Final = "array"

MOST_JSON_BYTES: Final = 512 * 1024
"""Two pictures of 256 x 256 pixels need up to 350 KB."""

_MOST_TEXTS: Final = 1000
_LONGEST_TEXT: Final = 10_000

_MALFORMED: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)


class Malformed(Exception):
    """A confined process wrote something else than it was asked for."""


def write_verdict(folder: Path, verdict: Mapping[str, object]) -> None:
    """Called by the confined process."""
    (folder / VERDICT).write_text(json.dumps(verdict, default=str), encoding="utf-8")


def read_verdict(folder: Path) -> dict[str, object]:
    """Raises Malformed, also if there is none."""
    try:
        with (folder / VERDICT).open("rb") as stream:
            verdict = json.loads(stream.read(MOST_JSON_BYTES))
    except (OSError, *_MALFORMED) as error:
        raise Malformed("no verdict") from error
    if not isinstance(verdict, dict):
        raise Malformed("the verdict is not an object")
    return verdict


def write_scan(folder: Path, scan: Scan) -> dict[str, object]:
    """The echoes to a file in `folder`; the rest as JSON values."""
    scan.echoes.tofile(folder / ARRAY)
    return scan_values(scan) | {"echoes": len(scan.echoes)}


def take_scan(folder: Path, values: object) -> Scan:
    """The scan that `write_scan` wrote; its file is removed. Raises Malformed."""
    try:
        meta = _object(values)
        echoes = _whole(meta.pop("echoes"))
        array = _take_array(folder, (echoes, *meta["grid"]["shape"]), "<f4")
        _require_numbers((*meta["echo_times_ms"], *(v for v in meta["acquisition"].values() if v is not None)))
        _require_texts((meta["modality"], *meta["warnings"]))
        return scan_of(meta, array)
    except _MALFORMED as error:
        raise Malformed("the scan is incomplete") from error


def write_label_map(folder: Path, label_map: LabelMap) -> dict[str, object]:
    """The labels to a file in `folder`; the rest as JSON values."""
    label_map.labels.tofile(folder / ARRAY)
    return label_map_values(label_map)


def take_label_map(folder: Path, values: object) -> LabelMap:
    """The label map that `write_label_map` wrote; its file is removed. Raises Malformed."""
    try:
        meta = _object(values)
        array = _take_array(folder, tuple(meta["grid"]["shape"]), "<u2")
        for pair in meta["left_out"]:
            for count in pair:
                _whole(count)
        _require_texts((*meta["names"].values(), *meta["warnings"]))
        return label_map_of(meta, array)
    except _MALFORMED as error:
        raise Malformed("the label map is incomplete") from error


@dataclass(frozen=True, kw_only=True)
class EditedLabels:
    """Corrected labels that a confined process has checked.

    path     the file with the labels, uint8 in C order, in the scratch folder
    changes  per structure, against the labels that were corrected
    flags, warnings   found while a label map was read
    """

    path: Path
    changes: tuple[StructureEdit, ...]
    flags: tuple[QualityFlag, ...] = ()
    warnings: tuple[str, ...] = ()


def write_correction(
    folder: Path,
    labels: LabelArray,
    changes: Iterable[StructureEdit],
    flags: Iterable[QualityFlag] = (),
    warnings: Iterable[str] = (),
) -> dict[str, object]:
    """The corrected labels to a file in `folder`; the rest as JSON values."""
    np.ascontiguousarray(labels).tofile(folder / ARRAY)
    return {
        "changes": [asdict(change) for change in changes],
        "flags": [flag.to_dict() for flag in flags],
        "warnings": list(warnings),
    }


def take_correction(folder: Path, values: object, voxels: int) -> EditedLabels:
    """What `write_correction` wrote; the file has this many voxels. Raises Malformed."""
    try:
        path = folder / ARRAY
        if path.is_symlink() or not path.is_file() or path.stat().st_size != voxels:
            raise ValueError("the file has another size")
        meta = _object(values)
        _require_texts(meta["warnings"])
        return EditedLabels(
            path=path,
            changes=structure_edits(meta["changes"]),
            flags=tuple(QualityFlag.from_dict(flag) for flag in meta["flags"]),
            warnings=tuple(meta["warnings"]),
        )
    except _MALFORMED as error:
        raise Malformed("the correction is incomplete") from error


def _object(values: object) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise TypeError("expected an object")
    return dict(values)


def _take_array(folder: Path, shape: tuple[object, ...], dtype: DTypeLike) -> NDArray[Any]:
    """The numbers in the file, in memory of this process. Raises ValueError unless the file has exactly this size."""
    lengths = tuple(map(_whole, shape))
    path, kind = folder / ARRAY, np.dtype(dtype)
    if not 0 < prod(lengths) <= MAX_VOXELS or min(lengths) < 1:
        raise ValueError("the array is empty or too large")
    if path.is_symlink() or not path.is_file() or path.stat().st_size != prod(lengths) * kind.itemsize:
        raise ValueError("the file has another size")
    array = np.fromfile(path, dtype=kind, count=prod(lengths)).reshape(lengths)
    path.unlink()
    return array


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("expected a whole number")
    return value


def _require_numbers(values: Iterable[object]) -> None:
    if not all(isinstance(value, (int, float)) for value in values):
        raise TypeError("expected numbers")


def _require_texts(values: Iterable[object]) -> None:
    texts = tuple(values)
    if len(texts) > _MOST_TEXTS or not all(isinstance(text, str) and len(text) <= _LONGEST_TEXT for text in texts):
        raise TypeError("expected a few texts")
