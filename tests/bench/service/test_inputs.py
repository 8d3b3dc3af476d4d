"""Malicious and unusual uploads: every twentieth case of the corpus of bench/service on a real server."""

from __future__ import annotations

import pytest

from bench.service import inputs
from bench.service.corpus import all_cases, reading_cases


@pytest.mark.slow
def test_malicious_uploads_get_the_expected_response_and_leave_no_files() -> None:
    figures = inputs.figures(short=True)
    assert all(figure.met for figure in figures), "\n".join(figure.line() for figure in figures)


def test_case_names_are_unique_and_cover_every_class() -> None:
    cases = all_cases()
    assert len({(case.kind, case.name) for case in cases}) == len(cases) >= 150
    assert {case.kind for case in cases} == {"archive", "nrrd", "nifti", "dicom", "form"}
    for kind in ("archive", "nrrd", "nifti", "dicom", "form"):
        assert {case.expected_status == 201 for case in cases if case.kind == kind} == {True, False}


def test_files_that_are_only_read_are_of_every_new_format_valid_and_not() -> None:
    cases = reading_cases()
    assert len({(case.kind, case.name) for case in cases}) == len(cases) >= 200
    for kind in ("MetaImage", "echo files", "label map", "DICOM segmentation"):
        assert {case.expected_status == 201 for case in cases if case.kind == kind} == {True, False}
