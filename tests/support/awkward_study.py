"""A manifest in which every row but a few has another fault, with the code that each must get."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom.uid import CTImageStorage

from pipeline.errors import (
    AmbiguousSeries,
    IncompleteSeries,
    KneeError,
    NoImageSeries,
    UnreadableImage,
    UnsafeArchive,
    UnsupportedImage,
)
from studies import findings as codes
from tests.support.image_io_writers import make_phantom, write_dicom, write_nifti, write_nrrd, zip_of

COLUMNS: Final = (
    "path",
    "labels",
    "subject",
    "visit",
    "side",
    "time",
    "sex",
    "age",
    "series",
    "knee",
    "echo_times_ms",
    "site",
)


@dataclass(frozen=True, kw_only=True)
class AwkwardRow:
    """values: of the columns; code: that a finding must have; raw: the line unchanged, instead of the values."""

    code: str
    values: dict[str, str] = field(default_factory=dict)
    raw: str = ""


def awkward_rows(folder: Path) -> list[AwkwardRow]:
    """The rows; their files are written into the folder."""
    make = _Files(folder)
    of = AwkwardRow
    rows: list[AwkwardRow] = []

    def cell(code: str, **values: str) -> None:
        number = len(rows)
        given = {"path": make.good(number), "subject": f"A{number:03d}", "visit": "V00", "side": "right"}
        rows.append(of(code=code, values=given | values))

    def file(code: str | type[KneeError], path: str, **values: str) -> None:
        cell(code if isinstance(code, str) else code("").code, path=path, **values)

    _cells(cell, rows, make)
    for code, path in make.bad_files():
        file(code, path)
    _together(cell, make)
    return rows


def write_manifest(path: Path, rows: list[AwkwardRow]) -> Path:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        if row.raw:
            stream.write(row.raw + "\n")
        else:
            writer.writerow([row.values.get(name, "") for name in COLUMNS])
    path.write_text(stream.getvalue(), encoding="utf-8")
    return path


def _cells(cell, rows: list[AwkwardRow], make: _Files) -> None:
    """Values that are wrong in themselves."""
    cell(codes.NO_SUBJECT, subject="")
    cell(codes.INVALID_NAME, subject="x" * 80)
    cell(codes.INVALID_NAME, subject="two\nlines")
    cell(codes.INVALID_NAME, visit="V\x0700")
    for side in ("1", "2", "medial", "both", "links"):
        cell(codes.INVALID_SIDE, side=side)
    for sex in ("1", "x", "F/M"):
        cell(codes.INVALID_SEX, sex=sex)
    for age in ("-3", "sixty", "1961-05-31", "63 years", "nan", "612"):
        cell(codes.INVALID_AGE, age=age)
    for time in ("31.05.2021", "May 2021", "2021-13-01", "inf", "12m"):
        cell(codes.INVALID_TIME, time=time)
    cell(codes.INVALID_OPTION, series="SAG DESS")
    cell(codes.INVALID_OPTION, knee="3")
    cell(codes.INVALID_OPTION, echo_times_ms="30, 20, 10")
    cell(codes.NO_FILE_NAMED, path="")
    cell(codes.NOT_A_PATH, path="https://example.org/knee.nii.gz")
    cell(codes.NOT_A_PATH, path="knees/*.nii.gz")
    for subject in ("9.00E+06", "1-Mar", "#REF!", "Jan-05"):
        cell(codes.REFORMATTED_SUBJECT, subject=subject)
    rows.append(AwkwardRow(code=codes.FIELD_COUNT, raw=f"{make.good(905)},,S1"))
    rows.append(AwkwardRow(code=codes.FIELD_COUNT, raw=f"{make.good(906)},,S2,V00,right,,female,63,5,,,,siteA"))


def _together(cell, make: _Files) -> None:
    """Rows that contradict others, or their headers and names."""
    for subject, visit in (("D1", "V00"), ("D1", "V00")):
        cell(codes.DOUBLED_ROW, subject=subject, visit=visit)
    for subject in ("D2", "D2"):
        cell(codes.DOUBLED_ROW, subject=subject, side="")
    shared = make.good(900)
    for visit in ("V00", "V01"):
        cell(codes.SAME_FILE, path=shared, subject="D3", visit=visit)
    make.link("linked.nii.gz", "good_901.nii.gz", source=make.good(901))
    for path in ("linked.nii.gz", "good_901.nii.gz"):
        cell(codes.SAME_FILE, path=path)
    make.copy("copy.nii.gz", make.good(902))
    for path in ("copy.nii.gz", "good_902.nii.gz"):
        cell(codes.SAME_CONTENT, path=path)
    cell(codes.SIDE_CONTRADICTS_HEADER, path=make.dicom("header_says_L", laterality="L"))
    make.copy("knee_left.nii.gz", make.good(903))
    cell(codes.SIDE_CONTRADICTS_NAME, path="knee_left.nii.gz")
    cell(codes.SEQUENCE_NOT_OF_MODEL, path=make.dicom("gradient", families="GR"))
    for visit, time in (("V00", "2.0"), ("V01", "1.0")):
        cell(codes.TIMES_OUT_OF_ORDER, subject="T1", visit=visit, time=time)
    for visit, time in (("V00", "2021-05-31"), ("V01", "1.0")):
        cell(codes.TIMES_NOT_COMPARABLE, subject="T2", visit=visit, time=time)
    for visit in ("V00", "V01"):
        cell(codes.TIMES_NOT_COMPARABLE, subject="T3", visit=visit, time="2021-05-31")
    for visit, sex in (("V00", "male"), ("V01", "female")):
        cell(codes.SEX_CHANGES, subject="T4", visit=visit, sex=sex)
    cell(codes.TIME_MISSING, subject="T5", visit="V00")
    cell("", subject="T5", visit="V01", time="1.0", age="64")
    cell(codes.AGES_OUT_OF_ORDER, subject="T5", visit="V02", time="2.0", age="61")
    cell("", subject="S-07")
    cell(codes.SIMILAR_SUBJECTS, subject="s7")
    for subject in ("B1", "B2", "B3"):
        cell("", subject=subject, visit="V00")
        cell("", subject=subject, visit="V03")
    cell(codes.NO_BASELINE, subject="B4", visit="V03")
    cell("", subject="X1", visit="V00")
    cell(codes.DIFFERENT_VOXELS, subject="X1", visit="V01", path=make.good(904, spacing=0.8))


class _Files:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def good(self, seed: int, spacing: float = 0.5) -> str:
        """A readable scan with content that no other has."""
        name = f"good_{seed}.nii.gz"
        if not (self._folder / name).exists():
            phantom = make_phantom(seed)
            phantom.spacing_xyz[:] = (spacing, spacing, 3.0)
            write_nifti(phantom, self._folder / name)
        return name

    def copy(self, name: str, source: str) -> None:
        (self._folder / name).write_bytes((self._folder / source).read_bytes())

    def link(self, name: str, target: str, *, source: str) -> None:
        assert source == target
        (self._folder / name).symlink_to(self._folder / target)

    def dicom(self, name: str, *, laterality: str = "", families: str = "SE", **given: object) -> str:
        def change(data, echo, z):
            data.ScanningSequence = families
            if laterality:
                data.Laterality = laterality

        write_dicom(make_phantom(len(name)), self._folder / name, change=change, **given)
        return name

    def bad_files(self) -> list[tuple[str | type[KneeError], str]]:
        """Expected code or error, and the path."""
        folder = self._folder
        phantom = make_phantom(1)
        whole = (folder / self.good(1)).read_bytes()
        plain = gzip.decompress(whole)
        written = {
            "text.nii.gz": b"this is no image",
            "noise.nii.gz": gzip.compress(b"noise" * 100),
            "cut.nii": plain[: len(plain) // 2],
            "header_only.nii": plain[:352],
            "picture.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 64,
            "empty.nii.gz": b"",
            "not_a_zip.zip": b"PK\x03\x04" + b"\0" * 40,
            "table.csv": b"path,subject\n",
        }
        for name, content in written.items():
            (folder / name).write_bytes(content)
        (folder / "nothing").mkdir()
        (folder / "notes").mkdir()
        for name in ("readme.txt", "log.txt"):
            (folder / "notes" / name).write_text("no image", encoding="utf-8")
        (folder / "dangling.nii.gz").symlink_to(folder / "gone.nii.gz")
        with zipfile.ZipFile(folder / "inside.zip", "w") as archive:
            archive.write(zip_of(folder / self.good(2), folder / "one.zip"), "one.zip")
        with zipfile.ZipFile(folder / "escaping.zip", "w") as archive:
            archive.writestr("../../outside.nii", plain)
        write_nifti(phantom, folder / "flat.nii.gz", voxels=phantom.echoes[:, :1])
        for number in (1, 2):
            write_dicom(
                make_phantom(number), folder / "two_series", name=f"{number}_IM{{:04d}}", change=_numbered(number)
            )
        write_dicom(phantom, folder / "gap", change=None)
        sorted((folder / "gap").iterdir())[5].unlink()
        write_dicom(phantom, folder / "ct", change=_ct)
        (folder / "pair").mkdir()
        write_nrrd(phantom, folder / "pair" / "a.nrrd")
        write_nrrd(make_phantom(3), folder / "pair" / "b.nrrd")
        return [
            (codes.MISSING_FILE, "nowhere/knee.nii.gz"),
            (codes.MISSING_FILE, "GOOD_1.NII.GZ"),
            (codes.MISSING_FILE, "dangling.nii.gz"),
            (codes.MISSING_FILE, "good_1.nii.gz/knee"),
            (codes.EMPTY_FILE, "empty.nii.gz"),
            (codes.EMPTY_FILE, "nothing"),
            (UnreadableImage, "text.nii.gz"),
            (UnreadableImage, "noise.nii.gz"),
            (UnreadableImage, "cut.nii"),
            (UnreadableImage, "header_only.nii"),
            (UnreadableImage, "picture.png"),
            (UnreadableImage, "table.csv"),
            (UnreadableImage, "not_a_zip.zip"),
            (NoImageSeries, "notes"),
            (UnsafeArchive, "inside.zip"),
            (UnsafeArchive, "escaping.zip"),
            (UnsupportedImage, "flat.nii.gz"),
            (AmbiguousSeries, "two_series"),
            (AmbiguousSeries, "pair"),
            (IncompleteSeries, "gap"),
            (UnsupportedImage, "ct"),
        ]


def _numbered(number: int):
    def change(data, echo, z):
        data.SeriesNumber = str(number)

    return change


def _ct(data, echo, z):
    data.Modality = "CT"
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
