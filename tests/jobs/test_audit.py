"""The audit log: ids alone, chained, and a change of it is found and named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.access import audit
from jobs.access.audit import FIRST, Act
from jobs.access.viewer import OPERATOR
from jobs.command_line.commands import main
from jobs.settings import load_settings


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of a server to which people sign in."""
    settings = {"DATA_DIR": str(tmp_path), "SIGN_IN_ISSUER": "https://id.example", "SIGN_IN_CLIENT_ID": "knee"}
    for name, value in (settings | {"SIGN_IN_ADDRESS": "http://127.0.0.1:8501"}).items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    try:
        for number in range(6):
            audit.note(OPERATOR, Act.CHANGED, f"job:{number}", "retry")
        yield audit.audit_path()
    finally:
        monkeypatch.undo()
        load_settings.cache_clear()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Status and output of the operator's command."""
    status = main(["audit", *arguments])
    shown = capsys.readouterr()
    return status, shown.out + shown.err


def test_each_line_has_the_digest_of_the_one_before(log: Path) -> None:
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert entries[0]["before"] == FIRST
    assert [entry["what"] for entry in entries] == [f"job:{number}" for number in range(6)]
    assert set(entries[0]) == {"at", "who", "act", "what", "how", "before"}
    verdict = audit.verify(log)
    assert (verdict.lines, verdict.whole) == (6, True)
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (lambda lines: [*lines[:2], lines[2].replace("job:2", "job:9"), *lines[3:]], (4,)),
        (lambda lines: [*lines[:2], *lines[3:]], (3,)),
        (lambda lines: [*lines[:3], lines[1], *lines[3:]], (4, 5)),
        (lambda lines: [lines[1], lines[0], *lines[2:]], (1, 2, 3)),
        (lambda lines: [*lines[:5], lines[5][:40]], (6,)),
        (lambda lines: [*lines[:2], "no JSON\n", *lines[3:]], (3, 4)),
    ],
    ids=["changed", "removed", "inserted", "swapped", "torn", "overwritten"],
)
def test_a_broken_chain_is_found_and_named(
    log: Path, change: Callable[[list[str]], list[str]], broken: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(change(lines)), encoding="utf-8")
    assert audit.verify(log).breaks == broken
    status, text = run(capsys, "verify")
    assert status == 1
    assert f"line {', '.join(map(str, broken))}:" in text


def test_lines_that_were_cut_off_are_found_with_a_digest_that_was_kept(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = run(capsys, "verify")[1].split()[-1]
    audit.note(OPERATOR, Act.DELETED, "job:7", "delete")
    assert run(capsys, "verify", "--expect", digest)[0] == 0
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(lines[:3]), encoding="utf-8")
    assert run(capsys, "verify")[0] == 0
    status, text = run(capsys, "verify", "--expect", digest)
    assert (status, "cut off" in text) == (1, True)


def test_a_line_that_was_not_written_whole_does_not_take_the_next_one_with_it(log: Path) -> None:
    log.write_bytes(log.read_bytes()[:-30])
    audit.note(OPERATOR, Act.CHANGED, "job:8", "retry")
    assert audit.verify(log).breaks == (6,)
    assert list(audit.entries(log))[-1]["what"] == "job:8"


def test_processes_that_write_at_once_keep_one_chain(log: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: audit.note(OPERATOR, Act.SHARED, f"job:{number}"), range(200)))
    verdict = audit.verify(log)
    assert (verdict.lines, verdict.whole) == (206, True)


def test_a_state_that_is_asked_repeatedly_is_noted_once(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        audit.note(OPERATOR, Act.SAW, f"job:{log.parent.parent.name}", "get")
    assert audit.verify(log).lines == 7
    status, text = run(capsys, "show", "--limit", "2")
    assert (status, len(text.splitlines())) == (0, 2)
    assert "operator  saw  job:" in text
