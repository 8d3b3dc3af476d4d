"""A voxel has the same patient position in every file format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from pipeline.errors import UnsupportedImage
from pipeline.image_io import read_label_map, read_scan
from pipeline.types import Scan
from tests.support.image_io_writers import (
    Phantom,
    affine_lps,
    itk_image,
    make_phantom,
    write_dicom,
    write_enhanced,
    write_nifti,
    write_nrrd,
    write_old_multiframe,
    zip_of,
)

TOLERANCE_MM = 1e-4
MESE = Path(__file__).parents[4] / "shared/data/mese-t2-dicom.zip"
RIGHT_KNEE = Path(__file__).parents[4] / "shared/data/right-knee-label.nrrd"

Writer = Callable[[Phantom, Path], Path]
WRITERS: dict[str, Writer] = {
    "nifti": lambda p, d: write_nifti(p, d / "a.nii"),
    "nifti_gz": lambda p, d: write_nifti(p, d / "A.NII.GZ".lower()),
    "nifti_named_anything": lambda p, d: write_nifti(p, d / "a.nii").rename(d / "noextension"),
    "nifti_qform": lambda p, d: write_nifti(p, d / "a.nii.gz", qform_only=True),
    "nrrd_gzip": lambda p, d: write_nrrd(p, d / "a.nrrd"),
    "nrrd_raw": lambda p, d: write_nrrd(p, d / "a.nrrd", compressed=False).rename(d / "A.NRRD"),
    "dicom_folder": lambda p, d: write_dicom(p, d / "s"),
    "dicom_folder_upper_case": lambda p, d: write_dicom(p, d / "s", name="{}.DCM", syntax=ImplicitVRLittleEndian),
    "dicom_big_endian": lambda p, d: write_dicom(p, d / "s", syntax=ExplicitVRBigEndian),
    "dicom_enhanced": lambda p, d: write_enhanced(p, d / "e.dcm"),
    "dicom_single_ima": lambda p, d: write_enhanced(p, d / "e.IMA"),
    "dicom_old_multiframe": lambda p, d: write_old_multiframe(p, d / "m"),
    "zip_dicom": lambda p, d: zip_of(write_dicom(p, d / "s"), d / "a.zip"),
    "zip_nifti": lambda p, d: zip_of(write_nifti(p, d / "a.nii.gz"), d / "a.zip"),
    "zip_nrrd": lambda p, d: zip_of(write_nrrd(p, d / "a.nrrd"), d / "A.ZIP"),
    "zip_enhanced": lambda p, d: zip_of(write_enhanced(p, d / "e"), d / "a.zip"),
}


def points_by_value(scan: Scan) -> NDArray[np.float64]:
    """(n, 3) LPS mm of every voxel, in the order of the first echo's values."""
    values = scan.echoes[0].reshape(-1)
    assert len(np.unique(values)) == values.size
    index = np.argwhere(np.ones(scan.grid.shape, dtype=bool))
    return scan.grid.to_mm(index[np.argsort(values)])


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_voxel_has_the_same_position_in_every_format(name: str, seed: int, tmp_path: Path) -> None:
    phantom = make_phantom(seed)
    scan = read_scan(WRITERS[name](phantom, tmp_path))
    assert np.abs(points_by_value(scan) - phantom.points()).max() <= TOLERANCE_MM
    assert scan.modality == "MR"


def test_a_left_handed_nifti_keeps_its_points(tmp_path: Path) -> None:
    phantom = make_phantom(4)
    mirrored = Phantom(phantom.echoes[..., ::-1].copy(), phantom.spacing_xyz, phantom.direction, phantom.origin)
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine_lps(phantom)
    last = phantom.echoes.shape[3] - 1
    ras[:3, 3] += last * ras[:3, 0]
    ras[:3, 0] *= -1
    nibabel.save(nibabel.Nifti1Image(mirrored.echoes[0].T, ras), tmp_path / "a.nii")
    scan = read_scan(tmp_path / "a.nii")
    assert np.linalg.det(scan.grid.direction) == pytest.approx(-1)
    assert np.abs(points_by_value(scan) - phantom.points()).max() <= TOLERANCE_MM


def test_sform_is_preferred_to_a_qform_with_the_same_voxel_size(tmp_path: Path) -> None:
    phantom = make_phantom(1)
    image = nibabel.load(write_nifti(phantom, tmp_path / "a.nii"))
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine_lps(phantom)
    turned = affine.copy()
    turned[:3, :3] = np.array([[0.995, -0.0998, 0], [0.0998, 0.995, 0], [0, 0, 1]]) @ affine[:3, :3]
    image.set_qform(turned, code=1)
    image.set_sform(affine, code=2)
    nibabel.save(image, tmp_path / "b.nii")
    scan = read_scan(tmp_path / "b.nii")
    assert np.abs(points_by_value(scan) - phantom.points()).max() <= TOLERANCE_MM


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1e-3), ("micron", 1e3)])
def test_a_nifti_in_another_unit_of_length_is_read_in_millimetres(unit: str, factor: float, tmp_path: Path) -> None:
    phantom = make_phantom(1)
    affine = np.diag([-factor, -factor, factor, 1.0]) @ affine_lps(phantom)
    image = nibabel.Nifti1Image(phantom.echoes[0].T, affine)
    image.header.set_xyzt_units(xyz=unit)
    nibabel.save(image, tmp_path / "a.nii")
    assert np.abs(points_by_value(read_scan(tmp_path / "a.nii")) - phantom.points()).max() <= 2e-4


def test_nifti_and_nrrd_echoes_are_the_fourth_dimension(tmp_path: Path) -> None:
    phantom = make_phantom(3, echoes=4)
    nifti = read_scan(write_nifti(phantom, tmp_path / "a.nii.gz"))
    joined = SimpleITK.JoinSeries([itk_image(phantom, e) for e in range(4)])
    SimpleITK.WriteImage(joined, str(tmp_path / "a.nrrd"))
    interleaved = SimpleITK.Compose([itk_image(phantom, e) for e in range(4)])
    SimpleITK.WriteImage(interleaved, str(tmp_path / "b.nrrd"))
    for scan in (nifti, read_scan(tmp_path / "a.nrrd"), read_scan(tmp_path / "b.nrrd")):
        assert np.array_equal(scan.echoes, phantom.echoes)
        assert np.abs(points_by_value(scan) - phantom.points()).max() <= TOLERANCE_MM


@pytest.mark.parametrize(
    ("space", "signs"),
    [("right-anterior-superior", (-1, -1, 1)), ("LAS", (1, -1, 1)), ("left-posterior-superior", (1, 1, 1))],
)
def test_every_named_nrrd_space_becomes_lps(space: str, signs: tuple[int, int, int], tmp_path: Path) -> None:
    phantom = make_phantom(6)
    columns = (affine_lps(phantom)[:3, :3].T * signs).tolist()
    origin = (phantom.origin * signs).tolist()
    header = (
        f"NRRD0005\ntype: int16\ndimension: 3\nspace: {space}\nsizes: 16 13 12\nendian: big\nencoding: raw\n"
        f"space directions: {' '.join('(' + ','.join(map(repr, c)) + ')' for c in columns)}\n"
        f"space origin: ({','.join(map(repr, origin))})\nPatientName:=Doe^Jane\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + phantom.echoes[0].astype(">i2").tobytes())
    assert np.abs(points_by_value(read_scan(tmp_path / "a.nrrd")) - phantom.points()).max() <= 1e-9


def test_a_sheared_image_is_rejected(tmp_path: Path) -> None:
    affine = np.diag([0.5, 0.5, 3.0, 1.0])
    affine[0, 2] = 0.3
    nibabel.save(nibabel.Nifti1Image(np.ones((16, 16, 12), np.int16), affine), tmp_path / "a.nii")
    with pytest.raises(UnsupportedImage, match="right angles"):
        read_scan(tmp_path / "a.nii")


def test_a_label_map_keeps_its_labels_and_points(tmp_path: Path) -> None:
    phantom = make_phantom(8)
    for path in (write_nifti(phantom, tmp_path / "a.nii.gz"), write_nrrd(phantom, tmp_path / "a.nrrd")):
        found = read_label_map(zip_of(path, tmp_path / "a.zip"))
        labels, grid = found.labels, found.grid
        assert labels.dtype == np.uint16
        assert np.array_equal(labels, phantom.echoes[0])
        assert (
            np.abs(grid.to_mm([[11, 12, 15]])[0] - phantom.points()[phantom.echoes[0, 11, 12, 15]]).max()
            <= TOLERANCE_MM
        )


@pytest.mark.skipif(not MESE.exists(), reason="real multi-echo series not beside the repository")
def test_a_real_multi_echo_series_agrees_with_itks_reader(tmp_path: Path) -> None:
    import zipfile

    import pydicom

    scan = read_scan(MESE)
    assert scan.echoes.shape == (8, 24, 256, 256)
    assert scan.echo_times_ms == (6.312, 12.624, 18.936, 25.248, 31.56, 37.872, 44.184, 50.496)
    assert scan.sequence == "multi_echo_spin_echo"
    with zipfile.ZipFile(MESE) as archive:
        archive.extractall(tmp_path)
    for e in (0, 7):
        folder = tmp_path / str(e)
        folder.mkdir()
        for path in tmp_path.rglob("*.dcm"):
            if float(pydicom.dcmread(path, specific_tags=["EchoTime"]).EchoTime) == scan.echo_times_ms[e]:
                path.rename(folder / path.name)
        names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
        reference = SimpleITK.ReadImage(names)
        assert np.array_equal(SimpleITK.GetArrayFromImage(reference), scan.echoes[e])
        for z, y, x in np.ndindex(2, 2, 2):
            index = (z * 23, y * 255, x * 255)
            expected = reference.TransformIndexToPhysicalPoint(index[::-1])
            # the header's cosines have 6 decimals; ITK does not normalise them
            assert np.abs(scan.grid.to_mm([index])[0] - expected).max() <= 1e-3


@pytest.mark.skipif(not RIGHT_KNEE.exists(), reason="real label map not beside the repository")
def test_a_real_nrrd_label_map_agrees_with_itks_reader() -> None:
    found = read_label_map(RIGHT_KNEE)
    labels, grid = found.labels, found.grid
    reference = SimpleITK.ReadImage(str(RIGHT_KNEE))
    assert np.array_equal(labels, SimpleITK.GetArrayViewFromImage(reference))
    assert np.abs(grid.to_mm([[159, 383, 0]])[0] - reference.TransformIndexToPhysicalPoint((0, 383, 159))).max() < 1e-9
