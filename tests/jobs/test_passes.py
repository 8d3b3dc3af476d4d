"""Passes of browsers: issued for a key, valid for a time, revocable."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from jobs.state.passes import PASS_LIFETIME_S, Passes

KEY = "the-first-of-two-keys"
KEYS = (KEY, "the-second-of-two-keys")


def test_a_pass_is_accepted_by_every_process_of_the_data_directory(tmp_path: Path) -> None:
    issued = Passes(tmp_path, KEYS).issue(KEY)
    assert Passes(tmp_path, KEYS).accept(issued)
    assert not Passes(tmp_path / "other", KEYS).accept(issued)
    assert not any(key in issued for key in KEYS)


def test_a_pass_ends_with_its_key(tmp_path: Path) -> None:
    issued = Passes(tmp_path, KEYS).issue(KEY)
    assert Passes(tmp_path, (KEY,)).accept(issued)
    assert not Passes(tmp_path, KEYS[1:]).accept(issued)


def test_a_pass_expires_within_a_week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = Passes(tmp_path, KEYS).issue(KEY)
    later = time.time() + 7 * 86_400 + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert not Passes(tmp_path, KEYS).accept(issued)


def test_a_changed_pass_is_not_accepted(tmp_path: Path) -> None:
    passes = Passes(tmp_path, KEYS)
    identity, expiry, code = passes.issue(KEY).split(".")
    for text in (f"{identity}.{int(expiry) + 1}.{code}", f"{'0' * 32}.{expiry}.{code}", f"{identity}.{expiry}", ""):
        assert not passes.accept(text)


def test_one_pass_or_all_can_be_revoked(tmp_path: Path) -> None:
    passes = Passes(tmp_path, KEYS)
    first, second = passes.issue(KEY), passes.issue(KEY)
    passes.revoke("not a pass")
    passes.revoke(first)
    assert [passes.accept(issued) for issued in (first, second)] == [False, True]
    passes.revoke_all()
    assert not passes.accept(second)
    assert passes.accept(passes.issue(KEY))


def test_notes_about_expired_passes_are_removed(tmp_path: Path) -> None:
    passes = Passes(tmp_path, KEYS)
    passes.revoke(passes.issue(KEY))
    (note,) = (tmp_path / "access" / "revoked").iterdir()
    os.utime(note, (0, time.time() - PASS_LIFETIME_S - 1))
    passes.revoke(passes.issue(KEY))
    assert not note.exists()
