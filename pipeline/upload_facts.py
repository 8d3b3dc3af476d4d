"""Facts about an upload before its analysis: the scan, the label map, and pictures of the label map.

Plain values that a confined process can send as JSON.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import Structure
from pipeline.errors import UnsupportedImage
from pipeline.label_grid import RESAMPLE_HINT
from pipeline.labels import Reading
from pipeline.scan_facts import ScanFacts


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelSlice:
    """One slice of a label map in the radiological convention.

    title   name of the plane
    labels  (rows, columns) uint16, as in the file
    image   (rows, columns) uint8, the scan in the same place; None without a scan
    """

    title: str
    spacing_mm: tuple[float, float]
    labels: NDArray[np.uint16]
    image: NDArray[np.uint8] | None

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values; arrays are compressed."""
        return {
            "title": self.title,
            "spacing_mm": self.spacing_mm,
            "shape": self.labels.shape,
            "labels": _packed(self.labels),
            "image": None if self.image is None else _packed(self.image),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> LabelSlice:
        """From the dictionary of `to_dict`, also after JSON. Raises KeyError, TypeError, ValueError."""
        values: dict[str, Any] = dict(data)
        rows, columns = (int(n) for n in values["shape"])
        down, right = (float(mm) for mm in values["spacing_mm"])
        image = values["image"]
        return cls(
            title=str(values["title"]),
            spacing_mm=(down, right),
            labels=_unpacked(values["labels"], np.dtype(np.uint16), (rows, columns)),
            image=None if image is None else _unpacked(image, np.dtype(np.uint8), (rows, columns)),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelMapFacts:
    """Facts about a label map.

    filename    its name in the upload
    shape       (z, y, x) in the file, as spacing_mm
    volume_mm3  of every label
    readings    for AUTO and every numbering; only one if names in the file decide
    off_grid    how its voxels differ from those of the scan, if it must be resampled; else ""
    slices      for a preview
    """

    filename: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    volume_mm3: Mapping[int, float]
    readings: tuple[Reading, ...]
    warnings: tuple[str, ...]
    off_grid: str
    slices: tuple[LabelSlice, ...]

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    def reading(self, numbering: str) -> Reading:
        """How the map is read with a numbering. Raises UnsupportedImage if it cannot be read so."""
        found = next((r for r in self.readings if r.requested == numbering), self.readings[0])
        if found.refusal:
            raise UnsupportedImage(found.refusal, hint=found.hint)
        return found

    def require_grid(self, *, resample: bool) -> None:
        """Raise UnsupportedImage if it must be resampled and the user did not ask for that."""
        if self.off_grid and not resample:
            raise UnsupportedImage(self.off_grid, hint=RESAMPLE_HINT)

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "filename": self.filename,
            "shape": self.shape,
            "spacing_mm": self.spacing_mm,
            "volume_mm3": {str(label): volume for label, volume in self.volume_mm3.items()},
            "readings": [_reading_dict(reading) for reading in self.readings],
            "warnings": self.warnings,
            "off_grid": self.off_grid,
            "slices": [item.to_dict() for item in self.slices],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> LabelMapFacts:
        """From the dictionary of `to_dict`, also after JSON. Raises KeyError, TypeError, ValueError."""
        values: dict[str, Any] = dict(data)
        z, y, x = (int(n) for n in values["shape"])
        dz, dy, dx = (float(s) for s in values["spacing_mm"])
        return cls(
            filename=str(values["filename"]),
            shape=(z, y, x),
            spacing_mm=(dz, dy, dx),
            volume_mm3={int(label): float(volume) for label, volume in values["volume_mm3"].items()},
            readings=tuple(_reading(item) for item in values["readings"]),
            warnings=tuple(str(text) for text in values["warnings"]),
            off_grid=str(values["off_grid"]),
            slices=tuple(LabelSlice.from_dict(item) for item in values["slices"]),
        )


@dataclass(frozen=True, kw_only=True)
class HeaderFacts:
    """What is known of an upload without its voxels.

    scan      None for a label map alone
    off_grid  how the voxels of the label map differ from those of the scan; empty if they do not, or if it was not read
    """

    scan: ScanFacts | None
    off_grid: str = ""

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {"scan": None if self.scan is None else self.scan.to_dict(), "off_grid": self.off_grid}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> HeaderFacts:
        """From the dictionary of `to_dict`, also after JSON. Raises KeyError, TypeError, ValueError."""
        values: dict[str, Any] = dict(data)
        scan = values["scan"]
        return cls(scan=None if scan is None else ScanFacts.from_dict(scan), off_grid=str(values["off_grid"]))


@dataclass(frozen=True, kw_only=True, eq=False)
class UploadFacts:
    """What an upload holds: a scan, a label map, or both."""

    scan: ScanFacts | None
    labels: LabelMapFacts | None

    def header(self) -> HeaderFacts:
        """The part of it that `preflight.inspect_header` finds."""
        return HeaderFacts(scan=self.scan, off_grid="" if self.labels is None else self.labels.off_grid)

    @property
    def voxels(self) -> int:
        """Of the scan, all echoes; of the label map where there is no scan."""
        if self.scan is not None:
            return self.scan.voxels
        return 0 if self.labels is None else self.labels.voxels

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "scan": None if self.scan is None else self.scan.to_dict(),
            "labels": None if self.labels is None else self.labels.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> UploadFacts:
        """From the dictionary of `to_dict`, also after JSON. Raises KeyError, TypeError, ValueError."""
        values: dict[str, Any] = dict(data)
        return cls(
            scan=None if values["scan"] is None else ScanFacts.from_dict(values["scan"]),
            labels=None if values["labels"] is None else LabelMapFacts.from_dict(values["labels"]),
        )


def _reading_dict(reading: Reading) -> dict[str, object]:
    return {
        "requested": reading.requested,
        "decided": reading.decided,
        "structures": {str(label): None if s is None else int(s) for label, s in reading.structures.items()},
        "compartments_apart": reading.compartments_apart,
        "warnings": reading.warnings,
        "refusal": reading.refusal,
        "hint": reading.hint,
    }


def _reading(data: dict[str, Any]) -> Reading:
    return Reading(
        requested=str(data["requested"]),
        decided=str(data["decided"]),
        structures={int(label): None if s is None else Structure(int(s)) for label, s in data["structures"].items()},
        compartments_apart=bool(data["compartments_apart"]),
        warnings=tuple(str(text) for text in data["warnings"]),
        refusal=str(data["refusal"]),
        hint=str(data["hint"]),
    )


def _packed(array: NDArray[np.generic]) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode("ascii")


def _unpacked(text: object, dtype: np.dtype[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Raises ValueError if the data does not have this size."""
    size = shape[0] * shape[1] * dtype.itemsize
    data = zlib.decompressobj().decompress(base64.b64decode(str(text)), size + 1)
    if len(data) != size:
        raise ValueError(f"expected {size} bytes")
    return np.frombuffer(data, dtype=dtype).reshape(shape)
