"""The second renderer, on a geometric knee (two capped shafts, a patella, plates between them) on an oblique grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.types import LabelArray
from training.limb import limb_frame
from training.render import QUIET, render_dess, render_multi_echo, render_qdess, thick_slices

pytestmark = pytest.mark.slow

ECHO_TIMES = (8.0, 16.0, 24.0, 32.0, 48.0)
CARTILAGE = (
    Structure.FEMORAL_CARTILAGE,
    Structure.MEDIAL_TIBIAL_CARTILAGE,
    Structure.LATERAL_TIBIAL_CARTILAGE,
    Structure.PATELLAR_CARTILAGE,
)


@pytest.fixture(scope="module")
def grid() -> Grid:
    """Oblique, anisotropic, sagittal: 110 x 130 x 130 mm."""
    a = np.radians(12.0)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    direction = turn @ np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]])
    shape, spacing = (55, 108, 108), (2.0, 1.2, 1.2)
    half = 0.5 * (np.array(shape) - 1) * np.array(spacing)
    return Grid(shape=shape, spacing_mm=spacing, origin_mm=-direction @ half[::-1], direction=direction)


@pytest.fixture(scope="module")
def labels(grid: Grid) -> LabelArray:
    """A knee of ellipsoids and cylinders, right: +x medial, -y anterior."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1).reshape(-1, 3)
    x, y, z = grid.to_mm(index).T

    def egg(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        return sum(((p - c) / r) ** 2 for p, c, r in zip((x, y, z), centre, radii, strict=True)) < 1

    def shaft(low: float, high: float) -> np.ndarray:
        return (np.hypot(x, y) < 15) & (z > low) & (z < high)

    flat = np.zeros(len(x), np.uint8)
    flat[egg((0, 0, 24), (41, 32, 25))] = Structure.FEMORAL_CARTILAGE
    flat[egg((0, 0, 25), (38, 29, 22)) | shaft(20, 90)] = Structure.FEMUR
    plate = (np.hypot(x / 37, y / 25) < 1) & (z > -5.5) & (z < -2) & (np.abs(x) > 6)
    flat[plate & (x > 0)] = Structure.MEDIAL_TIBIAL_CARTILAGE
    flat[plate & (x < 0)] = Structure.LATERAL_TIBIAL_CARTILAGE
    flat[((np.hypot(x / 37, y / 25) < 1) & (z <= -5.5) & (z > -25)) | shaft(-90, -20)] = Structure.TIBIA
    flat[egg((0, -42, 28), (20, 9, 19)) & (flat == 0)] = Structure.PATELLAR_CARTILAGE
    flat[egg((0, -45, 28), (20, 9, 19)) & (flat != Structure.FEMORAL_CARTILAGE)] = Structure.PATELLA
    return flat.reshape(grid.shape)


@pytest.fixture(scope="module")
def quiet(labels: LabelArray, grid: Grid) -> np.ndarray:
    """A scan without blur, bias or noise."""
    return render_dess(labels, grid, 3, scanner=QUIET)


def inside(labels: LabelArray, *structures: Structure, margin: int = 1) -> np.ndarray:
    """The structures without their outermost voxels."""
    return ndimage.binary_erosion(np.isin(labels, [int(s) for s in structures]), iterations=margin)


def test_the_limb_frame_follows_the_anatomy_not_the_grid(labels: LabelArray, grid: Grid) -> None:
    frame = limb_frame(labels, grid)
    assert np.allclose(frame.axes, np.eye(3), atol=0.06)
    assert np.allclose(frame.origin, (0, 0, -4), atol=1.0)
    assert frame.scale == pytest.approx(1.0, abs=0.08)


def test_a_knee_without_a_tibia_is_rejected_and_the_tibia_named(labels: LabelArray, grid: Grid) -> None:
    with pytest.raises(ValueError, match="Tibia is missing"):
        render_dess(np.where(labels == Structure.TIBIA, 0, labels).astype(np.uint8), grid, 1)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_scan(labels: LabelArray, grid: Grid) -> None:
    joint = grid.crop((0, 30, 0), (55, 80, 108))
    first, again, other = (render_dess(labels[:, 30:80], joint, seed) for seed in (3, 3, 4))
    assert first.tobytes() == again.tobytes()
    assert first.shape == joint.shape
    assert np.abs(first - other).mean() > 1.0


def test_signal_decreases_from_fluid_to_cartilage_to_marrow_to_air(labels: LabelArray, quiet: np.ndarray) -> None:
    scan = quiet
    cartilage = np.median(scan[inside(labels, *CARTILAGE)])
    marrow = np.median(scan[inside(labels, Structure.FEMUR, Structure.TIBIA, margin=4)])
    near = ndimage.binary_dilation(np.isin(labels, [int(s) for s in CARTILAGE]), iterations=3) & (labels == 0)
    assert np.percentile(scan[near], 98) > 1.2 * cartilage
    assert cartilage > 1.8 * marrow
    assert marrow > 2.0 * np.median(scan[:, :, -2:])


def test_bone_has_a_dark_rim(labels: LabelArray, quiet: np.ndarray) -> None:
    scan = quiet
    femur = labels == Structure.FEMUR
    rim = (
        femur & ~ndimage.binary_erosion(femur) & ~ndimage.binary_dilation(np.isin(labels, [int(s) for s in CARTILAGE]))
    )
    assert np.median(scan[rim]) < 0.75 * np.median(scan[inside(labels, Structure.FEMUR, margin=4)])


def test_t2_is_recovered_from_noiseless_echoes(labels: LabelArray, grid: Grid) -> None:
    truth = {Structure.FEMORAL_CARTILAGE: 42.0, Structure.LATERAL_TIBIAL_CARTILAGE: 31.0, Structure.TIBIA: 70.0}
    echoes = render_multi_echo(labels, grid, ECHO_TIMES, truth, 5, scanner=QUIET)
    for structure, t2_ms in truth.items():
        alone = np.median(echoes[:, inside(labels, structure, margin=4 if structure is Structure.TIBIA else 1)], axis=1)
        slope = np.polyfit(ECHO_TIMES, np.log(alone), 1)[0]
        assert -1.0 / slope == pytest.approx(t2_ms, rel=0.01)


def test_qdess_gives_a_bright_and_a_t2_weighted_echo(labels: LabelArray, grid: Grid) -> None:
    echoes = render_qdess(labels, grid, 5, scanner=QUIET)
    cartilage = inside(labels, *CARTILAGE)
    assert echoes.shape == (2, *grid.shape)
    assert 0.2 < np.median(echoes[1][cartilage] / echoes[0][cartilage]) < 0.7


def test_thick_slices_keep_position_and_mean(labels: LabelArray, grid: Grid) -> None:
    volume = labels.astype(np.float32)
    merged, thick = thick_slices(volume, grid, 5)
    assert thick.shape == (11, 108, 108)
    assert np.allclose(thick.to_mm([(0, 0, 0)]), grid.to_mm([(2, 0, 0)]))
    assert np.allclose(merged[3], volume[15:20].mean(0))
