"""T2: the fit compared with scipy and known decays, qDESS with simulated signals, layers on phantoms."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import curve_fit
from threadpoolctl import threadpool_limits

from pipeline.acquisition import Acquisition, PulseSequence
from pipeline.anatomy import Structure
from pipeline.errors import UnsupportedImage
from pipeline.grid import FloatArray, Grid
from pipeline.quantities import Method
from pipeline.t2.decay import CHUNK, fit_decay, fit_t2
from pipeline.t2.layers import MIN_R2, measure_t2, relative_depth
from pipeline.t2.maps import fit_t2_map, t2_unavailable
from pipeline.t2.qdess import CARTILAGE_DIFFUSION_M2_PER_S, CARTILAGE_T1_MS, GAMMA_RAD_PER_S_G, qdess_t2
from pipeline.types import Measurement, RelaxationMap, Scan, Segmentation

TIMES_MS = np.arange(1, 9) * 10.0


def oblique_grid(shape: tuple[int, int, int]) -> Grid:
    """Anisotropic, rotated about two axes, far from the origin."""
    a, b = np.deg2rad(17), np.deg2rad(-11)
    turn_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return Grid(shape=shape, spacing_mm=(0.8, 0.3, 0.5), origin_mm=np.array([-60.0, 35, 12]), direction=turn_z @ turn_x)


def noisy_decays(count: int, signal_to_noise: float) -> FloatArray:
    """(8, count) Rician signals of T2 from 15 to 90 ms."""
    random = np.random.default_rng(7)
    s0 = random.uniform(300, 1500, count)
    clean = s0 * np.exp(-TIMES_MS[:, None] / random.uniform(15, 90, count))
    noise = random.normal(size=(2, *clean.shape)) * s0 / signal_to_noise
    return np.hypot(clean + noise[0], noise[1])


def decay(times: FloatArray, s0: float, t2: float) -> FloatArray:
    return np.asarray(s0 * np.exp(-times / t2))


@pytest.mark.parametrize("spacing_ms", [6.312, 10.0, 20.0])
def test_a_pure_decay_is_recovered(spacing_ms: float) -> None:
    times = np.arange(1, 8) * spacing_ms
    truth = np.linspace(8.0, 300.0, 400)
    t2, r2 = fit_decay(900 * np.exp(-times[:, None] / truth), times)
    assert np.abs(t2 / truth - 1).max() < 1e-9
    assert r2.min() > 1 - 1e-9


@pytest.mark.parametrize("signal_to_noise", [100.0, 30.0, 15.0])
def test_the_fit_equals_the_optimum_of_curve_fit(signal_to_noise: float) -> None:
    signals = noisy_decays(150, signal_to_noise)
    ours, _ = fit_decay(signals, TIMES_MS)
    theirs = [
        curve_fit(decay, TIMES_MS, s, p0=(s[0], 40.0), xtol=1e-12, ftol=1e-12, gtol=1e-12)[0][1] for s in signals.T
    ]
    assert np.abs(ours - theirs).max() < 1e-3


def seconds_of(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def test_the_fit_is_a_hundred_times_faster_than_curve_fit() -> None:
    signals = noisy_decays(20_000, 30.0)
    with threadpool_limits(limits=1, user_api="blas"):  # as in an analysis
        ours = min(seconds_of(lambda: fit_decay(signals[:, :CHUNK], TIMES_MS)) for _ in range(5)) / CHUNK
    some = signals[:, :400]

    def one_by_one() -> None:
        for s in some.T:
            curve_fit(decay, TIMES_MS, s, p0=(s[0], 40.0))

    theirs = min(seconds_of(one_by_one) for _ in range(2)) / some.shape[1]
    assert theirs / ours >= 100


def test_signals_without_decay_get_no_t2_and_no_warning() -> None:
    rising, flat, empty = np.exp(TIMES_MS / 50), np.full(8, 100.0), np.zeros(8)
    slow, gone = np.exp(-TIMES_MS / 3000), np.array([100.0, 0, 0, 0, 0, 0, 0, 0])
    undefined = np.full(8, np.nan)
    with np.errstate(all="raise", under="ignore"):
        t2, r2 = fit_decay(np.stack([rising, flat, empty, slow, gone], axis=1), TIMES_MS)
    assert np.isnan(t2).all()
    assert np.isnan(r2).all()
    t2, _ = fit_decay(np.stack([undefined, 100 * np.exp(-TIMES_MS / 40)], axis=1), TIMES_MS)
    assert np.isnan(t2[0])
    assert t2[1] == pytest.approx(40.0)


def test_r2_is_the_explained_fraction_of_the_signal() -> None:
    signals = noisy_decays(60, 10.0)
    t2, r2 = fit_decay(signals, TIMES_MS)
    for s, one_t2, one_r2 in zip(signals.T, t2, r2, strict=True):
        basis = np.exp(-TIMES_MS / one_t2)
        residual = s - basis * (basis @ s) / (basis @ basis)
        assert one_r2 == pytest.approx(1 - (residual**2).sum() / ((s - s.mean()) ** 2).sum(), abs=1e-9)


def test_the_fit_of_a_voxel_does_not_depend_on_its_chunk() -> None:
    signals = noisy_decays(CHUNK + 700, 25.0).astype(np.float32)
    mask = np.ones((1, 1, signals.shape[1]), dtype=bool)
    whole, _ = fit_t2(signals[:, None, None, :], tuple(TIMES_MS), mask, skip_first_echo=False)
    backwards, _ = fit_t2(signals[:, None, None, ::-1], tuple(TIMES_MS), mask, skip_first_echo=False)
    np.testing.assert_allclose(whole[0, 0], backwards[0, 0, ::-1], rtol=1e-6)


def test_skipping_the_first_echo_removes_its_error() -> None:
    truth = np.linspace(25, 60, 50)
    signals = (800 * np.exp(-TIMES_MS[:, None] / truth)).astype(np.float32)
    signals[0] *= 0.85  # stimulated echoes increase all echoes except the first
    echoes, mask = signals[:, None, None, :], np.ones((1, 1, 50), dtype=bool)
    kept, _ = fit_t2(echoes, tuple(TIMES_MS), mask, skip_first_echo=False)
    skipped, _ = fit_t2(echoes, tuple(TIMES_MS), mask, skip_first_echo=True)
    assert (kept[0, 0] > 1.05 * truth).all()
    np.testing.assert_allclose(skipped[0, 0], truth, rtol=1e-5)


def simulate_qdess(
    *, t2_ms: float, tr_ms: float, te_ms: float, flip_deg: float, area: float, duration_us: float, diffusion: float
) -> tuple[float, float]:
    """Steady-state signals of both echoes by extended phase graphs with diffusion (Weigel, JMRI 2015, 41:266).

    One spoiler lobe in the middle of each repetition shifts every state by one order.
    """
    orders, repetitions = 30, 500
    angle = np.deg2rad(flip_deg)
    c, s = np.cos(angle / 2) ** 2, np.sin(angle / 2) ** 2
    half = np.sin(angle) / 2
    # rotation about y: the states stay real, and echoes change sign
    pulse = np.array([[c, -s, 2 * half], [-s, c, 2 * half], [-half, -half, c - s]])
    k = np.arange(orders) * GAMMA_RAD_PER_S_G * area * 1e-4
    tr, lobe = tr_ms * 1e-3, duration_us * 1e-6
    low, high = k[:-1], k[1:]
    b = (tr - lobe) / 2 * (low**2 + high**2) + lobe / 3 * (low**2 + low * high + high**2)
    transverse = np.exp(-tr_ms / t2_ms - b * diffusion)
    recovery = np.exp(-tr_ms / CARTILAGE_T1_MS)
    longitudinal = recovery * np.exp(-(k**2) * tr * diffusion)
    plus, minus, along = np.zeros(orders), np.zeros(orders), np.zeros(orders)
    along[0] = 1.0
    first = second = 0.0
    for _ in range(repetitions):
        plus, minus, along = pulse @ np.stack([plus, minus, along])
        first = plus[0] * np.exp(-te_ms / t2_ms)
        plus[1:], minus[:-1] = plus[:-1] * transverse, minus[1:] * transverse
        minus[-1] = 0.0
        plus[0] = minus[0]
        second = minus[0] * np.exp(te_ms / t2_ms)
        along = along * longitudinal
        along[0] += 1 - recovery
    return float(first), float(-second)


def estimate(signals: tuple[float, float], *, tr_ms: float, te_ms: float, flip_deg: float, **spoiler: float) -> float:
    return float(
        qdess_t2(
            np.array([signals[0]]),
            np.array([signals[1]]),
            echo_time_ms=te_ms,
            repetition_time_ms=tr_ms,
            flip_angle_deg=flip_deg,
            spoiler_gradient_area=spoiler.get("area", 0.0),
            spoiler_duration_us=spoiler.get("duration", 0.0),
        )[0]
    )


def test_the_simulated_signals_are_those_of_steady_state_theory() -> None:
    tr, t2, flip = 18.0, 40.0, np.deg2rad(25)
    first, second = simulate_qdess(
        t2_ms=t2, tr_ms=tr, te_ms=0.0, flip_deg=25, area=1000, duration_us=1000, diffusion=0.0
    )
    e1, e2, cos = np.exp(-tr / CARTILAGE_T1_MS), np.exp(-tr / t2), np.cos(flip)
    root = np.sqrt((1 - e2**2) / ((1 - e1 * cos) ** 2 - e2**2 * (e1 - cos) ** 2))
    # Hänicke and Vogel, Magn Reson Med 2003, 49:771
    assert first == pytest.approx(np.tan(flip / 2) * (1 - (e1 - cos) * root), rel=1e-4)
    assert second == pytest.approx(np.tan(flip / 2) * (1 - (1 - e1 * cos) * root), rel=1e-4)


@pytest.mark.parametrize("tr_ms", [16.0, 18.5, 22.0])
@pytest.mark.parametrize(("flip_deg", "within"), [(20.0, 0.065), (25.0, 0.035), (30.0, 0.02), (40.0, 0.01)])
@pytest.mark.parametrize(("area", "duration"), [(0.0, 0.0), (1560.0, 1800.0), (3132.0, 3400.0)])
def test_qdess_recovers_the_t2_of_simulated_signals(
    tr_ms: float, flip_deg: float, within: float, area: float, duration: float
) -> None:
    timing = {"tr_ms": tr_ms, "te_ms": 6.0, "flip_deg": flip_deg}
    diffusion = CARTILAGE_DIFFUSION_M2_PER_S if area else 0.0
    for truth in (20.0, 30.0, 40.0):
        signals = simulate_qdess(t2_ms=truth, area=area, duration_us=duration, diffusion=diffusion, **timing)
        found = estimate(signals, area=area, duration=duration, **timing)
        assert -0.002 <= found / truth - 1 <= within


@pytest.mark.parametrize("signals", [(1.0, 5.0), (-1.0, -0.3), (1.0, 0.0), (0.0, 1.0), (1.0, 0.999)])
def test_signals_that_are_no_qdess_pair_give_no_t2(signals: tuple[float, float]) -> None:
    assert np.isfinite(estimate((1.0, 0.3), tr_ms=18.0, te_ms=6.0, flip_deg=25.0))
    assert np.isnan(estimate(signals, tr_ms=18.0, te_ms=6.0, flip_deg=25.0))


def test_without_the_spoiler_tags_diffusion_shortens_t2() -> None:
    timing = {"tr_ms": 18.0, "te_ms": 6.0, "flip_deg": 30.0}
    spoiler = {"area": 12_528.0, "duration": 3400.0}
    signals = simulate_qdess(
        t2_ms=40.0, area=12_528.0, duration_us=3400.0, diffusion=CARTILAGE_DIFFUSION_M2_PER_S, **timing
    )
    assert estimate(signals, **timing) < 0.82 * 40
    assert estimate(signals, **timing, **spoiler) == pytest.approx(40, rel=0.05)


def scan_of(
    echoes: NDArray[np.float32], times: tuple[float, ...], sequence: PulseSequence, **acquisition: float
) -> Scan:
    return Scan(
        echoes=echoes,
        grid=oblique_grid(echoes.shape[1:]),
        sequence=sequence,
        echo_times_ms=times,
        acquisition=Acquisition(**acquisition),
    )


def blank(count: int) -> NDArray[np.float32]:
    return np.ones((count, 10, 10, 10), dtype=np.float32)


SPIN = PulseSequence.MULTI_ECHO_SPIN_ECHO


@pytest.mark.parametrize(
    ("scan", "reason"),
    [
        (scan_of(blank(1), (5.2,), PulseSequence.DESS), "1 echo; T2 needs at least 2 (echo times found: 5.2 ms)"),
        (scan_of(blank(1), (), SPIN), "1 echo; T2 needs at least 2 (no echo times in the header)"),
        (scan_of(blank(3), (), PulseSequence.UNKNOWN), "3 echoes, but no echo times in the header"),
        (scan_of(blank(3), (4.0, 8.0, 12.0), PulseSequence.GRADIENT_ECHO), "gradient echoes decay with T2*"),
        (scan_of(blank(2), (12.0, 80.0), PulseSequence.SPIN_ECHO), "2 echoes that are no decay curve"),
        (scan_of(blank(3), (10.0, 10.0, 20.0), SPIN), "echo times repeat"),
        (scan_of(blank(2), (6.0, 30.0), PulseSequence.QDESS, repetition_time_ms=18.0), "no flip angle in the header"),
        (scan_of(blank(3), (6.0, 30.0, 40.0), PulseSequence.QDESS), "3 echoes; T2 from qDESS needs exactly 2"),
    ],
)
def test_a_scan_without_t2_has_a_reason(scan: Scan, reason: str) -> None:
    assert (t2_unavailable(scan) or "").startswith(reason)
    empty = Segmentation(labels=np.zeros(scan.grid.shape, dtype=np.uint8), grid=scan.grid, model_id="phantom")
    with pytest.raises(UnsupportedImage, match="No T2"):
        fit_t2_map(scan, empty, skip_first_echo=False)


def test_two_echoes_are_enough_unless_the_first_is_skipped() -> None:
    scan = scan_of(blank(2), (10.0, 20.0), SPIN)
    assert t2_unavailable(scan) is None
    assert t2_unavailable(scan, skip_first_echo=True) == (
        "1 echo after the first is skipped; T2 needs at least 2 (echo times found: 10, 20 ms)"
    )


def slab(shape: tuple[int, int, int] = (12, 40, 30)) -> Segmentation:
    """Along y: femur to 9, femoral cartilage 10 to 19, lateral tibial cartilage 20 to 27, tibia from 28."""
    labels = np.zeros(shape, dtype=np.uint8)
    labels[2:-2, :10, 2:-2] = Structure.FEMUR
    labels[2:-2, 10:20, 2:-2] = Structure.FEMORAL_CARTILAGE
    labels[2:-2, 20:28, 2:-2] = Structure.LATERAL_TIBIAL_CARTILAGE
    labels[2:-2, 28:, 2:-2] = Structure.TIBIA
    return Segmentation(labels=labels, grid=oblique_grid(shape), model_id="phantom")


def test_t2_is_fitted_in_cartilage_and_one_voxel_around_it() -> None:
    segmentation = slab()
    truth = np.where(segmentation.labels == Structure.FEMORAL_CARTILAGE, 35.0, 48.0)
    echoes = (700 * np.exp(-TIMES_MS[:, None, None, None] / truth)).astype(np.float32)
    found = fit_t2_map(scan_of(echoes, tuple(TIMES_MS), SPIN), segmentation, skip_first_echo=False)
    fitted = np.isfinite(found.time_ms)
    assert found.method == "multi_echo"
    assert fitted[1:-1, 9:29, 1:-1].all()
    assert fitted.sum() == fitted[1:-1, 9:29, 1:-1].sum()
    np.testing.assert_allclose(found.time_ms[fitted], truth[fitted], rtol=1e-5)
    assert found.r2[fitted].min() > 0.9999


@pytest.mark.parametrize(
    ("tags", "method"),
    [
        ({"spoiler_gradient_area": 3132.0, "spoiler_duration_us": 3400.0}, "qdess_spoiled"),
        ({}, "qdess_low_spoiling"),
    ],
)
def test_a_qdess_scan_reports_its_method(tags: dict[str, float], method: str) -> None:
    segmentation = slab()
    area, duration = tags.get("spoiler_gradient_area", 0.0), tags.get("spoiler_duration_us", 0.0)
    diffusion = CARTILAGE_DIFFUSION_M2_PER_S if tags else 0.0
    pair = simulate_qdess(
        t2_ms=40.0, tr_ms=20.0, te_ms=6.5, flip_deg=30.0, area=area, duration_us=duration, diffusion=diffusion
    )
    echoes = np.broadcast_to(1e4 * np.array(pair)[:, None, None, None], (2, *segmentation.labels.shape))
    scan = scan_of(
        echoes.astype(np.float32),
        (6.5, 33.5),
        PulseSequence.QDESS,
        repetition_time_ms=20.0,
        flip_angle_deg=30.0,
        **tags,
    )
    found = fit_t2_map(scan, segmentation, skip_first_echo=False)
    assert found.method == method
    assert np.isnan(found.r2).all()
    np.testing.assert_allclose(found.time_ms[segmentation.labels == Structure.FEMORAL_CARTILAGE], 40.0, rtol=0.015)


def test_depth_runs_from_bone_to_surface_and_stops_where_cartilage_meets_cartilage() -> None:
    segmentation = slab()
    depth = relative_depth(segmentation)
    column = depth[6, :, 15]
    np.testing.assert_allclose(column[10:20], np.arange(1, 11) / 11)
    np.testing.assert_allclose(column[20:28], np.arange(8, 0, -1) / 9)
    assert np.isnan(column[:10]).all()
    assert np.isnan(column[28:]).all()


def test_depth_on_a_curved_plate_is_the_radial_fraction() -> None:
    grid = Grid(
        shape=(60, 140, 100),
        spacing_mm=(0.7, 0.3, 0.4),
        origin_mm=np.array([3.0, -8, 50]),
        direction=oblique_grid((1, 1, 1)).direction,
    )
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    centre = grid.to_mm([[29.5, 69.5, 49.5]])
    radius = np.linalg.norm(grid.to_mm(index) - centre, axis=1).reshape(grid.shape)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[radius < 17] = Structure.PATELLAR_CARTILAGE
    labels[radius < 13] = Structure.PATELLA
    depth = relative_depth(Segmentation(labels=labels, grid=grid, model_id="phantom"))
    plate = labels == Structure.PATELLAR_CARTILAGE
    error = depth[plate] - (radius[plate] - 13) / 4
    assert abs(error.mean()) < 0.01
    assert np.sqrt((error**2).mean()) < 0.06


def rows_by_key(rows: tuple[Measurement, ...]) -> dict[tuple[str, str, str, str], Measurement]:
    return {(r.structure, r.region, r.quantity, r.statistic): r for r in rows}


def test_layers_and_regions_are_measured_separately() -> None:
    segmentation = slab()
    femoral = segmentation.labels == Structure.FEMORAL_CARTILAGE
    tibial = segmentation.labels == Structure.LATERAL_TIBIAL_CARTILAGE
    regions = np.zeros_like(segmentation.labels)
    regions[femoral] = 12
    regions[:, :, 15:][femoral[:, :, 15:]] = 14
    regions[tibial] = 6
    depth = relative_depth(segmentation)
    t2 = np.where(depth < 0.5, 30.0, 50.0) + np.where(regions == 14, 5.0, 0.0)
    r2 = np.ones_like(t2)
    t2[:, :, 2], r2[:, :, 2] = 90.0, MIN_R2 - 0.01  # a poor fit
    t2[:, :, 3] = np.nan  # no fit
    t2[:, :, 4] = 140.0  # fluid
    found = RelaxationMap(
        time_ms=t2.astype(np.float32), r2=r2.astype(np.float32), method=Method.MULTI_ECHO, grid=segmentation.grid
    )
    rows = rows_by_key(measure_t2(found, regions, depth))

    def value(plate: str, region: str, quantity: str, statistic: str = "mean") -> float:
        return rows[plate, region, quantity, statistic].value

    assert value("femoral_cartilage", "medial_weight_bearing", "T2_deep") == pytest.approx(30)
    assert value("femoral_cartilage", "medial_weight_bearing", "T2_superficial") == pytest.approx(50)
    assert value("femoral_cartilage", "medial_posterior", "T2_deep", "median") == pytest.approx(35)
    assert value("femoral_cartilage", "medial_posterior", "T2_deep", "std") == pytest.approx(0)
    counts = {name: int(((regions == label) & femoral).sum()) for name, label in (("wb", 12), ("post", 14))}
    counts["wb"] -= 3 * 8 * 10  # the slices without a usable value
    row = rows["femoral_cartilage", "all", "T2", "mean"]
    assert row.n == counts["wb"] + counts["post"]
    assert row.unit == "ms"
    assert row.method == "multi_echo"
    left_out = rows["femoral_cartilage", "medial_weight_bearing", "T2_excluded", "share"]
    assert left_out.value == pytest.approx(100 * 240 / (counts["wb"] + 240))
    assert (left_out.n, left_out.unit) == (counts["wb"] + 240, "%")
    assert value("femoral_cartilage", "medial_posterior", "T2_excluded", "share") == 0.0
    parts = [rows["femoral_cartilage", r, "T2", "mean"] for r in ("medial_weight_bearing", "medial_posterior")]
    assert row.value == pytest.approx(sum(p.value * p.n for p in parts) / row.n)
    empty = rows["femoral_cartilage", "anterior", "T2", "mean"]
    assert np.isnan(empty.value)
    assert empty.n == 0
    assert [key for key in rows if key[0] == "patellar_cartilage" and key[2] == "T2" and key[3] == "mean"] == [
        ("patellar_cartilage", "all", "T2", "mean")
    ]
