"""Checks every scan of a folder, in parallel. Finished scans are kept: a run that was stopped continues from there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.anatomy import Side
from pipeline.decoding.process import decode_scan
from pipeline.digest import sha256_of_inputs
from pipeline.end_with_parent import end_with_parent
from pipeline.errors import InputError, KneeError, OutOfMemory
from pipeline.file_kinds import EXTENSIONS, FileKind, extension_of, may_be_unnamed
from pipeline.image_io.content import require_content
from pipeline.model_flags import model_flags
from pipeline.products import SEGMENTATION
from pipeline.report.volumes import write_nifti
from pipeline.scan_checks.checks import BY_ID, CHECKS, findings_of
from pipeline.scan_checks.pictures import JPEG_QUALITY, pictures_of
from pipeline.scan_checks.record import VERSION, Record, read_record, write_record
from pipeline.scan_checks.subject import Subject, examine
from pipeline.segmentation.confidence import cartilage_mean
from pipeline.segmentation.segmenter import Segmenter
from pipeline.steps import steps_to
from pipeline.types import Resources, Scan

RECORDS: Final = "records"
PICTURES: Final = "pictures"
LABELS: Final = "labels"
"""Folders of the output."""

ModelSource = Callable[[], tuple[Segmenter, ...]]
"""Gives the model, and those that it is compared with; called in each process, so it must be picklable."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One scan to check. stem: name of its files in the output."""

    scan: Path
    name: str
    stem: str
    output: Path
    models: ModelSource
    resources: Resources


def scans_in(folder: Path) -> list[Path]:
    """Every scan in a folder: image files and zips, and folders with DICOM files, sorted by path.

    Hidden files are left out. Raises InputError if there is none.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder named {folder.name}; expected a folder of scans.")
    found = sorted(_scans(folder))
    if not found:
        raise InputError(
            f"There is no scan in the folder {folder.name}.", hint="Expected image files or DICOM folders."
        )
    return found


def _scans(folder: Path) -> list[Path]:
    shown = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    files = [path for path in shown if path.is_file()]
    dicom = [path for path in files if extension_of(path.name) in FileKind.DICOM.extensions or _unnamed(path)]
    whole = [path for path in files if extension_of(path.name) in EXTENSIONS and path not in dicom]
    inside = [scan for path in shown if path.is_dir() for scan in _scans(path)]
    return [*whole, *inside, *([folder] if dicom else [])]


def _unnamed(path: Path) -> bool:
    return extension_of(path.name) not in EXTENSIONS and may_be_unnamed(path.name)


def check_folder(
    folder: Path,
    output: Path,
    models: ModelSource,
    resources: Resources,
    processes: int = 1,
    on_scan: Callable[[int], None] = lambda _: None,
) -> list[Record]:
    """The records of all scans of a folder, in the order of their paths; finished ones are not computed again.

    resources: of one process. on_scan: is called after every scan with their number.
    Raises InputError if there is no scan, ModelError if a model cannot run, OutOfMemory if a process was killed.
    """
    scans = scans_in(folder)
    for name in (RECORDS, PICTURES, LABELS):
        (output / name).mkdir(parents=True, exist_ok=True)
    for model in models():
        model.provenance(resources)  # for its errors, before any scan is read
    tasks = [_task(scan, folder, output, models, resources) for scan in scans]
    done: dict[str, Record] = {}
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=end_with_parent) as pool:
        waiting = [pool.submit(check_scan, task) for task in tasks]
        try:
            for future in as_completed(waiting):
                record = future.result()
                done[record.name] = record
                on_scan(len(tasks))
        except BrokenProcessPool as error:
            raise OutOfMemory(
                "A process was killed while it checked a scan; the records until then are kept.",
                hint="Check fewer scans at once, then repeat the same call.",
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [done[task.name] for task in tasks]


def _task(scan: Path, folder: Path, output: Path, models: ModelSource, resources: Resources) -> Task:
    name = scan.relative_to(folder).as_posix() if scan != folder else folder.name
    readable = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)[:60]
    stem = f"{readable}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return Task(scan=scan, name=name, stem=stem, output=output, models=models, resources=resources)


@cache
def _models(source: ModelSource) -> tuple[Segmenter, ...]:
    """Read once per process."""
    return source()


def check_scan(task: Task) -> Record:
    """The record of one scan, computed unless it is there already."""
    model, *others = _models(task.models)
    path = task.output / RECORDS / f"{task.stem}.json"
    key = _key(task, (model, *others))
    kept = read_record(path, key)
    if kept is not None:
        return kept
    started = time.perf_counter()
    shutil.rmtree(task.output / PICTURES / task.stem, ignore_errors=True)
    try:
        record = _checked(task, key, examine(_read(task), model, tuple(others), task.resources), started)
    except (KneeError, MemoryError) as error:
        words = f"{error.code}: {error}" if isinstance(error, KneeError) else "The machine ran out of memory."
        record = Record(key=key, name=task.name, stem=task.stem, error=words, seconds=time.perf_counter() - started)
    write_record(record, path)
    return record


def _read(task: Task) -> Scan:
    with tempfile.TemporaryDirectory() as scratch:
        scan = decode_scan(
            task.scan, side=None, series="", echo_times_ms=(), beside_labels=False, scratch_dir=Path(scratch)
        )
    require_content(scan)
    return scan


def _checked(task: Task, key: str, subject: Subject, started: float) -> Record:
    findings = findings_of(subject)
    wrong = {name: finding for name, finding in findings.items() if BY_ID[name].fails(finding.value)}
    captions = {}
    for name, (picture, caption) in pictures_of(subject, wrong).items():
        target = task.output / PICTURES / task.stem / f"{name}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.save(target, quality=JPEG_QUALITY)
        captions[target.name] = caption
    found = subject.segmentation
    write_nifti(
        task.output / LABELS / f"{task.stem}{FileKind.NIFTI.extensions[0]}",
        np.pad(found.labels, found.padding),
        found.scan_grid,
    )
    return Record(
        key=key,
        name=task.name,
        stem=task.stem,
        seconds=time.perf_counter() - started,
        findings=findings,
        flags=tuple(dict.fromkeys(flag.code.value for flag in model_flags(found, subject.card))),
        facts=_facts(subject),
        pictures=captions,
    )


def _facts(subject: Subject) -> dict[str, str | float | None]:
    alignment, found = subject.alignment, subject.segmentation
    stated: Side | None = subject.scan.side
    return {
        "side": alignment.side.value,
        "stated_side": "" if stated is None else stated.value,
        "side_ratio": alignment.residual_other_mm / alignment.residual_mm,
        "spacing_mm": " x ".join(f"{mm:.3g}" for mm in found.grid.spacing_mm),
        "cartilage_probability": cartilage_mean(found.confidence),
        "cartilage_entropy_bits": cartilage_mean(found.surface_entropy_bits),
    }


def _key(task: Task, models: tuple[Segmenter, ...]) -> str:
    parts = {
        "version": VERSION,
        "checks": [check.id for check in CHECKS],
        "steps": {step.name: step.version for step in steps_to(SEGMENTATION)},
        "scan": sha256_of_inputs([task.scan]),
        "models": [model.identity().to_dict() for model in models],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def threads_of(processes: int) -> int:
    """Threads of each of several processes that share this machine."""
    return max(1, (os.cpu_count() or 1) // processes)
