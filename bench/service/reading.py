"""Malicious and unusual files of formats with many readers, read in one confined process: see inputs.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.service.corpus.case import PATIENT, PATIENT_ID, Case, Place
from bench.service.figures import Figure
from bench.service.site import ROOT

MOST_SECONDS: Final = 5.0
_WAIT_S: Final = 300


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the reader said to a case. code: of the error, empty if the file was read."""

    case: Case
    code: str
    message: str
    hint: str
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.case.kind}: {self.case.name}"


def figures(cases: Sequence[Case], place: Place, folder: Path) -> list[Figure]:
    """Read all cases. place: targets that must not be touched; folder: an empty one for the files."""
    answers = read_all(cases, place, folder)
    wrong = [f"{a.name}: {a.code or 'read'}, expected {a.case.codes or 'read'}" for a in answers if not _right(a)]
    wrong += [f"{case.kind}: {case.name}: no answer" for case in cases[len(answers) :][:1]]
    silent = [a.name for a in answers if a.code and "expected" not in a.message and not a.hint]
    private = (str(folder), str(ROOT), str(place.canary.parent), "Traceback", PATIENT.split("^")[0], PATIENT_ID)
    telling = [f"{a.name}: {word}" for a in answers for word in private if word in f"{a.message} {a.hint}"]
    left = [str(path.relative_to(folder)) for path in (folder / "scratch").iterdir() if path.name != "answers.jsonl"]
    slowest = max(answers, key=lambda answer: answer.seconds)
    kinds = ", ".join(sorted({case.kind for case in cases}))
    return [
        Figure(
            bar=f"files read or refused as expected ({kinds})",
            measured=f"{len(cases) - len(wrong)} of {len(cases)}" + "".join(f"\n    {line}" for line in wrong),
            met=not wrong,
        ),
        Figure(
            bar=f"longest time to read one of them <= {MOST_SECONDS:.0f} s",
            measured=f"{slowest.seconds:.1f} s ({slowest.name})",
            met=slowest.seconds <= MOST_SECONDS,
        ),
        _none("refusals that say neither what was expected nor what to do: 0", silent),
        _none("server paths and patients in their messages: 0", telling),
        _none("files left behind by their readers: 0", left),
    ]


def read_all(cases: Sequence[Case], place: Place, folder: Path) -> list[Answer]:
    """An answer per case, up to the one that ended the process, if one did."""
    listed = []
    for number, case in enumerate(cases):
        own = folder / str(number)
        own.mkdir()
        (own / case.filename).write_bytes(case.make(place))
        listed.append({"file": f"{number}/{case.filename}", "labels": case.labels})
    (folder / "scratch").mkdir()
    (folder / "cases.json").write_text(json.dumps(listed), encoding="utf-8")
    command = [sys.executable, "-m", "bench.service.reading_child", str(folder)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=_WAIT_S, check=False)
    lines = (folder / "scratch" / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    return [Answer(case=case, **json.loads(line)) for case, line in zip(cases, lines, strict=False)]


def _right(answer: Answer) -> bool:
    codes = answer.case.codes
    return answer.code in codes if codes else not answer.code


def _none(bar: str, found: list[str]) -> Figure:
    return Figure(bar=bar, measured=f"{len(found)}" + "".join(f"\n    {line}" for line in found), met=not found)
