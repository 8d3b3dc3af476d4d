"""The signal equations compared with a spin simulation of the same pulses."""

from __future__ import annotations

import numpy as np
import pytest

from training.signal import TISSUES, Kind, SignalModel, dess_model, qdess_model, spin_echo_model, steady_state


def dephased_steady_state(t1_ms: float, t2_ms: float, repetition_ms: float, flip_deg: float) -> tuple[float, float]:
    """(S+, S-) by simulation: isochromats over one dephasing cycle, pulsed until the steady state."""
    phase = np.exp(2j * np.pi * (np.arange(400) + 0.5) / 400)
    e1, e2 = np.exp(-repetition_ms / t1_ms), np.exp(-repetition_ms / t2_ms)
    c, s = np.cos(np.radians(flip_deg)), np.sin(np.radians(flip_deg))
    across, along = np.zeros(400, complex), np.ones(400)
    for _ in range(int(8 * t1_ms / repetition_ms)):
        before = across * phase * e2
        relaxed = 1 - e1 + along * e1
        across = before.real + 1j * (c * before.imag - s * relaxed)
        along = s * before.imag + c * relaxed
    return float(abs(across.mean())), float(abs(before.mean()))


@pytest.mark.parametrize(("t1_ms", "t2_ms"), [(1240.0, 36.9), (371.0, 133.0), (900.0, 9.0)])
@pytest.mark.parametrize("flip_deg", [20.0, 25.0, 90.0])
def test_the_dess_equations_agree_with_simulated_spins(t1_ms: float, t2_ms: float, flip_deg: float) -> None:
    simulated = dephased_steady_state(t1_ms, t2_ms, 16.3, flip_deg)
    closed_form = steady_state(t1_ms, t2_ms, repetition_ms=16.3, flip_deg=flip_deg)
    assert np.allclose(closed_form, simulated, rtol=2e-3, atol=1e-5)


def test_without_transverse_coherence_the_first_echo_equals_the_spoiled_one() -> None:
    e1, flip = np.exp(-16.3 / 1000.0), np.radians(25.0)
    spoiled = np.sin(flip) * (1 - e1) / (1 - e1 * np.cos(flip))
    after, before = steady_state(1000.0, 1e-2, repetition_ms=16.3, flip_deg=25.0)
    assert after == pytest.approx(spoiled, rel=1e-9)
    assert before == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("model", [dess_model(), qdess_model()])
def test_in_dess_fluid_is_brightest_then_cartilage(model: SignalModel) -> None:
    level = {kind: float(model(TISSUES[kind], np.array([TISSUES[kind].t2_ms])).sum()) for kind in Kind}
    assert level[Kind.FLUID] > 1.3 * level[Kind.CARTILAGE]
    assert level[Kind.CARTILAGE] > 1.3 * max(level[k] for k in (Kind.MUSCLE, Kind.MARROW, Kind.FAT, Kind.SYNOVIUM))
    assert level[Kind.MARROW] > 1.5 * max(level[k] for k in (Kind.MENISCUS, Kind.TENDON, Kind.CORTEX))


def test_spin_echoes_decay_with_t2_alone() -> None:
    echoes = spin_echo_model((10.0, 20.0, 40.0))(TISSUES[Kind.CARTILAGE], np.array([25.0, 50.0]))
    assert np.allclose(np.log(echoes[0] / echoes[1]), [10 / 25, 10 / 50])
    assert np.allclose(np.log(echoes[1] / echoes[2]), [20 / 25, 20 / 50])
