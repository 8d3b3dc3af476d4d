"""Generated scans: signals in the order of real sequences, labels that agree with the materials, wear as asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.types import Segmentation
from tests.support.knees import coarse_knee, joint_of
from training.generator.acquisition import Artefact
from training.generator.anatomy import Anatomy, Condition, make_anatomy
from training.generator.families import FAMILIES, FIELDS_TESLA, Plane, draw_protocol, levels
from training.generator.flexion import hinge_of
from training.generator.marrow import Lesions
from training.generator.materials import BONES, MENISCI, PLATES, Material
from training.generator.menisci import MeniscusShape, draw_meniscus
from training.generator.pool import AnatomyPool
from training.generator.scan import make_patch, make_scan
from training.generator.wear import denuded, fibrillated, thinned
from training.knee_unet.specimen import MENISCUS_CLASS, NETWORK_CLASS_COUNT
from training.limb import LimbFrame, limb_frame

VOXEL_MM = 1.6
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "sample_knee_labels.nii.gz"
ILL = Condition(
    effusion_mm=5.0,
    film_mm=1.0,
    lesions=Lesions(oedema=3, cysts=2, open_physis=True),
    absent=frozenset({Structure.LATERAL_MENISCUS}),
)


@cache
def healthy() -> Anatomy:
    return make_anatomy(joint_of(coarse_knee()), Condition(), 1, voxel_mm=VOXEL_MM)


@cache
def ill() -> Anatomy:
    return make_anatomy(joint_of(coarse_knee()), ILL, 1, voxel_mm=VOXEL_MM)


def level(family: str, material: Material, *, seed: int = 0, tesla: float = 3.0) -> float:
    protocol = draw_protocol(np.random.default_rng(seed), family, tesla=tesla)
    water, fat = levels(protocol)
    return float(water[material] + protocol.fat_left * fat[material])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tesla", [0.3, 1.5, 3.0, 7.0])
def test_tissues_have_the_order_of_grey_values_of_each_sequence(seed: int, tesla: float) -> None:
    def of(family: str, material: Material) -> float:
        return level(family, material, seed=seed, tesla=tesla)

    for family in ("t1", "pd", "pd_fs", "t2", "t2_fs", "dess", "tse_3d"):
        assert of(family, Material.MENISCUS) < 0.55 * of(family, Material.CARTILAGE), family
        assert of(family, Material.CORTEX) < 0.3 * of(family, Material.CARTILAGE), family
    for family in ("t2", "t2_fs", "dess"):
        assert of(family, Material.FLUID) > 1.3 * of(family, Material.CARTILAGE), family
    assert of("t1", Material.FLUID) < of("t1", Material.CARTILAGE) < of("t1", Material.FAT)
    for family in ("pd_fs", "t2_fs"):
        assert of(family, Material.FAT) < of(family, Material.CARTILAGE), family
        assert of(family, Material.OEDEMA) > 1.5 * of(family, Material.MARROW), family
        assert of(family, Material.CYST) > 1.5 * of(family, Material.MARROW), family
    for material in (Material.OEDEMA, Material.CYST):
        assert of("t1", material) < of("t1", Material.MARROW), material


def test_protocols_stay_within_the_table() -> None:
    rng = np.random.default_rng(0)
    for family, row in FAMILIES.items():
        for _ in range(20):
            protocol = draw_protocol(rng, family)
            assert row.repetition_ms[0] <= protocol.repetition_ms <= row.repetition_ms[1]
            assert row.slice_mm[0] <= protocol.slice_mm <= row.slice_mm[1]
            assert protocol.echo_ms <= row.echo_ms[1]
            assert protocol.tesla in FIELDS_TESLA
            assert protocol.plane in row.planes


@pytest.mark.slow
def test_labelled_voxels_have_the_materials_of_their_structure() -> None:
    anatomy = ill()
    found = {s: set(np.unique(anatomy.materials[anatomy.labels == s])) for s in (*BONES, *PLATES)}
    for plate in PLATES:
        assert found[plate] <= {Material.CARTILAGE, Material.CARTILAGE_DEEP}
    inside = {Material.MARROW, Material.CORTEX, Material.SCLEROSIS, Material.PHYSIS}
    for bone in BONES:
        assert found[bone] <= inside | {Material.OEDEMA, Material.MILD_OEDEMA, Material.CYST}
    assert Material.PHYSIS in found[Structure.FEMUR]
    assert {Material.OEDEMA, Material.CYST} <= found[Structure.FEMUR] | found[Structure.TIBIA] | found[
        Structure.PATELLA
    ]
    assert (anatomy.labels[anatomy.materials == Material.FLUID] == 0).all()
    assert set(np.unique(anatomy.materials[anatomy.labels == Structure.MEDIAL_MENISCUS])) == {Material.MENISCUS}


@pytest.mark.slow
def test_effusion_and_lesions_change_no_label_of_bone_or_cartilage() -> None:
    changed = healthy().labels != ill().labels
    assert set(np.unique(healthy().labels[changed])) <= {0, *MENISCI}
    fluid = [np.count_nonzero(a.materials == Material.FLUID) for a in (healthy(), ill())]
    assert fluid[1] > 3 * fluid[0]
    assert not (ill().labels == Structure.LATERAL_MENISCUS).any()


@pytest.mark.slow
def test_menisci_lie_between_femur_and_tibia_on_their_own_side() -> None:
    labels, grid = healthy().labels, healthy().grid
    frame = limb_frame(labels, grid)

    def places(structure: Structure) -> np.ndarray:
        return frame.coordinates(grid.to_mm(np.argwhere(labels == structure)))

    for meniscus, plate, side in (
        (Structure.MEDIAL_MENISCUS, Structure.MEDIAL_TIBIAL_CARTILAGE, 1),
        (Structure.LATERAL_MENISCUS, Structure.LATERAL_TIBIAL_CARTILAGE, -1),
    ):
        own, under = places(meniscus), places(plate)
        assert (np.sign(own[:, 0]) == side).mean() > 0.98
        assert under[:, 2].mean() < own[:, 2].mean() < under[:, 2].mean() + 6.0
        assert 1.0 < len(own) * grid.voxel_volume_mm3 / 1000.0 < 4.5, "cm3"


def test_a_meniscus_is_a_wedge_with_its_height_at_the_rim_and_an_opening_to_the_midline() -> None:
    labels = np.zeros((60, 60, 24), np.uint8)  # u medial, v posterior, w superior, 1 mm
    labels[:, :, :6] = Structure.TIBIA
    u, v = np.ogrid[:60, :60]
    labels[np.hypot((u - 32) / 13.0, (v - 30) / 20.0) < 1, 6:8] = Structure.MEDIAL_TIBIAL_CARTILAGE
    labels[:, :, 18:] = Structure.FEMUR
    axes = np.eye(3)
    grid = Grid(shape=labels.shape, spacing_mm=(1.0,) * 3, origin_mm=np.zeros(3), direction=axes[:, ::-1])
    frame = LimbFrame(origin=np.zeros(3), axes=axes, scale=1.0)
    shape = MeniscusShape(width_mm=10.0, posterior=1.4, rim_mm=7.0, opening_deg=90.0)
    drawn = draw_meniscus(labels, grid, frame, Structure.MEDIAL_MENISCUS, shape, np.random.default_rng(1))
    height = (drawn == Structure.MEDIAL_MENISCUS).sum(2)
    assert height[42:46, 30].max() > height[36:39, 30].max() + 1
    assert not height[:25, 30].any(), "open to the midline"
    assert height[32, 30] == 0, "the middle of the plate is free"
    assert np.count_nonzero(height[32, 31:]) > np.count_nonzero(height[32, :30]), "the posterior horn is wider"
    assert np.array_equal(drawn[labels > 0], labels[labels > 0])


@pytest.mark.slow
def test_flexion_turns_the_femur_and_leaves_the_tibia() -> None:
    bent = make_anatomy(joint_of(coarse_knee()), Condition(flexion_deg=40.0), 1, voxel_mm=VOXEL_MM)
    straight = healthy()
    tibia = [a.labels == Structure.TIBIA for a in (straight, bent)]
    assert np.array_equal(*tibia)
    frame = limb_frame(straight.labels, straight.grid)
    hinge = hinge_of(straight.labels, straight.grid, frame, 40.0)
    femur = [frame.coordinates(a.grid.to_mm(np.argwhere(a.labels == Structure.FEMUR))) for a in (straight, bent)]
    shafts = [points[points[:, 2] > hinge.centre[1] + 25.0].mean(0) for points in femur]
    assert shafts[1][1] > shafts[0][1] + 12.0, "the thigh moves backwards"
    ratio = np.count_nonzero(bent.labels == Structure.FEMORAL_CARTILAGE) / np.count_nonzero(
        straight.labels == Structure.FEMORAL_CARTILAGE
    )
    assert ratio == pytest.approx(1.0, abs=0.04)


def slab(voxel_mm: float = 0.5) -> tuple[np.ndarray, Grid]:
    """Cartilage 3 mm thick on a slanted plane of bone, 30 x 30 mm seen from above."""
    x, _, z = np.meshgrid(*(np.arange(n) * voxel_mm for n in (60, 60, 60)), indexing="ij")
    height = (z - 10.0 - 0.5 * x) / np.hypot(1.0, 0.5)
    labels = np.where(height < 0, Structure.TIBIA, np.where(height < 3.0, Structure.MEDIAL_TIBIAL_CARTILAGE, 0))
    grid = Grid(shape=labels.shape, spacing_mm=(voxel_mm,) * 3, origin_mm=np.zeros(3), direction=np.eye(3))
    return labels.astype(np.uint8), grid


PLATE = Structure.MEDIAL_TIBIAL_CARTILAGE


@pytest.mark.parametrize("asked", [1.0, 2.5, 4.0])
def test_the_denuded_area_is_as_asked(asked: float) -> None:
    labels, grid = slab()
    bare, reported = denuded(labels, grid, PLATE, asked, np.random.default_rng(2))
    lost = (labels == PLATE) & (bare == 0)
    assert reported == pytest.approx(asked, abs=0.05)
    assert np.count_nonzero(lost) * grid.voxel_volume_mm3 / 3.0 / 100.0 == pytest.approx(asked, rel=0.15)
    assert np.array_equal(bare[labels != PLATE], labels[labels != PLATE])


def test_thinning_and_fissures_keep_the_deep_layer() -> None:
    labels, grid = slab()
    for worn in (
        thinned(labels, grid, PLATE, 0.5, 10.0, np.random.default_rng(1)),
        fibrillated(labels, grid, PLATE, 0.7, np.random.default_rng(1)),
    ):
        before, after = ((m == PLATE).sum(2) for m in (labels, worn))
        assert after.sum() < 0.98 * before.sum()
        assert after.min() >= 0.2 * before.min()
        assert np.array_equal(worn[labels != PLATE], labels[labels != PLATE])


@pytest.mark.slow
@pytest.mark.parametrize("plane", Plane)
def test_a_scan_has_its_labels_where_the_anatomy_has_them(plane: Plane) -> None:
    protocol = draw_protocol(np.random.default_rng(3), "pd_fs", plane=plane)
    scan = make_scan(healthy(), replace(protocol, in_plane_mm=1.6), 4, artefacts=())
    assert scan.image.shape == scan.labels.shape == scan.grid.shape
    assert scan.grid.spacing_mm[0] == pytest.approx(protocol.slice_mm + protocol.gap_mm)
    index = np.argwhere(scan.labels > 0)[::7]
    there = np.rint(healthy().grid.to_index(scan.grid.to_mm(index))).astype(int)
    assert (healthy().labels[tuple(there.T)] == scan.labels[tuple(index.T)]).mean() > 0.97


@pytest.mark.slow
def test_the_same_seed_gives_the_same_scan_and_artefacts_keep_the_labels() -> None:
    protocol = replace(draw_protocol(np.random.default_rng(3), "t1", plane=Plane.SAGITTAL), in_plane_mm=1.6)
    one, two, other = (make_scan(healthy(), protocol, seed, artefacts=()) for seed in (4, 4, 5))
    assert one.image.tobytes() == two.image.tobytes()
    assert one.image.shape != other.image.shape or not np.array_equal(one.image, other.image)
    disturbed = make_scan(healthy(), protocol, 4, artefacts=tuple(Artefact), menisci=False)
    assert not np.array_equal(disturbed.image, one.image)
    assert np.array_equal(disturbed.labels, np.where(np.isin(one.labels, MENISCI), 0, one.labels))


@pytest.mark.slow
def test_patches_have_one_class_for_both_menisci() -> None:
    one, two = (make_patch(healthy(), np.random.default_rng(6), (48, 48, 48), "pd") for _ in range(2))
    assert np.array_equal(one.image, two.image)
    assert one.targets.shape == (NETWORK_CLASS_COUNT, 48, 48, 48)
    assert np.allclose(one.targets.sum(0), 1.0)
    assert np.isfinite(one.image).all()
    seen = [make_patch(healthy(), np.random.default_rng(k), (48, 48, 48), "pd").targets[MENISCUS_CLASS] for k in (6, 7)]
    assert max(float(share.max()) for share in seen) == 1.0


@pytest.mark.slow
def test_a_pool_reads_again_what_it_drew_and_its_first_anatomy_is_healthy(tmp_path: Path) -> None:
    def pool() -> AnatomyPool:
        return AnatomyPool(maps=[SAMPLE], numbering="canonical", folder=tmp_path, voxel_mm=VOXEL_MM)

    drawn, other = pool().anatomy(0), pool().anatomy(1)
    again = pool().anatomy(0)
    assert len(list(tmp_path.iterdir())) == 2
    assert np.array_equal(drawn.labels, again.labels)
    assert np.array_equal(drawn.materials, again.materials)
    assert np.array_equal(again.grid.affine, drawn.grid.affine)
    assert again.contains == drawn.contains
    names = {finding.name for finding in drawn.contains}
    assert not any(name.startswith(("denuded", "thin", "osteophytes", "effusion")) for name in names)
    assert other.contains != drawn.contains


def test_a_knee_without_a_tibia_is_refused() -> None:
    knee = coarse_knee()
    none = Segmentation(labels=np.where(knee.labels == Structure.TIBIA, 0, knee.labels), grid=knee.grid, model_id="x")
    with pytest.raises(ValueError, match="Tibia is missing"):
        make_anatomy(none, Condition(), 1, voxel_mm=3.0)
