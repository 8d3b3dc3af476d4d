"""The built-in type of shape model, on analytical shapes: fit, reconstruction, file, and the model in models/."""

import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.alignment import align_knee
from pipeline.anatomy import Side, Structure
from pipeline.digest import sha256_of
from pipeline.errors import FitDiverged, WeightsCorrupt
from pipeline.registration import scale_of
from pipeline.shape.built_in.fit import fit, targets_of
from pipeline.shape.built_in.lattice import Lattice
from pipeline.shape.built_in.model import FOLDER, built_in_shapes, load_built_in
from pipeline.shape.built_in.weights_file import read_decoder, write_decoder
from pipeline.shape.fit import distances_apart, fit_built_in, fit_shape
from pipeline.shape.installed import chosen_shapes, unused_shapes
from pipeline.shape.placement import below_cut
from pipeline.surface import bone_surface
from pipeline.types import Resources
from tests.support.ball_shape import ball, ball_decoder
from tests.support.knees import coarse_knee, mirrored
from tests.support.shape_model import install

PLACE_MM = np.array([12.0, -30.0, 44.0])
TURN = Rotation.from_euler("xyz", (5.0, -4.0, 6.0), degrees=True)
LATENT = (1.2, -1.0)


@pytest.fixture(scope="module")
def decoder():
    return ball_decoder()


def test_a_lattice_represents_a_line_exactly_and_its_samplings_agree():
    lattice = Lattice.over(np.array([-4.0, 0.0, 2.0]), np.array([9.0, 7.0, 12.0]), 1.5)
    values = (lattice.nodes() @ [1.0, -2.0, 0.5] + 3.0).astype(np.float32)
    axes = (np.array([-2.0, 0.3]), np.array([1.7, 4.0, 5.2]), np.array([4.0, 6.6]))
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    expected = points @ [1.0, -2.0, 0.5] + 3.0
    np.testing.assert_allclose(lattice.sampling(points) @ values, expected, atol=1e-4)
    np.testing.assert_allclose(lattice.on_axes(values, axes).reshape(-1), expected, atol=1e-4)


def test_the_derivative_by_features_equals_finite_differences(decoder):
    rng = np.random.default_rng(0)
    inputs, hidden = len(decoder.layers[0][0]), 5
    random = replace(
        decoder,
        layers=(
            (rng.normal(0, 0.4, (inputs, hidden)).astype(np.float32), rng.normal(0, 1, hidden).astype(np.float32)),
            (rng.normal(0, 0.4, (hidden, 2)).astype(np.float32), np.zeros(2, np.float32)),
        ),
    )
    points = rng.uniform(-30, 30, (40, 3))
    sampling = random.sampling(points)
    features = random.features_at(np.array([0.5, 1.0]), sampling)
    features[:, 0] = rng.uniform(-6, 6, len(points))
    answer, slope = random.answer_and_slope(features, sampling.place)
    np.testing.assert_allclose(answer, random.answer(features, sampling.place), atol=1e-6)
    for number in range(2):
        step = np.zeros(2, np.float32)
        step[number] = 1e-2
        ahead, behind = (random.answer(features + s, sampling.place) for s in (step, -step))
        np.testing.assert_allclose(slope[:, :, number], (ahead - behind) / 2e-2, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("side", [Side.RIGHT, Side.LEFT])
def test_a_known_shape_is_found_at_any_position_and_size(decoder, side):
    bone, cartilage, alignment = ball(LATENT, TURN, PLACE_MM, side, growth=1.1)
    latent, placement, made = fit_built_in(decoder, (bone, cartilage), alignment)
    np.testing.assert_allclose(latent, LATENT, atol=0.15)
    assert 1 / scale_of(placement.matrix) == pytest.approx(1.1, abs=0.01)
    assert (np.linalg.det(placement.matrix[:3, :3]) < 0) == (side is Side.LEFT)
    assert max(distances_apart((bone, cartilage), made, alignment)) < 0.15
    for surface in made:
        a, b, c = (surface.points_mm[surface.faces[:, k]] for k in range(3))
        outward = surface.normals[surface.faces[:, 0]]
        assert np.einsum("ij,ij->", np.cross(b - a, c - a), outward) > 0


@pytest.mark.slow
def test_a_mirrored_knee_has_the_same_latent_vector(decoder):
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    bone, cartilage, alignment = ball(LATENT, TURN, PLACE_MM)
    mirrored = replace(alignment, matrix=alignment.matrix @ flip, side=Side.LEFT)
    surfaces = [
        replace(s, points_mm=s.points_mm * [-1, 1, 1], normals=s.normals * [-1, 1, 1], faces=s.faces[:, ::-1])
        for s in (bone, cartilage)
    ]
    one = fit(decoder, targets_of(bone, below_cut(bone, alignment), cartilage), alignment.matrix)
    other = fit(decoder, targets_of(surfaces[0], below_cut(surfaces[0], mirrored), surfaces[1]), mirrored.matrix)
    np.testing.assert_allclose(other[1], one[1], atol=0.01)
    np.testing.assert_allclose(other[0] @ flip, one[0], atol=0.02)


@pytest.mark.slow
def test_the_same_knee_gives_bit_identical_numbers(decoder):
    bone, cartilage, alignment = ball(LATENT, TURN, PLACE_MM)
    first, second = (fit_built_in(decoder, (bone, cartilage), alignment) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert all(np.array_equal(a.points_mm, b.points_mm) for a, b in zip(first[2], second[2], strict=True))


def test_points_that_are_not_finite_stop_the_fit(decoder):
    bone, cartilage, alignment = ball((0.0, 0.0), Rotation.identity(), PLACE_MM)
    targets = targets_of(bone, below_cut(bone, alignment), cartilage)
    broken = replace(targets, cartilage=targets.cartilage * np.nan)
    with pytest.raises(FitDiverged, match="not finite"):
        fit(decoder, broken, alignment.matrix)


def test_a_decoder_is_read_back_as_written_and_a_truncated_file_is_rejected(decoder, tmp_path):
    path = tmp_path / "decoder.npz"
    write_decoder(decoder, path)
    found = read_decoder(path)
    points = np.random.default_rng(0).uniform(-32, 32, (50, 3))
    answers = []
    for one in (decoder, found):
        sampling = one.sampling(points)
        answers.append(one.answer(one.features_at(np.array(LATENT), sampling), sampling.place))
    np.testing.assert_allclose(answers[0], answers[1], atol=0.02)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WeightsCorrupt, match="cannot be read"):
        read_decoder(path)


def test_inconsistent_arrays_are_rejected(decoder, tmp_path):
    write_decoder(replace(decoder, rows=decoder.rows[:-1]), tmp_path / "decoder.npz")
    with pytest.raises(WeightsCorrupt, match="inconsistent shapes"):
        read_decoder(tmp_path / "decoder.npz")


def test_the_built_in_model_matches_its_card():
    for model in built_in_shapes():
        assert model.problem == ""
        assert model.card["sha256"] == sha256_of(model.weights)
    assert load_built_in(built_in_shapes()[0]).latent_size == model.card["latent_size"] <= 64


def test_weights_with_another_digest_than_the_card_are_not_loaded(tmp_path):
    folder = tmp_path / "femur_shape"
    shutil.copytree(FOLDER, folder)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"sha256": "0" * 64}))
    with pytest.raises(WeightsCorrupt, match="its card expects 000000000000"):
        load_built_in(built_in_shapes(folder)[0])
    (folder / card["weights"]).unlink()
    assert "is missing" in built_in_shapes(folder)[0].problem


@pytest.mark.slow
def test_an_installed_model_takes_precedence_over_the_built_in_one_of_its_kind(tmp_path):
    resources = Resources(models_dir=tmp_path)
    assert [model.name for model in chosen_shapes("both", resources)] == ["femur_shape", "femur_shape"]
    folder = install(tmp_path / "nsm" / "own", only_bone=True)
    assert [model.name for model in chosen_shapes("both", resources)] == ["femur_shape", "own"]
    (folder / "model.pth").unlink()
    assert [model.name for model in chosen_shapes("bone_only", resources)] == ["femur_shape"]
    assert unused_shapes("bone_only", resources)[0].startswith("Shape model own cannot be used: There is no .pth")


def test_bone_with_cartilage_needs_cartilage():
    bone, _, alignment = ball((0.0, 0.0), Rotation.identity(), PLACE_MM)
    with pytest.raises(FitDiverged, match="needs femoral cartilage"):
        fit_shape(built_in_shapes()[0], bone, None, alignment)


def femur_of(segmentation):
    bone, cartilage = (bone_surface(segmentation, part) for part in (Structure.FEMUR, Structure.FEMORAL_CARTILAGE))
    return bone, cartilage, align_knee(bone)


@pytest.mark.slow
def test_the_built_in_model_fits_a_knee_in_time_and_its_mirror_image_equally():
    began = time.perf_counter()
    found = fit_shape(built_in_shapes()[0], *femur_of(coarse_knee()))
    assert time.perf_counter() - began < 40
    assert max(found.assd_mm) < 0.45
    assert (found.latent.shape, found.bscore) == ((64,), None)
    other = fit_shape(built_in_shapes()[0], *femur_of(mirrored(coarse_knee())))
    # in standard deviations of the training knees; the vertices differ in the mirrored grid
    np.testing.assert_allclose(other.latent, found.latent, atol=0.06)


@pytest.mark.slow
def test_a_bone_only_fit_ignores_cartilage():
    bone, cartilage, alignment = femur_of(coarse_knee())
    with_it, without = (fit_shape(built_in_shapes()[1], bone, plate, alignment) for plate in (cartilage, None))
    assert np.array_equal(with_it.latent, without.latent)
    assert [surface.structure for surface in without.reconstructions] == [Structure.FEMUR]
    assert without.assd_mm[0] < 0.45
