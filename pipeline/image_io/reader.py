"""Entry points: read or check a scan."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.anatomy import Side
from pipeline.errors import AmbiguousSeries, InputError, NoImageSeries, UnreadableImage, UnsafeArchive
from pipeline.file_kinds import IMAGES, VOLUMES, FileKind, either
from pipeline.image_io.archive import is_ignored, unpacked
from pipeline.image_io.content import holds_labels
from pipeline.image_io.echo_names import Names, echo_order
from pipeline.image_io.formats import detached_header, identify, peek
from pipeline.image_io.source import Source
from pipeline.options import check_times
from pipeline.scan_facts import ScanFacts
from pipeline.types import Scan

MOST_LISTED: Final = 30

_DICOM_HEAD_BYTES: Final = 4096
_SEGMENTATION_CLASSES: Final = (b"1.2.840.10008.5.1.4.1.1.66.4", b"1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes of segmentations and of label map segmentations."""


def read_scan(
    path: Path,
    *,
    side: Side | None = None,
    series: str = "",
    echo_times_ms: tuple[float, ...] = (),
    beside_labels: bool = False,
    scratch_dir: Path | None = None,
) -> Scan:
    """The scan in a file (NIfTI, NRRD, DICOM, zip) or folder, in LPS, every echo float32.

    side         given by the user; it overrides the header, with a warning if they differ
    series       name of one of several DICOM series, as listed by AmbiguousSeries; empty: the only one
    echo_times_ms  given by the user, one per echo; they replace those of the file, with a warning if they differ
    beside_labels  whether the same file or folder also holds the label map of the scan, which is then left out
    scratch_dir  temporary folder for unpacking an archive (default: the system's)

    Raises UnreadableImage, NoImageSeries, AmbiguousSeries, UnsupportedImage, IncompleteSeries, UnsafeArchive,
    OutOfDisk.
    Empty images are not an error here: see `require_content`.
    """
    with files_of(path, scratch_dir) as names:
        files = split_labels(names)[0] if beside_labels else names
        with open_one(files, scratch_dir, series) as source:
            scan = source.read()
    return _with_side(_with_times(scan, echo_times_ms), side)


def _with_times(scan: Scan, times_ms: tuple[float, ...]) -> Scan:
    check_times(times_ms, len(scan.echoes))
    if not times_ms or times_ms == scan.echo_times_ms:
        return scan
    if not scan.echo_times_ms:
        return replace(scan, echo_times_ms=times_ms)
    stored = ", ".join(f"{time:.4g}" for time in scan.echo_times_ms)
    warning = f"Echo times were given; those in the file ({stored} ms) were not used."
    return replace(scan, echo_times_ms=times_ms, warnings=(*scan.warnings, warning))


def _with_side(scan: Scan, side: Side | None) -> Scan:
    if side is None or side is scan.side:
        return scan
    if scan.side is None:
        return replace(scan, side=side)
    warning = f"Side was given as {side}, but the header says {scan.side}; {side} was used."
    return replace(scan, side=side, warnings=(*scan.warnings, warning))


def check_scan(path: Path, *, series: str = "", scratch_dir: Path | None = None) -> ScanFacts:
    """The header facts of a scan.

    Raises the errors of `read_scan`: every byte is checked, but no image is kept in memory.
    """
    with files_of(path, scratch_dir) as names, open_one(names, scratch_dir, series) as source:
        source.check()
        return source.facts()


def split_labels(names: Names) -> tuple[Names, Names]:
    """Files of the scan, and files of label maps, by content; either may be empty.

    Files that are no image (descriptions, sidecars, the voxels of a MetaImage) belong to both.
    """
    images = {file: kind for file in names if (kind := peek(file)) in IMAGES}
    others = {file: name for file, name in names.items() if file not in images}
    found = {file for file, kind in images.items() if _holds_labels(file, kind, others | {file: names[file]})}
    parts = [
        {file: name for file, name in names.items() if file in images and (file in found) is labels}
        for labels in (False, True)
    ]
    scan, labels = ({**part, **others} if part else {} for part in parts)
    return scan, labels


def _holds_labels(file: Path, kind: FileKind | None, alone: Names) -> bool:
    """Whether an image is a label map; False if it cannot be read. alone: the file and those that are no image."""
    if kind is FileKind.DICOM:
        with file.open("rb") as stream:
            head = stream.read(_DICOM_HEAD_BYTES)
        return any(uid in head for uid in _SEGMENTATION_CLASSES)
    try:
        if kind is FileKind.NRRD:
            from pipeline.image_io.nrrd_segments import nrrd_segments

            if nrrd_segments(file):
                return True
        with open_one(alone, None) as source:
            return holds_labels(source)
    except InputError:
        return False


@contextlib.contextmanager
def files_of(path: Path, scratch_dir: Path | None = None) -> Iterator[Names]:
    """The files of an upload (a file, a folder or a zip), each with its name there.

    Raises UnreadableImage, UnsafeArchive, NoImageSeries, OutOfDisk.
    """
    if path.is_file() and identify(path) is FileKind.ZIP:
        with unpacked(path, scratch_dir) as names:
            if all(peek(file) is FileKind.ZIP for file in names):
                raise UnsafeArchive(
                    "Archive contains only another archive; expected the scan itself.", hint="Pack the scan once."
                )
            yield names
        return
    if not path.exists():
        raise UnreadableImage("No such file or folder; expected a scan.")
    yield _files(path) if path.is_dir() else {path: path.name}


def _files(folder: Path) -> dict[Path, str]:
    """Every file below the folder that may belong to a scan, sorted, with its name there; links are not followed."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    names = {path: path.relative_to(folder).as_posix() for path in found}
    return {path: name for path, name in names.items() if not is_ignored(name)}


@contextlib.contextmanager
def open_one(names: Names, scratch_dir: Path | None, series: str = "") -> Iterator[Source]:
    """The one scan among the files; other files are ignored. The readers are loaded as they are needed."""
    kind, chosen = choose(names)
    with contextlib.ExitStack() as opened:
        if kind is FileKind.DICOM:
            from pipeline.image_io.dicom import open_dicom

            yield open_dicom(chosen, scratch_dir, series)
        elif kind is FileKind.NRRD:
            from pipeline.image_io.nrrd import open_nrrd

            yield opened.enter_context(open_nrrd(chosen[0]))
        elif kind is FileKind.META_IMAGE:
            from pipeline.image_io.meta_image import open_meta_image

            folder = PurePosixPath(names[chosen[0]]).parent
            paths = {PurePosixPath(name): file for file, name in names.items()}
            beside = {path.name: file for path, file in paths.items() if path.parent == folder}
            yield opened.enter_context(open_meta_image(chosen[0], beside))
        else:
            from pipeline.image_io.echo_files import open_echoes, open_volume

            single = len(chosen) == 1
            yield opened.enter_context(open_volume(chosen[0], names) if single else open_echoes(chosen, names))


def choose(names: Names) -> tuple[FileKind, list[Path]]:
    """The kind of the one scan among the files, and its files.

    Raises AmbiguousSeries, NoImageSeries, and the error of `identify` for a single file.
    """
    files = list(names)
    if len(files) == 1:
        identify(files[0])  # raises its specific error
    found: dict[FileKind | None, list[Path]] = {}
    for file in files:
        found.setdefault(peek(file), []).append(file)
    volumes = [(kind, file) for kind in VOLUMES for file in found.get(kind, [])]
    series = found.get(FileKind.DICOM, [])
    if len(volumes) > 1 and not series and {kind for kind, _ in volumes} == {FileKind.NIFTI}:
        echoes = echo_order([file for _, file in volumes], names)
        if echoes is not None:
            return FileKind.NIFTI, echoes
    if len(volumes) + bool(series) > 1:
        described = [f"{kind} file {number}" for number, (kind, _) in enumerate(volumes, start=1)]
        described += [f"{len(series)} {FileKind.DICOM} files"] if series else []
        raise AmbiguousSeries(
            f"{len(described)} scans were found ({'; '.join(described[:MOST_LISTED])}); expected one.",
            hint="Upload the scan to analyse alone. A label map of it is sent as a label map, not as a second scan.",
            series=[{"description": name} for name in described],
        )
    if series:
        return FileKind.DICOM, series
    if volumes:
        kind, file = volumes[0]
        return kind, [file]
    if FileKind.DETACHED in found:
        raise detached_header()
    raise NoImageSeries(
        f"None of the {len(files)} files is an image; expected {either(IMAGES)}.", hint="Upload the scan itself."
    )
