"""check MANIFEST: every row is read and judged before anything is computed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tqdm import tqdm

from pipeline.command_line.options import add_options, options_of
from pipeline.segmentation.registry import model_ids
from pipeline.types import Resources
from studies.check import Check, acceptable, check_manifest
from studies.check_documents import check_csv, check_document, check_lines
from studies.manifest import read_manifest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The manifest, the form of the output, and the options of the analyses."""
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print one CSV line for each finding")
    add_check_arguments(parser)


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """What `check` and `run` have in common."""
    parser.add_argument(
        "--full", action="store_true", help="read every voxel, as an upload is checked; default: headers alone"
    )
    parser.add_argument(
        "--accept", action="append", default=[], metavar="CODE", help="analyse rows with this doubt; may be repeated"
    )
    models = ", ".join(model_ids(Resources()))
    add_options(
        parser, {"segmentation_model": f"One of {models}, or the name of an nnU-Net v2 folder in --models-dir."}
    )
    parser.add_argument("--models-dir", type=Path, help="folder with extra model weights")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def run(given: argparse.Namespace) -> int:
    """Print what was found; status 1 if a row would be left out. Raises InvalidManifest, OptionsError."""
    check = checked(given, Resources(models_dir=given.models_dir, device=given.device))
    if given.json:
        text = json.dumps(check_document(check), indent=1, ensure_ascii=False) + "\n"
    else:
        text = check_csv(check) if given.csv else "\n".join(check_lines(check)) + "\n"
    sys.stdout.write(text)
    return int(len(check.ready) < len(check.rows))


def checked(given: argparse.Namespace, resources: Resources) -> Check:
    """The judged rows of the manifest, with a bar on stderr."""
    accepted = acceptable(given.accept)
    options = options_of(given)
    manifest = read_manifest(given.manifest)
    with tqdm(total=len(manifest.rows), file=sys.stderr, unit="row", desc="Checking") as bar:

        def show(done: int, _: int) -> None:
            bar.update(done - bar.n)

        return check_manifest(manifest, options, resources, accepted=accepted, whole=given.full, on_progress=show)
