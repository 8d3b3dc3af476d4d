"""manifest FOLDER MANIFEST: a manifest from the names in a folder, shown before anything starts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from pipeline.acquisition import PulseSequence
from pipeline.decoding.headers import HeaderRequest, read_headers
from pipeline.errors import InputError
from pipeline.upload_facts import HeaderFacts
from studies.columns import LABELS, PATH, SIDE
from studies.layouts import Found, LayoutName, RowValues, rows_of_folder
from studies.manifest import manifest_csv, write_text

SHOWN: Final = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, the file, and how names are read."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="image files, zips and folders of DICOM files")
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="the CSV file to write")
    parser.add_argument("--layout", choices=list(LayoutName), help="default: recognised from the names")
    parser.add_argument(
        "--pattern",
        default="",
        help="of the names, with fields in braces: '{subject}_{visit}_{side}', '{site}/{subject}'",
    )
    parser.add_argument("--only", default="", metavar="GLOB", help="only scans whose path matches, such as '*DESS*'")
    parser.add_argument(
        "--sequence",
        choices=[item.value for item in PulseSequence if item is not PulseSequence.UNKNOWN],
        help="only scans with this sequence in their header, which is read; the side is taken from it too",
    )
    parser.add_argument("--label-maps", action="store_true", help="the files are label maps, not scans")


def run(given: argparse.Namespace) -> int:
    """Write the manifest and print its first rows. Raises InputError if the file exists, or if no scan is found."""
    if given.manifest.exists():
        raise InputError(f"{given.manifest.name} exists.", hint="Give another name, or remove it first.")
    layout = LayoutName(given.layout) if given.layout else None
    found = rows_of_folder(
        given.folder, layout=layout, pattern=given.pattern, only=given.only, label_maps=given.label_maps
    )
    left_out = list(found.left_out)
    rows = list(found.rows)
    if given.sequence:
        rows, others = _with_sequence(found, given.folder, PulseSequence(given.sequence))
        left_out += others
        if not rows:
            raise InputError(f"No scan has the sequence {given.sequence} in its header.", hint="Leave --sequence out.")
    text = manifest_csv(_placed(row, given.folder, given.manifest) for row in rows)
    write_text(given.manifest, text)
    lines = text.splitlines()
    shown = [*lines[: SHOWN + 1], *([f"and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else [])]
    shown += [f"! not read: {name}" for name in left_out[:SHOWN]]
    shown += [f"! and {len(left_out) - SHOWN} more"] if len(left_out) > SHOWN else []
    sys.stdout.write("\n".join([f"Read as {found.read_as}", *shown, f"{len(rows)} rows: {given.manifest}"]) + "\n")
    return 0


def _with_sequence(found: Found, folder: Path, sequence: PulseSequence) -> tuple[list[RowValues], list[str]]:
    """The rows with this sequence, with the side of the header where the name states none; the paths of the others."""
    paths = [row.get(PATH.name) or row[LABELS.name] for row in found.rows]
    headers = read_headers([HeaderRequest(file=folder / path) for path in paths])
    kept, others = [], []
    for row, path, header in zip(found.rows, paths, headers, strict=True):
        if not isinstance(header, HeaderFacts) or header.scan is None or header.scan.sequence is not sequence:
            others.append(path)
            continue
        kept.append({**row, SIDE.name: row.get(SIDE.name) or str(header.scan.side or "")})
    return kept, others


def _placed(row: RowValues, folder: Path, manifest: Path) -> RowValues:
    """Paths relative to the manifest where its folder holds the scans; else absolute."""
    home = manifest.absolute().parent
    whole = dict(row)
    for column in (PATH.name, LABELS.name):
        if whole.get(column):
            path = folder.absolute() / whole[column]
            whole[column] = (path.relative_to(home) if path.is_relative_to(home) else path).as_posix()
    return whole
