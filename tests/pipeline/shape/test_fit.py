"""A shape model fitted to ellipsoids with a known latent vector, at any position, right and left."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.anatomy import Side, Structure
from pipeline.errors import FitDiverged
from pipeline.grid import Grid
from pipeline.shape.fit import fit_shape
from pipeline.shape.installed import installed_shapes, load
from pipeline.shape.reconstruction import distances_to
from pipeline.surface import LEVEL, Field, iso_surface
from pipeline.types import Alignment, Resources
from tests.support.shape_model import ellipsoid_distance, install, shape

pytestmark = pytest.mark.slow

UNIT_MM = 55.0
SCORE = {"bscore_vector": [2.0, 0.0], "mean_healthy": 0.5, "std_healthy": 0.25}
SPACING_MM = 1.5
TRUTH = (1.5, -1.0)
ANGLES = (8.0, -6.0, 11.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    install(root / "nsm" / "ellipsoids", score=SCORE)
    (found,) = installed_shapes(Resources(models_dir=root))
    assert found.problem == ""
    return found


@lru_cache(maxsize=4)
def knee(latent, side=Side.RIGHT, place_mm=(12.0, -30.0, 44.0)):
    """Bone and cartilage of a latent vector in LPS mm, rotated and moved, and their alignment to the reference."""
    turn = Rotation.from_euler("xyz", ANGLES, degrees=True).as_matrix()
    mirror = np.diag([1.0 if side is Side.RIGHT else -1.0, 1, 1])
    to_model = (turn @ mirror) / UNIT_MM
    reach = 1.15 * UNIT_MM
    n = round(2 * reach / SPACING_MM)
    grid = Grid(
        shape=(n, n, n), spacing_mm=(SPACING_MM,) * 3, origin_mm=np.array(place_mm) - reach, direction=np.eye(3)
    )
    index = np.stack(np.meshgrid(*(np.arange(n),) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    points = (grid.to_mm(index) - np.array(place_mm)) @ to_model.T
    found = []
    for structure, (middle, axis) in zip((Structure.FEMUR, Structure.FEMORAL_CARTILAGE), shape(latent), strict=True):
        inside = np.clip(LEVEL - ellipsoid_distance(points - middle, axis) * UNIT_MM / (4 * SPACING_MM), 0, 1)
        field = Field(values=inside.reshape(n, n, n).astype(np.float32), grid=grid)
        found.append(iso_surface(field, structure))
    # the reference frame is slightly rotated relative to the model's, as for real knees
    rough = Rotation.from_euler("xyz", np.array(ANGLES) * 0.8, degrees=True).as_matrix() @ mirror
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rough, -rough @ np.array(place_mm)
    return *found, Alignment(matrix=matrix, side=side, residual_mm=0.5, residual_other_mm=2.0)


@pytest.fixture(scope="module")
def fits(model):
    """The fits of the same shape on both sides."""
    return {side: fit_shape(model, *knee(TRUTH, side)) for side in Side}


@pytest.mark.parametrize("side", Side)
def test_the_latent_vector_of_a_known_shape_is_found_on_either_side(fits, side):
    fit = fits[side]
    np.testing.assert_allclose(fit.latent, TRUTH, atol=0.3)
    # the network, fitted by least squares, has errors of 0.3 and 0.9 mm
    assert fit.assd_mm[0] < 0.6
    assert fit.assd_mm[1] < 1.5
    assert fit.bscore == pytest.approx((2 * fit.latent[0] - 0.5) / 0.25)
    assert (fit.kind, fit.model) == ("bone_and_cart", "ellipsoids")
    assert np.sign(np.linalg.det(fit.icp_transform[:3, :3])) == (1 if side is Side.RIGHT else -1)


def test_the_record_transforms_the_patient_into_the_model(model, fits):
    """(icp_transform x - center) / scale: the reconstruction's points have distance 0 there."""
    fit = fits[Side.LEFT]
    bone = fit.reconstructions[0]
    registered = bone.points_mm @ fit.icp_transform[:3, :3].T + fit.icp_transform[:3, 3]
    distances = load(model).distances(fit.latent, (registered - fit.center) / fit.scale)[:, 0]
    assert np.abs(distances).max() < 0.01
    a, b, c = (bone.points_mm[bone.faces[:, k]] for k in range(3))
    assert (np.einsum("ij,ij->i", np.cross(b - a, c - a), bone.normals[bone.faces[:, 0]]) > 0).mean() > 0.99


def test_two_fits_are_bit_identical(model, fits):
    first, second = fits[Side.RIGHT], fit_shape(model, *knee(TRUTH))
    assert first.latent.tobytes() == second.latent.tobytes()
    assert first.icp_transform.tobytes() == second.icp_transform.tobytes()


def test_a_model_with_cartilage_needs_cartilage(model):
    bone, _, alignment = knee(TRUTH)
    with pytest.raises(FitDiverged, match="needs femoral cartilage"):
        fit_shape(model, bone, None, alignment)


def test_a_bone_only_model_is_fitted_without_cartilage(tmp_path):
    install(tmp_path / "nsm" / "bones", only_bone=True)
    (found,) = installed_shapes(Resources(models_dir=tmp_path))
    bone, cartilage, alignment = knee(TRUTH)
    fit = fit_shape(found, bone, cartilage, alignment)
    assert fit.kind == "bone_only"
    assert len(fit.assd_mm) == len(fit.reconstructions) == 1
    assert fit.bscore is None
    assert fit.latent[0] == pytest.approx(1.5, abs=0.4)


def test_a_bone_too_different_from_the_model_is_rejected(model):
    bone, cartilage, alignment = knee(TRUTH)
    stick = replace(bone, points_mm=bone.points_mm * [1, 8.0, 1])
    with pytest.raises(FitDiverged, match="units from the shape model's mean"):
        fit_shape(model, stick, cartilage, alignment)


def test_distances_to_a_surface_are_those_of_the_sphere():
    n = 50
    grid = Grid(shape=(n, n, n), spacing_mm=(1.0,) * 3, origin_mm=np.full(3, -24.5), direction=np.eye(3))
    z, y, x = np.meshgrid(*(np.arange(n) - 24.5,) * 3, indexing="ij")
    field = Field(values=np.clip(LEVEL - (np.sqrt(x**2 + y**2 + z**2) - 20) / 4, 0, 1).astype(np.float32), grid=grid)
    points = np.random.default_rng(0).normal(size=(300, 3)) * 20
    expected = np.abs(np.linalg.norm(points, axis=1) - 20)
    np.testing.assert_allclose(distances_to(iso_surface(field, Structure.FEMUR), points), expected, atol=0.03)
