"""Echoes in a file each, and echo times in sidecars, as dcm2niix and BIDS name them."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import AmbiguousSeries, OptionsError, UnsupportedImage
from pipeline.image_io import check_scan, read_scan
from pipeline.options import AnalysisOptions, read_times
from tests.support.image_io_writers import make_phantom, write_nifti

PHANTOM = make_phantom(1)


def upload(folder: Path, names: list[str], times_s: list[float] | None, *, moved: bool = False) -> Path:
    """A zip with one volume per name, and sidecars beside them."""
    path = folder / "scan.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            origin = PHANTOM.origin + (3.0 * number if moved else 0.0)
            echo = replace(PHANTOM, echoes=PHANTOM.echoes + np.int16(number), origin=origin)
            archive.write(write_nifti(echo, folder / "one.nii.gz"), f"anat/{name}.nii.gz")
            if times_s is not None:
                archive.writestr(f"anat/{name}.json", json.dumps({"EchoTime": times_s[number]}))
    return path


@pytest.mark.parametrize(
    "names", [["scan_e1", "scan_e2", "scan_e3"], ["sub-1_echo-1_MESE", "sub-1_echo-2_MESE", "sub-1_echo-3_MESE"]]
)
def test_a_volume_per_echo_is_one_scan_in_the_order_of_its_numbers(names: list[str], tmp_path: Path) -> None:
    order = [2, 0, 1]
    path = upload(tmp_path, [names[k] for k in order], [0.01 * (k + 1) for k in order])
    scan = read_scan(path)
    assert scan.echo_times_ms == (10.0, 20.0, 30.0)
    assert [int(echo.min()) - int(PHANTOM.echoes.min()) for echo in scan.echoes] == [1, 2, 0]
    assert check_scan(path).echo_times_ms == scan.echo_times_ms


def test_without_sidecars_the_echoes_have_no_times(tmp_path: Path) -> None:
    scan = read_scan(upload(tmp_path, ["a_e1", "a_e2"], None))
    assert len(scan.echoes) == 2
    assert scan.echo_times_ms == ()


def test_volumes_of_other_names_or_places_are_not_echoes(tmp_path: Path) -> None:
    with pytest.raises(AmbiguousSeries):
        read_scan(upload(tmp_path, ["left_e1", "right_e2"], None))
    with pytest.raises(UnsupportedImage, match="one grid"):
        read_scan(upload(tmp_path, ["a_e1", "a_e2"], None, moved=True))


def test_a_sidecar_gives_the_times_of_a_volume_with_four_dimensions(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    write_nifti(make_phantom(1, echoes=3), folder / "mese.nii.gz")
    (folder / "mese.json").write_text(json.dumps({"EchoTime": [0.0065, 0.013, 0.0195]}))
    assert read_scan(folder).echo_times_ms == (6.5, 13.0, 19.5)


@pytest.mark.parametrize("content", ["{", "[]", '{"EchoTime": "x"}', '{"EchoTime": -1}', '{"EchoTime": NaN}'])
def test_a_damaged_sidecar_is_passed_over(content: str, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    write_nifti(PHANTOM, folder / "a.nii.gz")
    (folder / "a.json").write_text(content)
    assert read_scan(folder).echo_times_ms == ()


def test_given_echo_times_replace_those_of_the_file_and_the_scan_states_it(tmp_path: Path) -> None:
    path = write_nifti(make_phantom(1, echoes=3), tmp_path / "mese.nii.gz")
    given = read_scan(path, echo_times_ms=(10.0, 20.0, 30.0))
    assert (given.echo_times_ms, given.warnings) == ((10.0, 20.0, 30.0), read_scan(path).warnings)
    (tmp_path / "mese.json").write_text(json.dumps({"EchoTime": [0.0065, 0.013, 0.0195]}))
    replaced = read_scan(tmp_path, echo_times_ms=(10.0, 20.0, 30.0))
    assert replaced.echo_times_ms == (10.0, 20.0, 30.0)
    assert "6.5, 13, 19.5 ms" in replaced.warnings[-1]


def test_as_many_echo_times_as_echoes_are_needed(tmp_path: Path) -> None:
    path = write_nifti(make_phantom(1, echoes=3), tmp_path / "mese.nii.gz")
    with pytest.raises(OptionsError, match="has 2 entries; the scan has 3 echoes"):
        read_scan(path, echo_times_ms=(10.0, 20.0))


@pytest.mark.parametrize("text", ["10, 20.5, 30", "10 20.5 30", "10; 20,5; 30", "10,20.5,30,"])
def test_echo_times_are_read_as_people_write_them(text: str) -> None:
    assert AnalysisOptions(echo_times_ms=read_times(text)).echo_times_ms == (10.0, 20.5, 30.0)


@pytest.mark.parametrize("text", ["30, 20", "0, 10", "ten", "10, 10", "nan", "1e9"])
def test_echo_times_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(OptionsError):
        AnalysisOptions(echo_times_ms=read_times(text))
