"""What a page shows about a scan before the analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.acquisition import Acquisition, PulseSequence
from pipeline.anatomy import Side


@dataclass(frozen=True, kw_only=True)
class ScanFacts:
    """Facts about a scan from its header, before the analysis and without patient data.

    shape, spacing_mm  (z, y, x), as stored
    plane              sagittal, coronal or axial: the anatomical plane perpendicular to the largest voxel side
    t2_unavailable     the reason why T2 cannot be measured; empty if it can
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    echoes: int
    echo_times_ms: tuple[float, ...]
    sequence: PulseSequence
    side: Side | None
    plane: str
    acquisition: Acquisition
    t2_unavailable: str
    warnings: tuple[str, ...]

    @property
    def voxels(self) -> int:
        """All echoes."""
        return self.echoes * self.shape[0] * self.shape[1] * self.shape[2]

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> ScanFacts:
        """From the dictionary of `to_dict`, also after JSON. Raises KeyError, TypeError, ValueError."""
        values: dict[str, Any] = dict(data)
        z, y, x = (int(n) for n in values["shape"])
        dz, dy, dx = (float(s) for s in values["spacing_mm"])
        return cls(
            shape=(z, y, x),
            spacing_mm=(dz, dy, dx),
            echoes=int(values["echoes"]),
            echo_times_ms=tuple(float(t) for t in values["echo_times_ms"]),
            sequence=PulseSequence(values["sequence"]),
            side=Side(values["side"]) if values["side"] else None,
            plane=str(values["plane"]),
            acquisition=Acquisition(**values["acquisition"]),
            t2_unavailable=str(values["t2_unavailable"]),
            warnings=tuple(str(w) for w in values["warnings"]),
        )
