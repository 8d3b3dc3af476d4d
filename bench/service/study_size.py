"""A study of 10,000 rows: its state, a page of its rows, and filling the queue, as a worker does every few seconds."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Final

import httpx

from bench.service.figures import Figure
from bench.service.site import running_site

MOST_S: Final = 1.5
MOST_FEEDING_S: Final = 0.25
"""Of the 5 s between two passes, 5 %."""

STUDY: Final = "00000000-0000-4000-8000-000000000023"
_FILL: Final = """
from jobs.settings import load_settings
from jobs.state.clock import now
from jobs.studies.folder import StudyFolder
from jobs.studies.journal import End, Outcome
from jobs.studies.plan import write_check
from jobs.studies.record import Phase, StudyRecord
from pipeline.options import AnalysisOptions
from studies.check import Check
from studies.manifest import read_manifest
from studies.rules import CheckedRow
from studies.store import FailureRecord
number = NUMBER
folder = StudyFolder(load_settings().data_dir, ID)
folder.scans.mkdir(parents=True)
lines = [f"knee_{row}.nii.gz,S{row // 3:05d},V0{row % 3},right,{row % 3},case" for row in range(number)]
folder.manifest.write_text("path,subject,visit,side,time,group\\n" + "\\n".join(lines) + "\\n")
record = StudyRecord(id=ID, name="large", created_at=now(), phase=Phase.RUNNING)
folder.write(record)
manifest = read_manifest(folder.manifest, folder.scans)
rows = tuple(CheckedRow(row=row, header=None, findings=(), years=float(row.number % 3)) for row in manifest.rows)
check = Check(rows=rows, further=manifest.further, notes=(), accepted=frozenset())
write_check(folder.path, check, AnalysisOptions(), 1)
plan = folder.plan()
done = list(plan.rows.items())[: number // 2]
failure = FailureRecord(code="UNSUPPORTED_IMAGE", message="x", hint="y")
folder.journal.write(
    Outcome(row=row, task=task, end=End.FAILED if row % 50 == 0 else End.COMPLETE, address="a" * 24,
            failure=failure if row % 50 == 0 else None, seconds=15.0, computed=True)
    for row, task in done
)
"""
_FEED: Final = """
import json, time
from pathlib import Path
from jobs.state.backend import open_backend
from jobs.studies.feeding import Feeder
feeder = Feeder(open_backend())
times = []
for _ in range(5):
    begun = time.process_time()
    feeder.feed()
    times.append(time.process_time() - begun)
Path(TARGET).write_text(json.dumps(times))
"""


def figures(*, short: bool) -> list[Figure]:
    """Run with 10,000 rows; `short`: 1,000."""
    rows = 1_000 if short else 10_000
    with running_site() as site:
        site.start_queue()
        assert site.python(_FILL.replace("NUMBER", str(rows)).replace("ID", repr(STUDY))) == 0
        target = site.folder / "feeding.json"
        assert site.python(_FEED.replace("TARGET", repr(str(target)))) == 0
        first, *later = json.loads(target.read_text(encoding="utf-8"))
        site.start_api()
        with httpx.Client(base_url=site.url, timeout=60) as client:
            asked = {
                "the state": lambda: client.get(f"/studies/{STUDY}"),
                "a page of rows": lambda: client.get(f"/studies/{STUDY}/rows", params={"offset": rows // 2}),
                "rows that failed": lambda: client.get(f"/studies/{STUDY}/rows", params={"state": "failed"}),
                "the list of studies": lambda: client.get("/studies"),
            }
            found = [_timed(what, ask, rows) for what, ask in asked.items()]
    seconds = statistics.median(later)
    return [
        *found,
        Figure(
            bar=f"filling the queue from {rows:,} rows <= {MOST_FEEDING_S} s of processor time",
            measured=f"{seconds:.3f} s (first {first:.2f} s)",
            met=seconds <= MOST_FEEDING_S,
        ),
    ]


def _timed(what: str, ask: Callable[[], httpx.Response], rows: int) -> Figure:
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        answer = ask()
        times.append(time.perf_counter() - begun)
        assert answer.status_code == httpx.codes.OK, answer.text
    first, *later = times
    return Figure(
        bar=f"{what} of {rows:,} rows <= {MOST_S} s",
        measured=f"{statistics.median(later):.3f} s (first {first:.2f} s)",
        met=first <= MOST_S,
    )
