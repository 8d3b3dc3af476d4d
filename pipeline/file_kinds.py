"""The file kinds for scans: extensions and names, for readers, uploads, messages and pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final


class FileKind(StrEnum):
    """Kind of a file, identified by its first bytes; the value is its name in messages."""

    NIFTI = "NIfTI"
    NRRD = "NRRD"
    META_IMAGE = "MetaImage"
    DICOM = "DICOM"
    ZIP = "zip"
    DETACHED = "detached header"
    """A header whose voxels are in another file. Recognised, but never accepted."""

    @property
    def extensions(self) -> tuple[str, ...]:
        """Extensions of its files, in lower case; the longest first."""
        return _EXTENSIONS[self]


_EXTENSIONS: Final[Mapping[FileKind, tuple[str, ...]]] = MappingProxyType(
    {
        FileKind.NIFTI: (".nii.gz", ".nii"),
        FileKind.NRRD: (".nrrd",),
        FileKind.META_IMAGE: (".mha", ".mhd"),
        FileKind.DICOM: (".dcm", ".ima"),
        FileKind.ZIP: (".zip",),
        FileKind.DETACHED: (),
    }
)

VOLUMES: Final = (FileKind.NIFTI, FileKind.NRRD, FileKind.META_IMAGE)
"""Kinds that hold a whole volume in one file, or an .mhd with its .raw in one upload; a label map is one of these."""

IMAGES: Final = (*VOLUMES, FileKind.DICOM)

EXTENSIONS: Final = tuple(extension for kind in FileKind for extension in kind.extensions)
"""Every extension that an upload may have."""

COMPACT_EXTENSIONS: Final = (FileKind.NIFTI.extensions[0], FileKind.ZIP.extensions[0])
"""Extensions of compressed files, suggested if an upload is too large."""

UPLOAD_WORDS: Final = f"{', '.join(VOLUMES)}, {FileKind.DICOM} files, a folder of them, or a {FileKind.ZIP}"
"""Accepted uploads, as text."""

UNNAMED: Final = "scan"
"""Stem for an input without a name."""


def either(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def extension_of(filename: str) -> str:
    """`.nii.gz` for `Scan.NII.GZ`; otherwise the last suffix in lower case; empty if there is none."""
    name = filename.lower()
    return next((known for known in EXTENSIONS if name.endswith(known)), PurePosixPath(name).suffix)


def may_be_unnamed(filename: str) -> bool:
    """Whether a name has no extension, as those of DICOM files from scanners: `IM0001`, or a UID ending in a number."""
    suffix = PurePosixPath(filename).suffix
    return not suffix or suffix[1:].isdecimal()


def input_stem(filename: str) -> str:
    """The last part of a path without its known extension: `knee.nii.gz` -> `knee`; never empty."""
    name = PurePosixPath(filename.replace("\\", "/")).name
    extension = extension_of(name)
    return (name[: -len(extension)] if extension in EXTENSIONS else name) or UNNAMED
