"""Log lines as text and JSON; rotation of files that other processes have open."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

from jobs.logs import FIELDS, KEPT, JsonLines, TextLines, rotate

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Unreadable(Exception):
    def __str__(self) -> str:
        return "first line\nsecond line"


def record(text: str, **extra: object) -> logging.LogRecord:
    """A message with a traceback."""
    error = Unreadable()
    made = logging.LogRecord("jobs.x", logging.WARNING, "x.py", 1, text, (), (Unreadable, error, None))
    for name, value in extra.items():
        setattr(made, name, value)
    return made


def test_every_line_of_a_text_log_has_a_time() -> None:
    lines = TextLines().format(record("a message\nof two lines")).splitlines()
    assert len(lines) == 4
    assert all(re.match(rf"{TIME} WARNING jobs\.x: ", line) for line in lines), lines
    assert lines[-1].endswith("second line")


def test_a_json_log_has_one_object_per_message() -> None:
    text = JsonLines().format(record('a "message"\nof two lines', **{FIELDS: {"status": 200}}))
    assert "\n" not in text
    line = json.loads(text)
    assert re.fullmatch(TIME, line["time"])
    assert (line["level"], line["logger"], line["status"]) == ("warning", "jobs.x", 200)
    assert line["message"] == 'a "message"\nof two lines'
    assert "second line" in line["traceback"]


def test_a_log_is_rotated_while_another_process_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    with path.open("ab", buffering=0) as writer:  # as a child process has it
        assert not rotate(path, 100)
        for number in range(KEPT + 2):
            writer.write(b"%d\n" % number * 100)
            assert rotate(path, 100)
            assert path.stat().st_size == 0
        writer.write(b"afterwards\n")
    assert path.read_bytes() == b"afterwards\n"
    assert [(tmp_path / f"worker.log.{n}").read_bytes()[:1] for n in (1, 2, 3)] == [b"4", b"3", b"2"]
    assert len(list(tmp_path.iterdir())) == 1 + KEPT
