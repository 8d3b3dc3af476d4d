"""Runs a validation: every case once, in several processes. A result is kept under the digest of what decides it."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Final

from pipeline.digest import digest_of
from pipeline.end_with_parent import end_with_parent
from pipeline.errors import InputError, OutOfMemory
from pipeline.products import FLAGS, MEASUREMENTS
from pipeline.segmentation.identity import ModelIdentity
from pipeline.steps import steps_to
from pipeline.validation.case import CaseResult, Outcomes, Plan, Refusal, examine, stored_result
from pipeline.validation.labelled_set import Case, LabelledSet
from pipeline.validation.summary import mixed_up

VERSION: Final = 2
"""Raised when a change of the comparison can change a stored result."""

DECISIVE: Final = ("numbering", "resample_labels", "menisci", "knee", "turn", "cartilage_smoothing")
"""The options that change a result, besides the model."""

OnDone = Callable[[str, CaseResult | Refusal], None]
"""Receives the name of each case and its outcome."""


def step_versions() -> dict[str, int]:
    """Versions of the steps that make the figures."""
    return {step.name: step.version for step in steps_to(MEASUREMENTS)}


def case_digest(case: Case, plan: Plan, model: ModelIdentity) -> str:
    """SHA-256 of all that decides the result of a case: its files, the model, options and versions."""
    options = plan.options.to_dict()
    decisive = {
        "version": VERSION,
        "steps": {step.name: step.version for step in (*steps_to(MEASUREMENTS), *steps_to(FLAGS))},
        "model": model.to_dict(),
        "layout": plan.layout.title,
        "options": {name: options[name] for name in DECISIVE},
        "files": [list(_digests(path)) for path in (case.scan, case.labels, case.names) if path is not None],
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def run_cases(labelled: LabelledSet, plan: Plan, model: ModelIdentity, processes: int, on_done: OnDone) -> Outcomes:
    """The result of every case; those that are stored are not computed again.

    Raises InputError if no case has a result, or if the labels are those of other structures in most cases;
    OutOfMemory if a process was killed. Results until then are stored.
    """
    digests = {case.name: case_digest(case, plan, model) for case in labelled.cases}
    outcomes = Outcomes(folders={name: plan.folder / digest for name, digest in digests.items()})

    def note(name: str, outcome: CaseResult | Refusal) -> None:
        if isinstance(outcome, CaseResult):
            outcomes.results[name] = outcome
        else:
            outcomes.refusals[name] = outcome
        on_done(name, outcome)

    missing = []
    for case in labelled.cases:
        known = stored_result(outcomes.folders[case.name])
        if known is None:
            missing.append(case)
        else:
            note(case.name, known)
    for name, outcome in _examined(missing, digests, plan, processes):
        note(name, outcome)
    require_usable(outcomes)
    return replace(outcomes, results=dict(sorted(outcomes.results.items())))


def _examined(
    cases: list[Case], digests: dict[str, str], plan: Plan, processes: int
) -> Iterator[tuple[str, CaseResult | Refusal]]:
    if processes == 1 or len(cases) < 2:
        yield from ((case.name, examine(case, digests[case.name], plan)) for case in cases)
        return
    # a forked process would share the threads of the inference runtime
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(cases)), context, initializer=end_with_parent) as pool:
        running = {pool.submit(examine, case, digests[case.name], plan): case.name for case in cases}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        except BrokenProcessPool as error:
            raise OutOfMemory(
                "A process of the validation ended, perhaps without memory; expected about 3 GB for each process.",
                hint="The same call continues from here; use fewer processes (--processes 1).",
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _digests(path: Path) -> Iterator[str]:
    if path.is_file():
        yield digest_of(path)
        return
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        yield digest_of(file)


def require_usable(outcomes: Outcomes) -> None:
    if not outcomes.results:
        name, refusal = next(iter(outcomes.refusals.items()))
        raise InputError(f"No case has a result. The first, {name}: {refusal.message}")
    found = mixed_up(list(outcomes.results.values()))
    if found:
        words = "; ".join(f"{key} is the model's {other} in {n} cases" for key, (other, n) in found.items())
        raise InputError(
            f"The labels are those of other structures than the model's: {words.replace('_', ' ')}. "
            "No figures were written.",
            hint="Check the numbering of the set (--numbering), or the model.",
        )
