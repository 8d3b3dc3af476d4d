"""The map of T2 or T1rho of a scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import CARTILAGE_OF
from pipeline.errors import UnsupportedImage
from pipeline.options import SPIN_LOCK_TIMES, check_times
from pipeline.quantities import Method
from pipeline.relaxation import T1RHO, T2
from pipeline.t2 import availability
from pipeline.t2.decay import fit_t2
from pipeline.t2.qdess import qdess_t2
from pipeline.types import RelaxationMap, Scan, Segmentation


def t2_unavailable(
    scan: Scan, *, skip_first_echo: bool = False, spin_lock_times_ms: tuple[float, ...] = ()
) -> str | None:
    """The reason why T2 cannot be computed from this scan (with spin-lock times: T1rho), or None if it can."""
    return availability.t2_unavailable(
        scan.sequence,
        len(scan.echoes),
        scan.echo_times_ms,
        scan.acquisition,
        skip_first_echo=skip_first_echo,
        spin_lock_times_ms=spin_lock_times_ms,
    )


def fit_t2_map(
    scan: Scan, segmentation: Segmentation, *, skip_first_echo: bool, spin_lock_times_ms: tuple[float, ...] = ()
) -> RelaxationMap:
    """T2 of the cartilage and one voxel around it, on the scan's grid; NaN elsewhere. With spin-lock times, one per
    image in the order of the scan: T1rho.

    Raises UnsupportedImage if it cannot be computed (see t2_unavailable), OptionsError for another number of times.
    """
    reason = t2_unavailable(scan, skip_first_echo=skip_first_echo, spin_lock_times_ms=spin_lock_times_ms)
    if reason is not None:
        raise UnsupportedImage(f"No {(T1RHO if spin_lock_times_ms else T2).title}: {reason}.")
    check_times(spin_lock_times_ms, len(scan.echoes), SPIN_LOCK_TIMES)
    plates = segmentation.mask(*(plate for plates in CARTILAGE_OF.values() for plate in plates))
    mask = ndimage.binary_dilation(plates, np.ones((3, 3, 3), dtype=bool))
    if spin_lock_times_ms:
        t2, r2 = fit_t2(scan.echoes, spin_lock_times_ms, mask, skip_first_echo=False)
        method = Method.SPIN_LOCK
    elif scan.sequence in availability.QDESS:
        t2, method = _fit_qdess_map(scan, mask)
        r2 = np.full(t2.shape, np.nan, dtype=np.float32)
    else:
        t2, r2 = fit_t2(scan.echoes, scan.echo_times_ms, mask, skip_first_echo=skip_first_echo)
        method = Method.MULTI_ECHO
    return RelaxationMap(time_ms=t2, r2=r2, method=method, grid=scan.grid)


def _fit_qdess_map(scan: Scan, mask: NDArray[np.bool_]) -> tuple[NDArray[np.float32], Method]:
    """(t2_ms (z, y, x), method) of a qDESS scan; without spoiler tags, diffusion is neglected."""
    acquisition = scan.acquisition
    area, duration = acquisition.spoiler_gradient_area, acquisition.spoiler_duration_us
    spoiled = bool(area) and bool(duration)
    t2 = np.full(mask.shape, np.nan, dtype=np.float32)
    t2[mask] = qdess_t2(
        scan.echoes[0, mask].astype(np.float64),
        scan.echoes[1, mask].astype(np.float64),
        echo_time_ms=scan.echo_times_ms[0],
        repetition_time_ms=float(acquisition.repetition_time_ms or np.nan),
        flip_angle_deg=float(acquisition.flip_angle_deg or np.nan),
        spoiler_gradient_area=float(area or 0.0) if spoiled else 0.0,
        spoiler_duration_us=float(duration or 0.0) if spoiled else 0.0,
    )
    return t2, Method.QDESS_SPOILED if spoiled else Method.QDESS_LOW_SPOILING
