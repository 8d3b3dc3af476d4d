"""Command line: python -m pipeline INPUT OUTPUT_DIR, or --labels FILE OUTPUT_DIR; python -m pipeline models."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from pipeline.anatomy import NUMBERINGS
from pipeline.errors import InputError, KneeError, OptionsError
from pipeline.options import CHOICES, AnalysisOptions
from pipeline.progress import Progress
from pipeline.report.tables import measurement_from_json
from pipeline.report.text_table import text_table
from pipeline.results_tree import REPORT, RESULTS
from pipeline.run import RunSummary, run_analysis
from pipeline.segmentation.registry import model_ids
from pipeline.types import Request, Resources
from pipeline.weights import command
from pipeline.workspace import Workspace

RESUME_FOLDER = ".analysis"
"""Inside OUTPUT_DIR while an analysis runs; a run that was cut short goes on from it."""


def build_parser() -> argparse.ArgumentParser:
    """The command line; defaults and help of the analysis options come from AnalysisOptions."""
    options = AnalysisOptions()
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="Cartilage thickness, surfaces and T2 of one knee MRI. "
        "Research use only. Not for clinical diagnosis.",
        epilog="python -m pipeline models: which weights are here, and how to get more (models --help).",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="INPUT OUTPUT_DIR",
        help="the scan (NIfTI, NRRD, DICOM file, folder or zip) and the folder for the results; "
        "with --labels the scan may be left out",
    )
    parser.add_argument(
        "--model",
        metavar="ID",
        default=options.segmentation_model,
        help=f"one of {', '.join(model_ids(Resources()))}, or the name of an nnU-Net v2 folder in --models-dir",
    )
    parser.add_argument("--side", choices=CHOICES["side"], default=options.side)
    parser.add_argument("--series", default=options.series, help="which series of a DICOM input that holds several")
    parser.add_argument("--labels", type=Path, help="measure this label map instead of running a network")
    parser.add_argument("--numbering", choices=sorted(NUMBERINGS), default="canonical", help="numbering of --labels")
    parser.add_argument("--cartilage-smoothing", type=float, default=options.cartilage_smoothing, metavar="MM2")
    parser.add_argument("--skip-first-echo", action="store_true", help="leave the first echo out of the T2 fit")
    parser.add_argument("--no-nsm", action="store_true", help="leave the shape model out")
    parser.add_argument("--nsm-type", choices=CHOICES["nsm_type"], default=options.nsm_type)
    parser.add_argument("--models-dir", type=Path, help="folder with extra model weights")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", action="store_true", help="print the results as JSON instead of a table")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: results are in OUTPUT_DIR; 1: the analysis failed (message on stderr); 2: wrong call."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == [command.NAME]:
        return _models(words[1:])
    parser = build_parser()
    given = parser.parse_args(words)
    expected = (1, 2) if given.labels else (2,)
    if len(given.paths) not in expected:
        parser.error("expected INPUT OUTPUT_DIR (or --labels FILE OUTPUT_DIR)")
    try:
        summary = _analyse(given)
    except (KneeError, KeyboardInterrupt) as error:
        message = str(error) if isinstance(error, KneeError) else "interrupted; the same call goes on from here"
        code = error.code if isinstance(error, KneeError) else "INTERRUPTED"
        print(f"{code}: {message}", file=sys.stderr)
        return 2 if isinstance(error, OptionsError) else 1
    output = Path(given.paths[-1])
    print(_as_json(summary, output) if given.json else _as_table(summary, output))
    return 0


def _models(arguments: list[str]) -> int:
    try:
        status, text = command.run(arguments)
    except KneeError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return 2 if isinstance(error, OptionsError) else 1
    print(text)
    return status


def _analyse(given: argparse.Namespace) -> RunSummary:
    output = Path(given.paths[-1]).resolve()
    scan = Path(given.paths[0]).resolve() if len(given.paths) == 2 else None
    for path in (scan, given.labels):
        if path is not None and not path.exists():
            raise InputError(f"There is no file or folder named {path.name}.")
    options = AnalysisOptions(
        segmentation_model=given.model,
        side=given.side,
        series=given.series,
        perform_nsm=not given.no_nsm,
        nsm_type=given.nsm_type,
        cartilage_smoothing=given.cartilage_smoothing,
        skip_first_echo=given.skip_first_echo,
    )
    request = Request(
        input_name=(scan or given.labels).name,
        scan=str(scan) if scan else None,
        labels=str(given.labels.resolve()) if given.labels else None,
        numbering=given.numbering,
    )
    workspace = Workspace(output / RESUME_FOLDER)
    resources = Resources(models_dir=given.models_dir, device=given.device)
    with tqdm(total=100, file=sys.stderr, bar_format="{desc:32} |{bar:30}| {percentage:3.0f} % {elapsed}") as bar:

        def show(progress: Progress) -> None:
            bar.set_description_str(progress.title, refresh=False)
            bar.update(progress.percent - bar.n)

        summary = run_analysis(workspace, options, resources, request, show)
    _hand_over(workspace, output, summary)
    return summary


def _hand_over(workspace: Workspace, output: Path, summary: RunSummary) -> None:
    """Move the results tree and its zip from the work folder to OUTPUT_DIR, and remove the work folder."""
    for item in sorted(workspace.files_dir.iterdir()):
        target = output / item.name
        if target.is_dir():
            shutil.rmtree(target)
        item.replace(target)
    workspace.archive_path.replace(output / summary.archive_name)
    shutil.rmtree(workspace.root)


def _as_json(summary: RunSummary, output: Path) -> str:
    results = json.loads(RESULTS.at(output).read_text(encoding="utf-8"))
    return json.dumps(results | {"steps": [asdict(step) for step in summary.steps]}, indent=1)


def _as_table(summary: RunSummary, output: Path) -> str:
    results = json.loads(RESULTS.at(output).read_text(encoding="utf-8"))
    lines = text_table(measurement_from_json(row) for row in results["measurements"])
    lines += [f"! {flag['message']}" for flag in results["flags"]]
    lines += [f"! {warning}" for warning in summary.warnings]
    lines.append(f"Results: {REPORT.at(output)}, {output}/{summary.archive_name}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
