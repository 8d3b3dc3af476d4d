"""Stored words that differ from values: inverted, shifted, with overlays, with padding, with a scale per image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from pipeline.image_io import check_scan, read_scan
from tests.support.image_io_writers import make_phantom, write_dicom, write_nifti

PHANTOM = make_phantom(1)
TRUE = PHANTOM.echoes.astype(np.float32)


def stored(data: Dataset, words: np.ndarray, *, bits: int = 16, high: int = 15, signed: bool = False) -> None:
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, bits, high, int(signed)
    data.PixelData = words.astype("<i2" if signed else "<u2").tobytes()
    data["PixelData"].VR = "OW"


def test_monochrome1_is_inverted_with_a_common_zero_for_all_slices(tmp_path: Path) -> None:
    def invert(data: Dataset, echo: int, z: int) -> None:
        data.PhotometricInterpretation = "MONOCHROME1"
        stored(data, 4095 - PHANTOM.echoes[echo, z], bits=12, high=11)

    scan = read_scan(write_dicom(PHANTOM, tmp_path / "s", change=invert))
    assert np.array_equal(scan.echoes, TRUE - TRUE.min())


@pytest.mark.parametrize("shift", [1, 4])
def test_left_aligned_values_are_shifted(shift: int, tmp_path: Path) -> None:
    def align(data: Dataset, echo: int, z: int) -> None:
        stored(data, PHANTOM.echoes[echo, z] << shift, bits=12, high=11 + shift)

    assert np.array_equal(read_scan(write_dicom(PHANTOM, tmp_path / "s", change=align)).echoes, TRUE)


@pytest.mark.parametrize("signed", [False, True])
def test_overlay_bits_are_removed(signed: bool, tmp_path: Path) -> None:
    def overlay(data: Dataset, echo: int, z: int) -> None:
        words = PHANTOM.echoes[echo, z].astype(np.uint16) | np.uint16(0x6000)
        stored(data, words, bits=13, high=12, signed=signed)

    assert np.array_equal(read_scan(write_dicom(PHANTOM, tmp_path / "s", change=overlay)).echoes, TRUE)


def test_signed_values_of_fewer_bits_keep_their_sign(tmp_path: Path) -> None:
    def negative(data: Dataset, echo: int, z: int) -> None:
        words = (PHANTOM.echoes[echo, z].astype(np.int32) - 1500) & 0x0FFF
        stored(data, words.astype(np.uint16), bits=12, high=11)
        data.PixelRepresentation = 1

    assert np.array_equal(read_scan(write_dicom(PHANTOM, tmp_path / "s", change=negative)).echoes, TRUE - 1500)


@pytest.mark.parametrize("value", [-2000, 63536])
def test_padding_declared_in_the_header_is_background(value: int, tmp_path: Path) -> None:
    def pad(data: Dataset, echo: int, z: int) -> None:
        words = PHANTOM.echoes[echo, z].astype(np.int16)
        words[:3] = np.array(value).astype(np.uint16).astype(np.int16)
        stored(data, words, signed=True)
        data.add_new("PixelPaddingValue", "SS" if value < 0 else "US", value)

    folder = write_dicom(PHANTOM, tmp_path / "s", change=pad)
    check_scan(folder)
    scan = read_scan(folder)
    assert np.array_equal(scan.echoes[0, :, 3:], TRUE[0, :, 3:])
    assert (scan.echoes[0, :, :3] == TRUE[0, :, 3:].min()).all()
    assert any("background" in text for text in scan.warnings)


@pytest.mark.parametrize("value", [-32768, -2000])
def test_undeclared_padding_is_background(value: int, tmp_path: Path) -> None:
    echoes = PHANTOM.echoes.copy()
    echoes[0, :2] = value
    padded = replace(PHANTOM, echoes=echoes)
    scan = read_scan(write_nifti(padded, tmp_path / "a.nii.gz"))
    assert (scan.echoes[0, :2] == TRUE[0, 2:].min()).all()
    assert any("padding" in text for text in scan.warnings)


def test_a_negative_signal_is_not_padding(tmp_path: Path) -> None:
    echoes = PHANTOM.echoes - np.int16(1000)
    shifted = replace(PHANTOM, echoes=echoes)
    scan = read_scan(write_nifti(shifted, tmp_path / "a.nii.gz"))
    assert np.array_equal(scan.echoes, TRUE - 1000)


def test_missing_values_at_the_border_are_background_with_a_warning(tmp_path: Path) -> None:
    image = nibabel.load(write_nifti(PHANTOM, tmp_path / "a.nii.gz"))
    voxels = np.asarray(image.dataobj, dtype=np.float32)
    voxels[: voxels.shape[0] // 3] = np.nan
    path = tmp_path / "b.nii.gz"
    nibabel.save(nibabel.Nifti1Image(voxels, image.affine), path)
    check_scan(path)
    scan = read_scan(path)
    rest = voxels[np.isfinite(voxels)]
    assert (scan.echoes[0].T[: voxels.shape[0] // 3] == rest.min()).all()
    assert any("not a number" in text and "background" in text for text in scan.warnings)


def philips(scales: list[float], *, stated: int = 1000, slopes: tuple[float, ...] = (2.0, 2.0, 2.0)):
    """stated: slices from this one on have lost the private scale."""

    def change(data: Dataset, echo: int, z: int) -> None:
        data.Manufacturer = "Philips"
        data.ScanningSequence, data.RescaleSlope, data.RescaleIntercept = "SE", slopes[echo], "10"
        if z < stated:
            block = data.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
            block.add_new(0x0E, "FL", scales[echo])
        true = 500.0 * 0.8**echo + PHANTOM.echoes[0, z] % 100
        stored(data, np.rint((true * slopes[echo] * scales[echo] - 10) / slopes[echo]))

    return change


def test_a_philips_scale_that_differs_per_echo_is_applied(tmp_path: Path) -> None:
    phantom = make_phantom(1, echoes=3)
    scan = read_scan(write_dicom(phantom, tmp_path / "s", change=philips([1.0, 2.5, 6.0])))
    for echo in range(3):
        true = 500.0 * 0.8**echo + PHANTOM.echoes[0] % 100
        assert np.abs(scan.echoes[echo] - true).max() < 0.6


@pytest.mark.parametrize(
    ("scales", "slopes", "stated", "missing"),
    [
        ([1.0, 1.0, 1.0], (2.0, 2.0, 2.0), 5, "21 of 36"),
        ([1.0, 2.5, 6.0], (2.0, 2.0, 2.0), 5, "21 of 36"),
        ([1.0, 1.0, 1.0], (1.0, 2.0, 3.0), 0, "36 of 36"),
    ],
)
def test_a_philips_scale_that_some_images_lack_is_stated_and_gives_no_t2(
    scales: list[float], slopes: tuple[float, ...], stated: int, missing: str, tmp_path: Path
) -> None:
    change = philips(scales, stated=stated, slopes=slopes)
    facts = check_scan(write_dicom(make_phantom(1, echoes=3), tmp_path / "s", change=change))
    assert any(f"{missing} images lack Philips' scale" in text for text in facts.warnings)
    assert "comparable values" in facts.t2_unavailable


def test_a_philips_series_with_one_scale_needs_no_private_attribute(tmp_path: Path) -> None:
    facts = check_scan(write_dicom(make_phantom(1, echoes=3), tmp_path / "s", change=philips([1.0] * 3, stated=0)))
    assert not any("Philips" in text for text in facts.warnings)
    assert facts.t2_unavailable == ""


def test_rle_words_are_read_like_uncompressed_ones(tmp_path: Path) -> None:
    def compress(data: Dataset, echo: int, z: int) -> None:
        stored(data, PHANTOM.echoes[echo, z] << 4, bits=12, high=15)
        data.compress(RLELossless)

    try:
        folder = write_dicom(PHANTOM, tmp_path / "s", change=compress)
    except (RuntimeError, NotImplementedError):
        pytest.skip("no RLE encoder here")
    assert np.array_equal(read_scan(folder).echoes, TRUE)
