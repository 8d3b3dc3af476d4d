"""Sequences of the second renderer: signal model, scanner, and tissues, with typical clinical parameters at 3 T."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from pipeline.acquisition import PulseSequence
from training.render import Scanner
from training.signal import FREE_FLUID, TISSUES, Kind, SignalModel, dess_model, spin_echo_model

SPIN_ECHO_TISSUES: Final = MappingProxyType(TISSUES | {Kind.FLUID: FREE_FLUID})


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """kind: as a header states it."""

    name: str
    model: SignalModel
    scanner: Scanner
    kind: PulseSequence = PulseSequence.SPIN_ECHO
    tissues: MappingProxyType = field(default_factory=lambda: SPIN_ECHO_TISSUES)  # type: ignore[type-arg]


def _spin_echo(name: str, *, repetition_ms: float, echo_ms: float, fat_left: float = 1.0, noise: float) -> Sequence:
    model = spin_echo_model((echo_ms,), repetition_ms=repetition_ms, fat_left=fat_left)
    return Sequence(name=name, model=model, scanner=Scanner(psf_voxels=(0.4, 0.5, 0.5), bias=0.15, noise=noise))


DESS: Final = Sequence(
    name="DESS",
    model=dess_model(fat_left=0.1),
    scanner=Scanner(psf_voxels=(0.4, 0.5, 0.5), bias=0.15, noise=5.0),
    kind=PulseSequence.DESS,
    tissues=MappingProxyType(TISSUES),
)
PD_FS: Final = _spin_echo("PD-FS", repetition_ms=3000.0, echo_ms=35.0, fat_left=0.08, noise=10.0)
T2_FS: Final = _spin_echo("T2-FS", repetition_ms=4000.0, echo_ms=60.0, fat_left=0.08, noise=8.0)
T1: Final = _spin_echo("T1", repetition_ms=600.0, echo_ms=14.0, noise=10.0)
PD: Final = _spin_echo("PD", repetition_ms=2800.0, echo_ms=25.0, noise=10.0)
TSE_3D: Final = _spin_echo("3D TSE", repetition_ms=1500.0, echo_ms=40.0, fat_left=0.1, noise=8.0)
"""The echo time is the equivalent one of a train with low refocusing angles."""
