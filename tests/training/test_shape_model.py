"""Training of the shape model: fields of balls with a known formula, modes, synthetic femora, the order of visits."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.shape.built_in.lattice import Lattice
from tests.support.ball_shape import PLATE_MM, RADIUS_MM, ball
from tests.support.ball_shape import fields as true_fields
from training.shape_model.change_score import left_out_changes, measured
from training.shape_model.collection import Femur, load_femora, save_femur
from training.shape_model.evaluate import by_knee
from training.shape_model.samples import deformed, outline_of, samples_of
from training.shape_model.subspace import fields, linear_start, measured_fields


@pytest.fixture(scope="module")
def femora():
    made = []
    for number, latent in enumerate(((0.0, 0.0), (1.0, 1.0), (-1.0, 0.5), (0.5, -1.0))):
        bone, cartilage, alignment = ball(latent, Rotation.identity(), np.zeros(3))
        made.append(Femur(name=f"{number:03d}_00m", bone=bone, cartilage=cartilage, alignment=alignment))
    return made


def test_a_femur_is_read_back_as_written(femora, tmp_path):
    save_femur(femora[1], tmp_path / "001_00m.npz")
    (found,) = load_femora(tmp_path)
    assert (found.name, found.knee, found.alignment.side) == ("001_00m", "001", femora[1].alignment.side)
    assert np.array_equal(found.bone.points_mm, femora[1].bone.points_mm)
    assert np.array_equal(found.alignment.matrix, femora[1].alignment.matrix)


@pytest.mark.slow
def test_fields_are_distance_and_thickness(femora):
    outline = outline_of(femora[0], np.eye(4))
    rng = np.random.default_rng(0)
    direction = rng.standard_normal((400, 3))
    direction[:, 2] = -np.abs(direction[:, 2]) - 1.5
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    points = direction * rng.uniform(RADIUS_MM - 3, RADIUS_MM + 8, (400, 1))
    found, expected = fields(outline, points), true_fields(points)
    # the formula's distance is along the radius, which is slightly longer than the shortest distance
    np.testing.assert_allclose(found[:, 0], expected[:, 0], atol=0.3)
    assert np.abs(found[:, 1] - PLATE_MM).mean() < 0.15


@pytest.mark.slow
def test_femora_alone_give_one_mode_fewer_than_femora_and_smooth_fields_add_modes(femora):
    measured = measured_fields([outline_of(femur, np.eye(4)) for femur in femora])
    assert linear_start(measured, 8, smooth=False).modes.shape[2] == len(femora) - 1
    start = linear_start(measured, 8)
    assert start.modes.shape == (2, len(start.rows), 8)
    size = np.square(start.modes).sum(axis=(0, 1))
    assert (np.diff(size) < 0.05 * size[:-1]).all()


@pytest.mark.slow
def test_cartilage_of_a_deformed_femur_still_touches_the_bone(femora):
    rng = np.random.default_rng(0)
    samples = samples_of(outline_of(femora[0], np.eye(4)), rng)
    made = deformed(samples, Lattice.over(np.full(3, -45.0), np.full(3, 45.0), 4.0), rng)
    moved = np.linalg.norm(made.points - samples.points, axis=1)
    assert 0.5 < moved.mean() < 3.0
    assert np.array_equal(made.bone <= 0, samples.bone <= 0)
    on_bone = np.abs(samples.bone) < 0.05
    np.testing.assert_allclose(made.bone[on_bone], samples.bone[on_bone], atol=0.03)


def test_visits_are_ordered_only_if_knees_share_a_change():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((20, 8))
    assert (left_out_changes(noise + 2.0 * np.eye(8)[0]) > 0).sum() >= 18
    assert 4 <= (left_out_changes(noise) > 0).sum() <= 16


def test_a_mean_change_scores_one_and_other_knees_use_the_same_direction():
    rng = np.random.default_rng(0)
    change = np.array([3.0, -1.0, 0.0, 0.0])
    first = rng.standard_normal((12, 4))
    pairs = {str(k): (one, one + change + 0.1 * rng.standard_normal(4)) for k, one in enumerate(first)}
    others = {"forward": (first[0], first[0] + change), "back": (first[0], first[0] - change)}
    found = measured(pairs, others)
    assert (found["pairs"], found["ordered"], found["not_ordered"]) == (14, 13, ["back"])
    assert found["changes"]["forward"] == pytest.approx(1.0, abs=0.05)
    assert first @ found["vector"] - found["first_visits"] == pytest.approx(
        (first - first.mean(0)) @ found["vector"], abs=1e-3
    )


def test_a_knee_counts_once_regardless_of_its_visits():
    rows = [{"map": "1_00m", "mm": 1.0}, {"map": "1_96m", "mm": 3.0}, {"map": "2_00m", "mm": 0.0}]
    assert by_knee(rows, "mm") == 1.0


@pytest.mark.slow
def test_training_resumes_and_its_numpy_decoder_gives_the_same_distances(femora, tmp_path):
    torch = pytest.importorskip("torch")
    from training.shape_model.prepare import load_prepared, prepared, save_prepared, stocked
    from training.shape_model.train import Run

    torch.set_num_threads(1)
    measured, outlines = prepared(tuple(femora))
    start = linear_start(measured, 4)
    save_prepared(start, stocked(start, outlines), tmp_path / "prepared.npz")
    start, stock = load_prepared(tmp_path / "prepared.npz")
    fresh = Run(start, stock, 0)
    losses = [fresh.step(stock, 0.1) for _ in range(6)]
    first = Run(start, stock, 0)
    again = [first.step(stock, 0.1) for _ in range(3)]
    first.save(tmp_path / "checkpoint.pt")
    second = Run(start, stock, 0)
    second.restore(tmp_path / "checkpoint.pt")
    again += [second.step(stock, 0.1) for _ in range(3)]
    assert again == losses
    decoder, points, code = fresh.network.decoder(), stock.samples[0].points[:200], np.array([0.5, -0.3, 0.2, 0.1])
    sampling = decoder.sampling(points.astype(np.float64))
    bone, thickness = decoder.answer(decoder.features_at(code, sampling), sampling.place).T
    with torch.no_grad():
        expected = fresh.network(torch.from_numpy(points), torch.tensor(code, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(np.stack([bone, np.maximum(-bone, bone - thickness)], axis=1), expected, atol=1e-4)
