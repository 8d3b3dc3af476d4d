"""How a scan was acquired, according to its header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class PulseSequence(StrEnum):
    """Pulse sequence according to the header. The value is used in files and in the REST interface."""

    DESS = "dess"
    QDESS = "qdess"
    MULTI_ECHO_SPIN_ECHO = "multi_echo_spin_echo"
    SPIN_ECHO = "spin_echo"
    GRADIENT_ECHO = "gradient_echo"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """Display name."""
        return _SEQUENCE_WORDS[self]


_SEQUENCE_WORDS: Final[Mapping[PulseSequence, str]] = MappingProxyType(
    {
        PulseSequence.DESS: "DESS",
        PulseSequence.QDESS: "qDESS",
        PulseSequence.MULTI_ECHO_SPIN_ECHO: "Multi-echo spin echo",
        PulseSequence.SPIN_ECHO: "Spin echo",
        PulseSequence.GRADIENT_ECHO: "Gradient echo",
        PulseSequence.UNKNOWN: "not in the header",
    }
)


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """The MR parameters that are kept after de-identification, because measures need them. None: not in the header."""

    repetition_time_ms: float | None = None
    flip_angle_deg: float | None = None
    field_strength_t: float | None = None
    spoiler_gradient_area: float | None = None
    """qDESS only, GE private tag (0019,10b6): gradient area, G/cm * us."""
    spoiler_duration_us: float | None = None
    """qDESS only, GE private tag (0019,10b7): gradient duration, us."""
    spin_lock: bool = False
    """The description of the series names T1rho or a spin lock."""
    comparable_values: bool = True
    """False if images have different scales that are not all known."""
