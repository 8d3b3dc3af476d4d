"""Echoes, series, compression, side and sequence of DICOM input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import BasicTextSRStorage, JPEG2000Lossless, JPEGLosslessSV1, RLELossless, generate_uid

from pipeline.acquisition import PulseSequence
from pipeline.anatomy import Side
from pipeline.errors import AmbiguousSeries
from pipeline.image_io import read_scan
from tests.support.image_io_writers import PATIENT, Phantom, make_phantom, write_dicom, write_enhanced


@pytest.mark.parametrize("order_seed", [1, 2, 3])
def test_echoes_are_sorted_by_time_and_slices_by_position(order_seed: int, tmp_path: Path) -> None:
    phantom = make_phantom(1, echoes=3)
    scan = read_scan(write_dicom(phantom, tmp_path / "s", order_seed=order_seed))
    assert np.array_equal(scan.echoes, phantom.echoes)
    assert scan.echo_times_ms == (6.5, 13.0, 19.5)


def test_slices_in_reverse_order_are_sorted(tmp_path: Path) -> None:
    phantom = make_phantom(2, echoes=2)

    def backwards(data: Dataset, _: int, z: int) -> None:
        data.InstanceNumber = 100 - z

    assert np.array_equal(read_scan(write_dicom(phantom, tmp_path / "s", change=backwards)).echoes, phantom.echoes)


def test_a_multi_frame_file_keeps_its_echoes_and_timing(tmp_path: Path) -> None:
    phantom = make_phantom(2, echoes=2)
    scan = read_scan(write_enhanced(phantom, tmp_path / "a"))
    assert np.array_equal(scan.echoes, phantom.echoes)
    assert scan.echo_times_ms == (6.5, 13.0)
    assert (scan.acquisition.repetition_time_ms, scan.acquisition.flip_angle_deg) == (17.0, 25.0)
    assert scan.sequence is PulseSequence.QDESS


def test_echoes_with_the_same_time_are_distinguished_by_number(tmp_path: Path) -> None:
    phantom = make_phantom(2, echoes=2)

    def same_time(data: Dataset, *_: int) -> None:
        data.EchoTime = "5"

    scan = read_scan(write_dicom(phantom, tmp_path / "s", change=same_time))
    assert np.array_equal(scan.echoes, phantom.echoes)
    assert scan.echo_times_ms == (5.0, 5.0)


def test_rescale_slope_and_intercept_of_each_slice_are_applied(tmp_path: Path) -> None:
    phantom = make_phantom(2)

    def rescaled(data: Dataset, _: int, z: int) -> None:
        data.RescaleSlope, data.RescaleIntercept = str(1 + z), "-5"

    scan = read_scan(write_dicom(phantom, tmp_path / "s", change=rescaled))
    expected = phantom.echoes[0] * (1.0 + np.arange(12))[:, None, None] - 5
    assert np.array_equal(scan.echoes[0], expected)


def _rle(data: Dataset, *_: int) -> None:
    data.compress(RLELossless, generate_instance_uid=False)


def _jpeg(compressor: str) -> object:
    """Compress with GDCM's encoder, through a temporary file."""

    def change(data: Dataset, e: int, z: int) -> None:
        values = np.frombuffer(data.PixelData, "<i2").reshape(data.Rows, data.Columns)
        path = Path(data.scratch) / f"{e}-{z}.dcm"
        writer = SimpleITK.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(path))
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.Execute(SimpleITK.GetImageFromArray(values[np.newaxis]))
        compressed = pydicom.dcmread(path)
        for name in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
            data[name] = compressed[name]
        data.file_meta.TransferSyntaxUID = compressed.file_meta.TransferSyntaxUID
        data.PixelData = encapsulate(list(generate_frames(compressed.PixelData, number_of_frames=1)))
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True

    return change


def test_rle_voxels_are_read_exactly(tmp_path: Path) -> None:
    phantom = make_phantom(5, echoes=2)
    assert np.array_equal(read_scan(write_dicom(phantom, tmp_path / "s", change=_rle)).echoes, phantom.echoes)


@pytest.mark.parametrize(("compressor", "syntax"), [("JPEG", JPEGLosslessSV1), ("JPEG2000", JPEG2000Lossless)])
def test_lossless_jpeg_voxels_are_read_exactly_and_rescaled_once(compressor: str, syntax: str, tmp_path: Path) -> None:
    phantom = make_phantom(5, echoes=2, shape=(10, 24, 32))  # the second echo has negative values
    seen: set[str] = set()
    compress = _jpeg(compressor)

    def change(data: Dataset, e: int, z: int) -> None:
        data.scratch = str(tmp_path)
        data.RescaleSlope, data.RescaleIntercept = "2", "1"
        compress(data, e, z)  # type: ignore[operator]
        seen.add(str(data.file_meta.TransferSyntaxUID))

    scan = read_scan(write_dicom(phantom, tmp_path / "s", change=change), scratch_dir=tmp_path)
    assert seen == {syntax}
    assert np.array_equal(scan.echoes, phantom.echoes * 2.0 + 1.0)
    assert not list(tmp_path.glob("frame-*"))


def test_overlay_bits_are_removed_from_jpeg_2000_words(tmp_path: Path) -> None:
    phantom, compress = make_phantom(5, shape=(10, 12, 16)), _jpeg("JPEG2000")

    def change(data: Dataset, e: int, z: int) -> None:
        data.scratch = str(tmp_path)
        data.PixelData = (phantom.echoes[e, z] | np.int16(0x4000)).astype("<i2").tobytes()
        compress(data, e, z)  # type: ignore[operator]
        data.BitsStored, data.HighBit = 12, 11

    assert np.array_equal(read_scan(write_dicom(phantom, tmp_path / "s", change=change)).echoes, phantom.echoes)


def _localizer(folder: Path, uid: str | None = None) -> None:
    """Five slices in another plane, marked as localizer like by a scanner."""

    def mark(data: Dataset, *_: int) -> None:
        data.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        data.SeriesNumber = "1"

    write_dicom(make_phantom(77, shape=(5, 20, 20)), folder, change=mark, uid=uid, name="L{}")


@pytest.mark.parametrize("same_series", [False, True])
def test_a_localizer_is_excluded(same_series: bool, tmp_path: Path) -> None:
    phantom, uid = make_phantom(5), generate_uid()
    write_dicom(phantom, tmp_path / "s", uid=uid)
    _localizer(tmp_path / "s" / "scout", uid if same_series else None)
    scan = read_scan(tmp_path / "s")
    assert np.array_equal(scan.echoes, phantom.echoes)
    assert any("5 images" in warning for warning in scan.warnings)


def test_reports_and_ct_are_excluded(tmp_path: Path) -> None:
    phantom = make_phantom(5)
    write_dicom(phantom, tmp_path / "s")
    (tmp_path / "s" / "readme.txt").write_text("knee")

    def tomography(data: Dataset, *_: int) -> None:
        data.Modality = "CT"

    def report(data: Dataset, *_: int) -> None:
        data.Modality = "SR"
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = BasicTextSRStorage
        del data.Rows, data.Columns, data.PixelData

    write_dicom(make_phantom(6), tmp_path / "s" / "ct", change=tomography)
    write_dicom(make_phantom(6, shape=(1, 8, 8)), tmp_path / "s" / "sr", change=report)
    assert np.array_equal(read_scan(tmp_path / "s").echoes, phantom.echoes)


def test_two_series_are_rejected_and_listed_without_patient_data(tmp_path: Path) -> None:
    def second(data: Dataset, *_: int) -> None:
        data.SeriesNumber, data.SeriesDescription = "9", "SAG DESS " + PATIENT

    write_dicom(make_phantom(5), tmp_path / "s" / "a")
    write_dicom(make_phantom(6, echoes=2), tmp_path / "s" / "b", change=second)
    with pytest.raises(AmbiguousSeries) as caught:
        read_scan(tmp_path / "s")
    assert [item["description"] for item in caught.value.facts["series"]] == [
        "MR series 7: 12 x 13 x 16 axial, 1 echo",
        "MR series 9: 12 x 13 x 16 axial, 2 echoes",
    ]


def test_a_duplicate_file_counts_once(tmp_path: Path) -> None:
    phantom = make_phantom(5)
    folder = write_dicom(phantom, tmp_path / "s")
    (folder / "copy").write_bytes((folder / "IM0003").read_bytes())
    scan = read_scan(folder)
    assert np.array_equal(scan.echoes, phantom.echoes)
    assert any("twice" in warning for warning in scan.warnings)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"Laterality": "R"}, Side.RIGHT),
        ({"ImageLaterality": "L"}, Side.LEFT),
        ({"Laterality": "L", "SeriesDescription": "RIGHT KNEE"}, Side.LEFT),
        ({"Laterality": "B"}, None),
        ({"SeriesDescription": "SAG_3D_DESS_RIGHT"}, Side.RIGHT),
        ({"ProtocolName": "knee lt pd"}, Side.LEFT),
        ({"BodyPartExamined": "L KNEE"}, Side.LEFT),
        ({"SeriesDescription": "BRIGHT FLUID, LEFTOVER, L/R phase"}, None),
        ({"SeriesDescription": "RIGHT AND LEFT"}, None),
        ({}, None),
    ],
)
def test_the_side_comes_from_the_header(attributes: dict[str, str], expected: Side | None, tmp_path: Path) -> None:
    def change(data: Dataset, *_: int) -> None:
        for name, value in attributes.items():
            setattr(data, name, value)

    assert read_scan(write_dicom(make_phantom(1), tmp_path / "s", change=change)).side is expected


def test_the_users_side_overrides_the_header_with_a_warning(tmp_path: Path) -> None:
    def right(data: Dataset, *_: int) -> None:
        data.Laterality = "R"

    folder = write_dicom(make_phantom(1), tmp_path / "s", change=right)
    agreed, contradicted = read_scan(folder, side=Side.RIGHT), read_scan(folder, side=Side.LEFT)
    assert agreed.side is Side.RIGHT
    assert contradicted.side is Side.LEFT
    assert len(contradicted.warnings) == len(agreed.warnings) + 1


@pytest.mark.parametrize(
    ("echoes", "attributes", "expected"),
    [
        (1, {"ScanningSequence": "SE"}, PulseSequence.SPIN_ECHO),
        (4, {"ScanningSequence": "SE"}, PulseSequence.MULTI_ECHO_SPIN_ECHO),
        (2, {"ScanningSequence": "SE", "EchoTrainLength": "8"}, PulseSequence.SPIN_ECHO),
        (1, {"ScanningSequence": "GR"}, PulseSequence.GRADIENT_ECHO),
        (1, {"ScanningSequence": ["GR"], "SequenceName": "*de3d1"}, PulseSequence.DESS),
        (2, {"ScanningSequence": "GR", "SequenceName": "qDESS"}, PulseSequence.QDESS),
        (
            2,
            {"ScanningSequence": "GR", "MRAcquisitionType": "3D", "Manufacturer": "GE MEDICAL SYSTEMS"},
            PulseSequence.QDESS,
        ),
        (2, {"ScanningSequence": "GR", "MRAcquisitionType": "3D"}, PulseSequence.GRADIENT_ECHO),
        (1, {"ScanningSequence": ["GR", "SE"]}, PulseSequence.UNKNOWN),
    ],
)
def test_the_sequence_is_identified_from_scanner_attributes(
    echoes: int, attributes: dict[str, str], expected: PulseSequence, tmp_path: Path
) -> None:
    def change(data: Dataset, *_: int) -> None:
        for name, value in attributes.items():
            setattr(data, name, value)

    assert read_scan(write_dicom(make_phantom(1, echoes=echoes), tmp_path / "s", change=change)).sequence is expected


@pytest.mark.parametrize("representation", ["DS", "UN"])
@pytest.mark.parametrize(("gradient", "area"), [("GR", 1560.0), ("SE", None)])
def test_ges_spoiler_tags_are_read_for_qdess_only(
    representation: str, gradient: str, area: float | None, tmp_path: Path
) -> None:
    def change(data: Dataset, *_: int) -> None:
        data.Manufacturer, data.MRAcquisitionType, data.ScanningSequence = "GE MEDICAL SYSTEMS", "3D", gradient
        block = data.private_block(0x0019, "GEMS_ACQU_01", create=True)
        values = {0xB6: "1560", 0xB7: "1800"}
        for offset, text in values.items():
            block.add_new(offset, representation, text if representation == "DS" else text.encode())

    found = read_scan(write_dicom(make_phantom(1, echoes=2), tmp_path / "s", change=change)).acquisition
    assert found.spoiler_gradient_area == area
    assert found.spoiler_duration_us == (None if area is None else 1800.0)
    assert (found.repetition_time_ms, found.flip_angle_deg, found.field_strength_t) == (2450.0, 90.0, 3.0)


def test_no_patient_data_is_in_the_scan(tmp_path: Path) -> None:
    phantom = make_phantom(1)

    def talkative(data: Dataset, *_: int) -> None:
        data.SeriesDescription = data.ProtocolName = f"{PATIENT} knee right"

    scan = read_scan(write_dicom(phantom, tmp_path / PATIENT, change=talkative))
    assert isinstance(phantom, Phantom)
    text = repr(scan)
    assert "Doe" not in text
    assert "4711" not in text
