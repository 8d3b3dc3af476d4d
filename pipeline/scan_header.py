"""The header of a scan, stored separately so that it can be read without loading voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.acquisition import Acquisition, PulseSequence
from pipeline.anatomy import Side
from pipeline.t2.availability import t2_unavailable
from pipeline.types import Scan


@dataclass(frozen=True, kw_only=True)
class ScanHeader:
    """All properties of a Scan except its voxels. echoes: their number."""

    echoes: int
    sequence: PulseSequence
    echo_times_ms: tuple[float, ...]
    side: Side | None
    acquisition: Acquisition
    warnings: tuple[str, ...]

    def t2_unavailable(self, *, skip_first_echo: bool, spin_lock_times_ms: tuple[float, ...]) -> str | None:
        """The reason why T2 (with spin-lock times: T1rho) cannot be computed from the scan, or None if it can."""
        return t2_unavailable(
            self.sequence,
            self.echoes,
            self.echo_times_ms,
            self.acquisition,
            skip_first_echo=skip_first_echo,
            spin_lock_times_ms=spin_lock_times_ms,
        )

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> ScanHeader:
        """From the dictionary of `to_dict`, also after JSON. Raises KeyError, TypeError, ValueError."""
        values: dict[str, Any] = dict(data)
        return cls(
            echoes=int(values["echoes"]),
            sequence=PulseSequence(values["sequence"]),
            echo_times_ms=tuple(values["echo_times_ms"]),
            side=Side(values["side"]) if values["side"] else None,
            acquisition=Acquisition(**values["acquisition"]),
            warnings=tuple(values["warnings"]),
        )


def header_of(scan: Scan) -> ScanHeader:
    """The header of a scan that has been read."""
    return ScanHeader(
        echoes=len(scan.echoes),
        sequence=scan.sequence,
        echo_times_ms=scan.echo_times_ms,
        side=scan.side,
        acquisition=scan.acquisition,
        warnings=scan.warnings,
    )
