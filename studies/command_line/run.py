"""run MANIFEST OUT: every row through the same analysis, and the tables of the study."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from tqdm import tqdm

from pipeline.command_line.options import options_of
from pipeline.errors import OptionsError
from pipeline.types import Resources
from studies.check_documents import summary_lines
from studies.command_line.check import add_check_arguments, checked
from studies.processes import cores
from studies.row_state import RowState
from studies.run import STORE, Progress, RunSettings, processes_for, run_study
from studies.tables.listings import FAILURES_CSV
from studies.tables.rows import StudyState


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The manifest, the folder of the study, and how it is run."""
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the tables and the analyses")
    parser.add_argument("--processes", type=int, metavar="N", help="analyses at once; default: by cores and memory")
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help=f"folder of the analyses, shared by studies; default: OUT/{STORE}"
    )
    parser.add_argument("--retry-failed", action="store_true", help="analyse again what has failed before")
    parser.add_argument(
        "--compact",
        action="store_true",
        help="keep tables, outlines and label maps of each knee; no surfaces, maps, report",
    )
    add_check_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Status 1 if a row was left out or has failed. Raises KneeError; KeyboardInterrupt also for SIGTERM."""
    if given.processes is not None and given.processes < 1:
        raise OptionsError(f"--processes is {given.processes}; expected 1 or more.")
    plain = Resources(models_dir=given.models_dir, device=given.device)
    processes = given.processes or processes_for(plain)
    resources = Resources(models_dir=given.models_dir, device=given.device, threads=max(1, cores() // processes))
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(given, resources, processes)
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(given: argparse.Namespace, resources: Resources, processes: int) -> int:
    check = checked(given, resources)
    options = options_of(given)
    sys.stderr.write("".join(f"{line}\n" for line in summary_lines(check)))
    settings = RunSettings(
        options=options,
        resources=resources,
        out=given.out.absolute(),
        store=(given.store or given.out / STORE).absolute(),
        processes=processes,
        retry=given.retry_failed,
        compact=given.compact,
    )
    with tqdm(total=len(check.ready), file=sys.stderr, unit="knee", desc="Analysing") as bar:

        def show(progress: Progress) -> None:
            bar.set_postfix(computed=progress.computed, kept=progress.kept, failed=progress.failed, refresh=False)
            bar.update(progress.done - bar.n)

        state = run_study(check, settings, show)
    sys.stdout.write("\n".join(_lines(state, given.out)) + "\n")
    return int(any(row.state is not RowState.COMPLETE for row in state.rows))


def _lines(state: StudyState, out: Path) -> list[str]:
    counts = {kind: sum(row.state is kind for row in state.rows) for kind in RowState}
    lines = [f"{counts[RowState.COMPLETE]} of {len(state.rows)} rows are complete: {out}"]
    others = counts[RowState.LEFT_OUT], counts[RowState.FAILED]
    if any(others):
        lines.append(f"{others[0]} were left out and {others[1]} have failed: {out / FAILURES_CSV}")
    return lines


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
