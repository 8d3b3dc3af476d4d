"""Manifests from the names in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from kneebox import main
from pipeline.errors import InputError, OptionsError
from studies.layouts import LayoutName, rows_of_folder
from studies.manifest import read_manifest
from tests.support.image_io_writers import make_phantom, write_dicom


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_bids_gives_subject_visit_side_and_the_table_of_participants(tmp_path: Path) -> None:
    folder = tree(
        tmp_path,
        "sub-01/ses-V00/anat/sub-01_ses-V00_hemi-L_T1w.nii.gz",
        "sub-01/ses-V01/anat/sub-01_ses-V01_acq-right_DESS.nii.gz",
        "sub-02/anat/sub-02_T1w.nii.gz",
    )
    (folder / "participants.tsv").write_text(
        "participant_id\tage\tsex\tgroup\nsub-01\t61\tF\tcase\nsub-02\tn/a\tM\tcontrol\n", encoding="utf-8"
    )
    (folder / "sub-01" / "ses-V01" / "sub-01_ses-V01_scans.tsv").write_text(
        "filename\tacq_time\nanat/sub-01_ses-V01_acq-right_DESS.nii.gz\t2021-05-31T10:00:00\n", encoding="utf-8"
    )
    found = rows_of_folder(folder)
    assert found.read_as.startswith("BIDS")
    keys = ("subject", "visit", "side", "time", "sex", "age", "group", "suffix")
    assert [tuple(row.get(key, "") for key in keys) for row in found.rows] == [
        ("01", "V00", "left", "", "F", "61", "case", "T1w"),
        ("01", "V01", "right", "2021-05-31", "F", "61", "case", "DESS"),
        ("02", "", "", "", "M", "", "control", "T1w"),
    ]


def test_the_image_folders_of_the_oai_give_subject_visit_and_date(tmp_path: Path) -> None:
    folder = tree(
        tmp_path,
        "00m/0.C.2/9000099/20050610/10583703/001",
        "00m/0.C.2/9000099/20050610/10583703/002",
        "12m/1.C.2/9000099/20060711/11583703/001",
    )
    found = rows_of_folder(folder)
    assert [(row["path"], row["subject"], row["visit"], row["time"]) for row in found.rows] == [
        ("00m/0.C.2/9000099/20050610/10583703", "9000099", "V00", "2005-06-10"),
        ("12m/1.C.2/9000099/20060711/11583703", "9000099", "V01", "2006-07-11"),
    ]
    without_months = rows_of_folder(folder / "00m" / "0.C.2")
    assert [row["visit"] for row in without_months.rows] == ["1"]


@pytest.mark.parametrize(
    ("names", "pattern", "expected"),
    [
        (("9001_V00_LEFT.nii.gz", "9001_V01_R.nii.gz"), "", [("9001", "V00", "LEFT"), ("9001", "V01", "R")]),
        (("MTR_005_12m_left.mha",), "", [("MTR_005", "12m", "left")]),
        (("P7_right_V2.nrrd",), "", [("P7", "V2", "right")]),
        (("P7_right.nrrd", "P8_left.nrrd"), "", [("P7", "", "right"), ("P8", "", "left")]),
        (("oaizib_001_0000.nii.gz",), "", [("oaizib_001_0000", "", "")]),
        (("oaizib_001_0000.nii.gz",), "oaizib_{subject}_0000", [("001", "", "")]),
        (("S1/pre/knee_L.nii.gz",), "{subject}/{visit}/knee_{side}", [("S1", "pre", "L")]),
    ],
)
def test_plain_names_are_read_by_a_pattern(
    tmp_path: Path, names: tuple[str, ...], pattern: str, expected: list[tuple[str, str, str]]
) -> None:
    found = rows_of_folder(tree(tmp_path, *names), pattern=pattern)
    assert [tuple(row.get(key, "") for key in ("subject", "visit", "side")) for row in found.rows] == expected


def test_names_without_the_pattern_are_listed_and_further_fields_become_columns(tmp_path: Path) -> None:
    folder = tree(tmp_path, "A-S1_V0.nii.gz", "B-S2_V0.nii.gz", "phantom.nii.gz")
    found = rows_of_folder(folder, pattern="{site}-{subject}_{visit}")
    assert [row["site"] for row in found.rows] == ["A", "B"]
    assert found.left_out == ("phantom.nii.gz",)


@pytest.mark.parametrize("pattern", ["{visit}_{side}", "{subject}_{subject}", "knee", "{subject}_{1}", "x{subject}y"])
def test_a_pattern_that_cannot_be_used_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(OptionsError):
        rows_of_folder(tree(tmp_path, "S1.nii.gz"), pattern=pattern)


def test_only_takes_a_part_of_the_scans_and_label_maps_get_their_column(tmp_path: Path) -> None:
    folder = tree(tmp_path, "dess/S1.nii.gz", "t2/S1.nii.gz")
    found = rows_of_folder(folder, only="dess/*", layout=LayoutName.PATTERN, label_maps=True)
    assert [dict(row) for row in found.rows] == [{"labels": "dess/S1.nii.gz", "subject": "S1"}]
    with pytest.raises(InputError, match=r"matches nothing/\*"):
        rows_of_folder(folder, only="nothing/*")


def test_the_command_shows_the_rows_and_does_not_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tree(tmp_path / "scans", "S1_V00_left.nii.gz", "S1_V01_left.nii.gz")
    target = tmp_path / "m.csv"
    assert main(["study", "manifest", str(folder), str(target)]) == 0
    shown = capsys.readouterr().out
    assert "Read as {subject}_{visit}_{side}" in shown
    assert "scans/S1_V00_left.nii.gz,S1,V00,left" in shown
    assert [row.scan for row in read_manifest(target).rows] == sorted(folder.iterdir())
    assert main(["study", "manifest", str(folder), str(target)]) == 1
    assert "m.csv exists" in capsys.readouterr().err


def test_scans_are_chosen_by_the_sequence_in_their_header_which_gives_the_side(tmp_path: Path) -> None:
    def change(data, echo, z):
        data.PulseSequenceName, data.Laterality = "*de3d1", "L"

    write_dicom(make_phantom(1), tmp_path / "S1" / "dess", change=change)
    write_dicom(make_phantom(2), tmp_path / "S1" / "other")
    target = tmp_path / "m.csv"
    arguments = ["study", "manifest", str(tmp_path), str(target), "--pattern", "{subject}/{kind}"]
    assert main([*arguments, "--sequence", "dess"]) == 0
    (row,) = read_manifest(target).rows
    assert (row.given, row.person.side, row.further["kind"]) == ("S1/dess", "left", "dess")
