"""Reads the headers of many files in one confined process: a process for each file would take most of the time."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.decoding.child import HEADER_LINES, HEADERS, NOT_CONFINED, NOT_WRITTEN
from pipeline.decoding.process import DAMAGED, absolute, error_of, request_of, run_child
from pipeline.decoding.sandbox import Limits
from pipeline.errors import KneeError, OutOfMemory, UnreadableImage
from pipeline.upload_facts import HeaderFacts

BATCH: Final = 256
MOST_REQUEST_BYTES: Final = 90_000
"""Of one argument of a process, Linux accepts 128 KiB."""

LIMITS: Final = Limits(memory_mb=1024, cpu_s=600, file_mb=4096)
WALL_CLOCK_S: Final = 900.0
"""Of a whole batch. A file that ends the process before its answer is read again, alone at the start of a new one."""

_LONGEST_LINE: Final = 1 << 20

Header = HeaderFacts | KneeError


@dataclass(frozen=True, kw_only=True)
class HeaderRequest:
    """One upload. series: as for `inspect`; whole: every voxel is read and judged, as an upload is."""

    file: Path | None
    labels: Path | None = None
    series: str = ""
    whole: bool = False

    def given(self) -> dict[str, object]:
        """For the child."""
        return {
            "file": absolute(self.file),
            "labels": absolute(self.labels),
            "series": self.series,
            "whole": self.whole,
        }

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.file, self.labels) if path is not None)


def read_headers(requests: Sequence[HeaderRequest]) -> list[Header]:
    """For each upload, what its header says, or the reason why it cannot be analysed. Raises OSError without a disk."""
    found: list[Header] = []
    while len(found) < len(requests):
        batch = _batch(requests[len(found) :])
        answers = _ask(batch)
        # the first file alone is at fault where a new process has no answer for it
        found += [answer for answer, _ in zip(answers, batch, strict=False)] or [_without_answer()]
    return found


def _batch(requests: Sequence[HeaderRequest]) -> Sequence[HeaderRequest]:
    size = 0
    for number, request in enumerate(requests[:BATCH]):
        size += 2 * len(json.dumps(request.given()))
        if number and size > MOST_REQUEST_BYTES:
            return requests[:number]
    return requests[:BATCH]


def _ask(batch: Sequence[HeaderRequest]) -> list[Header]:
    """The answers until the process ended."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        readable = dict.fromkeys(path for request in batch for path in request.paths)
        given: dict[str, Any] = {"items": [request.given() for request in batch]}
        status = 0
        with contextlib.suppress(UnreadableImage):  # it took too long
            status = run_child(request_of(HEADERS, given, readable, scratch, LIMITS), scratch, WALL_CLOCK_S)
        if status == NOT_CONFINED:
            raise RuntimeError("the sandbox of the reader cannot be entered, although the kernel offers it")
        if status > NOT_WRITTEN:
            raise OSError(status - NOT_WRITTEN, os.strerror(status - NOT_WRITTEN))
        return list(_answers(scratch / HEADER_LINES))


def _answers(path: Path) -> Iterator[Header]:
    """Nothing in the file is trusted."""
    if not path.is_file():
        return
    with path.open("rb") as stream:
        while line := stream.readline(_LONGEST_LINE):
            if not line.endswith(b"\n"):
                return  # the process ended here
            yield _answer(line)


def _answer(line: bytes) -> Header:
    try:
        verdict = json.loads(line)
        if verdict["ok"] is True:
            return HeaderFacts.from_dict(verdict["value"])
        error = error_of(verdict)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return UnreadableImage(DAMAGED)
    if isinstance(error, KneeError):
        return error
    return _out_of_memory() if isinstance(error, MemoryError) else UnreadableImage(DAMAGED)


def _without_answer() -> KneeError:
    return UnreadableImage(DAMAGED)


def _out_of_memory() -> KneeError:
    return OutOfMemory(f"Its header needs more than {LIMITS.memory_mb} MB of memory.", hint="Check the file.")
