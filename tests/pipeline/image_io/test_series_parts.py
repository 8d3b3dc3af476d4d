"""A DICOM series may contain several stacks: they are listed with their kind, and none is chosen silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pipeline.errors import AmbiguousSeries, IncompleteSeries
from pipeline.image_io import read_scan
from tests.support.image_io_writers import ds, make_phantom, write_dicom

PHANTOM = make_phantom(1)
Change = Callable[[Dataset, int, int], None]


def parts(folder: Path, *changes: Change) -> Path:
    """The same slices once per change, in one series."""
    uid = generate_uid()
    for number, change in enumerate(changes):
        write_dicom(PHANTOM, folder, change=change, uid=uid, name=f"P{number}_{{:04d}}")
    return folder


def image_type(*words: str) -> Change:
    def change(data: Dataset, echo: int, z: int) -> None:
        data.ImageType = ["ORIGINAL", "PRIMARY", *words]

    return change


def valued(name: str, value: object) -> Change:
    def change(data: Dataset, echo: int, z: int) -> None:
        setattr(data, name, value)

    return change


def shifted(mm: float) -> Change:
    def change(data: Dataset, echo: int, z: int) -> None:
        data.ImagePositionPatient = ds(np.array(data.ImagePositionPatient) + mm * PHANTOM.direction[:, 2])

    return change


def tilted(degrees: float) -> Change:
    def change(data: Dataset, echo: int, z: int) -> None:
        angle = np.radians(degrees)
        row, column, normal = PHANTOM.direction.T
        data.ImageOrientationPatient = ds([*row, *(np.cos(angle) * column + np.sin(angle) * normal)])
        turned = np.cross(row, np.cos(angle) * column + np.sin(angle) * normal)
        data.ImagePositionPatient = ds(PHANTOM.origin + z * PHANTOM.spacing_xyz[2] * turned)

    return change


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        (
            [image_type("M", "DIXON", word) for word in ("W", "F", "IP", "OP")],
            {"water", "fat", "in phase", "out of phase"},
        ),
        ([image_type("M", "ND"), image_type("P", "ND")], {"magnitude", "phase"}),
        ([valued("TriggerTime", "1.0"), valued("TriggerTime", "30.0")], {"trigger time 1 ms", "trigger time 30 ms"}),
        ([valued("AcquisitionNumber", 1), valued("AcquisitionNumber", 2)], {"acquisition 1", "acquisition 2"}),
        ([shifted(0.0), shifted(200.0)], {"stack 1 of 2", "stack 2 of 2"}),
    ],
)
def test_parts_of_a_series_are_listed_with_their_kind(changes: list[Change], kinds: set[str], tmp_path: Path) -> None:
    folder = parts(tmp_path / "s", *changes)
    with pytest.raises(AmbiguousSeries) as caught:
        read_scan(folder)
    choices = caught.value.facts["series"]
    assert {choice["kind"] for choice in choices} == kinds
    assert all(choice["kind"] in str(caught.value) for choice in choices)
    for choice in choices:
        scan = read_scan(folder, series=choice["series"])
        assert scan.echoes.shape == PHANTOM.echoes.shape


def test_two_orientations_in_one_series_are_listed(tmp_path: Path) -> None:
    folder = parts(tmp_path / "s", tilted(0.0), tilted(8.0))
    with pytest.raises(AmbiguousSeries):
        read_scan(folder)


def test_indistinguishable_images_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(IncompleteSeries):
        read_scan(parts(tmp_path / "s", image_type("M"), image_type("M")))


def test_different_image_types_at_different_positions_are_one_scan(tmp_path: Path) -> None:
    def change(data: Dataset, echo: int, z: int) -> None:
        data.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM" if z % 2 else "ND"]

    assert read_scan(write_dicom(PHANTOM, tmp_path / "s", change=change)).echoes.shape == PHANTOM.echoes.shape


def test_echo_times_with_jitter_between_slices_are_one_echo(tmp_path: Path) -> None:
    def jitter(data: Dataset, echo: int, z: int) -> None:
        data.EchoTime, data.EchoNumbers = f"{10.0 + 0.01 * (z % 3):.2f}", 1

    scan = read_scan(write_dicom(PHANTOM, tmp_path / "s", change=jitter))
    assert scan.echo_times_ms == (10.0,)


def test_two_echoes_with_a_short_interval_are_kept_separate(tmp_path: Path) -> None:
    phantom = make_phantom(1, echoes=2)

    def close(data: Dataset, echo: int, z: int) -> None:
        data.EchoTime, data.EchoNumbers = f"{5.0 + 0.04 * echo:.2f}", 1

    assert read_scan(write_dicom(phantom, tmp_path / "s", change=close)).echo_times_ms == (5.0, 5.04)


def test_an_empty_modality_is_identified_by_the_sop_class(tmp_path: Path) -> None:
    assert read_scan(write_dicom(PHANTOM, tmp_path / "s", change=valued("Modality", ""))).echoes.size


def test_a_header_with_the_gap_between_slices_reports_no_missing_slices(tmp_path: Path) -> None:
    half = f"{PHANTOM.spacing_xyz[2] / 2:.6f}"
    count = PHANTOM.echoes.shape[1]

    def change(data: Dataset, echo: int, z: int) -> None:
        data.SliceThickness, data.SpacingBetweenSlices, data.ImagesInAcquisition = half, half, 2 * count

    warnings = read_scan(write_dicom(PHANTOM, tmp_path / "s", change=change)).warnings
    reported = [text for text in warnings if "missing" in text]
    assert len(reported) == 1, (
        "half of a stack and a second echo elsewhere look alike: the count is reported, nothing refused"
    )
    assert f"counts {2 * count} images" in reported[0]
    assert "mm apart" not in reported[0]


def test_slices_of_both_photometric_interpretations_are_not_one_stack(tmp_path: Path) -> None:
    def every_third(data: Dataset, echo: int, z: int) -> None:
        if z % 3 == 0:
            data.PhotometricInterpretation = "MONOCHROME1"

    with pytest.raises(IncompleteSeries):
        read_scan(write_dicom(PHANTOM, tmp_path / "s", change=every_third))
