"""A folder of scans: what is found in it, what is written, and what a second run computes."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.service.inside import empty_scan, small_knee
from pipeline.command_line.commands import main
from pipeline.errors import InputError
from pipeline.scan_checks.checks import BY_ID, CHECKS
from pipeline.scan_checks.documents import CSV_NAME, GALLERY_NAME, JSON_NAME
from pipeline.scan_checks.finding import Finding
from pipeline.scan_checks.folder import LABELS, RECORDS, scans_in, threads_of
from pipeline.scan_checks.record import Record, flag_shares, ranked, read_record, write_record


def record(name: str, error: str = "", **values: float) -> Record:
    findings = {key: Finding(value=value, words=f"{key} is {value}", place=(1, 2, 3)) for key, value in values.items()}
    return Record(key="k", name=name, stem=name, error=error, findings=findings)


def test_files_zips_and_folders_of_dicom_are_scans(tmp_path: Path) -> None:
    for name in (
        "a.nii.gz",
        "b.nrrd",
        "c.mhd",
        "c.raw",
        "notes.txt",
        ".hidden.nii.gz",
        "site/d.zip",
        "site/exam/1.dcm",
        "site/exam/2.dcm",
        "site/unnamed/IM0001",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = [path.relative_to(tmp_path).as_posix() for path in scans_in(tmp_path)]
    assert found == ["a.nii.gz", "b.nrrd", "c.mhd", "site/d.zip", "site/exam", "site/unnamed"]


def test_a_folder_without_scans_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="no scan in the folder"):
        scans_in(tmp_path)
    with pytest.raises(InputError, match="no folder named"):
        scans_in(tmp_path / "elsewhere")


def test_scans_with_more_and_graver_faults_come_first() -> None:
    holes, fluid = BY_ID["bone_holes"].limit, BY_ID["fluid_in_patellar_cartilage"].limit
    records = [
        record("fine", bone_holes=0.0),
        record("nearly", bone_holes=0.9 * holes),
        record("one", bone_holes=holes),
        record("graver", bone_holes=3 * holes),
        record("two", bone_holes=2 * holes, fluid_in_patellar_cartilage=2.5 * fluid),
        record("refused", error="NO_KNEE: no knee"),
    ]
    order = ranked(records)
    assert [one.name for one in order] == ["refused", "two", "graver", "one", "nearly", "fine"]
    assert [bool(one.reasons) for one in order] == [True, True, True, True, False, False]
    assert order[1].at_limit == ("fluid_in_patellar_cartilage", "bone_holes")


def test_a_record_is_read_back_only_for_the_same_key(tmp_path: Path) -> None:
    written = record("scan", bone_holes=12.0)
    write_record(written, tmp_path / "scan.json")
    assert read_record(tmp_path / "scan.json", "k") == written
    assert read_record(tmp_path / "scan.json", "other weights") is None
    assert read_record(tmp_path / "none.json", "k") is None


def test_flags_are_counted_in_scans_with_faults_and_in_the_others() -> None:
    holes = BY_ID["bone_holes"].limit
    records = [
        replace(record("a", bone_holes=holes), flags=("BONE_INTERRUPTED", "LOW_CONFIDENCE")),
        replace(record("b", bone_holes=holes), flags=()),
        replace(record("c", bone_holes=0.0), flags=("LOW_CONFIDENCE",)),
        record("d", error="NO_KNEE: no knee"),
    ]
    shares = {
        share.code: (share.suspect, share.of_suspect, share.others, share.of_others) for share in flag_shares(records)
    }
    assert shares == {"BONE_INTERRUPTED": (1, 2, 0, 1), "LOW_CONFIDENCE": (1, 2, 1, 1)}


def test_every_check_is_documented() -> None:
    rows = [
        f"| {check.title} | {check.unit} | {check.usual:g} | {check.limit:g} | {check.source} |" for check in CHECKS
    ]
    page = (Path(__file__).resolve().parents[3] / "docs" / "how-to" / "check-scans.md").read_text(encoding="utf-8")
    assert "\n".join(rows) in page, "the table should read:\n\n" + "\n".join(rows)


def test_processes_share_the_cores() -> None:
    assert threads_of(10_000) == 1
    assert threads_of(1) >= threads_of(2) >= 1


@pytest.mark.slow
def test_a_folder_is_checked_once_and_a_changed_scan_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scans, output = tmp_path / "scans", tmp_path / "out"
    (scans / "lab").mkdir(parents=True)
    (scans / "lab" / "knee.nii.gz").write_bytes(small_knee(3.0))
    (scans / "empty.nii.gz").write_bytes(empty_scan())
    call = ["check-scans", str(scans), str(output), "--processes", "2"]
    assert main(call) == 0
    said = capsys.readouterr().out
    assert "2 scans" in said
    assert "empty.nii.gz: EMPTY_IMAGE" in said
    listed = json.loads((output / JSON_NAME).read_text())
    assert [scan["name"] for scan in listed["scans"]] == ["empty.nii.gz", "lab/knee.nii.gz"]
    knee = listed["scans"][1]
    assert set(knee["values"]) <= {check.id for check in CHECKS}
    assert knee["facts"]["side"] == "right"
    rows = list(csv.DictReader((output / CSV_NAME).open()))
    assert [row["name"] for row in rows] == ["empty.nii.gz", "lab/knee.nii.gz"]
    page = (output / GALLERY_NAME).read_text()
    assert "lab/knee.nii.gz" in page
    assert "Not analysed." in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page), "the page needs no other file"
    assert len(list((output / LABELS).iterdir())) == 1

    before = {path.name: path.stat().st_mtime_ns for path in (output / RECORDS).iterdir()}
    (scans / "empty.nii.gz").write_bytes(small_knee(2.5))
    assert main(call) == 0
    after = {path.name: path.stat().st_mtime_ns for path in (output / RECORDS).iterdir()}
    assert {name.partition("_")[0] for name in before if before[name] != after[name]} == {"empty"}
    assert len(list((output / LABELS).iterdir())) == 2
