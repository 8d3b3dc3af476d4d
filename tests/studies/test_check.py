"""The dry run: every fault of a row is named with what was found, what is expected, and a remedy."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from kneebox import main
from pipeline.errors import OptionsError
from pipeline.options import AnalysisOptions
from pipeline.types import Resources
from studies.check import Check, acceptable, check_manifest
from studies.check_documents import check_csv, check_document, check_lines
from studies.findings import KINDS, SIDE_CONTRADICTS_NAME, Severity
from studies.manifest import read_manifest
from tests.support.awkward_study import AwkwardRow, awkward_rows, write_manifest
from tests.support.image_io_writers import make_phantom, write_nifti


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[AwkwardRow], Check]:
    folder = tmp_path_factory.mktemp("awkward")
    rows = awkward_rows(folder)
    manifest = read_manifest(write_manifest(folder / "manifest.csv", rows))
    return rows, check_manifest(manifest, AnalysisOptions(), Resources())


def test_each_of_many_awkward_rows_is_named_with_reason_and_remedy(awkward: tuple[list[AwkwardRow], Check]) -> None:
    rows, check = awkward
    assert sum(bool(row.code) for row in rows) >= 60
    assert len(check.rows) == len(rows)
    for expected, found in zip(rows, check.rows, strict=True):
        listed = [finding.code for finding in found.findings]
        assert (expected.code in listed) if expected.code else not listed, (expected, found.findings)
        assert all(finding.message and finding.remedy for finding in found.findings), found.findings


def test_a_fault_of_one_row_is_found_in_no_other(awkward: tuple[list[AwkwardRow], Check]) -> None:
    for expected, found in zip(*awkward[:1], awkward[1].rows, strict=True):
        others = {finding.code for finding in found.findings} - {expected.code}
        assert not others, (expected, found.findings)


def test_every_kind_of_finding_is_among_them(awkward: tuple[list[AwkwardRow], Check]) -> None:
    by_root_or_long = {"NO_PERMISSION", "LABELS_OFF_GRID", "DIFFERENT_SEQUENCE"}
    by_root_or_long |= {"NOT_ALLOWED"}  # of the service
    assert set(KINDS) - {row.code for row in awkward[0]} == by_root_or_long


def test_no_message_holds_a_path_of_the_machine(awkward: tuple[list[AwkwardRow], Check]) -> None:
    for _, finding in awkward[1].findings:
        assert "/tmp" not in finding.message + finding.remedy  # noqa: S108


def test_only_rows_with_notes_alone_can_be_analysed(awkward: tuple[list[AwkwardRow], Check]) -> None:
    rows, check = awkward
    ready = {row.row.number for row in check.ready}
    for expected, found in zip(rows, check.rows, strict=True):
        kind = KINDS.get(expected.code)
        note = not expected.code or (kind is not None and kind.severity is Severity.NOTE)
        assert (found.row.number in ready) is note, expected


def test_table_csv_and_json_show_the_same_findings(awkward: tuple[list[AwkwardRow], Check]) -> None:
    check = awkward[1]
    listed = [(row.row.number, finding.code) for row, finding in check.findings]
    read = list(csv.DictReader(io.StringIO(check_csv(check))))
    assert [(int(line["row"]), line["code"]) for line in read] == listed
    document = json.loads(json.dumps(check_document(check)))
    assert [(row["row"], item["code"]) for row in document["rows"] for item in row["findings"]] == listed
    text = "\n".join(check_lines(check))
    assert all(f"Row {number} " in text and f"{code}:" in text for number, code in listed)
    assert f"{len(check.rows)} rows, {len(check.ready)} can be analysed." in text


def test_a_doubt_can_be_accepted_and_a_fault_cannot(tmp_path: Path) -> None:
    write_nifti(make_phantom(1), tmp_path / "left.nii.gz")
    path = tmp_path / "m.csv"
    path.write_text("path,subject,side\nleft.nii.gz,A,right\nmissing.nii.gz,B,right\n", encoding="utf-8")
    manifest = read_manifest(path)
    plain = check_manifest(manifest, AnalysisOptions(), Resources())
    accepted = check_manifest(manifest, AnalysisOptions(), Resources(), accepted=acceptable([SIDE_CONTRADICTS_NAME]))
    assert [len(plain.ready), len(accepted.ready)] == [0, 1]
    with pytest.raises(OptionsError, match="MISSING_FILE cannot be accepted"):
        acceptable(["MISSING_FILE"])


def test_the_command_prints_every_form_and_its_status_says_whether_rows_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_nifti(make_phantom(1), tmp_path / "a.nii.gz")
    path = tmp_path / "m.csv"
    path.write_text("path,subject\na.nii.gz,A\n", encoding="utf-8")
    assert main(["study", "check", str(path)]) == 0
    assert "1 rows, 1 can be analysed." in capsys.readouterr().out
    path.write_text("path,subject\na.nii.gz,A\nb.nii.gz,B\n", encoding="utf-8")
    assert main(["study", "check", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["left_out"] == 1
    assert main(["study", "check", str(path), "--csv"]) == 1
    assert "MISSING_FILE" in capsys.readouterr().out
    assert main(["study", "check", str(tmp_path / "none.csv")]) == 1
    assert capsys.readouterr().err.startswith("INVALID_MANIFEST: The manifest none.csv cannot be read")
