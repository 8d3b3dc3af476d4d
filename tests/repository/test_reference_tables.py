"""docs/reference/files.md holds the tables of the code, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.state.model import Status
from pipeline.acquisition import PulseSequence
from pipeline.file_kinds import FileKind
from pipeline.progress import StepState
from pipeline.results_tree import ARCHIVE_ROOT, ARTIFACTS, ViewFile
from pipeline.steps import STEPS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reference" / "files.md"


def kinds() -> list[str]:
    return [f"| {kind} | {code(*kind.extensions)} |" for kind in FileKind if kind.extensions]


def artifacts() -> list[str]:
    return [
        f"| {code(item.path)} | {item.meaning} | {code(item.media_type)} | {item.condition or 'always'} | "
        f"{'kept' if item.research else ''} |"
        for item in ARTIFACTS
    ]


def views() -> list[str]:
    return [f"| {code(name)} | {code(name.media_type)} |" for name in ViewFile]


def sequences() -> list[str]:
    return [f"| {code(sequence)} | {sequence.words} |" for sequence in PulseSequence]


def states() -> list[str]:
    jobs = {status.words: code(status) for status in Status}
    return [f"| {state.words} | {code(state)} | {jobs.get(state.words, '')} |" for state in StepState]


def steps() -> list[str]:
    return [f"| {code(step.name)} | {step.title} |" for step in STEPS]


TABLES = {
    "| Kind | Extensions |": kinds,
    "| File | Content | Media type | Present | Research |": artifacts,
    "| File | Media type |": views,
    "| Value | Name |": sequences,
    "| Word | Step | Job |": states,
    "| Step | Title |": steps,
}


def code(*words: str) -> str:
    return ", ".join(f"`{word}`" for word in words)


@pytest.mark.parametrize("head", TABLES)
def test_a_table_of_the_code_is_documented(head: str) -> None:
    expected = "\n".join([head, "|" + "---|" * head.count(" | ") + "---|", *TABLES[head]()])
    assert expected in DOCUMENT.read_text(encoding="utf-8"), f"the table should read:\n\n{expected}"


def test_the_top_folder_of_the_zip_is_documented() -> None:
    assert f"`{ARCHIVE_ROOT}`" in DOCUMENT.read_text(encoding="utf-8")
