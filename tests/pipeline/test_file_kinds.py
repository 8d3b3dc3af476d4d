"""The kinds of file that can be read, by name and by content."""

from __future__ import annotations

import pytest

from pipeline.file_kinds import EXTENSIONS, IMAGES, FileKind, extension_of, input_stem
from pipeline.results_tree import archive_name


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("knee.nii.gz", "knee"),
        ("a.b.zip", "a.b"),
        ("K.NII.GZ", "K"),
        ("x", "x"),
        ("folder/left.nrrd", "left"),
        ("C:\\scans\\left.dcm", "left"),
        (".nii.gz", "scan"),
        ("", "scan"),
        ("notes.txt", "notes.txt"),
    ],
)
def test_the_stem_of_an_input_names_its_results(name: str, stem: str) -> None:
    assert input_stem(name) == stem
    assert archive_name(name) == f"{stem}_results.zip"


def test_an_extension_belongs_to_one_kind() -> None:
    assert len(set(EXTENSIONS)) == len(EXTENSIONS)
    assert all(extension_of(f"Knee{extension.upper()}") == extension for extension in EXTENSIONS)


def test_a_longer_extension_is_recognised_before_its_ending() -> None:
    assert extension_of("knee.nii.gz") == ".nii.gz"


def test_every_kind_of_image_can_be_uploaded() -> None:
    assert all(kind.extensions for kind in (*IMAGES, FileKind.ZIP))
