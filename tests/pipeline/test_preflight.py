"""What an upload holds: scan, label map or both, distinguished by content."""

from __future__ import annotations

import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from pipeline.anatomy import AUTO, DISTINCT_COLOURS, Structure
from pipeline.errors import AmbiguousSeries, UnsupportedImage
from pipeline.image_io import read_label_map, read_scan
from pipeline.preflight import inspect
from pipeline.upload_facts import UploadFacts
from tests.support.label_maps import coarse_knee
from ui.home.label_preview import draw_slice


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of coarse_knee()."""
    path = tmp_path_factory.mktemp("upload")
    for name, ending in (("scan", "nii"), ("labels", "nii"), ("both", "zip")):
        (path / f"{name}.{ending}").write_bytes(coarse_knee()[name])
    return path


@pytest.fixture(scope="module")
def both(folder: Path) -> UploadFacts:
    return inspect(folder / "both.zip", None)


def test_scan_and_label_map_are_found_in_one_file_and_read_from_it(folder: Path, both: UploadFacts) -> None:
    assert both.scan is not None
    assert both.labels is not None
    assert both.labels.filename == "labels.nii"
    path = folder / "both.zip"
    assert np.array_equal(read_scan(path, beside_labels=True).echoes, read_scan(folder / "scan.nii").echoes)
    assert np.array_equal(read_label_map(path).labels, read_label_map(folder / "labels.nii").labels)


def test_facts_are_the_same_after_json(both: UploadFacts) -> None:
    assert UploadFacts.from_dict(both.to_dict()).to_dict() == both.to_dict()


def test_a_preview_shows_every_structure_in_its_colour_over_the_scan(both: UploadFacts) -> None:
    assert both.labels is not None
    reading = both.labels.reading(AUTO)
    assert reading.decided == "oai"
    shown = {int(label) for item in both.labels.slices for label in np.unique(item.labels)} - {0}
    assert shown == set(both.labels.volume_mm3)
    sagittal, _ = both.labels.slices
    picture = np.asarray(Image.open(io.BytesIO(draw_slice(sagittal, reading.structures)))).astype(float)
    rows, columns = np.nonzero(sagittal.labels == 1)
    scale = picture.shape[0] / sagittal.labels.shape[0], picture.shape[1] / sagittal.labels.shape[1]
    femur = picture[(rows.mean() * scale[0]).astype(int), (columns.mean() * scale[1]).astype(int)]
    colour = np.array(DISTINCT_COLOURS[Structure.FEMUR], dtype=float)
    assert np.corrcoef(femur, colour)[0, 1] > 0.9


def test_the_sagittal_picture_has_the_patella_in_front_and_the_femur_above(both: UploadFacts) -> None:
    assert both.labels is not None
    sagittal, _ = both.labels.slices
    middle = {label: np.argwhere(sagittal.labels == label).mean(axis=0) for label in (1, 3, 5)}
    assert middle[5][1] < middle[1][1]
    assert middle[1][0] < middle[3][0]


def test_a_label_map_is_not_accepted_where_a_scan_is_expected(folder: Path) -> None:
    with pytest.raises(UnsupportedImage, match="looks like a label map"):
        inspect(folder / "labels.nii", None, sort=False)
    with pytest.raises(AmbiguousSeries, match="Two label maps"):
        inspect(folder / "labels.nii", folder / "labels.nii")


def moved_by(mm: float, folder: Path, path: Path) -> Path:
    """The label map of the folder, shifted upwards."""
    stored = nib.load(folder / "labels.nii")
    affine = stored.affine.copy()
    affine[2, 3] += mm
    nib.save(nib.Nifti1Image(np.asarray(stored.dataobj), affine), path)
    return path


def test_a_shifted_label_map_needs_to_be_resampled_and_the_distance_is_stated(folder: Path, tmp_path: Path) -> None:
    found = inspect(folder / "scan.nii", moved_by(0.5, folder, tmp_path / "labels.nii")).labels
    assert found is not None
    assert found.readings[0].decided == "oai"
    found.require_grid(resample=True)
    with pytest.raises(UnsupportedImage, match=r"mm along"):
        found.require_grid(resample=False)


def test_a_label_map_of_another_place_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage, match="of the labelled volume is outside the scan"):
        inspect(folder / "scan.nii", moved_by(60.3, folder, tmp_path / "labels.nii"))


def test_a_map_in_no_known_numbering_is_refused_with_what_to_do(folder: Path, tmp_path: Path) -> None:
    stored = nib.load(folder / "labels.nii")
    nib.save(nib.Nifti1Image((np.asarray(stored.dataobj) * 17).astype(np.uint8), stored.affine), tmp_path / "x.nii")
    with pytest.raises(UnsupportedImage, match="no numbering fits") as refused:
        inspect(tmp_path / "x.nii", None)
    assert "oai_zib_cm" in refused.value.hint
