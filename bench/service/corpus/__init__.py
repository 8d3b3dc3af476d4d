"""Malicious and unusual uploads with the expected response of each; generated deterministically."""

from __future__ import annotations

from bench.service.corpus import (
    archives,
    dicom,
    echo_files,
    forms,
    label_maps,
    meta_images,
    nifti,
    nrrd,
    segmentations,
)
from bench.service.corpus.case import Case


def all_cases() -> list[Case]:
    """Uploads, grouped by class."""
    return [case for module in (archives, nrrd, nifti, dicom, forms) for case in module.cases()]


def reading_cases() -> list[Case]:
    """Files that are only read, as the check of an upload reads them, grouped by class."""
    return [case for module in (meta_images, echo_files, label_maps, segmentations) for case in module.cases()]
