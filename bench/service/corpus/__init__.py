"""Malicious and unusual uploads with the expected response of each; generated deterministically."""

from __future__ import annotations

from bench.service.corpus import archives, dicom, forms, nifti, nrrd
from bench.service.corpus.case import Case


def all_cases() -> list[Case]:
    """All cases, grouped by class."""
    return [case for module in (archives, nrrd, nifti, dicom, forms) for case in module.cases()]
