"""A sparse change of a label array: runs of voxels that get another label.

gzip of little-endian uint32 triples (gap, length, label). gap: voxels between the end of the run before (first: the
start of the array) and this one, in C order of the (z, y, x) array; label: of Structure, or 0 for background.
"""

from __future__ import annotations

import gzip
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import Structure
from pipeline.errors import EditTooLarge, InvalidEdit
from pipeline.types import LabelArray

MOST_RUNS: Final = 4_000_000
"""48 MB; an edit of every second voxel of a plate of cartilage has some 100,000."""

_TRIPLE_BYTES: Final = 12
_LONG: Final = 65_536
"""Runs from this length on are painted one by one."""

_VOXELS_AT_ONCE: Final = 2_000_000

_HINT: Final = "Reload the page, and save again."


def packed_runs(before: LabelArray, after: LabelArray) -> bytes:
    """The change from one label array to another of the same shape."""
    old, new = before.reshape(-1), after.reshape(-1)
    places = np.flatnonzero(old != new)
    values = new[places]
    first = np.ones(len(places), dtype=bool)
    first[1:] = (np.diff(places) != 1) | (np.diff(values.astype(np.int16)) != 0)
    begins = np.flatnonzero(first)
    starts, lengths = places[begins], np.diff(np.append(begins, len(places)))
    ends = np.concatenate([[0], starts[:-1] + lengths[:-1]]) if len(starts) else starts
    triples = np.stack([starts - ends, lengths, values[begins]], axis=1).astype("<u4")
    return gzip.compress(triples.tobytes(), 6, mtime=0)


def with_runs(labels: LabelArray, packed: bytes) -> LabelArray:
    """A copy of a label array with a change applied. Raises InvalidEdit, EditTooLarge."""
    starts, lengths, values = _read(packed, labels.size)
    result = labels.copy()
    flat = result.reshape(-1)
    for k in np.flatnonzero(lengths >= _LONG):
        flat[starts[k] : starts[k] + lengths[k]] = values[k]
    short = np.flatnonzero(lengths < _LONG)
    chunk = np.cumsum(lengths[short]) // _VOXELS_AT_ONCE
    for part in np.split(short, np.flatnonzero(np.diff(chunk)) + 1):
        count = lengths[part]
        offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        flat[np.repeat(starts[part], count) + offset] = np.repeat(values[part], count)
    return result


def _read(packed: bytes, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Start, length and label of every run, within an array of `size` voxels."""
    data = _unpacked(packed)
    if not data or len(data) % _TRIPLE_BYTES:
        raise _invalid(f"The change has {len(data):,} bytes; expected triples of {_TRIPLE_BYTES} bytes, at least one.")
    gaps, lengths, values = np.frombuffer(data, dtype="<u4").reshape(-1, 3).T.astype(np.int64)
    if not lengths.all():
        raise _invalid("The change has a run without voxels; expected a length of 1 or more.")
    unknown = np.setdiff1d(values, [0, *Structure])
    if len(unknown):
        raise _invalid(f"The change has label {unknown[0]}; expected 0 to {max(Structure)}.")
    ends = np.cumsum(gaps + lengths)
    if ends[-1] > size:
        raise _invalid(f"The change ends at voxel {ends[-1]:,}; the outlines have {size:,}.")
    return ends - lengths, lengths, values.astype(np.uint8)


def _unpacked(packed: bytes) -> bytes:
    most = MOST_RUNS * _TRIPLE_BYTES
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        data = stream.decompress(packed, most + 1)
    except zlib.error:
        raise _invalid("The change cannot be decompressed; expected gzip.") from None
    if len(data) > most:
        raise EditTooLarge(f"The change has more than {MOST_RUNS:,} runs.", hint="Send a whole label map instead.")
    if not stream.eof or stream.unused_data:
        raise _invalid("The change is incomplete, or has more data after its end; expected one gzip stream.")
    return data


def _invalid(message: str) -> InvalidEdit:
    return InvalidEdit(message, hint=_HINT, option="runs")
