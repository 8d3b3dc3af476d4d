"""Displayed numbers and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ui.parts import wording
from ui.parts.messages import escape

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.2, "0 s"),
        (59.6, "1 min"),
        (80, "1 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86400, "24 h"),
    ],
)
def test_a_duration_is_read_in_its_two_largest_units(seconds: float | None, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (75, "1 min 15 s")])
def test_a_short_step_keeps_its_tenths(seconds: float, text: str) -> None:
    assert wording.step_seconds(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "1 kB"), (25_690_112, "25.7 MB"), (512_000_000, "512 MB")])
def test_sizes_are_powers_of_ten(count: int, text: str) -> None:
    assert wording.size(count) == text


def test_a_naive_time_counts_as_utc() -> None:
    assert wording.age("2026-03-01T11:55:00", NOW) == "5 min ago"
    assert wording.age("2026-03-01T12:55:00+01:00", NOW) == "5 min ago"


def test_an_end_that_has_passed_is_not_announced() -> None:
    assert wording.time_left(NOW + timedelta(hours=23.6), NOW) == "in 24 h"
    assert wording.time_left(NOW + timedelta(minutes=40), NOW) == "in 40 min"
    assert wording.time_left(NOW - timedelta(minutes=1), NOW) == ""
    assert wording.time_left(None, NOW) == ""


def test_a_file_name_is_never_formatting() -> None:
    assert escape("knee_*1*.nii") == r"knee\_\*1\*\.nii"
    assert escape("[a](http://b)") == r"\[a\]\(http\://b\)"
