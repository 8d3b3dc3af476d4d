"""Label maps of other programs: names, layers, segmentation objects."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest

from pipeline.errors import IncompleteSeries, InputError, UnreadableImage, UnsupportedImage
from pipeline.grid import Grid
from pipeline.image_io import read_label_map, read_scan, require_content
from pipeline.label_grid import with_margin
from tests.support.dicom_segmentation import write_segmentation
from tests.support.image_io_writers import make_phantom, write_dicom, write_nifti, zip_of
from tests.support.slicer_files import segment, write_seg_nrrd

SHAPE = (14, 21, 19)
NAMES = {1: "Femur", 2: "Tibia", 3: "Femoral cartilage", 4: "medial meniscus"}


def blocks() -> np.ndarray:
    """Labels 1 to 4 in blocks; empty at the border."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[2:7, 3:15, 2:9] = 1
    labels[2:7, 3:15, 9:11] = 3
    labels[8:12, 4:18, 3:12] = 2
    labels[7, 5:9, 13:17] = 4
    return labels


def oblique() -> Grid:
    phantom = make_phantom(4)
    x, y, z = phantom.spacing_xyz
    return Grid(shape=SHAPE, spacing_mm=(z, y, x), origin_mm=phantom.origin, direction=phantom.direction)


@pytest.mark.parametrize("off", [0.0, 6e-6, -0.009])
def test_values_are_rounded_where_value_scaling_moved_them(off: float, tmp_path: Path) -> None:
    phantom = make_phantom(8)
    labels = (phantom.echoes % 7).astype(np.float32)
    write_nifti(phantom, tmp_path / "a.nii", voxels=labels + np.where(labels > 0, np.float32(off), 0))
    assert np.array_equal(read_label_map(tmp_path / "a.nii").labels, labels[0])


def test_values_far_from_whole_numbers_are_refused(tmp_path: Path) -> None:
    phantom = make_phantom(8)
    write_nifti(phantom, tmp_path / "a.nii", voxels=(phantom.echoes % 7).astype(np.float32) + np.float32(0.02))
    with pytest.raises(UnsupportedImage, match="non-integer"):
        read_label_map(tmp_path / "a.nii")


def test_segments_of_slicer_give_names(tmp_path: Path) -> None:
    pairs = "".join(segment(k, name, value) for k, (value, name) in enumerate(NAMES.items()))
    found = read_label_map(write_seg_nrrd(tmp_path / "a.seg.nrrd", blocks()[np.newaxis], pairs, oblique()))
    assert np.array_equal(found.labels, blocks())
    assert found.names == NAMES
    assert found.grid.matches(oblique(), tolerance_mm=1e-9)


@pytest.mark.parametrize(
    ("conversion", "after"),
    [("", 10), ("Reference image geometry|" + "1;" * 16 + "0;50;0;40;0;30;|Crop|0|", 50 - 17 - SHAPE[2] + 1)],
)
def test_the_space_that_slicer_cropped_is_known(conversion: str, after: int, tmp_path: Path) -> None:
    pairs = segment(0, "Femur", 1) + "Segmentation_ReferenceImageExtentOffset:=17 0 3\n"
    if conversion:
        pairs += f"Segmentation_ConversionParameters:={conversion}\n"
    found = read_label_map(write_seg_nrrd(tmp_path / "a.seg.nrrd", blocks()[np.newaxis], pairs, oblique()))
    assert found.left_out[2] == (17, after)
    whole = with_margin(found)
    starts = [min(10, before) for before, _ in found.left_out]
    at = tuple(slice(start, start + n) for start, n in zip(starts, SHAPE, strict=True))
    assert np.array_equal(whole.labels[at], found.labels)
    assert int((whole.labels > 0).sum()) == int((found.labels > 0).sum())
    place = np.array([[1, 2, 3]])
    assert np.allclose(whole.grid.to_mm(place + starts), found.grid.to_mm(place))
    assert "cropped to its segments" in whole.warnings[-1]


def test_terminology_names_a_segment_that_has_no_telling_name(tmp_path: Path) -> None:
    tags = (
        "Segmentation.Status:completed|TerminologyEntry:Segmentation category and type~SCT^85756007^Tissue~"
        "SCT^61496007^Articular cartilage~^^~Anatomic codes~SCT^71341001^Femur~SCT^7771000^Left|"
    )
    pairs = segment(0, "Segment_1", 1) + segment(1, "Segment_3", 3, tags=tags)
    found = read_label_map(write_seg_nrrd(tmp_path / "a.seg.nrrd", blocks()[np.newaxis], pairs, oblique()))
    assert found.names == {1: "Segment_1", 3: "Articular cartilage Femur"}


def test_layers_are_merged_and_the_later_one_covers_the_earlier(tmp_path: Path) -> None:
    labels = blocks()
    layers = np.stack([np.where(labels < 3, labels, 0), np.where(labels > 2, labels, 0)])
    layers[0][labels == 3] = 1  # overlap
    pairs = "".join(segment(k, name, value, layer=value // 3) for k, (value, name) in enumerate(NAMES.items()))
    found = read_label_map(write_seg_nrrd(tmp_path / "a.seg.nrrd", layers, pairs, oblique()))
    assert np.array_equal(found.labels, labels)
    assert found.names == NAMES
    assert f"{int((labels == 3).sum())} voxels belong to several segments" in found.warnings[-1]


def test_layers_that_use_one_value_twice_keep_their_segments_apart(tmp_path: Path) -> None:
    labels = blocks()
    layers = np.stack([labels == 1, labels == 2]).astype(np.uint8)
    pairs = segment(0, "Femur", 1, layer=0) + segment(1, "Tibia", 1, layer=1)
    found = read_label_map(write_seg_nrrd(tmp_path / "a.seg.nrrd", layers, pairs, oblique()))
    by_name = {name: found.labels == value for value, name in found.names.items()}
    assert np.array_equal(by_name["Femur"], labels == 1)
    assert np.array_equal(by_name["Tibia"], labels == 2)


def test_an_empty_segment_of_another_layer_does_not_rename_a_structure(tmp_path: Path) -> None:
    layers = np.stack([blocks() * (blocks() == 1), blocks() * (blocks() == 2)])
    pairs = segment(0, NAMES[1], 1) + segment(1, NAMES[2], 2, layer=1) + segment(2, NAMES[4], 1, layer=1)
    found = read_label_map(write_seg_nrrd(tmp_path / "a.seg.nrrd", layers, pairs, oblique()))
    assert found.names == {1: NAMES[1], 2: NAMES[2]}


@pytest.mark.parametrize(
    "pairs",
    [
        segment(0, "Femur", 1, layer=7),
        "Segment0_Name:=Femur\nSegment0_Layer:=99999999999\n",
        "Segment0_LabelValue:=-1\nSegment0_Name:=\n",
        segment(0, "a" * 5000, 70000),
        "data file: /etc/passwd\n",
    ],
)
def test_odd_segments_are_read_or_refused_with_words(pairs: str, tmp_path: Path) -> None:
    path = write_seg_nrrd(tmp_path / "a.seg.nrrd", blocks()[np.newaxis], pairs, oblique())
    try:
        assert np.array_equal(read_label_map(path).labels, blocks())
    except UnsupportedImage as refused:
        assert "etc" not in str(refused)  # noqa: PT017  either of two outcomes is right


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_a_dicom_segmentation_is_read_with_its_names(kind: str, tmp_path: Path) -> None:
    path = write_segmentation(blocks(), oblique(), NAMES, tmp_path / "seg", kind=kind)
    found = read_label_map(path)
    start = (0, 0, 0) if kind == "LABELMAP" else (2, 0, 0)
    stop = SHAPE if kind == "LABELMAP" else (12, 21, 19)
    assert np.array_equal(found.labels, blocks()[start[0] : stop[0]])
    assert found.names == NAMES
    assert found.grid.matches(oblique().crop(start, stop), tolerance_mm=1e-6)
    assert found.warnings == ()


def test_a_dicom_segmentation_without_segments_is_read_as_values(tmp_path: Path) -> None:
    phantom = make_phantom(3)
    labels = phantom.echoes % 5

    def change(data: pydicom.Dataset, _: int, z: int) -> None:
        data.Modality, data.PixelData = "SEG", labels[0, z].astype("<i2").tobytes()

    folder = write_dicom(phantom, tmp_path / "seg", change=change)
    found = read_label_map(zip_of(folder, tmp_path / "a.zip"))
    assert np.array_equal(found.labels, labels[0])
    assert "declares no segments" in found.warnings[0]


def test_a_dicom_segmentation_is_no_scan_but_is_offered_as_a_label_map(tmp_path: Path) -> None:
    path = write_segmentation(blocks(), oblique(), NAMES, tmp_path / "seg")
    with pytest.raises(UnsupportedImage, match="is a DICOM segmentation") as refused:
        read_scan(path)
    assert "--labels" in refused.value.hint


def test_frames_of_a_segmentation_that_share_no_grid_are_refused(tmp_path: Path) -> None:
    path = write_segmentation(blocks(), oblique(), NAMES, tmp_path / "seg")
    data = pydicom.dcmread(path)
    place = data.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence[0]
    place.ImagePositionPatient = [float(v) + 0.9 for v in place.ImagePositionPatient]
    data.save_as(path)
    with pytest.raises(IncompleteSeries, match="not slices of one volume"):
        read_label_map(path)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_a_segmentation_cut_off_is_refused(keep: float, tmp_path: Path) -> None:
    path = write_segmentation(blocks(), oblique(), NAMES, tmp_path / "seg")
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(InputError):
        read_label_map(path)


def test_a_segmentation_without_segment_numbers_is_refused(tmp_path: Path) -> None:
    path = write_segmentation(blocks(), oblique(), NAMES, tmp_path / "seg")
    data = pydicom.dcmread(path)
    del data.PerFrameFunctionalGroupsSequence[1].SegmentIdentificationSequence
    data.save_as(path)
    with pytest.raises(UnreadableImage):
        read_label_map(path)


SNAP = """################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
################################################
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "Femur"
    3     0  255    0      0.5  1  1    "Femoral cartilage"
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", SNAP),
        ("dataset.json", json.dumps({"labels": {"background": 0, "Femur": 1, "Femoral cartilage": 3}})),
        ("dataset.json", json.dumps({"labels": {"0": "background", "1": "Femur", "3": "Femoral cartilage"}})),
    ],
)
def test_a_description_beside_the_map_gives_names(name: str, text: str, tmp_path: Path) -> None:
    phantom = make_phantom(8)
    write_nifti(phantom, tmp_path / "a.nii.gz", voxels=phantom.echoes % 4)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.nii.gz", "export/a.nii.gz")
        archive.writestr(f"export/{name}", text)
    found = read_label_map(tmp_path / "a.zip")
    assert found.names == {1: "Femur", 3: "Femoral cartilage"}
    assert np.array_equal(found.labels, phantom.echoes[0] % 4)


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", '{"labels": 3}', '{"labels": {"a": [1, 2]}}', "\0\xff"])
def test_a_description_that_is_none_is_ignored(text: str, tmp_path: Path) -> None:
    phantom = make_phantom(8)
    write_nifti(phantom, tmp_path / "a.nii.gz", voxels=phantom.echoes % 4)
    (tmp_path / "dataset.json").write_text(text)
    assert read_label_map(tmp_path).names == {}


def test_a_label_map_is_no_scan_but_is_offered_as_a_label_map(tmp_path: Path) -> None:
    phantom = make_phantom(1, shape=(30, 40, 50))
    labels = np.zeros((1, 30, 40, 50), dtype=np.int16)
    labels[0, 5:15, 5:35, 5:45] = 1
    labels[0, 15:25, 5:35, 5:45] = 4
    with pytest.raises(UnsupportedImage, match="looks like a label map") as refused:
        require_content(read_scan(write_nifti(phantom, tmp_path / "labels.nii.gz", voxels=labels)))
    assert "--labels" in refused.value.hint
    rng = np.random.default_rng(1)
    noisy = np.clip(labels * 40 + rng.integers(0, 3, labels.shape), 0, 255)
    thresholded = np.where(labels > 0, 100 + rng.integers(0, 9, labels.shape), 0)
    for voxels in (noisy, thresholded, labels * 300):
        require_content(read_scan(write_nifti(phantom, tmp_path / "scan.nii.gz", voxels=voxels.astype(np.int16))))
