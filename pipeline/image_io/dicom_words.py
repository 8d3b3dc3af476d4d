"""Extracts stored values from the words of DICOM pixel data, without overlay bits, alignment and padding.

Uncompressed and compressed pixel data pass through the same function, so both give the same values
(DICOM PS3.5, section 8.1.1; PS3.3, C.7.6.3.1 and C.7.5.1.1.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

WORD_TAGS = (
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
)


@dataclass(frozen=True, kw_only=True)
class Words:
    """Layout of a word of `allocated` bits with a value of `stored` bits whose highest bit is `high`.

    padding  lowest and highest stored value that mean "no measurement"; None if the header has none, or 0, which is
    background anyway
    """

    allocated: int
    stored: int
    high: int
    signed: bool
    padding: tuple[int, int] | None

    @classmethod
    def of(cls, data: Dataset) -> Words:
        """From a data set. Raises ValueError if the bits do not fit into the word."""
        allocated = int(data.get("BitsAllocated") or 16)
        stored = int(data.get("BitsStored") or allocated)
        high = int(data.get("HighBit") if data.get("HighBit") is not None else stored - 1)
        if not 1 <= stored <= allocated <= 64 or not stored - 1 <= high < allocated:
            raise ValueError(f"{stored} bits up to bit {high} do not fit into a word of {allocated}")
        signed = bool(data.get("PixelRepresentation"))
        return cls(allocated=allocated, stored=stored, high=high, signed=signed, padding=_padding(data, stored, signed))

    def values(self, words: NDArray[np.number]) -> NDArray[np.number]:
        """Decoded words (any integer type) -> stored values, int64 if bits had to be shifted.

        Words that contain only the value are returned unchanged.
        """
        plain = self.stored == 8 * words.dtype.itemsize and self.signed == (words.dtype.kind == "i")
        if plain or words.dtype.kind not in "iu":
            return words
        bits = words.astype(np.int64) >> (self.high + 1 - self.stored)
        bits &= (1 << self.stored) - 1
        if self.signed:
            bits -= (bits >> (self.stored - 1)) << self.stored
        return bits

    def padded(self, values: NDArray[np.number]) -> NDArray[np.bool_] | None:
        """Mask of padding values; None if there are none."""
        if self.padding is None:
            return None
        low, high = self.padding
        found: NDArray[np.bool_] = (values >= low) & (values <= high)
        return found if found.any() else None


def _padding(data: Dataset, stored: int, signed: bool) -> tuple[int, int] | None:
    value = data.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    limit = data.get("PixelPaddingRangeLimit")
    ends = [_as_stored(end, stored, signed) for end in (value, limit if isinstance(limit, int) else value)]
    return None if ends == [0, 0] else (min(ends), max(ends))


def _as_stored(value: int, stored: int, signed: bool) -> int:
    """A header's number in the range of the stored values: programs write -2000 as 63536 and vice versa."""
    value &= (1 << stored) - 1
    return value - (1 << stored) if signed and value >> (stored - 1) else value
