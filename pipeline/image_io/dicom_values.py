"""Reads values of DICOM attributes: numbers, vectors and text."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from pipeline.errors import UnreadableImage
from pipeline.grid import FloatArray

_MOST_COUNTED: Final = 1e9
"""Larger counts are invalid."""


def number(data: Dataset, name: str) -> float | None:
    """A finite number, or None if the attribute is missing or empty. Raises ValueError, UnreadableImage."""
    values = words(data, name)
    if not values or str(values[0]).strip() == "":
        return None
    value = _decimal(values[0], name)
    return value if np.isfinite(value) else None


def count_of(data: Dataset, name: str, missing: int = 0) -> int:
    """An integer; the value of `missing` if the attribute is missing, empty or too large."""
    value = number(data, name)
    return missing if value is None or abs(value) > _MOST_COUNTED else int(value)


def vector(data: Dataset, name: str, length: int) -> FloatArray | None:
    """(length,) float64, or None if the attribute is missing or has another length."""
    values = words(data, name)
    if len(values) != length:
        return None
    return np.array([_decimal(value, name) for value in values], dtype=np.float64)


def words(data: Dataset, name: str) -> list[object]:
    """The values of an attribute with one or more values."""
    try:
        value = data.get(name)
    except ValueError as error:
        raw = data.get_item(name)
        if raw is not None and isinstance(raw.value, bytes) and b"," in raw.value:
            raise _decimal_comma(name) from error
        raise
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple, MultiValue)) else [value]


def _decimal(value: Any, name: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        if "," in str(value):
            raise _decimal_comma(name) from error
        raise


def _decimal_comma(name: str) -> UnreadableImage:
    return UnreadableImage(
        f"DICOM header writes a number with a decimal comma ({name}); expected a decimal point, as in the standard.",
        hint="Export the series again from the scanner or the archive: another program has changed its numbers.",
    )
