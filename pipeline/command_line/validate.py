"""validate SCANS LABELS: measure a segmentation model on scans with expert label maps."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tqdm import tqdm

from pipeline.anatomy import AUTO, NUMBERINGS
from pipeline.errors import ModelError, OptionsError
from pipeline.options import AnalysisOptions
from pipeline.quantities import THC
from pipeline.segmentation.registry import model, model_ids
from pipeline.types import Resources
from pipeline.validation.record import Validation, validation_path, write_validation

SET_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PARTS: Final = ("labels", "labelstr", "labelsts", "masks", "test", "train", "validation")
"""Folders of label maps that are parts of a set: the set has the name of the folder above."""


def build_parser(program: str) -> argparse.ArgumentParser:
    """Folders of the set, the model, and where the figures go."""
    defaults = AnalysisOptions()
    parser = argparse.ArgumentParser(
        prog=program,
        description="Measure a segmentation model on a labelled set: Dice, surface distances, and bias, limits of "
        "agreement and ICC of thickness, areas and volumes. Research use only. Not for clinical diagnosis.",
        epilog="An interrupted call continues where it stopped. docs/how-to/validate.md describes layouts and figures.",
    )
    parser.add_argument("scans", type=Path, metavar="SCANS", help="folder of scans: files, or folders of DICOM files")
    parser.add_argument("labels", type=Path, metavar="LABELS", help="folder of the label maps, with the same names")
    models = ", ".join(model_ids(Resources()))
    parser.add_argument(
        "--model",
        default=defaults.segmentation_model,
        metavar="ID",
        help=f"one of {models}, or the name of a folder in --models-dir (default: {defaults.segmentation_model})",
    )
    parser.add_argument(
        "--numbering",
        default=AUTO,
        choices=(AUTO, *NUMBERINGS),
        help="of the label maps (default: that of the layout, else recognised from the anatomy)",
    )
    parser.add_argument("--resample-labels", action="store_true", help="resample label maps that are on another grid")
    parser.add_argument("--set", dest="set_name", metavar="NAME", help="name of the set (default: that of its folder)")
    parser.add_argument("--output", type=Path, default=Path("validation"), help="parent folder of the results")
    parser.add_argument(
        "--models-dir", type=Path, help="MODELS_DIR of the service: the figures are then shown on its pages"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--processes", type=int, default=0, help="cases at a time (default: one for each core)")
    return parser


def run(parser: argparse.ArgumentParser, words: list[str]) -> tuple[int, str]:
    """Exit status 0 and the main figures as text; 1 if a case has no result. Raises KneeError."""
    given = parser.parse_args(words)
    if given.models_dir is not None and not given.models_dir.is_dir():
        raise OptionsError(f"--models-dir {given.models_dir.name} is not a folder.")
    set_name = _set_name(given)
    cores = _cores()
    processes = given.processes or cores
    if not 1 <= processes <= 64:
        raise OptionsError(f"--processes is {given.processes}; expected 1 to 64.")
    resources = Resources(models_dir=given.models_dir, device=given.device, threads=max(1, cores // processes))
    options = AnalysisOptions(
        segmentation_model=given.model, numbering=given.numbering, resample_labels=given.resample_labels
    )
    segmenter = model(options.segmentation_model, resources)
    if not (state := segmenter.availability()).available:
        raise ModelError(f"The model {given.model} cannot run: {state.reason}.")
    folder = given.output / set_name / segmenter.card.id
    validation, refused = _measure(given, set_name, options, resources, folder, processes)
    shown = ""
    if given.models_dir is not None:
        path = validation_path(given.models_dir, segmenter.card.id, set_name)
        write_validation(validation, path)
        shown = f"Figures for Methods and the analysis page: {path}"
    text = _as_text(validation, refused, folder, shown)
    return int(bool(refused)), text


def _measure(
    given: argparse.Namespace,
    set_name: str,
    options: AnalysisOptions,
    resources: Resources,
    folder: Path,
    processes: int,
) -> tuple[Validation, Mapping[str, str]]:
    """The figures, and name -> reason of the cases without a result; report and tables are in the folder."""
    # imported here: the other commands need none of it
    from pipeline.validation.case import CaseResult, Plan, Refusal
    from pipeline.validation.files import CASES
    from pipeline.validation.labelled_set import read_set
    from pipeline.validation.report import write_report
    from pipeline.validation.run import run_cases, step_versions
    from pipeline.validation.summary import validation_of
    from pipeline.validation.tables import write_tables

    labelled = read_set(given.scans, given.labels)
    plan = Plan(layout=labelled.layout, options=options, resources=resources, folder=folder / CASES)
    plan.folder.mkdir(parents=True, exist_ok=True)
    segmenter = model(options.segmentation_model, resources)
    with tqdm(total=len(labelled.cases), file=sys.stderr, desc=f"{set_name} ({labelled.layout.title})") as bar:

        def show(name: str, outcome: CaseResult | Refusal) -> None:
            if isinstance(outcome, Refusal):
                bar.write(f"! {name}: {outcome.message}", file=sys.stderr)
            bar.update()

        outcomes = run_cases(labelled, plan, segmenter.identity(), processes, show)
    validation = validation_of(labelled, outcomes, plan, set_name, segmenter, step_versions())
    write_tables(validation, outcomes.results, folder)
    write_report(validation, labelled, outcomes, folder)
    write_validation(validation, folder / f"{set_name}.json")
    return validation, {name: refusal.message for name, refusal in outcomes.refusals.items()}


def _set_name(given: argparse.Namespace) -> str:
    """As given, or the name of the folder. Raises OptionsError if it cannot be the name of a file."""
    if given.set_name is not None:
        if not SET_NAME.fullmatch(given.set_name):
            raise OptionsError(f"--set is {given.set_name!r}; expected letters, digits, dots, dashes and _.")
        return str(given.set_name)
    folder = given.labels.resolve()
    while folder.name.lower() in _PARTS and folder.parent != folder:
        folder = folder.parent
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", folder.name).strip("._-")[:64]
    return name or "labelled_set"


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _as_text(validation: Validation, refused: Mapping[str, str], folder: Path, shown: str) -> str:
    from pipeline.validation.files import REPORT

    lines = [f"{'':28}{'n':>4}{'Dice':>8}{'SD':>7}{'worst':>7}{'ASSD mm':>9}{'HD95 mm':>9}"]
    for name, row in validation.structures.items():
        title = name.replace("_", " ").capitalize()
        lines.append(
            f"{title:28}{row.n:>4}{row.dice:>8.3f}{row.dice_sd:>7.3f}{row.dice_worst:>7.3f}{row.assd_mm:>9.2f}"
            f"{row.hd95_mm:>9.2f}"
        )
    lines.append(f"\n{THC.column + ', model - expert':46}{'n':>4}{'bias':>8}{'RMSE':>7}{'limits':>17}{'ICC':>7}")
    for place in validation.of_quantity(THC):
        limits = f"{place.low:+.2f} to {place.high:+.2f}"
        icc = round(place.icc, 2) + 0.0  # no minus sign before a zero
        lines.append(f"{place.title:46}{place.n:>4}{place.bias:>+8.3f}{place.rmse:>7.3f}{limits:>17}{icc:>7.2f}")
    if validation.without_bones:
        lines.append("The label maps hold no bones: both cartilages were measured on the model's.")
    lines += [f"! {name}: {reason}" for name, reason in refused.items()]
    lines.append(f"Results: {folder / REPORT}")
    lines.append(shown or "Not shown on pages: give --models-dir, the MODELS_DIR of the service.")
    return "\n".join(lines)
