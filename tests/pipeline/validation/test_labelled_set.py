"""Pairs by name and layouts, from names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.anatomy import AUTO, DOSMA, OAI_ZIB_CM
from pipeline.errors import InputError
from pipeline.validation.labelled_set import case_name, read_set


def files(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("scans", "labels", "title", "numbering"),
    [
        (["oaizib_001_0000.nii.gz"], ["oaizib_001.nii.gz"], "OAI-ZIB-CM", OAI_ZIB_CM),
        (["MTR_005/IM1.dcm"], ["MTR_005.nii.gz"], "SKM-TEA", DOSMA),
        (["knee_07_0000.nii.gz"], ["knee_07.nii.gz"], "nnU-Net raw data set", AUTO),
        (["7.nrrd", "8.nrrd"], ["7_labels.nii.gz", "8.seg.nrrd"], "two folders", AUTO),
    ],
)
def test_a_published_layout_is_recognised_by_name(tmp_path, scans, labels, title, numbering) -> None:
    found = read_set(files(tmp_path / "a", *scans), files(tmp_path / "b", *labels))
    assert (found.layout.title, found.layout.numbering) == (title, numbering)
    assert len(found.cases) == len(labels)


def test_scans_and_label_maps_of_the_challenge_may_be_in_one_folder(tmp_path) -> None:
    folder = files(tmp_path / "test", "test_001_V00.im", "test_001_V00.seg", "test_002_V01.im", "test_002_V01.seg")
    found = read_set(folder, folder)
    assert found.layout.hdf5
    assert [(case.scan.suffix, case.labels.suffix) for case in found.cases] == [(".im", ".seg")] * 2


def test_scans_and_label_maps_with_a_word_in_their_names_may_be_in_one_folder(tmp_path) -> None:
    folder = files(tmp_path, "P1_scan.nii.gz", "P1_mask.nii.gz", "P2_scan.nii.gz", "P2_mask.nii.gz")
    assert [case.name for case in read_set(folder, folder).cases] == ["P1", "P2"]


def test_files_without_a_counterpart_are_named(tmp_path) -> None:
    found = read_set(files(tmp_path / "a", "1.nii", "2.nii"), files(tmp_path / "b", "2.nii", "3.nii", "notes.txt"))
    assert [case.name for case in found.cases] == ["2"]
    assert (found.without_labels, found.without_scan) == (("1",), ("3",))


def test_the_names_of_an_nnunet_data_set_are_found_above_its_label_maps(tmp_path) -> None:
    files(tmp_path, "dataset.json")
    found = read_set(files(tmp_path / "imagesTr", "a_0000.nii.gz"), files(tmp_path / "labelsTr", "a.nii.gz"))
    assert found.cases[0].names == tmp_path / "dataset.json"


def test_a_second_image_of_a_case_is_refused() -> None:
    with pytest.raises(InputError, match="further image"):
        case_name(Path("knee_07_0001.nii.gz"))


def test_no_pair_is_an_error_that_shows_both_names(tmp_path) -> None:
    with pytest.raises(InputError, match=r"1 scans \(a\), 1 label maps \(b\)"):
        read_set(files(tmp_path / "x", "a.nii"), files(tmp_path / "y", "b.nii"))


def test_two_scans_of_one_name_are_an_error(tmp_path) -> None:
    with pytest.raises(InputError, match=r"^Two scans"):
        read_set(files(tmp_path / "x", "a.nii", "a.nrrd"), files(tmp_path / "y", "a.nii"))


def test_a_missing_folder_is_an_error_without_its_path(tmp_path) -> None:
    with pytest.raises(InputError, match=r"^nowhere is not a folder") as refused:
        read_set(tmp_path / "nowhere", tmp_path)
    assert str(tmp_path) not in str(refused.value)
