"""A manifest is read as programs and people save it; what its values mean is read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.anatomy import Side
from studies.findings import InvalidManifest
from studies.manifest import manifest_csv, read_manifest

TEXT = "path,subject,visit,side,sex,age,Köhler grade\na.nii.gz,Müller,V00,L,F,63.5,2\n"


def read(folder: Path, content: bytes):
    path = folder / "m.csv"
    path.write_bytes(content)
    return read_manifest(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encoding_separator_and_line_ends_do_not_matter(
    tmp_path: Path, encoding: str, separator: str, newline: str
) -> None:
    text = TEXT.replace(",", separator).replace("\n", newline)
    manifest = read(tmp_path, text.encode(encoding))
    (row,) = manifest.rows
    assert (row.person.subject, row.person.visit, row.person.side) == ("Müller", "V00", Side.LEFT)
    assert (row.person.sex, row.person.age, row.scan) == ("female", 63.5, tmp_path / "a.nii.gz")
    assert row.further == {"Köhler grade": "2"}
    assert manifest.further == ("Köhler grade",)
    assert not row.findings


@pytest.mark.parametrize(("cell", "age"), [("63,5", 63.5), ("63.5", 63.5), (" 63 ", 63.0), ("", None)])
def test_an_age_has_a_decimal_point_or_comma(tmp_path: Path, cell: str, age: float | None) -> None:
    assert read(tmp_path, f"path;subject;age\na;S;{cell}\n".encode()).rows[0].person.age == age
    assert read(tmp_path, f'path,subject,age\na,S,"{cell}"\n'.encode()).rows[0].person.age == age


def test_quotes_empty_lines_comments_and_spaces_are_read(tmp_path: Path) -> None:
    text = (
        b'\n# made manually\n Path , Participant ID, Session\n\n"a, b.nii" , "S ""1""" , V00\n;;\n,,\nc.nii,S2,V00,,,\n'
    )
    manifest = read(tmp_path, text.replace(b";;\n", b""))
    assert [(row.scan and row.scan.name, row.person.subject, row.number) for row in manifest.rows] == [
        ("a, b.nii", 'S "1"', 5),
        ("c.nii", "S2", 7),
    ]
    assert not any(row.findings for row in manifest.rows)


def test_names_keep_leading_zeros_and_further_columns_are_kept_as_they_are(tmp_path: Path) -> None:
    (row,) = read(tmp_path, b'path,subject,visit,Group,BMI\na,0007,00, control arm ,"23,5"\n').rows
    assert (row.person.subject, row.person.visit) == ("0007", "00")
    assert row.further == {"Group": "control arm", "BMI": "23,5"}


def test_paths_are_relative_to_the_manifest_and_may_have_backslashes(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.nii").touch()
    rows = read(tmp_path, b"path,subject\nscans\\a.nii,A\n/data/b.nii,B\n").rows
    assert [row.scan for row in rows] == [tmp_path / "scans" / "a.nii", Path("/data/b.nii")]


def test_columns_named_as_options_set_them_for_their_rows(tmp_path: Path) -> None:
    text = b'path,subject,series,echo_times_ms,resample_labels\na,A,5,"10, 20",\nb,B,,,yes\n'
    first, second = read(tmp_path, text).rows
    assert first.options == {"series": "5", "echo_times_ms": (10.0, 20.0)}
    assert second.options == {"resample_labels": True}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n\n# nothing\n", "empty"),
        (b"path,subject\n", "no rows"),
        (b"a.nii.gz,S1\nb.nii.gz,S2\n", "no column subject; found a.nii.gz, S1"),
        (b"subject,visit\nS1,V00\n", "neither a column path nor labels"),
        (b"path,subject,participant_id\na,S,S\n", "subject and participant_id mean the same"),
        (b"path,subject,group,Group\na,S,1,2\n", "same name"),
        (b"PK\x03\x04" + bytes(100), "workbook"),
        (b"\xff\xfe\x00", "utf-16"),
        (b'path,subject\n"a,' + b"x" * 200_000 + b",S\n", "line"),
    ],
)
def test_a_manifest_of_which_nothing_can_be_read_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidManifest, match=message) as raised:
        read(tmp_path, content)
    assert raised.value.hint


def test_a_written_manifest_reads_back(tmp_path: Path) -> None:
    rows = [{"path": "a, b.nii", "subject": "S1", "visit": ""}, {"path": "c.nii", "subject": "S2", "visit": ""}]
    text = manifest_csv(rows)
    assert text.splitlines()[0] == "path,subject"
    assert [row.given for row in read(tmp_path, text.encode()).rows] == ["a, b.nii", "c.nii"]
