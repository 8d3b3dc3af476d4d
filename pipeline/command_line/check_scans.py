"""check-scans FOLDER OUTPUT_DIR: a model over a folder of scans without labels, ranked by what looks wrong."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Final

from tqdm import tqdm

from pipeline.errors import OptionsError
from pipeline.options import DEFAULT_MODEL
from pipeline.scan_checks.documents import CSV_NAME, GALLERY_NAME, write_documents
from pipeline.scan_checks.folder import check_folder, threads_of
from pipeline.scan_checks.record import Record, ranked
from pipeline.segmentation.registry import model
from pipeline.segmentation.segmenter import Segmenter
from pipeline.types import Resources

SHOWN: Final = 10


def build_parser(program: str) -> argparse.ArgumentParser:
    """The two folders, the models, and how many scans are checked at once."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Run a model on every scan of a folder, without labels, and rank the scans by what looks wrong: "
        "holes and breaks in bones, fluid in cartilage, side, patella, fit. The same call continues a stopped run.",
    )
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="scans: image files, zips and folders of DICOM files"
    )
    parser.add_argument("output", type=Path, metavar="OUTPUT_DIR")
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="ID", help=f"default: {DEFAULT_MODEL}")
    parser.add_argument(
        "--against", action="append", default=[], metavar="ID", help="also compare with this model; may be repeated"
    )
    parser.add_argument("--models-dir", type=Path, help="folder with extra model weights")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="scans at once; the cores are shared")
    return parser


def run(parser: argparse.ArgumentParser, words: list[str]) -> tuple[int, str]:
    """Exit status 0, and the worst scans as text; the documents are in OUTPUT_DIR. Raises KneeError."""
    given = parser.parse_args(words)
    if given.processes < 1:
        raise OptionsError(f"--processes is {given.processes}; expected 1 or more.")
    resources = Resources(models_dir=given.models_dir, device=given.device, threads=threads_of(given.processes))
    models = partial(_models, (given.model, *given.against), resources)
    with tqdm(file=sys.stderr, unit="scan") as bar:

        def show(total: int) -> None:
            bar.total = total
            bar.update()

        records = check_folder(given.folder, given.output, models, resources, given.processes, show)
    write_documents(records, models(), given.output)
    return 0, _as_text(records, given.output)


def _models(ids: tuple[str, ...], resources: Resources) -> tuple[Segmenter, ...]:
    return tuple(model(name, resources) for name in ids)


def _as_text(records: list[Record], output: Path) -> str:
    wrong = [record for record in ranked(records) if record.reasons]
    lines = [f"{record.name}: {record.reasons}" for record in wrong[:SHOWN]]
    if len(wrong) > SHOWN:
        lines.append(f"and {len(wrong) - SHOWN} more")
    lines.append(f"{len(records)} scans, {len(wrong)} to look at: {output / GALLERY_NAME}, {output / CSV_NAME}")
    return "\n".join(lines)
