"""analyse INPUT OUTPUT_DIR, or --labels FILE OUTPUT_DIR: one scan or label map in, a folder of results out."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from pipeline.command_line.options import add_options, options_of
from pipeline.errors import InputError, KneeError, TwoKnees
from pipeline.options import AnalysisOptions
from pipeline.progress import Progress
from pipeline.report.tables import measurement_from_json
from pipeline.report.text_table import text_table
from pipeline.result_folder import hand_over
from pipeline.results_tree import REPORT, RESULTS
from pipeline.run import RunSummary, run_analysis
from pipeline.segmentation.registry import model_ids
from pipeline.types import Request, Resources
from pipeline.workspace import KEPT_FOLDER, Workspace


def build_parser(program: str) -> argparse.ArgumentParser:
    """The flags of the analysis options, and of files and weights."""
    parser = argparse.ArgumentParser(
        prog=program,
        usage="%(prog)s [flags] INPUT OUTPUT_DIR",
        description="Cartilage thickness, surfaces and T2 of one knee MRI. "
        "Research use only. Not for clinical diagnosis.",
        epilog="Other commands: compare (two analyses), models (which weights are installed), "
        "validate (labelled scans), check-scans (a folder of scans); each has --help.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="INPUT OUTPUT_DIR",
        help="the scan (NIfTI, NRRD, DICOM file, folder or zip) and the folder for the results, anywhere among the "
        "flags; with --labels the scan is optional",
    )
    models = ", ".join(model_ids(Resources()))
    add_options(
        parser, {"segmentation_model": f"One of {models}, or the name of an nnU-Net v2 folder in --models-dir."}
    )
    parser.add_argument("--labels", type=Path, help="measure this label map instead of running a network")
    parser.add_argument("--models-dir", type=Path, help="folder with extra model weights")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", action="store_true", help="print the results as JSON instead of a table")
    return parser


def run(parser: argparse.ArgumentParser, words: list[str]) -> tuple[int, str]:
    """Exit status 0, and the results as text; they are in OUTPUT_DIR. Raises KneeError; exits on invalid arguments.

    An image of two knees gives the folders knee_1 and knee_2 in OUTPUT_DIR; status 1 if one of them has no result.
    """
    given = parser.parse_intermixed_args(words)
    expected = (1, 2) if given.labels else (2,)
    if len(given.paths) not in expected:
        parser.error("expected INPUT OUTPUT_DIR (or --labels FILE OUTPUT_DIR)")
    output = Path(given.paths[-1])
    try:
        return 0, _analyse(given, options_of(given), output)
    except TwoKnees as found:
        shutil.rmtree(output / KEPT_FOLDER, ignore_errors=True)
        return _analyse_each(given, output, found)


def _analyse_each(given: argparse.Namespace, output: Path, found: TwoKnees) -> tuple[int, str]:
    """Every knee of the image, each in a separate folder."""
    texts, failed = [], False
    for number in found.knees:
        options = AnalysisOptions.from_dict(options_of(given).to_dict() | {"knee": number})
        try:
            text = _analyse(given, options, output / f"knee_{number}")
        except KneeError as error:
            failed = True
            text = json.dumps({"error_code": error.code, "message": str(error)}) if given.json else f"! {error}"
        texts.append(f'"knee_{number}": {text}' if given.json else f"Knee {number}\n{text}")
    joined = "{" + ",\n".join(texts) + "}" if given.json else f"! {found.message}\n\n" + "\n\n".join(texts)
    return int(failed), joined


def _analyse(given: argparse.Namespace, options: AnalysisOptions, folder: Path) -> str:
    """Run one analysis into a folder; its results as text."""
    output = folder.resolve()
    scan = Path(given.paths[0]).resolve() if len(given.paths) == 2 else None
    for path in (scan, given.labels):
        if path is not None and not path.exists():
            raise InputError(f"There is no file or folder named {path.name}.")
    request = Request(
        input_name=(scan or given.labels).name,
        scan=str(scan) if scan else None,
        labels=str(given.labels.resolve()) if given.labels else None,
    )
    workspace = Workspace(output / KEPT_FOLDER)
    resources = Resources(models_dir=given.models_dir, device=given.device)
    with tqdm(total=100, file=sys.stderr, bar_format="{desc:32} |{bar:30}| {percentage:3.0f} % {elapsed}") as bar:

        def show(progress: Progress) -> None:
            bar.set_description_str(progress.title, refresh=False)
            bar.update(progress.percent - bar.n)

        summary = run_analysis(workspace, options, resources, request, show)
    hand_over(workspace, output, summary.archive_name)
    return _as_json(summary, folder) if given.json else _as_table(summary, folder)


def _as_json(summary: RunSummary, output: Path) -> str:
    results = json.loads(RESULTS.at(output).read_text(encoding="utf-8"))
    return json.dumps(results | {"steps": [asdict(step) for step in summary.steps]}, indent=1)


def _as_table(summary: RunSummary, output: Path) -> str:
    results = json.loads(RESULTS.at(output).read_text(encoding="utf-8"))
    lines = text_table(measurement_from_json(row) for row in results["measurements"])
    lines += [f"! {flag['summary']}" for flag in results["flags"]]
    lines += [f"! {warning}" for warning in summary.warnings]
    lines.append(f"Results: {REPORT.at(output)}, {output}/{summary.archive_name}")
    return "\n".join(lines)
