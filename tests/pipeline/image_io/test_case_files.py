"""Scans that people reported, from the folder of inputs beside the repository, with the right result of each."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.image_io import read_scan

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.exists(), reason="inputs not beside the repository")

SIGNAL = (0.0, 1088.0)
SAME = (10.0, 1106.0)


@pytest.mark.parametrize(
    ("case", "values", "warning"),
    [
        ("dcm_monochrome1_raw", SIGNAL, ""),
        ("dcm_high_bit_15", SIGNAL, ""),
        ("dcm_j2k_overlay", SIGNAL, ""),
        ("dcm_te_jitter", SIGNAL, ""),
        ("dcm_no_modality", SIGNAL, ""),
        ("dcm_gap_only_counted", SIGNAL, "no slice is missing"),
        ("dcm_multiframe_no_groups", SIGNAL, "mirrored"),
        ("meta_mha", SAME, ""),
        ("nifti_forms_mirror", SAME, "mirror image"),
        ("nifti_quaternion_rounding", SAME, ""),
        ("nifti_sform_mni_affine", SAME, "qform was used"),
        ("nifti_negative_pixdim", SAME, ""),
        ("nifti_leading_singleton", SAME, "Check the voxel size"),
        ("nifti_nan_background", (11.0, 1106.0), "background"),
    ],
)
def test_a_case_is_read_with_its_values_and_warning(case: str, values: tuple[float, float], warning: str) -> None:
    for path in CASES.joinpath(case).glob("scan.*"):
        scan = read_scan(path)
        assert (float(scan.echoes.min()), float(scan.echoes.max())) == values
        about = [text for text in scan.warnings if "Field of view" not in text]
        assert bool(about) == bool(warning)
        assert any(warning in text for text in about) or not warning


@pytest.mark.parametrize(
    ("case", "echoes", "times"),
    [
        ("nifti_4d_echoes", 4, ()),
        ("nifti_5d_echoes", 4, ()),
        ("nrrd_none_parenthesis", 3, ()),
        ("nrrd_nan_vector", 3, ()),
        ("zip_dcm2niix_echoes", 4, (10.0, 20.0, 30.0, 40.0)),
        ("dcm_philips_scale_slope_per_echo", 4, (10.0, 20.0, 30.0, 40.0)),
    ],
)
def test_a_case_has_its_echoes(case: str, echoes: int, times: tuple[float, ...]) -> None:
    (path,) = CASES.joinpath(case).glob("scan.*")
    scan = read_scan(path)
    assert (len(scan.echoes), scan.echo_times_ms) == (echoes, times)


def test_the_private_scale_of_a_series_gives_its_t2() -> None:
    (path,) = CASES.joinpath("dcm_philips_scale_slope_per_echo").glob("scan.*")
    scan = read_scan(path)
    slope, _ = np.polyfit(scan.echo_times_ms, np.log(scan.echoes.reshape(4, -1).mean(axis=1)), 1)
    assert -1 / slope == pytest.approx(40.0, abs=0.5)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("dcm_comma_decimals", "decimal comma"),
        ("zip_drive_letter", "drive letter"),
        ("dcm_dixon_one_series", "5d.*water"),
        ("dcm_mag_phase", "magnitude.*phase"),
        ("dcm_trigger_time_echoes", "trigger time"),
        ("dcm_two_parallel_stacks", "stack 1 of 2.*stack 2 of 2"),
    ],
)
def test_a_case_is_refused_in_words_that_help(case: str, words: str) -> None:
    (path,) = CASES.joinpath(case).glob("scan.*")
    with pytest.raises(InputError) as refused:
        read_scan(path)
    assert re.search(words, str(refused.value))
    assert refused.value.hint
