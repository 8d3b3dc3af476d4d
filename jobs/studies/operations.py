"""What can be done with studies, for pages, routes and command line. Every function raises QueueUnavailable without
Redis, StudyNotFound for an unknown id, OSError without a disk.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

from jobs.access.viewer import new_owner
from jobs.errors import StorageFull, StudyConflict, StudyNotFound
from jobs.intake.scans import pending_scan, take_scan
from jobs.intake.study_form import MOST_MANIFEST_BYTES
from jobs.settings import load_settings
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.queue import queue_errors
from jobs.state.storage import RESERVE_BYTES
from jobs.studies.allowed import allowed_folder
from jobs.studies.entries import Kind, Part
from jobs.studies.feeding import Feeder
from jobs.studies.folder import STORE, StudyFolder, study_folders
from jobs.studies.journal import End
from jobs.studies.plan import SCANS, write_check
from jobs.studies.progress import StudyView, study_view
from jobs.studies.record import Phase, StudyChanges, StudyRecord
from pipeline.errors import InputError, OptionsError
from pipeline.options import AnalysisOptions
from pipeline.segmentation.registry import model
from studies.check import acceptable
from studies.columns import LONGEST_NAME, PATH
from studies.findings import InvalidManifest
from studies.identity import WITHOUT_EFFECT
from studies.manifest import manifest_csv, read_manifest, write_text
from studies.store import FAILURE, AnalysisFolder
from studies.text_table import decoded

Decision = Callable[[StudyRecord], StudyChanges | None]

MOST_ROWS: Final = 200_000


@dataclass(frozen=True, kw_only=True)
class StudyRequest:
    """What a study is made of: a manifest, the names in a folder, or uploaded scans; one of them.

    folder   of the operator, that the paths of the manifest are relative to, or whose names make the rows
    layout, pattern, only  how names are read (kneebox study manifest)
    scans    id of an upload that waits -> columns of its row
    run      start as soon as the check has ended; otherwise it waits for `start`
    expiry_days  after which it is deleted; 0: the limit of the operator, else it is kept
    """

    name: str
    manifest: str = ""
    folder: str = ""
    layout: str = ""
    pattern: str = ""
    only: str = ""
    scans: Mapping[str, Mapping[str, str]] | None = None
    options: Mapping[str, object] | None = None
    accepted: tuple[str, ...] = ()
    compact: bool = False
    run: bool = False
    expiry_days: float = 0.0


@queue_errors()
def create(request: StudyRequest) -> StudyView:
    """A new study, whose check is queued. Raises InputError, OptionsError, ScanNotFound, StorageFull."""
    backend = open_backend()
    if backend.storage.free_bytes() < RESERVE_BYTES:
        raise StorageFull("The disk of this server has too little space for a study.")
    record = StudyRecord(
        id=str(uuid4()),
        name=_checked_name(request.name),
        created_at=now(),
        folder=request.folder.strip("/"),
        options=_checked_options(request.options or {}),
        accepted=tuple(sorted(acceptable(request.accepted))),
        compact=request.compact,
        run=request.run,
        owner=new_owner(),
    )
    record = replace(record, expires_at=expiry_of(record, request.expiry_days, backend.settings.study_expiry_days))
    folder = StudyFolder(backend.settings.data_dir, record.id)
    partial = folder.path.with_name(f".{record.id}.part")
    try:
        text = _manifest_text(backend, request, partial)
        partial.mkdir(parents=True, exist_ok=True)
        (partial / SCANS).mkdir(exist_ok=True)
        write_text(partial / folder.manifest.name, text)
        read_manifest(partial / folder.manifest.name)
        partial.rename(folder.path)
        folder.write(record)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    Feeder(backend).feed_safely()
    return study_view(backend, folder, record)


@queue_errors()
def studies() -> list[StudyView]:
    """All studies, newest first."""
    backend = open_backend()
    found = []
    for folder in study_folders(backend.settings.data_dir):
        with contextlib.suppress(StudyNotFound):
            found.append(study_view(backend, folder, folder.record()))
    return sorted(found, key=lambda view: view.created_at, reverse=True)


@queue_errors()
def get(study_id: str) -> StudyView:
    """The state of a study."""
    backend = open_backend()
    folder = StudyFolder(backend.settings.data_dir, study_id)
    return study_view(backend, folder, folder.record())


def start(study_id: str, accepted: Iterable[str] = ()) -> StudyView:
    """Analyse the rows that can be; also continues a study that was paused or cancelled.

    accepted: codes of further doubts with which rows are analysed. Raises StudyConflict, OptionsError.
    """
    codes = acceptable(accepted)

    def decide(record: StudyRecord) -> StudyChanges:
        if record.phase is Phase.CHECKING:
            raise StudyConflict("The rows are still being checked.", hint="Ask again when the check has ended.")
        if record.phase is Phase.INVALID:
            raise StudyConflict("No row of the manifest can be read.", hint="Send another manifest.")
        return {"phase": Phase.RUNNING, "run": True, "problem": {}}

    if codes:
        _accept(study_id, codes)
    return _change(study_id, decide)


def pause(study_id: str) -> StudyView:
    """Rows that are being analysed end; no further one begins. Raises StudyConflict."""
    return _change(study_id, _halting(Phase.PAUSED))


@queue_errors()
def cancel(study_id: str) -> StudyView:
    """Stop at once; what has ended is kept, and `start` continues. Raises StudyConflict."""
    view = _change(study_id, _halting(Phase.CANCELLED))
    open_backend().studies.stop(study_id)
    return view


@queue_errors()
def retry_failed(study_id: str) -> StudyView:
    """Analyse again every row that has failed. Raises StudyConflict."""
    backend = open_backend()
    folder = StudyFolder(backend.settings.data_dir, study_id)
    if folder.record().phase in (Phase.CHECKING, Phase.INVALID):
        raise StudyConflict("The study has no rows yet.", hint="Ask again when the check has ended.")
    failed = [item for item in folder.journal.read().outcomes.values() if item.end is End.FAILED]
    for outcome in failed:
        if outcome.address:
            analysis = AnalysisFolder(folder.store, outcome.address)
            with analysis.hold() as held:
                if held:
                    (analysis.path / FAILURE).unlink(missing_ok=True)
    parts = [Part(study=study_id, kind=Kind.ROW, number=item.row).id for item in failed]
    backend.studies.forget_interruptions(parts)
    folder.journal.write(replace(item, end=End.CLEARED, failure=None, at=now()) for item in failed)
    return start(study_id)


@queue_errors()
def add_rows(study_id: str, manifest: str) -> StudyView:
    """Add the rows of another manifest with the same columns; the check is repeated. Raises InvalidManifest."""
    backend = open_backend()
    folder = StudyFolder(backend.settings.data_dir, study_id)
    with folder.locked():
        record = folder.record()
        before = folder.manifest.read_text(encoding="utf-8").rstrip("\r\n")
        head, _, more = _plain(manifest).partition("\n")
        if head != before.partition("\n")[0]:
            raise InvalidManifest(
                "The columns differ from those of the study; expected the same header line.",
                hint="Send the new rows with the header of the first manifest.",
            )
        text = f"{before}\n{more}"
        _checked_size(text)
        write_text(folder.manifest, text)
        running = record.phase in (Phase.RUNNING, Phase.COMPLETE) or record.run
        folder.write(replace(record, phase=Phase.CHECKING, revision=record.revision + 1, run=running))
    Feeder(backend).feed_safely()
    return get(study_id)


@queue_errors()
def delete(study_id: str) -> None:
    """Stop a study and delete its files, and the analyses that no other study uses. Raises StudyNotFound."""
    backend = open_backend()
    folder = StudyFolder(backend.settings.data_dir, study_id)
    folder.change(lambda _: {"phase": Phase.CANCELLED})
    backend.studies.remove(study_id)
    backend.studies.stop(study_id)
    mine = folder.journal.read().addresses
    gone = folder.path.with_name(f".{study_id}.deleted")
    folder.path.rename(gone)
    remove_unused(backend, mine)
    shutil.rmtree(gone, ignore_errors=True)


def remove_unused(backend: Backend, addresses: Iterable[str]) -> list[str]:
    """Delete those of some analyses that no study uses, with changes and slopes; returns them.

    One that is needed again is computed again.
    """
    used: set[str] = set()
    data_dir = backend.settings.data_dir
    for folder in study_folders(data_dir):
        used |= {item.address for item in folder.journal.read().outcomes.values()}
    unused = sorted(set(addresses) - used)
    for address in unused:
        analysis = AnalysisFolder(data_dir / STORE, address)
        if analysis.path.is_dir():
            with analysis.hold() as held:
                if held:
                    shutil.rmtree(analysis.path, ignore_errors=True)
    _remove_longitudinal(data_dir / STORE, set(unused))
    return unused


def _remove_longitudinal(store: Path, addresses: set[str]) -> None:
    """Delete changes and slopes that were computed from one of these analyses."""
    for path in (*store.glob("changes/*.json"), *store.glob("slopes/*.json")) if addresses else ():
        with contextlib.suppress(OSError, ValueError):
            if addresses & set(json.loads(path.read_text(encoding="utf-8")).get("analyses", ())):
                path.unlink()


def rows_of_names(names: Sequence[str], pattern: str = "") -> tuple[dict[str, dict[str, str]], str]:
    """File name -> columns of its row, and how the names were read; without columns where they have no pattern."""
    from studies.layouts import rows_from_names

    try:
        found = rows_from_names(names, pattern)
    except OptionsError:
        return {name: {} for name in names}, ""
    rows = {row.pop(PATH.name): row for row in map(dict, found.rows)}
    return {name: rows.get(name, {}) for name in names}, found.read_as


def manifest_text(content: bytes) -> str:
    """The text of a manifest in any of the encodings that spreadsheets write. Raises InvalidManifest."""
    return decoded(content)[0]


def data_folders() -> list[str]:
    """Names of the folders that the operator allows."""
    return sorted(load_settings().study_folders)


@queue_errors()
def set_expiry(study_id: str, days: float) -> StudyView:
    """Delete a study after these days from now; 0: by the limit of the operator, else keep it. Raises OptionsError."""
    limit = open_backend().settings.study_expiry_days
    return _change(study_id, lambda record: {"expires_at": expiry_of(record, days, limit)})


def expiry_of(record: StudyRecord, days: float, limit_days: float) -> datetime | None:
    """When a study is deleted: `days` from now (0: not stated), at most `limit_days` after it was made (0: no limit).

    Raises OptionsError beyond the limit.
    """
    latest = record.created_at + timedelta(days=limit_days) if limit_days else None
    if not days:
        return latest
    chosen = now() + timedelta(days=days)
    if latest is not None and chosen > latest + timedelta(minutes=1):
        left = max(0.0, (latest - now()) / timedelta(days=1))
        raise OptionsError(
            f"The study would be kept for {days:g} days; the operator allows {left:.1f} more days.",
            hint=f"Studies are kept for at most {limit_days:g} days after they were made.",
            option="expiry_days",
        )
    return chosen if latest is None else min(chosen, latest)


@queue_errors()
def _change(study_id: str, decide: Decision) -> StudyView:
    backend = open_backend()
    folder = StudyFolder(backend.settings.data_dir, study_id)
    record, _ = folder.change(decide)
    if record.phase is not Phase.RUNNING:
        backend.studies.remove(study_id)
    Feeder(backend).feed_safely()
    return study_view(backend, folder, record)


def _halting(phase: Phase) -> Decision:
    def decide(record: StudyRecord) -> StudyChanges:
        if record.phase not in (Phase.RUNNING, Phase.PAUSED, Phase.CANCELLED):
            raise StudyConflict(f"The study is {record.phase}; expected one that runs.")
        return {"phase": phase}

    return decide


def _accept(study_id: str, codes: frozenset[str]) -> None:
    folder = StudyFolder(load_settings().data_dir, study_id)
    with folder.locked():
        record, check, plan = folder.record(), folder.check(), folder.plan()
        accepted = frozenset(record.accepted) | codes
        folder.write(replace(record, accepted=tuple(sorted(accepted))))
        if check is not None and plan is not None:
            options = AnalysisOptions.from_dict(record.options)
            write_check(folder.path, replace(check, accepted=accepted), options, plan.revision)


def _checked_name(name: str) -> str:
    text = " ".join(name.split())
    if not text or len(text) > LONGEST_NAME or not text.isprintable():
        raise OptionsError(
            f"The name of the study has {len(text)} characters; expected 1 to {LONGEST_NAME} printable ones.",
            option="name",
        )
    return text


def _checked_options(values: Mapping[str, object]) -> dict[str, object]:
    options = AnalysisOptions.from_dict(dict(values))
    model(options.segmentation_model, load_settings().resources)
    return options.to_dict() | {name: getattr(AnalysisOptions(), name) for name in WITHOUT_EFFECT}


def _manifest_text(backend: Backend, request: StudyRequest, partial: Path) -> str:
    given = [bool(request.manifest), request.scans is not None, bool(request.folder and not request.manifest)]
    if sum(given) != 1:
        raise OptionsError(
            "A study needs a manifest with the folder of its files, a folder alone, or uploaded scans.",
            hint="Send one of manifest, folder and scans.",
            option="manifest",
        )
    if request.scans is not None:
        return _with_scans(request.scans, partial / SCANS)
    place = allowed_folder(backend.settings, request.folder)
    if request.manifest:
        return _plain(request.manifest)
    from studies.layouts import LayoutName, rows_of_folder  # loads what web processes otherwise do not need

    if request.layout and request.layout not in tuple(LayoutName):
        known = ", ".join(LayoutName)
        raise OptionsError(f"There is no layout of this name; expected one of {known}.", option="layout")
    layout = LayoutName(request.layout) if request.layout else None
    found = rows_of_folder(place, layout=layout, pattern=request.pattern, only=request.only)
    return manifest_csv(found.rows)


def _with_scans(scans: Mapping[str, Mapping[str, str]], place: Path) -> str:
    """The manifest of uploaded scans, which are moved into the folder of the study."""
    if not scans:
        raise InputError("The study has no scans.", hint="Upload at least one.")
    waiting = [pending_scan(scan_id) for scan_id in scans]  # all of them are there before the first is moved
    place.mkdir(parents=True)
    rows = [
        {**columns, **take_scan(scan, place, f"{number:05d}")}
        for number, (scan, columns) in enumerate(zip(waiting, scans.values(), strict=True), 1)
    ]
    return manifest_csv(rows)


def _plain(text: str) -> str:
    """With LF line ends, without a byte order mark."""
    _checked_size(text)
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _checked_size(text: str) -> None:
    if len(text.encode("utf-8", "replace")) > MOST_MANIFEST_BYTES:
        raise InvalidManifest(f"The manifest is larger than {MOST_MANIFEST_BYTES >> 20} MB.", hint="Divide the study.")
    if text.count("\n") > MOST_ROWS:
        raise InvalidManifest(f"The manifest has more than {MOST_ROWS} lines.", hint="Divide the study.")
