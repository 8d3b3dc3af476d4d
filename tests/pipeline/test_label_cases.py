"""Label maps that people send, from the folder of inputs beside the repository, with the right value of each."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.alignment import align_knee
from pipeline.anatomy import AUTO
from pipeline.errors import UnsupportedImage
from pipeline.image_io import read_label_map, read_scan, require_content
from pipeline.label_anatomy import guess_numbering
from pipeline.label_grid import on_grid
from pipeline.labels import given_segmentation
from pipeline.measure import measure_thickness
from pipeline.options import AnalysisOptions
from pipeline.regions import subregions
from pipeline.surface import bone_surfaces
from pipeline.thickness import thickness_of_bones
from pipeline.types import Segmentation

SHARED = Path(__file__).resolve().parents[3] / "shared"
CASES = SHARED / "cases"
VALIDATION = sorted((SHARED / "data" / "oai-labels" / "validation").glob("*.nii.gz"))[::3]
"""Every third expert map: 2 s each."""

pytestmark = pytest.mark.skipif(not CASES.exists(), reason="inputs not beside the repository")


def read(case: str):
    (path,) = (path for path in (CASES / f"labels_{case}").glob("labels.*") if path.is_file())
    return read_label_map(path)


@pytest.fixture(scope="module")
def base() -> Segmentation:
    return given_segmentation(read("base"), "canonical", None)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["scl_slope", "flipped_storage", "seg_nrrd_cropped", "seg_nrrd_layers"])
def test_the_same_labels_in_other_forms_are_the_same_on_the_scan(case, base):
    found = given_segmentation(read(case), "canonical", base.grid)
    assert np.array_equal(found.labels, base.labels)
    assert found.flags == ()


@pytest.mark.slow
def test_a_tibia_alone_has_the_thickness_that_it_has_in_the_knee():
    tibia = given_segmentation(read("only_tibia"), AUTO, None)
    surfaces = bone_surfaces(tibia)
    regions = subregions(tibia, align_knee(surfaces[0]))
    maps = thickness_of_bones(surfaces, tibia, regions, AnalysisOptions().cartilage_smoothing)
    found = {
        row.region: row.value
        for item in maps
        for row in measure_thickness(item)
        if (row.quantity, row.method, row.statistic) == ("ThC", "union", "mean")
    }
    assert found["medial"] == pytest.approx(1.92, abs=0.005)
    assert found["lateral"] == pytest.approx(2.06, abs=0.005)


def test_a_segmentation_cropped_when_it_was_saved_is_not_cut_by_the_field_of_view():
    labels = given_segmentation(read("seg_nrrd_cropped"), AUTO, None).labels
    border = np.concatenate([np.take(labels, side, axis=axis).ravel() for axis in range(3) for side in (0, -1)])
    assert set(np.unique(border).tolist()) <= {0, 1, 2}  # only the shafts


def test_half_a_voxel_is_refused_with_the_distance(base):
    with pytest.raises(UnsupportedImage, match=r"0\.3[5-7] mm along x, 0\.3[5-7] mm along y, 0\.3[5-7] mm along z"):
        on_grid(read("half_voxel"), base.grid)
    placed = on_grid(read("half_voxel"), base.grid, resample=True)
    assert placed.grid is base.grid
    assert np.count_nonzero(placed.labels) == pytest.approx(np.count_nonzero(base.labels), rel=0.02)


@pytest.mark.parametrize(
    ("case", "claimed", "fitting"),
    [("oaizibcm_as_oai", "oai", "oai_zib_cm"), ("ski10_as_canonical", "canonical", "ski10")],
)
def test_a_wrong_numbering_is_refused_and_the_right_one_named(case, claimed, fitting, base):
    label_map = read(case)
    assert fitting in guess_numbering(label_map)
    with pytest.raises(UnsupportedImage, match="contradicts the numbering") as refused:
        given_segmentation(label_map, claimed, None)
    assert fitting in refused.value.hint
    found = given_segmentation(label_map, AUTO, None)
    bones = found.labels < 3
    assert np.array_equal(found.labels[bones], np.where(np.isin(base.labels, (3, 7)), 0, base.labels)[bones])


def test_a_dicom_segmentation_without_segments_is_read_and_is_no_scan():
    assert "declares no segments" in read("dicom_seg").warnings[0]
    with pytest.raises(UnsupportedImage, match="DICOM segmentation"):
        read_scan(CASES / "labels_dicom_seg" / "labels.dcm")


def test_an_interpolated_map_is_flagged():
    found = given_segmentation(read("linear_interpolated"), "canonical", None)
    assert [flag.code for flag in found.flags] == ["INTERPOLATED_LABELS"]


def test_a_label_map_is_refused_as_a_scan():
    with pytest.raises(UnsupportedImage, match="looks like a label map"):
        require_content(read_scan(CASES / "labels_base" / "labels.nii.gz"))


@pytest.mark.slow
@pytest.mark.parametrize("path", VALIDATION, ids=[path.name for path in VALIDATION])
def test_expert_maps_fit_their_numbering_alone_and_are_not_flagged(path):
    label_map = read_label_map(path)
    assert guess_numbering(label_map) == ("oai",)
    found = given_segmentation(label_map, "oai", None)
    assert found.flags == ()
    assert not any("does not look like" in warning for warning in found.warnings)
