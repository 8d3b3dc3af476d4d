"""Relaxation times of cartilage: T2 over echo times, T1rho over spin-lock times. Both are fitted and reported alike.

A further one is an entry of RELAXATIONS; its quantities, limits and colour ranges are here only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from pipeline.quantity import Direction, Method, PublishedChange, Quantity, Statistic, Unit

QIBA_CHANGE: Final = PublishedChange(
    percent=14.0,
    conditions="at 3 T, with the same scanner and sequence (within-subject coefficient of variation of 4 to 5 %)",
    source="Chalian et al., Radiology 2021; 301: 423-432 (QIBA profile)",
)
"""T2 and T1rho of cartilage: 1.96 · √2 · 5 %."""


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """One relaxation time.

    whole, deep, superficial, excluded  its quantities: of all cartilage, of both halves, and the share left out
    longest_ms   longer times are fluid or marrow inside the outline, and are left out
    surface_ms, volume_ms  colour ranges on surfaces and in slices; fixed, so that two knees can be compared visually
    """

    whole: Quantity
    deep: Quantity
    superficial: Quantity
    excluded: Quantity
    longest_ms: float
    surface_ms: tuple[float, float]
    volume_ms: tuple[float, float]

    @property
    def layers(self) -> tuple[Quantity, ...]:
        """All of its quantities."""
        return self.whole, self.deep, self.superficial, self.excluded

    @property
    def title(self) -> str:
        """Display name."""
        return self.whole.title


def _relaxation(
    whole: Quantity, longest_ms: float, surface_ms: tuple[float, float], volume_ms: tuple[float, float]
) -> Relaxation:
    name = whole.id
    return Relaxation(
        whole=whole,
        deep=replace(
            whole,
            id=f"{name}_deep",
            title=f"{name}, deep layer",
            short=f"{name} deep",
            definition=f"{name} of the half of the cartilage nearer to the bone.",
            detectable=None,
        ),
        superficial=replace(
            whole,
            id=f"{name}_superficial",
            title=f"{name}, superficial layer",
            short=f"{name} superficial",
            definition=f"{name} of the half of the cartilage nearer to the joint.",
            detectable=None,
        ),
        excluded=Quantity(
            id=f"{name}_excluded",
            title=f"Voxels without a {name}",
            short=f"{name} excluded",
            definition=f"Cartilage voxels that are left out of {name}: without a fit, above {longest_ms:g} ms (fluid), "
            "or with a poor fit.",
            unit=Unit.PERCENT,
            larger_is=Direction.NEUTRAL,
            statistics=(Statistic.SHARE,),
            digits=1,
        ),
        longest_ms=longest_ms,
        surface_ms=surface_ms,
        volume_ms=volume_ms,
    )


T2: Final = Quantity(
    id="T2",
    title="T2",
    short="T2",
    definition="Transverse relaxation time of the cartilage.",
    unit=Unit.MS,
    larger_is=Direction.WORSE,
    statistics=(Statistic.MEDIAN, Statistic.MEAN, Statistic.STD),
    digits=1,
    detectable=QIBA_CHANGE,
)
T1RHO: Final = replace(
    T2,
    id="T1rho",
    title="T1rho",
    short="T1rho",
    definition="Longitudinal relaxation time of the cartilage in the rotating frame, during a spin lock.",
)

T2_RELAXATION: Final = _relaxation(T2, 100.0, (20.0, 70.0), (0.0, 80.0))
"""100 ms: DOSMA's upper bound (OpenMSK: 80 ms); cartilage has about 20 to 60 ms."""

T1RHO_RELAXATION: Final = _relaxation(T1RHO, 130.0, (20.0, 90.0), (0.0, 100.0))
"""130 ms: our choice. T1rho of cartilage is about a third longer than its T2."""

RELAXATIONS: Final = (T2_RELAXATION, T1RHO_RELAXATION)
RELAXATION_LAYERS: Final = tuple(quantity for known in RELAXATIONS for quantity in known.layers)
"""Measured if the scan has several echoes or spin-lock times; shown in separate tables and charts."""


def relaxation_of(method: Method) -> Relaxation:
    """The relaxation time that a method of fitting gives."""
    return T1RHO_RELAXATION if method is Method.SPIN_LOCK else T2_RELAXATION
