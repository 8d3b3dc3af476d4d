"""Whether T2 or T1rho can be measured, according to the header. Used before voxels are read: few imports."""

from __future__ import annotations

from typing import Final

from pipeline.acquisition import Acquisition, PulseSequence

QDESS: Final = (PulseSequence.QDESS, PulseSequence.DESS)
_NOT_COMPARABLE: Final = "the scale of the values differs between images and is not known"


def t2_unavailable(
    sequence: PulseSequence,
    echoes: int,
    echo_times_ms: tuple[float, ...],
    acquisition: Acquisition,
    *,
    skip_first_echo: bool = False,
    spin_lock_times_ms: tuple[float, ...] = (),
) -> str | None:
    """The reason why T2 cannot be computed from such a scan, or None if it can; with spin-lock times: why T1rho cannot.

    A scan whose header names T1rho is never taken for T2: scanners write spin-lock times as echo times.
    """
    if spin_lock_times_ms:
        return _t1rho_unavailable(sequence, echoes, acquisition)
    times = echo_times_ms
    used = echoes - 1 if skip_first_echo and sequence not in QDESS else echoes
    if used < 2:
        left = " after the first is skipped" if used < echoes else ""
        found = ", ".join(f"{time:.4g}" for time in times)
        return (
            f"{used} echo{'es' if used == 0 else ''}{left}; T2 needs at least 2 "
            f"({f'echo times found: {found} ms' if times else 'no echo times in the header'})"
        )
    if not acquisition.comparable_values:
        return f"{_NOT_COMPARABLE}; T2 needs comparable values"
    if acquisition.spin_lock:
        found = f"; its echo times may be them: {', '.join(f'{time:.4g}' for time in times)} ms" if times else ""
        return (
            "the header names T1rho, whose spin-lock times are in no attribute that is known; "
            f"give them with spin_lock_times_ms{found}"
        )
    if not times:
        return f"{echoes} echoes, but no echo times in the header"
    if sequence is PulseSequence.GRADIENT_ECHO:
        return "gradient echoes decay with T2*; T2 needs spin echoes or qDESS"
    if sequence is PulseSequence.SPIN_ECHO:
        return (
            f"{echoes} echoes that are no decay curve (proton density and T2 weighting); T2 needs a multi-echo sequence"
        )
    if sequence in QDESS:
        return _qdess_unavailable(echoes, acquisition)
    if len(set(times)) < echoes:
        return f"echo times repeat ({', '.join(f'{time:.4g}' for time in times)} ms); T2 needs different ones"
    return None


def _t1rho_unavailable(sequence: PulseSequence, images: int, acquisition: Acquisition) -> str | None:
    if images < 2:
        return f"{images} image{'s' * (images != 1)}; T1rho needs at least 2, each with its spin-lock time"
    if sequence in QDESS:
        return "the sequence is (q)DESS, which has no spin lock"
    return None if acquisition.comparable_values else f"{_NOT_COMPARABLE}; T1rho needs comparable values"


def _qdess_unavailable(echoes: int, acquisition: Acquisition) -> str | None:
    if echoes != 2:
        return f"{echoes} echoes; T2 from qDESS needs exactly 2"
    missing = [
        name
        for name, value in (
            ("repetition time", acquisition.repetition_time_ms),
            ("flip angle", acquisition.flip_angle_deg),
        )
        if not value
    ]
    return f"no {' and no '.join(missing)} in the header; T2 from qDESS needs both" if missing else None
